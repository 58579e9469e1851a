//! What a worker still has: listed at every reconnect, so that both sides agree (R4).

use serde::{Deserialize, Serialize};
use votum_ids::AttemptId;

use crate::AttemptEnd;

/// One attempt that a worker knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// Counts the attempts of the task from 1, for people.
    pub number: u32,
    /// Where it stands.
    pub state: AttemptState,
}

/// How far an attempt had come that nobody wants any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comeback {
    /// It had not ended.
    Running,
    /// Its outputs were sealed.
    Sealed,
    /// It had failed, or its worker had stopped it.
    Failed,
}

impl Comeback {
    /// Says what an attempt was that reports its end.
    #[must_use]
    pub fn of_end(end: &AttemptEnd) -> Self {
        match end {
            AttemptEnd::Sealed { .. } => Self::Sealed,
            AttemptEnd::Failed { .. } => Self::Failed,
        }
    }

    /// Says what a listed attempt is.
    #[must_use]
    pub fn of_listed(state: &AttemptState) -> Self {
        match state {
            AttemptState::Live => Self::Running,
            AttemptState::Ended(end) => Self::of_end(end),
        }
    }
}

/// Where an attempt stands on its worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Accepted: its inputs are being fetched or its process runs.
    Live,
    /// Ended; a sealed one is listed until its job is released.
    Ended(AttemptEnd),
}
