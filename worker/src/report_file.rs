//! The report file of an attempt, as the worker reads it: bounded, and from where it left off.
//!
//! The program appends lines to it and may do whatever else it likes with it,
//! so nothing of the file is believed but its next bytes. How far it was read
//! stands beside it and outlives the daemon, not the machine: a line may be
//! read twice after a crash, never be passed over. What was read is given
//! back to the file system, and what comes faster than it can be read is
//! skipped and counted. A program that writes the file anew each time, instead
//! of appending, is understood as far as that can be noticed.

use std::{
    fs::{self, File},
    io, mem,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use serde::{Deserialize, Serialize};
use votum_job::{ReportLine, SelfReport};

/// The reading end of a report file.
#[derive(Debug)]
pub(crate) struct ReportFile {
    path: PathBuf,
    progress_path: PathBuf,
    state: State,
}

/// What one look at the file brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Everything that was said so far.
    pub(crate) report: SelfReport,
    /// Seals of the checkpoint directory that were asked for since the look before.
    pub(crate) checkpoints: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The first byte that is still to be read.
    offset: u64,
    /// Whether it lies within a line whose beginning was read as a line.
    inside_line: bool,
    /// Before it nothing takes space any more.
    freed: u64,
    changed: Changed,
    report: SelfReport,
}

/// When a file was changed last, in seconds and nanoseconds.
type Changed = (i64, i64);

impl ReportFile {
    /// Makes an empty report file in the directory of an attempt; one that is there stays.
    pub(crate) fn create(dir: &Path) -> io::Result<()> {
        File::options().append(true).create(true).open(report_path(dir)).map(|_| ())
    }

    /// Goes on where an earlier start of the daemon stopped reading, or begins.
    pub(crate) fn resume(dir: &Path) -> Self {
        let progress_path = dir.join(READ_SO_FAR);
        // Without it everything is read again, which costs repeated lines.
        let state = fs::read(&progress_path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Self { path: report_path(dir), progress_path, state }
    }

    /// Returns what was said as far as it was read.
    pub(crate) fn report(&self) -> &SelfReport {
        &self.state.report
    }

    /// Reads the next lines, at most [`LOOK_BYTES_MAX`]; nothing if there are none.
    ///
    /// A last line without its end is read only if no more `follows`.
    pub(crate) fn look(&mut self, follows: Follows) -> io::Result<Option<Reading>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("the flags of open are an int");
        let file = match File::options().read(true).write(true).custom_flags(flags).open(&self.path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("the report file was replaced by something else"));
        }
        let before = self.state.clone();
        let (end, changed) = (metadata.len(), changed(&metadata));
        if self.was_rewritten(&file, end, changed)? {
            let report = mem::take(&mut self.state.report);
            self.state = State { report, ..State::default() };
        }
        if end - self.state.offset > BACKLOG_BYTES_MAX {
            self.skip(end - LOOK_BYTES_MAX);
        }
        let wanted = (end - self.state.offset).min(LOOK_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(wanted).expect("it is small")];
        let count = file.read_at(&mut bytes, self.state.offset)?;
        let checkpoints = self.take_in(&bytes[..count], follows);
        self.state.changed = changed;
        if self.state == before {
            return Ok(None);
        }
        self.give_back(&file);
        self.remember();
        let said = self.state.offset != before.offset || self.state.report != before.report;
        Ok(said.then(|| Reading { report: self.state.report.clone(), checkpoints }))
    }

    /// Says whether the program has begun the file anew instead of appending to it.
    fn was_rewritten(&self, file: &File, end: u64, changed: Changed) -> io::Result<bool> {
        let State { offset, inside_line, .. } = self.state;
        if offset == 0 {
            return Ok(false);
        }
        let mut last = [0];
        file.read_at(&mut last, offset - 1)?;
        let is_appended = inside_line || last == *b"\n";
        Ok(end < offset || (end == offset && changed != self.state.changed) || !is_appended)
    }

    fn skip(&mut self, to: u64) {
        self.state.report.note_skipped(to - self.state.offset);
        self.state.offset = to;
        self.state.inside_line = true;
    }

    fn take_in(&mut self, bytes: &[u8], follows: Follows) -> Vec<String> {
        let Split { lines, bytes_read, inside_line } =
            split(bytes, self.state.inside_line, follows);
        self.state.offset += bytes_read as u64;
        self.state.inside_line = inside_line;
        let mut checkpoints = Vec::new();
        for line in lines {
            match String::from_utf8_lossy(line).parse() {
                Ok(line) => {
                    self.state.report.note(&line);
                    if let ReportLine::Checkpoint { request } = line {
                        checkpoints.push(request);
                    }
                }
                Err(malformed) => self.state.report.note_malformed(&malformed),
            }
        }
        // One seal answers every request that came before it.
        checkpoints.split_off(checkpoints.len().saturating_sub(CHECKPOINTS_MAX))
    }

    /// Frees the space of what was read; the offsets of what follows stay as they are.
    fn give_back(&mut self, file: &File) {
        if self.state.offset - self.state.freed < FREED_BYTES_MIN {
            return;
        }
        // A file system that cannot do this keeps the lines until the attempt is forgotten.
        // The last byte stays: it tells whether what follows was appended to it.
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(file, hole, 0, self.state.offset - 1);
        self.state.freed = self.state.offset;
        self.state.changed = file.metadata().map_or(self.state.changed, |now| changed(&now));
    }

    /// Writes down how far it was read. Unwritten, lines are read twice after a crash.
    fn remember(&self) {
        let aside = self.progress_path.with_extension("new");
        let text = serde_json::to_vec(&self.state).expect("numbers and texts are JSON");
        let written =
            fs::write(&aside, text).and_then(|()| fs::rename(&aside, &self.progress_path));
        if let Err(error) = written {
            let path = self.progress_path.display();
            tracing::debug!(%error, %path, "cannot write down how far a report was read");
        }
    }
}

