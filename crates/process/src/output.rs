//! The logs of an attempt as a reader sees them, while it runs and after.
//!
//! A log is a sequence of bytes of which the beginning and the end are kept.
//! `stdout.log` holds the beginning; the end lies in at most two files
//! `stdout.log.<offset of their first byte>`, of which the older goes when a
//! third begins. A byte never changes its offset.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// One of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

impl LogStream {
    /// Returns the name of the file that holds the log's beginning.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout.log",
            Self::Stderr => "stderr.log",
        }
    }
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins; the next piece begins at `offset + data.len()`.
    pub offset: u64,
    /// The bytes; none at the end of the log.
    pub data: Vec<u8>,
    /// How many bytes before `offset` were asked for and are not kept.
    pub dropped: u64,
    /// The length of the log, bytes not kept included, when it was read.
    pub end: u64,
}

/// Reads at most `bytes_max` bytes of a log from `offset` on.
///
/// A piece may be shorter although more follows; an empty one means that the
/// log has no byte at `offset`, or none yet. A log that was never begun is empty.
///
/// # Errors
/// What the file system says.
pub fn read(dir: &Path, stream: LogStream, offset: u64, bytes_max: usize) -> io::Result<Piece> {
    for _ in 0..ROTATIONS_MAX {
        let parts = parts(dir, stream)?;
        let end = parts.last().map_or(0, Part::end);
        let Some(part) = parts.iter().find(|part| offset < part.end()) else {
            return Ok(Piece { offset, data: Vec::new(), dropped: 0, end });
        };
        let from = offset.max(part.start);
        let wanted = (part.end() - from).min(bytes_max as u64);
        match part.read(from, wanted) {
            Ok(data) => return Ok(Piece { offset: from, data, dropped: from - offset, end }),
            // The writer has dropped it since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // The writer is faster than this reader. Whoever asks again finds what is kept then.
    let end = parts(dir, stream)?.last().map_or(0, Part::end);
    Ok(Piece { offset, data: Vec::new(), dropped: 0, end })
}

/// Returns the name of the file whose first byte has this offset in the log.
pub(crate) fn part_path(dir: &Path, stream: LogStream, start: u64) -> PathBuf {
    let head = stream.file_name();
    if start == 0 { dir.join(head) } else { dir.join(format!("{head}.{start}")) }
}

struct Part {
    start: u64,
    bytes: u64,
    path: PathBuf,
}

impl Part {
    fn end(&self) -> u64 {
        self.start + self.bytes
    }

    fn read(&self, from: u64, wanted: u64) -> io::Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(wanted).expect("it is at most a usize")];
        File::open(&self.path)?.read_exact_at(&mut data, from - self.start)?;
        Ok(data)
    }
}

/// Lists the files of a log in the order of their bytes.
fn parts(dir: &Path, stream: LogStream) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(start) = name.to_str().and_then(|name| start_of(stream, name)) else { continue };
        match entry.metadata() {
            Ok(metadata) => parts.push(Part { start, bytes: metadata.len(), path: entry.path() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    parts.sort_by_key(|part| part.start);
    Ok(parts)
}

fn start_of(stream: LogStream, name: &str) -> Option<u64> {
    match name.strip_prefix(stream.file_name())? {
        "" => Some(0),
        suffix => suffix.strip_prefix('.')?.parse().ok(),
    }
}

/// How often a read looks again because the file it chose was dropped.
const ROTATIONS_MAX: u32 = 8;
