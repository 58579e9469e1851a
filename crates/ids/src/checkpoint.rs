//! Names one checkpoint of one task, wherever its copies lie.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AttemptId;

/// One sealed state of a task: who sealed it, and the how many-th it was.
///
/// Ordered by job, task, token and sequence, so the last one of a task is the
/// one to go on from: a later attempt has begun where an earlier one ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId {
    /// The attempt that sealed it.
    pub attempt: AttemptId,
    /// Counts the checkpoints of the task from 1, on from the one that was resumed.
    pub sequence: u64,
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.attempt, self.sequence)
    }
}

impl fmt::Debug for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
