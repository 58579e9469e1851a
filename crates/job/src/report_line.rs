//! One line of an attempt's report file: what it may say, and what it means.
//!
//! | line | meaning |
//! |---|---|
//! | `progress 120/400 rows [MESSAGE]` | so many of so many, with a unit if one is given |
//! | `progress 0.35 [MESSAGE]`, `progress 35% [MESSAGE]` | a part of the whole |
//! | `heartbeat` | the program lives |
//! | `warning TEXT` | something that people should see |
//! | `checkpoint [WORD]` | the checkpoint directory is to be sealed; the word names the request |
//!
//! Whatever else stands there costs a complaint, never the task.

use std::str::FromStr;

use thiserror::Error;

use crate::self_report::{Amount, Progress, WHOLE};

/// One line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportLine {
    /// How far the program has come.
    Progress(Progress),
    /// It lives.
    Heartbeat,
    /// Something that people should see.
    Warning {
        /// One line.
        text: String,
    },
    /// What lies in the checkpoint directory is to be sealed.
    Checkpoint {
        /// Names the request towards whoever waits for the seal; empty if nobody does.
        request: String,
    },
}

/// A line that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot understand the report line {line:?}: {reason}")]
pub struct MalformedLine {
    /// Its beginning.
    line: String,
    reason: &'static str,
}

impl FromStr for ReportLine {
    type Err = MalformedLine;

    fn from_str(line: &str) -> Result<Self, MalformedLine> {
        let line = line.trim();
        let (verb, rest) = split_word(line);
        let understood = match verb {
            "progress" => read_progress(rest).map(Self::Progress),
            "heartbeat" if rest.is_empty() => Ok(Self::Heartbeat),
            "heartbeat" => Err("nothing follows `heartbeat`"),
            "warning" if rest.is_empty() => Err("a text follows `warning`"),
            "warning" => Ok(Self::Warning { text: cut(rest, TEXT_CHARS_MAX) }),
            "checkpoint" => read_request(rest).map(|request| Self::Checkpoint { request }),
            _unknown => Err("it begins with none of progress, heartbeat, warning, checkpoint"),
        };
        understood.map_err(|reason| MalformedLine { line: cut(line, COMPLAINT_CHARS_MAX), reason })
    }
}

fn read_progress(rest: &str) -> Result<Progress, &'static str> {
    let (amount, rest) = split_word(rest);
    if let Some((done, total)) = amount.split_once('/') {
        let (Ok(done), Ok(total)) = (done.parse(), total.parse()) else {
            return Err("counts are whole numbers, such as 120/400");
        };
        let (unit, message) = split_word(rest);
        let amount = Amount::Counted { done, total, unit: cut(unit, UNIT_CHARS_MAX) };
        return Ok(Progress { amount, message: cut(message, TEXT_CHARS_MAX) });
    }
    let millionths = match amount.strip_suffix('%') {
        Some(percent) => read_decimal(percent, WHOLE / 100),
        None => read_decimal(amount, WHOLE),
    };
    match millionths {
        Some(millionths @ ..=WHOLE) => {
            let amount = Amount::Share { millionths };
            Ok(Progress { amount, message: cut(rest, TEXT_CHARS_MAX) })
        }
        Some(_) | None => Err("progress is a count such as 120/400, 0 to 1, or 0% to 100%"),
    }
}

/// Reads digits with at most one point, as a multiple of `1 / unit`; further digits are cut off.
fn read_decimal(text: &str, unit: u32) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut value = whole.parse::<u32>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        value = value.checked_add(place * u32::from(digit - b'0'))?;
    }
    Some(value)
}

fn read_request(rest: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if rest.len() <= REQUEST_BYTES_MAX && rest.chars().all(is_plain) {
        Ok(rest.to_owned())
    } else {
        Err("what follows `checkpoint` is one short word of letters, digits, '.', '_' and '-'")
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Makes a text safe to show in one line of a terminal.
fn cut(text: &str, chars_max: usize) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(chars_max).map(shown).collect()
}

const TEXT_CHARS_MAX: usize = 200;
const UNIT_CHARS_MAX: usize = 24;
const COMPLAINT_CHARS_MAX: usize = 60;
const REQUEST_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn progress(line: &str) -> (u32, String) {
        match line.parse() {
            Ok(ReportLine::Progress(Progress { amount, message })) => {
                (amount.millionths(), message)
            }
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn counts_have_a_unit_and_a_message() {
        let line: ReportLine = "progress 120/400 rows of  page 7\r".parse().unwrap();

        let amount = Amount::Counted { done: 120, total: 400, unit: "rows".to_owned() };
        let message = "of  page 7".to_owned();
        assert_eq!(line, ReportLine::Progress(Progress { amount, message }));
    }

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        assert_eq!(progress("progress 0.35 page 7"), (350_000, "page 7".to_owned()));
        assert_eq!(progress("progress 35%"), (350_000, String::new()));
        assert_eq!(progress("progress 12.3456%"), (123_456, String::new()));
        assert_eq!(progress("progress 0.33333333333333"), (333_333, String::new()));
        assert_eq!(progress("progress 1"), (WHOLE, String::new()));
        assert_eq!(progress("\tprogress  1.0  done "), (WHOLE, "done".to_owned()));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in [
            "",
            "progress",
            "progress 1.1",
            "progress 101%",
            "progress .5",
            "progress 5.",
            "progress -1/3",
            "progress 1/",
            "progress 1/2/3",
            "progress NaN",
            "progress 4294967296",
            "Progress 1/2",
            "progressive",
            "heartbeat x",
            "warning",
            "warning  ",
            "checkpoint two words",
            "checkpoint ../x",
        ] {
            assert!(line.parse::<ReportLine>().is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_checkpoint_may_name_its_request() {
        let parse = |line: &str| line.parse::<ReportLine>().unwrap();
        assert_eq!(parse("checkpoint"), ReportLine::Checkpoint { request: String::new() });
        let request = "4711.2-a_b".to_owned();
        assert_eq!(parse("checkpoint 4711.2-a_b"), ReportLine::Checkpoint { request });
    }

    #[test]
    fn a_terminal_is_safe_from_what_a_program_says() {
        let Ok(ReportLine::Warning { text }) = "warning \u{1b}[2Jgone".parse() else { panic!() };
        assert_eq!(text, " [2Jgone");
    }

    proptest! {
        #[test]
        fn whatever_a_line_is_its_meaning_is_bounded(line in "\\PC{0,400}|progress [0-9./% a-z]{0,300}|.{0,50}") {
            match line.parse() {
                Ok(ReportLine::Progress(Progress { amount, message })) => {
                    prop_assert!(amount.millionths() <= WHOLE);
                    prop_assert!(message.chars().count() <= TEXT_CHARS_MAX);
                }
                Ok(ReportLine::Warning { text }) => {
                    prop_assert!(text.chars().count() <= TEXT_CHARS_MAX && !text.is_empty());
                }
                Ok(ReportLine::Checkpoint { request }) => {
                    prop_assert!(request.len() <= REQUEST_BYTES_MAX);
                }
                Ok(ReportLine::Heartbeat) => {}
                Err(malformed) => prop_assert!(malformed.to_string().len() < 700),
            }
        }

        #[test]
        fn counts_survive_being_written_and_read(done: u64, total: u64, unit in "[a-z]{1,24}") {
            let line = format!("progress {done}/{total} {unit}").parse();
            let amount = Amount::Counted { done, total, unit };
            let progress = Progress { amount, message: String::new() };
            prop_assert_eq!(line, Ok(ReportLine::Progress(progress)));
        }
    }
}
