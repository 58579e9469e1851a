//! When the bytes of a log were written: to the second, beside the log.
//!
//! `stdout.log.times` holds pairs of two numbers of eight bytes, least first: an offset in the
//! log, and the milliseconds since 1970 at which the byte there was written. What follows was written
//! within a second of that, or the next pair tells.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::time::{ClockId, clock_gettime};

use crate::output::LogStream;

/// Notes when a log was written.
pub(crate) struct Times {
    /// None after the disk refused a byte: what follows has no time of its own.
    file: Option<File>,
    pairs: u64,
    last_ms: u64,
}

impl Times {
    pub(crate) fn create(dir: &Path, stream: LogStream) -> Self {
        Self { file: File::create(path(dir, stream)).ok(), pairs: 0, last_ms: 0 }
    }

    /// Notes that the byte at `offset` is written at `now_ms`, unless the last pair tells as much.
    pub(crate) fn note(&mut self, offset: u64, now_ms: u64) {
        let every = if self.pairs < FINE_PAIRS { FINE_MS } else { COARSE_MS };
        // A clock that was set back is followed.
        if self.pairs > 0 && (self.last_ms..self.last_ms + every).contains(&now_ms) {
            return;
        }
        let mut pair = [0; PAIR_BYTES];
        pair[..8].copy_from_slice(&offset.to_le_bytes());
        pair[8..].copy_from_slice(&now_ms.to_le_bytes());
        self.file = self.file.take().filter(|mut file| file.write_all(&pair).is_ok());
        self.pairs += 1;
        self.last_ms = now_ms;
    }
}

/// Returns the milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or_default() * 1000 + nanos.unwrap_or_default() / 1_000_000
}

/// When a part of a log was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Where what was written later begins, if anything was.
    pub until: Option<u64>,
}

/// Returns when the byte at `offset` was written; none if that was not noted.
///
/// # Errors
/// What the file system says.
pub fn written(dir: &Path, stream: LogStream, offset: u64) -> io::Result<Option<Written>> {
    let Some(noted) = Noted::open(dir, stream)? else { return Ok(None) };
    let later = noted.first(|(at, _)| at > offset)?;
    let Some(own) = later.checked_sub(1) else { return Ok(None) };
    let (_, at_ms) = noted.pair(own)?;
    let until = if later < noted.pairs { Some(noted.pair(later)?.0) } else { None };
    Ok(Some(Written { at_ms, until }))
}

/// Returns the first offset of which it is known that it was written at `since_ms` or later, or
/// within the second before; none if nothing was, or nothing was noted.
///
/// # Errors
/// What the file system says.
pub fn first_since(dir: &Path, stream: LogStream, since_ms: u64) -> io::Result<Option<u64>> {
    let Some(noted) = Noted::open(dir, stream)? else { return Ok(None) };
    let first = noted.first(|(_, at_ms)| at_ms.saturating_add(FINE_MS) > since_ms)?;
    if first < noted.pairs { Ok(Some(noted.pair(first)?.0)) } else { Ok(None) }
}

/// What was noted of one log.
struct Noted {
    file: File,
    pairs: u64,
}

impl Noted {
    fn open(dir: &Path, stream: LogStream) -> io::Result<Option<Self>> {
        match File::open(path(dir, stream)) {
            Ok(file) => {
                let pairs = file.metadata()?.len() / PAIR_BYTES as u64;
                Ok(Some(Self { file, pairs }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn pair(&self, at: u64) -> io::Result<(u64, u64)> {
        let mut pair = [0; PAIR_BYTES];
        self.file.read_exact_at(&mut pair, at * PAIR_BYTES as u64)?;
        let number = |from: usize| {
            let bytes = pair[from..from + 8].try_into().expect("eight of sixteen bytes");
            u64::from_le_bytes(bytes)
        };
        Ok((number(0), number(8)))
    }

    /// Finds the first pair of which this is so, as of all after it.
    fn first(&self, is_so: impl Fn((u64, u64)) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.pairs);
        while low < high {
            let middle = u64::midpoint(low, high);
            if is_so(self.pair(middle)?) { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }
}

fn path(dir: &Path, stream: LogStream) -> PathBuf {
    dir.join(format!("{}.times", stream.file_name()))
}

const PAIR_BYTES: usize = 16;
/// Between two pairs.
const FINE_MS: u64 = 1000;
/// After so many, which is a day of a program that never is silent, they are further apart.
const FINE_PAIRS: u64 = 86_400;
const COARSE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(pairs: &[(u64, u64)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut times = Times::create(dir.path(), LogStream::Stdout);
        pairs.iter().for_each(|(offset, at)| times.note(*offset, *at));
        dir
    }

    #[test]
    fn each_byte_has_the_time_of_its_second() {
        let dir = noted(&[(0, 5_000), (10, 5_900), (20, 6_000), (30, 9_500)]);
        let at = |offset| written(dir.path(), LogStream::Stdout, offset).unwrap().unwrap();
        assert_eq!(at(0), Written { at_ms: 5_000, until: Some(20) });
        assert_eq!(at(19), Written { at_ms: 5_000, until: Some(20) });
        assert_eq!(at(20), Written { at_ms: 6_000, until: Some(30) });
        assert_eq!(at(1_000), Written { at_ms: 9_500, until: None });
        assert_eq!(written(dir.path(), LogStream::Stderr, 0).unwrap(), None);
    }

    #[test]
    fn what_was_written_since_a_time_is_found() {
        let dir = noted(&[(0, 5_000), (20, 8_000), (30, 9_500)]);
        let since = |ms| first_since(dir.path(), LogStream::Stdout, ms).unwrap();
        assert_eq!([since(0), since(5_999), since(6_000)], [Some(0), Some(0), Some(20)]);
        assert_eq!([since(9_000), since(60_000)], [Some(30), None]);
        assert_eq!(first_since(dir.path(), LogStream::Stderr, 0).unwrap(), None);
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let dir = noted(&[(0, 5_000), (10, 2_000), (20, 2_500)]);
        let at = |offset| written(dir.path(), LogStream::Stdout, offset).unwrap().unwrap().at_ms;
        assert_eq!([at(0), at(10), at(25)], [5_000, 2_000, 2_000]);
    }
}
