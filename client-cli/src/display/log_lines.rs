//! Pieces of logs as whole lines, so that two tasks never write into one line.

use std::collections::BTreeMap;

use votum_machine::WallTime;
use votum_wire::{HookKind, LogPiece, LogStream, names::AttemptName};

use super::amount;

/// Puts pieces together to lines.
#[derive(Debug)]
pub(crate) struct LogLines {
    prefix: Prefix,
    /// Whether the time stands before each line as well.
    timed: bool,
    /// Whose bytes were passed on as they are, and whether a line of them is open on a stream.
    bare: Option<(AttemptName, LogStream, bool)>,
    open: BTreeMap<(AttemptName, LogStream), Open>,
}

/// What stands before each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Nothing, as long as there is but one attempt: its bytes are passed on as they are.
    None,
    /// Task and attempt, and `!` for standard error.
    Attempt,
}

/// A line, or a piece of one when nothing stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it belongs.
    pub stream: LogStream,
    /// With its end.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    /// When the line was begun.
    begun: Option<WallTime>,
    next: u64,
}

impl LogLines {
    /// Begins without pieces.
    pub(crate) fn new(prefix: Prefix, timed: bool) -> Self {
        Self { prefix, timed, bare: None, open: BTreeMap::new() }
    }

    /// Takes a piece and returns the lines that it completes.
    pub(crate) fn push(&mut self, piece: LogPiece) -> Vec<Line> {
        let LogPiece { attempt, stream, offset, data, written } = piece;
        let mut lines = self.tell_apart(&attempt);
        let look = Look { prefix: self.prefix, timed: self.timed };
        let open = self.open.entry((attempt.clone(), stream)).or_default();
        if open.next != 0 && offset > open.next {
            let missing = format!("({} bytes were dropped)", offset - open.next);
            lines.push(match self.prefix {
                // It is no byte of the log, so it keeps away from standard output.
                Prefix::None => {
                    let bytes = format!("{missing}\n").into_bytes();
                    Line { stream: LogStream::Stderr, bytes }
                }
                Prefix::Attempt => look.line(&attempt, stream, written, missing.as_bytes()),
            });
        }
        open.next = offset + data.len() as u64;
        if self.prefix == Prefix::None && !self.timed {
            let is_open = !data.ends_with(b"\n");
            self.bare = Some((attempt, stream, is_open));
            lines.push(Line { stream, bytes: data.to_vec() });
            return lines;
        }
        for part in data.split_inclusive(|&byte| byte == b'\n') {
            if open.bytes.is_empty() {
                open.begun = written;
            }
            open.bytes.extend_from_slice(part);
            if open.bytes.ends_with(b"\n") || open.bytes.len() > LINE_BYTES_MAX {
                let bytes = std::mem::take(&mut open.bytes);
                lines.push(look.line(&attempt, stream, open.begun, &bytes));
            }
        }
        if self.prefix == Prefix::None {
            self.bare = Some((attempt, stream, false));
        }
        lines
    }

    /// Begins to name the attempts when a second one has something to say; ends the line at
    /// which the first one stands.
    fn tell_apart(&mut self, attempt: &AttemptName) -> Vec<Line> {
        let Some((_, stream, is_open)) = self.bare.take_if(|(known, ..)| known != attempt) else {
            return Vec::new();
        };
        self.prefix = Prefix::Attempt;
        let end = Line { stream, bytes: b"\n".to_vec() };
        is_open.then_some(end).into_iter().collect()
    }

    /// Returns what was begun and never ended by a line break.
    pub(crate) fn rest(&mut self) -> Vec<Line> {
        let look = Look { prefix: self.prefix, timed: self.timed };
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .filter(|(_, open)| !open.bytes.is_empty())
            .map(|((attempt, stream), open)| look.line(&attempt, stream, open.begun, &open.bytes))
            .collect()
    }
}

/// What stands before a line.
#[derive(Debug, Clone, Copy)]
struct Look {
    prefix: Prefix,
    timed: bool,
}

impl Look {
    /// Writes a line. With a prefix everything goes to one stream, in the order in which it came.
    fn line(
        self,
        attempt: &AttemptName,
        stream: LogStream,
        begun: Option<WallTime>,
        line: &[u8],
    ) -> Line {
        let time = match (self.timed, begun) {
            (false, _) => String::new(),
            (true, Some(begun)) => format!("{} ", amount::time(begun)),
            (true, None) => format!("{:20} ", "-"),
        };
        let mark = match stream {
            LogStream::Stdout => '|',
            LogStream::Stderr => '!',
        };
        let undoes = if attempt.hook == Some(HookKind::Compensation) { "undo " } else { "" };
        let (head, stream) = match self.prefix {
            Prefix::None => (time, stream),
            Prefix::Attempt => {
                let (task, number) = (&attempt.task, attempt.number);
                (format!("{time}{undoes}{task}/{number} {mark} "), LogStream::Stdout)
            }
        };
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        bytes.push(b'\n');
        Line { stream, bytes }
    }
}

