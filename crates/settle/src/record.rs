//! The durable facts of the settlement, and which of them are forced (`protocol.md` §4).

use serde::{Deserialize, Serialize};
use votum_ids::{FencingToken, JobId, TaskId};

use crate::{Facts, Host, Resolution, Started, Trial};

/// A fact of the settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The decision leaves something to do.
    Opened {
        /// The job.
        job: JobId,
        /// What was decided, and what is told of it.
        facts: Box<Facts>,
        /// Compensatable tasks that may have started.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        started: Vec<Started>,
    },
    /// A hook may be tried from here on.
    Intended {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Counts its tries from 1.
        number: u32,
        /// Where, and with which token; absent: a request of the coordinator itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<(Host, FencingToken)>,
    },
    /// A try has come to an end.
    Tried {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Which try.
        number: u32,
        /// How.
        trial: Trial,
    },
    /// No worker will ever take the hook.
    Stranded {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Why, for people.
        message: String,
    },
    /// A person decided a case.
    Resolved {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// What became of it.
        resolution: Resolution,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Record {
    /// Says whether the actions of the step wait for the sync of this record.
    #[must_use]
    pub fn forced(&self) -> bool {
        match self {
            // A resolution is what a person is told was accepted (C12).
            Self::Opened { .. } | Self::Intended { .. } | Self::Resolved { .. } => true,
            // A worker repeats its report until the record is durable; a request whose answer
            // is forgotten has an unknown end, and is repeated with its key or parked.
            Self::Tried { .. } | Self::Stranded { .. } => false,
        }
    }

    /// Returns the job that the record belongs to.
    #[must_use]
    pub fn job(&self) -> &JobId {
        match self {
            Self::Opened { job, .. }
            | Self::Intended { job, .. }
            | Self::Tried { job, .. }
            | Self::Stranded { job, .. }
            | Self::Resolved { job, .. } => job,
        }
    }
}
