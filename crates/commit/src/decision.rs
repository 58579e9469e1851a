//! The decision on a job, and why it was an abort.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a transaction came to; the first recorded one excludes the other for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Every output of the deciding round becomes visible.
    Commit,
    /// No output becomes visible.
    Abort,
}

/// Why a job aborts; recorded with the decision and shown for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// Stable word for programs, such as `CANCELLED` or `EXIT_CODE`.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// Who asked for it: a client's name, a worker, or `votum`.
    pub by: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
