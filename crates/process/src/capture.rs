//! The writing half of the logs: drains a task's output and never makes it wait for ever.
//!
//! Bytes beyond the limit, and all bytes after the disk refused one, are read
//! and dropped: a task is not to fail because of what it says.

use std::{
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::{
    output::{LogStream, part_path},
    times::{Times, now_ms},
};

/// One pipe and the log it is drained into.
pub(crate) struct Capture {
    pipe: Option<PipeReader>,
    log: Log,
}

impl Capture {
    /// Begins a log; returns also the end of the pipe that the task is to have.
    pub(crate) fn begin(
        dir: &Path,
        stream: LogStream,
        bytes_max: u64,
    ) -> io::Result<(Self, PipeWriter)> {
        let log = Log::create(dir, stream, bytes_max)?;
        let (ours, theirs) = io::pipe()?;
        fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
        Ok((Self { pipe: Some(ours), log }, theirs))
    }

    /// Returns what to wait on; nothing once nobody can write any more.
    pub(crate) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(PipeReader::as_fd)
    }

    /// Returns how much was written into the pipe so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.log.written
    }

    /// Moves what is there, up to the size of the buffer; says how much that was.
    pub(crate) fn drain(&mut self, buffer: &mut [u8]) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        match pipe.read(buffer) {
            Ok(0) => {
                self.pipe = None;
                0
            }
            Ok(count) => {
                self.log.append(&buffer[..count]);
                count
            }
            // Nothing is there yet: the poll tells when there is.
            Err(_) => 0,
        }
    }
}

/// A log that keeps its beginning and its end.
struct Log {
    dir: PathBuf,
    stream: LogStream,
    /// Half of the beginning, and the whole of each later part.
    unit: u64,
    /// The part being written; none after the disk refused a byte.
    file: Option<File>,
    room: u64,
    written: u64,
    /// Where the parts of the end begin, oldest first.
    tail: Vec<u64>,
    times: Times,
}

impl Log {
    fn create(dir: &Path, stream: LogStream, bytes_max: u64) -> io::Result<Self> {
        let unit = bytes_max.max(LOG_BYTES_MIN) / 4;
        Ok(Self {
            dir: dir.to_owned(),
            stream,
            unit,
            file: Some(File::create(part_path(dir, stream, 0))?),
            room: 2 * unit,
            written: 0,
            tail: Vec::new(),
            times: Times::create(dir, stream),
        })
    }

    fn append(&mut self, mut bytes: &[u8]) {
        self.times.note(self.written, now_ms());
        while !bytes.is_empty() && self.file.is_some() {
            if self.room == 0 {
                self.rotate();
                continue;
            }
            let fitting = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(fitting);
            // A byte's place in the files is its offset, so the log ends at the first that is lost.
            self.file = self.file.take().filter(|mut file| file.write_all(part).is_ok());
            self.room -= fitting as u64;
            self.written += fitting as u64;
            bytes = rest;
        }
        self.written += bytes.len() as u64;
    }

    fn rotate(&mut self) {
        self.file = File::create(part_path(&self.dir, self.stream, self.written)).ok();
        self.room = self.unit;
        self.tail.push(self.written);
        if self.tail.len() > TAIL_PARTS {
            // What cannot be removed is kept: the log is then longer than it should be.
            let _ = fs::remove_file(part_path(&self.dir, self.stream, self.tail.remove(0)));
        }
    }
}

/// A log is never kept shorter, so that its parts are not too many and too small.
const LOG_BYTES_MIN: u64 = 64 * 1024;

/// The end of a log is between one and two parts long.
const TAIL_PARTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output;

    #[test]
    fn the_middle_of_a_long_log_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path(), LogStream::Stdout, LOG_BYTES_MIN).unwrap();
        let text: Vec<u8> = (0..1_000_000u32).flat_map(|i| [i as u8, (i >> 8) as u8]).collect();

        text.chunks(1000).for_each(|chunk| log.append(chunk));

        let pieces = read_all(dir.path());
        let (head, tail) = (&pieces[0], &pieces[1..]);
        assert_eq!(head.data, text[..32 * 1024]);
        assert!(tail[0].dropped > 1_900_000);
        for piece in tail {
            let from = piece.offset as usize;
            assert_eq!(piece.data, text[from..from + piece.data.len()]);
        }
        let kept: usize = pieces.iter().map(|piece| piece.data.len()).sum();
        assert!((48 * 1024..=64 * 1024).contains(&kept), "{kept}");
        assert_eq!(pieces.last().unwrap().end, text.len() as u64);
    }

    #[test]
    fn a_log_ends_where_the_disk_failed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path(), LogStream::Stdout, LOG_BYTES_MIN).unwrap();
        log.append(b"kept");
        // A file that is open for reading refuses every write.
        log.file = Some(File::open(part_path(dir.path(), LogStream::Stdout, 0)).unwrap());

        log.append(b"lost");
        log.append(b"lost too");

        let piece = output::read(dir.path(), LogStream::Stdout, 0, 100).unwrap();
        assert_eq!((piece.data.as_slice(), piece.end), (b"kept".as_slice(), 4));
        assert_eq!(log.written, 16);
    }

    fn read_all(dir: &Path) -> Vec<output::Piece> {
        let mut pieces = Vec::new();
        let mut offset = 0;
        loop {
            let piece = output::read(dir, LogStream::Stdout, offset, usize::MAX).unwrap();
            if piece.data.is_empty() {
                return pieces;
            }
            offset = piece.offset + piece.data.len() as u64;
            pieces.push(piece);
        }
    }
}
