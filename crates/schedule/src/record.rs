//! The durable facts of the scheduler, and which of them are forced (`protocol.md` §4).

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use votum_ids::{AttemptId, CheckpointId, Digest, JobId, RequestId, TaskId, WorkerId, WorkerUid};
use votum_job::{AttemptEnd, Base, Comeback, Finding, HeldCheckpoint, JobSpec, StagedOutput};

use crate::{LastWords, LiveAttempts, Moved, Orders, Registration, Rescue};

/// A fact of the scheduler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A job was received; from here on it will reach an end.
    Received {
        /// The job.
        job: JobId,
        /// What was asked for.
        spec: Arc<JobSpec>,
        /// Who, when and under which request.
        submission: Submission,
        /// Its number in the line of its concurrency key, if it has one; 1: it has the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_line: Option<u64>,
    },
    /// The job has the key that it waited for: its time counts from here on.
    KeyTaken {
        /// The job.
        job: JobId,
    },
    /// An attempt was given to a worker.
    Assigned {
        /// Which.
        attempt: AttemptId,
        /// Counts the attempts of the task from 1.
        number: u32,
        /// To whom.
        worker: WorkerId,
        /// To which installation.
        uid: WorkerUid,
        /// Nothing else of the task may run at the same time: the fact is durable before the
        /// worker hears of it, so that no later start gives it out again (R3).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exclusive: bool,
    },
    /// The program of an attempt runs.
    Started {
        /// Which.
        attempt: AttemptId,
    },
    /// An attempt ended as its worker reports, sealed or failed.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: AttemptEnd,
        /// What its program had said of itself by then; absent if that is nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Box<LastWords>>,
    },
    /// A worker is gone for this job: its live attempts are over, its staged outputs are lost.
    Lost {
        /// The job.
        job: JobId,
        /// Who.
        worker: WorkerId,
        /// Which installation.
        uid: WorkerUid,
        /// Tasks whose live attempt is over.
        attempts: Vec<AttemptId>,
        /// Tasks whose staged outputs are gone and must be made again.
        staged: Vec<TaskId>,
        /// Tasks whose staged outputs another worker has as well, and holds from here on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        moved: Vec<Moved>,
    },
    /// A worker has copied what another one sealed, and holds it as durably.
    Replicated {
        /// Whose outputs.
        attempt: AttemptId,
        /// Who.
        worker: WorkerId,
        /// On which installation.
        uid: WorkerUid,
        /// What was sealed there.
        outputs: Vec<StagedOutput>,
    },
    /// A worker holds a replica no longer.
    ReplicaLost {
        /// Whose outputs.
        attempt: AttemptId,
        /// Who.
        worker: WorkerId,
        /// On which installation.
        uid: WorkerUid,
    },
    /// The job is held by a person.
    Paused {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why, for people.
        reason: String,
        /// What became of the attempts that were live.
        live: LiveAttempts,
    },
    /// The job goes on; what failed for good gets a fresh round of attempts.
    Unpaused {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
    },
    /// Tasks are tried again at once; those that failed for good get a fresh round of attempts.
    RetryAsked {
        /// The job.
        job: JobId,
        /// Which.
        tasks: Vec<TaskId>,
        /// Who.
        by: String,
    },
    /// What an aborted job kept is given up by a person, before its time is over.
    KeptReleased {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
        /// Whose outputs, and on which worker each lies.
        kept: BTreeMap<TaskId, WorkerId>,
    },
    /// Another job takes over what an aborted one keeps.
    Rescued {
        /// The aborted job.
        job: JobId,
        /// The other one.
        by: JobId,
    },
    /// An attempt that nobody wanted any longer was heard of again; for people.
    Returned {
        /// Which.
        attempt: AttemptId,
        /// What it was by then.
        comeback: Comeback,
    },
    /// A worker has a whole checkpoint.
    CheckpointHeld {
        /// What it tells of it.
        held: HeldCheckpoint,
        /// Who.
        worker: WorkerId,
        /// On which installation.
        uid: WorkerUid,
    },
    /// A checkpoint that a worker had is damaged or gone.
    CheckpointGone {
        /// Which.
        id: CheckpointId,
        /// Who had it.
        worker: WorkerId,
    },
    /// A dry vote found something else than the one before it, or looked at a target for the first
    /// time.
    DryVoted {
        /// The job.
        job: JobId,
        /// Whether everything was staged by then.
        complete: bool,
        /// What stands in the way.
        findings: Vec<Finding>,
        /// How many more there were.
        #[serde(default)]
        omitted: u32,
        /// What stood at targets that were not looked at before.
        bases: Vec<(WorkerId, Base)>,
    },
    /// Everything is staged, a dry vote has passed, and a person is asked.
    ApprovalAsked {
        /// The job.
        job: JobId,
        /// Which contents: how often outputs had come out differently by then.
        contents: u32,
    },
    /// A person has approved what is staged.
    Approved {
        /// The job.
        job: JobId,
        /// Which contents.
        contents: u32,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A worker introduced itself differently than before; states its whole registration.
    Registered(Registration),
    /// An operator has ordered something about a worker; states everything that stands.
    Ordered {
        /// Whom it is about.
        worker: WorkerId,
        /// All that stands of it from here on.
        orders: Orders,
    },
}