/// Whether the program may still append to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    More,
    Nothing,
}

/// What was made of some bytes.
#[derive(Debug, PartialEq, Eq)]
struct Split<'a> {
    /// None is empty or longer than [`LINE_BYTES_MAX`].
    lines: Vec<&'a [u8]>,
    bytes_read: usize,
    inside_line: bool,
}

/// Cuts bytes into lines. The rest of a line whose beginning was read is passed over.
fn split(bytes: &[u8], mut inside_line: bool, follows: Follows) -> Split<'_> {
    let (mut lines, mut bytes_read) = (Vec::new(), 0);
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let ends = piece.ends_with(b"\n");
        // For the rest of a line that is too long nobody has to wait.
        let waits = piece.len() < LINE_BYTES_MAX && follows == Follows::More;
        if !ends && !inside_line && waits {
            break;
        }
        let line = piece.strip_suffix(b"\n").unwrap_or(piece);
        if !inside_line && !line.is_empty() {
            lines.push(&line[..line.len().min(LINE_BYTES_MAX)]);
        }
        inside_line = !ends;
        bytes_read += piece.len();
    }
    Split { lines, bytes_read, inside_line }
}

fn changed(metadata: &fs::Metadata) -> Changed {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Returns where the reports of the attempt in this directory go.
pub(crate) fn report_path(dir: &Path) -> PathBuf {
    dir.join(REPORT)
}

const REPORT: &str = "report";
const READ_SO_FAR: &str = "report.json";

/// Of a longer line only the beginning counts.
const LINE_BYTES_MAX: usize = 1024;
/// Most bytes that one look reads.
const LOOK_BYTES_MAX: u64 = 64 << 10;
/// With more than this unread, all but the end is skipped.
const BACKLOG_BYTES_MAX: u64 = 1 << 20;
/// How much is read before its space is given back.
const FREED_BYTES_MIN: u64 = 256 << 10;
/// Most requests for a seal that one look hands on.
const CHECKPOINTS_MAX: usize = 64;

#[cfg(test)]
mod tests;
