//! Where the last lines of a log begin.

use std::collections::VecDeque;

use crate::{Denied, LogPart};

/// Returns the offset at which the last `lines` lines begin, at the earliest `from`.
///
/// Looks at the last mebibyte only; lines that begin before it are not counted.
pub(crate) fn tail_start(
    lines: u32,
    from: u64,
    mut read: impl FnMut(u64, usize) -> Result<LogPart, Denied>,
) -> Result<u64, Denied> {
    let end = read(u64::MAX, 1)?.end;
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    if lines == 0 || from >= end {
        return Ok(end.max(from));
    }
    let mut at = from.max(end.saturating_sub(SEARCHED_BYTES));
    // The first byte that is read begins a line for whoever sees nothing before it.
    let mut starts = VecDeque::from([at]);
    while at < end {
        let part = read(at, READ_BYTES)?;
        if part.data.is_empty() {
            break;
        }
        if part.offset > at {
            starts.push_back(part.offset);
        }
        for (i, byte) in (part.offset..).zip(&part.data) {
            // A line feed that ends the log begins no line.
            if *byte == b'\n' && i + 1 < end {
                starts.push_back(i + 1);
                if starts.len() > lines {
                    starts.pop_front();
                }
            }
        }
        at = part.offset + part.data.len() as u64;
    }
    while starts.len() > lines {
        starts.pop_front();
    }
    Ok(starts.front().copied().unwrap_or(end))
}

/// The last lines are looked for in so many bytes.
const SEARCHED_BYTES: u64 = 1 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of which `kept` is what a reader finds from `first` on.
    fn start_in(first: u64, kept: &str, lines: u32, from: u64) -> u64 {
        let read = |offset: u64, bytes_max: usize| {
            let end = first + kept.len() as u64;
            let offset = offset.max(first);
            let rest = kept.as_bytes().get(usize::try_from(offset - first).unwrap()..);
            let data = rest.unwrap_or_default();
            let data = data[..data.len().min(bytes_max).min(7)].to_vec();
            Ok(LogPart { offset, data, end, complete: true })
        };
        tail_start(lines, from, read).unwrap()
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let log = "one\ntwo\nthree\n";
        assert_eq!(start_in(0, log, 1, 0), 8);
        assert_eq!(start_in(0, log, 2, 0), 4);
        assert_eq!(start_in(0, log, 9, 0), 0);
        assert_eq!(start_in(0, log, 0, 0), 14);
    }

    #[test]
    fn a_line_without_an_end_counts() {
        assert_eq!(start_in(0, "one\ntwo", 1, 0), 4);
        assert_eq!(start_in(0, "", 1, 0), 0);
    }

    #[test]
    fn nothing_before_the_offset_is_shown() {
        assert_eq!(start_in(0, "one\ntwo\n", 2, 5), 5);
        assert_eq!(start_in(0, "one\ntwo\n", 2, 100), 100);
    }

    #[test]
    fn what_follows_dropped_bytes_begins_a_line() {
        assert_eq!(start_in(100, "rest\nlast\n", 2, 0), 100);
        assert_eq!(start_in(100, "rest\nlast\n", 1, 0), 105);
    }
}
