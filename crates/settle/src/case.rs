//! What only a person can decide, with the evidence and the actions that are legal.

use serde::{Deserialize, Serialize};
use votum_ids::{JobId, TaskId};
use votum_machine::WallTime;

use crate::HookKind;

/// A hook that only a person can bring to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The job.
    pub job: JobId,
    /// The hook.
    pub hook: TaskId,
    /// What kind of hook it is.
    pub kind: HookKind,
    /// Why it is a case.
    pub cause: CaseCause,
    /// Since when.
    pub since: WallTime,
    /// One sentence: what happened last.
    pub message: String,
    /// What the log knows, oldest first.
    pub evidence: Vec<Evidence>,
    /// What a person may do; nothing else is accepted (H1).
    pub legal: Vec<Resolution>,
}

/// Why a hook is a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseCause {
    /// Its budget of tries is used up.
    Exhausted,
    /// A try failed in a way that another would not mend.
    Hopeless,
    /// Nobody knows whether a try took effect, and the job says that a person decides then.
    Unknown,
    /// No worker will ever take it.
    Stranded,
}

impl CaseCause {
    /// Returns the stable word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Exhausted => "RETRIES_EXHAUSTED",
            Self::Hopeless => "REFUSED",
            Self::Unknown => "OUTCOME_UNKNOWN",
            Self::Stranded => "NO_WORKER",
        }
    }
}

/// One thing that the log knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it was recorded.
    pub at: WallTime,
    /// One sentence.
    pub text: String,
}

/// What a person makes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Try again, with a fresh budget and the same key.
    Retry,
    /// It is done: by an earlier try, or by hand.
    Done,
    /// It stays undone.
    GiveUp,
}

impl Resolution {
    /// Every resolution.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Done, Self::GiveUp];

    /// Returns the word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Done => "done",
            Self::GiveUp => "give-up",
        }
    }
}
