//! What the program of an attempt says of itself while it runs.
//!
//! It is for people and for the decision whether a program is stuck. Nothing
//! that must be right rests on it: it may be wrong, late or lost.

use serde::{Deserialize, Serialize};

use crate::report_line::{MalformedLine, ReportLine};

/// Everything that a program has said of itself so far, cut to what is worth keeping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfReport {
    /// How far it says it has come; none until it says so.
    pub progress: Option<Progress>,
    /// How often it warned.
    pub warnings: u64,
    /// How many of its lines mean nothing.
    pub malformed: u64,
    /// How many bytes it wrote faster than they were read, and that nobody read.
    pub skipped_bytes: u64,
    /// The latest of its warnings; empty if none.
    pub last_warning: String,
    /// The latest complaint about its lines; empty if none.
    #[serde(default)]
    pub last_complaint: String,
}

/// How far a program says it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done.
    pub amount: Amount,
    /// One line for people; empty if it said none.
    pub message: String,
}

/// How much of its work a program has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// A part of the whole.
    Share {
        /// From 0 to 1 000 000.
        millionths: u32,
    },
    /// So many of so many.
    Counted {
        /// How many are done; may exceed the total, which is often an estimate.
        done: u64,
        /// How many there are.
        total: u64,
        /// Of what; empty if it did not say.
        unit: String,
    },
}

impl Amount {
    /// Returns the part of the whole in millionths, at most [`WHOLE`].
    #[must_use]
    pub fn millionths(&self) -> u32 {
        match self {
            Self::Share { millionths } => (*millionths).min(WHOLE),
            // Nothing was to be done, and that is done.
            Self::Counted { total: 0, .. } => WHOLE,
            Self::Counted { done, total, unit: _ } => {
                let share = u128::from(*done) * u128::from(WHOLE) / u128::from(*total);
                u32::try_from(share).unwrap_or(WHOLE).min(WHOLE)
            }
        }
    }
}

impl SelfReport {
    /// Takes in one line.
    pub fn note(&mut self, line: &ReportLine) {
        match line {
            ReportLine::Progress(progress) => self.progress = Some(progress.clone()),
            ReportLine::Warning { text } => {
                self.warnings = self.warnings.saturating_add(1);
                self.last_warning.clone_from(text);
            }
            ReportLine::Heartbeat | ReportLine::Checkpoint { .. } => {}
        }
    }

    /// Takes in a line that means nothing.
    pub fn note_malformed(&mut self, malformed: &MalformedLine) {
        self.malformed = self.malformed.saturating_add(1);
        self.last_complaint = malformed.to_string();
    }

    /// Takes in that bytes were skipped because they came too fast.
    pub fn note_skipped(&mut self, bytes: u64) {
        self.skipped_bytes = self.skipped_bytes.saturating_add(bytes);
        self.last_complaint =
            format!("{} bytes of reports came too fast and were not read", self.skipped_bytes);
    }
}

/// Everything, in millionths.
pub const WHOLE: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(done: u64, total: u64) -> Amount {
        Amount::Counted { done, total, unit: String::new() }
    }

    #[test]
    fn a_share_never_exceeds_the_whole() {
        assert_eq!(counted(1, 4).millionths(), 250_000);
        assert_eq!(counted(5, 4).millionths(), WHOLE);
        assert_eq!(counted(0, 0).millionths(), WHOLE);
        assert_eq!(counted(u64::MAX, 1).millionths(), WHOLE);
        assert_eq!(Amount::Share { millionths: u32::MAX }.millionths(), WHOLE);
    }

    #[test]
    fn a_warning_outlives_progress_and_complaints() {
        let mut report = SelfReport::default();
        report.note(&"progress 1/2 rows".parse().unwrap());
        report.note(&"warning the page is slow".parse().unwrap());
        report.note(&ReportLine::Heartbeat);
        report.note_malformed(&"bogus".parse::<ReportLine>().unwrap_err());

        assert_eq!(report.progress.unwrap().amount.millionths(), 500_000);
        assert_eq!((report.warnings, report.malformed), (1, 1));
        assert_eq!(report.last_warning, "the page is slow");
        assert!(report.last_complaint.contains("bogus"), "{}", report.last_complaint);
    }
}