impl Record {
    /// Says whether the actions of the step wait for the sync of this record.
    #[must_use]
    pub fn forced(&self) -> bool {
        match self {
            // What a person is told was accepted is durable before (C12).
            Self::Received { .. }
            | Self::Ordered { .. }
            | Self::Paused { .. }
            | Self::Unpaused { .. }
            | Self::RetryAsked { .. }
            | Self::KeptReleased { .. }
            | Self::Approved { .. } => true,
            Self::Assigned { exclusive, .. } => *exclusive,
            // Whoever is the first of a line is so after every restart.
            Self::KeyTaken { .. }
            | Self::Started { .. }
            | Self::Ended { .. }
            | Self::Lost { .. }
            // Whoever holds a replica has forced its own record, and lists it again.
            | Self::Replicated { .. }
            | Self::ReplicaLost { .. }
            | Self::Returned { .. }
            // Until it is durable the other job's own record says the same.
            | Self::Rescued { .. }
            | Self::CheckpointHeld { .. }
            | Self::CheckpointGone { .. }
            | Self::DryVoted { .. }
            // Nobody is told of it before it is durable, and a lost one is made again.
            | Self::ApprovalAsked { .. }
            | Self::Registered(_) => false,
        }
    }

    /// Returns the job whose history the fact belongs to; none: a worker's.
    #[must_use]
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::Received { job, .. }
            | Self::KeyTaken { job }
            | Self::Lost { job, .. }
            | Self::Paused { job, .. }
            | Self::Unpaused { job, .. }
            | Self::RetryAsked { job, .. }
            | Self::KeptReleased { job, .. }
            | Self::DryVoted { job, .. }
            | Self::ApprovalAsked { job, .. }
            | Self::Approved { job, .. }
            | Self::Rescued { job, .. } => Some(job),
            Self::Assigned { attempt, .. }
            | Self::Started { attempt }
            | Self::Replicated { attempt, .. }
            | Self::ReplicaLost { attempt, .. }
            | Self::Returned { attempt, .. }
            | Self::Ended { attempt, .. } => Some(&attempt.job),
            Self::CheckpointHeld { held: HeldCheckpoint { id, .. }, .. }
            | Self::CheckpointGone { id, .. } => Some(&id.attempt.job),
            Self::Registered(_) | Self::Ordered { .. } => None,
        }
    }
}

/// Who handed a job in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Never reused; UUIDv7.
    pub uid: Uuid,
    /// Who, as far as the connection tells.
    pub by: String,
    /// Recognises a repeated submission.
    pub request: RequestId,
    /// Of the spec's canonical encoding; the same request with another one is refused.
    pub spec_digest: Digest,
    /// What it takes over from an aborted job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<Rescue>,
    /// The span below which whoever handed it in wants to see it, as W3C trace context writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