/// A longer line is broken.
const LINE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(task: &str, stream: LogStream, offset: u64, text: &'static str) -> LogPiece {
        let attempt = AttemptName {
            job: "nightly-k3f9x2ab".parse().unwrap(),
            task: task.parse().unwrap(),
            hook: None,
            number: 1,
        };
        LogPiece { attempt, stream, offset, data: text.as_bytes().into(), written: None }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line.bytes).unwrap()).collect()
    }

    #[test]
    fn two_tasks_never_write_into_one_line() {
        let mut lines = LogLines::new(Prefix::Attempt, false);
        assert_eq!(
            texts(lines.push(piece("load", LogStream::Stdout, 0, "one\nha"))),
            ["load/1 | one\n"]
        );
        assert_eq!(
            texts(lines.push(piece("report", LogStream::Stderr, 0, "slow\n"))),
            ["report/1 ! slow\n"]
        );
        assert_eq!(
            texts(lines.push(piece("load", LogStream::Stdout, 6, "lf\n"))),
            ["load/1 | half\n"]
        );
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn a_last_line_without_an_end_is_shown() {
        let mut lines = LogLines::new(Prefix::Attempt, false);
        assert!(lines.push(piece("load", LogStream::Stdout, 0, "done")).is_empty());
        assert_eq!(texts(lines.rest()), ["load/1 | done\n"]);
    }

    #[test]
    fn each_line_tells_when_it_was_begun() {
        let at = |offset, seconds: u64, text| {
            let written = Some(WallTime(1_795_222_800_000 + seconds * 1_000));
            LogPiece { written, ..piece("load", LogStream::Stderr, offset, text) }
        };
        let mut lines = LogLines::new(Prefix::None, true);
        let first = lines.push(at(0, 0, "one\ntw"));
        assert_eq!(first[0].stream, LogStream::Stderr);
        assert_eq!(texts(first), ["2026-11-21 01:00:00Z one\n"]);
        assert_eq!(texts(lines.push(at(6, 5, "o\n"))), ["2026-11-21 01:00:00Z two\n"]);
        let mut unknown = piece("load", LogStream::Stdout, 0, "three\n");
        unknown.attempt.number = 2;
        assert_eq!(texts(lines.push(unknown)), ["-                    load/2 | three\n"]);
    }

    #[test]
    fn dropped_bytes_are_told() {
        let mut lines = LogLines::new(Prefix::Attempt, false);
        lines.push(piece("load", LogStream::Stdout, 0, "a\n"));
        let shown = texts(lines.push(piece("load", LogStream::Stdout, 10, "b\n")));
        assert_eq!(shown, ["load/1 | (8 bytes were dropped)\n", "load/1 | b\n"]);
    }

    #[test]
    fn a_single_task_is_passed_on_byte_by_byte() {
        let mut lines = LogLines::new(Prefix::None, false);
        let shown = lines.push(piece("load", LogStream::Stderr, 0, "no end"));
        assert_eq!(shown, [Line { stream: LogStream::Stderr, bytes: b"no end".to_vec() }]);
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn a_second_attempt_is_told_apart_from_the_first() {
        let second = |text| {
            let mut piece = piece("load", LogStream::Stdout, 0, text);
            piece.attempt.number = 2;
            piece
        };
        let mut lines = LogLines::new(Prefix::None, false);
        assert_eq!(texts(lines.push(piece("load", LogStream::Stdout, 0, "a\nhal"))), ["a\nhal"]);
        assert_eq!(texts(lines.push(second("b\n"))), ["\n", "load/2 | b\n"]);
        let late = texts(lines.push(piece("load", LogStream::Stdout, 5, "f\n")));
        assert_eq!(late, ["load/1 | f\n"]);
    }

    #[test]
    fn dropped_bytes_of_a_single_task_are_told_beside_its_output() {
        let mut lines = LogLines::new(Prefix::None, false);
        lines.push(piece("load", LogStream::Stdout, 0, "a\n"));
        let shown = lines.push(piece("load", LogStream::Stdout, 10, "b\n"));
        let (note, line) = (&shown[0], &shown[1]);
        assert_eq!((note.stream, line.stream), (LogStream::Stderr, LogStream::Stdout));
        assert_eq!(note.bytes, b"(8 bytes were dropped)\n");
        assert_eq!(line.bytes, b"b\n");
    }
}
