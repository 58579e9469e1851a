//! The durable facts of a worker, and which of them are forced (`protocol.md` §4).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use votum_commit::{LogPosition, ParticipantRecord};
use votum_driver::Durable;
use votum_ids::{AttemptId, CheckpointId, JobId, TxnId};
use votum_job::{Failure, FailureKind, HeldCheckpoint, StagedOutput, Usage};
use votum_journal::{Bearing, KeyChange, Stream};
use votum_machine::WallTime;

/// A fact of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A coordinator of a larger epoch was met; smaller ones are refused from here on.
    EpochSeen {
        /// How far its log had grown.
        log: LogPosition,
    },
    /// An attempt was taken on.
    Accepted {
        /// Which.
        attempt: AttemptId,
        /// Counts the attempts of the task from 1, for people.
        number: u32,
        /// It tries an effect or a compensation: the fact is durable before it begins, so that
        /// a try that nobody lists was never made, and no earlier attempt follows it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hook: bool,
    },
    /// An attempt shall end early; it is asked to only when this is durable, so that the end
    /// of its program is never taken for its own doing.
    StopDecided {
        /// Which.
        attempt: AttemptId,
        /// What its end will be reported as.
        kind: FailureKind,
        /// For people.
        message: String,
        /// From the request to the kill.
        grace: Duration,
    },
    /// An attempt ended well and its outputs are sealed.
    Sealed {
        /// Which.
        attempt: AttemptId,
        /// What was sealed, by digest; the manifests lie in the staging.
        outputs: Vec<StagedOutput>,
        /// What the attempt used.
        usage: Usage,
    },
    /// An attempt ended badly.
    Failed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
        /// What the attempt used.
        usage: Usage,
    },
    /// The coordinator holds the report of the end durably.
    Acknowledged {
        /// Which.
        attempt: AttemptId,
        /// What this leaves of the job.
        rest: Rest,
    },
    /// The coordinator does not want the attempt (C9).
    Discarded {
        /// Which.
        attempt: AttemptId,
        /// What this leaves of the job.
        rest: Rest,
    },
    /// A checkpoint is whole and durable here, with its number.
    CheckpointHeld {
        /// Which, and what it consists of.
        held: HeldCheckpoint,
    },
    /// A checkpoint here was damaged, and is gone.
    CheckpointGone {
        /// Which.
        id: CheckpointId,
        /// What this leaves of the job.
        rest: Rest,
    },
    /// The job is over for everyone: its checkpoints go.
    CheckpointsReleased {
        /// Which.
        job: JobId,
        /// What this leaves of the job.
        rest: Rest,
    },
    /// A fact of the commit protocol.
    Participant(ParticipantRecord),
    /// What the round committed is visible durably. It is not published again after a
    /// restart: a later job may have made something else visible there since.
    Published {
        /// The deciding round.
        txn: TxnId,
    },
}

/// What a record leaves of its job on this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// Attempts or promises of the job are left.
    Something,
    /// The job is over for this worker.
    Nothing,
}

impl Record {
    /// Returns the job that the record belongs to; the first kind belongs to the worker.
    #[must_use]
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::EpochSeen { .. } => None,
            Self::Accepted { attempt, .. }
            | Self::StopDecided { attempt, .. }
            | Self::Sealed { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Acknowledged { attempt, .. }
            | Self::Discarded { attempt, .. } => Some(&attempt.job),
            Self::CheckpointHeld { held: HeldCheckpoint { id, .. } }
            | Self::CheckpointGone { id, .. } => Some(&id.attempt.job),
            Self::CheckpointsReleased { job, .. } => Some(job),
            Self::Participant(record) => Some(record.job()),
            Self::Published { txn } => Some(&txn.job),
        }
    }
}

impl Durable for Record {
    const VERSION: u16 = 1;

    fn stream(&self) -> Stream {
        match self.job() {
            None => worker_stream(),
            Some(job) => job_stream(job),
        }
    }

    fn forced(&self) -> bool {
        match self {
            Self::EpochSeen { .. } | Self::Sealed { .. } | Self::CheckpointHeld { .. } => true,
            Self::Accepted { hook, .. } => *hook,
            Self::StopDecided { .. }
            | Self::Failed { .. }
            | Self::Acknowledged { .. }
            | Self::Discarded { .. }
            | Self::CheckpointGone { .. }
            | Self::CheckpointsReleased { .. }
            | Self::Published { .. } => false,
            Self::Participant(record) => record.forced(),
        }
    }

    fn bearing(&self) -> Bearing {
        match self {
            Self::EpochSeen { .. } => Bearing::Restates,
            Self::Acknowledged { rest: Rest::Nothing, .. }
            | Self::Discarded { rest: Rest::Nothing, .. }
            | Self::CheckpointGone { rest: Rest::Nothing, .. }
            | Self::CheckpointsReleased { rest: Rest::Nothing, .. }
            | Self::Participant(ParticipantRecord::Released { .. }) => Bearing::Forgets,
            Self::Accepted { .. }
            | Self::StopDecided { .. }
            | Self::Sealed { .. }
            | Self::Failed { .. }
            | Self::Acknowledged { rest: Rest::Something, .. }
            | Self::Discarded { rest: Rest::Something, .. }
            | Self::CheckpointHeld { .. }
            | Self::CheckpointGone { rest: Rest::Something, .. }
            | Self::CheckpointsReleased { rest: Rest::Something, .. }
            | Self::Published { .. }
            | Self::Participant(
                ParticipantRecord::Prepared { .. }
                | ParticipantRecord::Refused { .. }
                | ParticipantRecord::RoundEnded { .. }
                | ParticipantRecord::Committed { .. }
                | ParticipantRecord::TakenOver { .. }
                | ParticipantRecord::StoodDown { .. }
                | ParticipantRecord::Forced(_)
                | ParticipantRecord::Aborted { .. },
            ) => Bearing::Continues,
        }
    }

    fn keys(&self, _at: WallTime) -> Vec<KeyChange> {
        Vec::new()
    }
}

/// Returns the stream of what concerns the worker as a whole.
pub(crate) fn worker_stream() -> Stream {
    Stream::new(WORKER_STREAM).expect("it is a word")
}

/// Returns the stream of a job.
pub(crate) fn job_stream(job: &JobId) -> Stream {
    Stream::new(format!("{JOB_PREFIX}{job}")).expect("a job's name is short and printable")
}

/// Returns the job whose stream this is.
pub(crate) fn job_of(stream: &Stream) -> Option<JobId> {
    JobId::new(stream.as_str().strip_prefix(JOB_PREFIX)?).ok()
}

const WORKER_STREAM: &str = "worker";
const JOB_PREFIX: &str = "job/";
