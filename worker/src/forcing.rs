//! What a worker tells a person on its own machine about its promises, and what he may force.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_commit::{Decision, Heuristic};
use votum_ids::{JobId, TxnId};
use votum_machine::WallTime;

/// What a person asks of the worker itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalQuestion {
    /// Which promises wait for their decision, and what was forced?
    ListTxns,
    /// End one doubt.
    Force {
        /// Of which job.
        job: JobId,
        /// What this worker shall do.
        outcome: Decision,
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
        /// The time of day.
        at: WallTime,
    },
}

/// What he is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalAnswer {
    /// Every promise that waits for its decision, and everything forced that is not released.
    Txns(Vec<LocalTxn>),
    /// It is forced, durably.
    Forced(LocalTxn),
    /// It is not.
    Refused(CannotForce),
}

/// A promise of this worker, as a person is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTxn {
    /// The round.
    pub txn: TxnId,
    /// What is known of its decision.
    pub stage: LocalStage,
    /// For how long it has been in doubt; absent once it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// What it would publish, as `task.output at path`.
    pub outputs: Vec<String>,
    /// Everyone else in the round.
    pub peers: Vec<String>,
    /// What was forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<Heuristic>,
    /// Whether the coordinator knows what was forced.
    #[serde(default)]
    pub noted: bool,
}

/// What a worker knows of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalStage {
    /// Nothing: it has promised, and waits.
    InDoubt,
    /// Nothing: a person has ended the wait.
    Forced,
    /// It is known, and what was forced before is history.
    Decided,
}

/// Why nothing is forced (H1).
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CannotForce {
    /// Nothing waits for a decision.
    #[error("this worker is not in doubt about {job}: it has promised nothing that is undecided")]
    NotInDoubt {
        /// The job.
        job: JobId,
    },
    /// The decision is known here, and is not contradicted.
    #[error("{job} is decided, and this worker knows it: a decision is never contradicted")]
    Decided {
        /// The job.
        job: JobId,
    },
    /// Somebody was faster.
    #[error("{by} has forced {outcome} for {job} here already")]
    Forced {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// What, in a word.
        outcome: String,
    },
    /// What was promised cannot be read.
    #[error("this worker cannot read its own records of {job}: {problem}")]
    Quarantined {
        /// The job.
        job: JobId,
        /// Why.
        problem: String,
    },
    /// Nobody forces anything without a reason.
    #[error("a reason is required, and it is kept with the job for ever")]
    NoReason,
}

impl LocalStage {
    /// Returns the word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InDoubt => "IN DOUBT",
            Self::Forced => "FORCED",
            Self::Decided => "DECIDED",
        }
    }
}

/// Returns the word for an outcome.
pub(crate) fn word(outcome: Decision) -> &'static str {
    match outcome {
        Decision::Commit => "commit",
        Decision::Abort => "abort",
    }
}
