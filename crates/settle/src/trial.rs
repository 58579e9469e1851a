//! How a try of a hook ended: done, failed, or nobody knows.

use serde::{Deserialize, Serialize};
use votum_job::{AttemptEnd, Failure, FailureKind};

/// How a try of a hook ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// It took effect.
    Done,
    /// It says that it took none.
    Failed {
        /// One sentence for people.
        message: String,
        /// Another try would fare no better.
        hopeless: bool,
    },
    /// It may have taken effect, or may still.
    Unknown {
        /// One sentence for people.
        message: String,
    },
}

impl Trial {
    /// Reads the end of a program on a worker; `never_on` are exit codes that are not tried again.
    #[must_use]
    pub(crate) fn of_end(end: &AttemptEnd, never_on: impl Fn(i32) -> bool) -> Self {
        let Failure { kind, message, stderr_tail } = match end {
            AttemptEnd::Sealed { .. } => return Self::Done,
            AttemptEnd::Failed { failure, .. } => failure,
        };
        let last = stderr_tail.lines().rev().find(|line| !line.trim().is_empty());
        let message = match last {
            Some(line) => format!("{}; its last words: {}", cut(message), cut(line.trim())),
            None => cut(message).to_owned(),
        };
        match kind {
            FailureKind::ExitCode(code) => {
                let hopeless = HOPELESS_EXIT_CODES.contains(code) || never_on(*code);
                Self::Failed { message, hopeless }
            }
            FailureKind::SpawnFailed | FailureKind::SecretUnknown => {
                Self::Failed { message, hopeless: true }
            }
            // It never came to run.
            FailureKind::StartTimedOut | FailureKind::InputUnavailable => {
                Self::Failed { message, hopeless: false }
            }
            // It may have failed only when the program was through with its work.
            FailureKind::StorageFailed
            | FailureKind::OutputMissing
            | FailureKind::OutputRefused
            // It was ended from outside, at a point of its work that nobody knows.
            | FailureKind::Signal(_)
            | FailureKind::TimedOut
            | FailureKind::Stuck
            | FailureKind::Unhealthy
            | FailureKind::OutOfMemory
            | FailureKind::DiskFull
            | FailureKind::Interrupted
            | FailureKind::Stopped
            | FailureKind::WorkerLost
            | FailureKind::Drained => Self::Unknown { message },
        }
    }

    /// Reads the status of an answer to a webhook.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        let message = format!("the receiver answered {status}");
        match status {
            200..=299 => Self::Done,
            // Not now: it was not taken on.
            408 | 425 | 429 | 503 => Self::Failed { message, hopeless: false },
            300..=499 | 501 => Self::Failed { message, hopeless: true },
            // It broke while it was at work, a gateway says nothing of what lies behind it, or
            // what it says is not HTTP.
            _ => Self::Unknown { message },
        }
    }

    /// Returns the sentence for people; none if it is done.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Failed { message, .. } | Self::Unknown { message } => Some(message),
        }
    }
}

/// Returns the beginning of a text, whole characters of it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// So much of what a worker says of an end is recorded.
const TEXT_BYTES_MAX: usize = 1000;
/// Exit codes of a shell that cannot run or cannot find the program.
const HOPELESS_EXIT_CODES: [i32; 2] = [126, 127];
