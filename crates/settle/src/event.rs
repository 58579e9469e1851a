//! What the settlement reacts to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{AttemptEnd, JobSpec, ListedAttempt};
use votum_machine::WallTime;

use crate::{Resolution, Trial};

/// What happens to the settlement.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The decision on a job is made; its record rides in the same frame.
    Decided {
        /// The job.
        job: JobId,
        /// What was asked for.
        spec: Arc<JobSpec>,
        /// What was decided, and what is told of it.
        facts: Box<Facts>,
        /// Compensatable tasks that may have started; empty after a commit.
        started: Vec<Started>,
    },
    /// A worker was found for a hook that was to be placed; ignored unless it was asked for.
    Offered {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Where it can run.
        host: Host,
        /// Larger than every token that was given out for this task or hook.
        token: FencingToken,
    },
    /// No worker will ever take a hook that was to be placed; ignored unless it was asked for.
    Unplaceable {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Why, for people.
        message: String,
    },
    /// A worker reports the end of a try.
    Ended {
        /// On whose session it was said.
        host: Host,
        /// Which.
        attempt: AttemptId,
        /// How.
        end: Box<AttemptEnd>,
    },
    /// A request of a webhook has come to an end.
    Answered {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Which try of it.
        number: u32,
        /// How.
        trial: Trial,
    },
    /// A worker opened a session; its inventory follows.
    Joined {
        /// Who.
        host: Host,
    },
    /// The worker lists a try that it knows of.
    Listed {
        /// Who.
        host: Host,
        /// What.
        listed: ListedAttempt,
    },
    /// The worker's inventory is complete: what it did not list, it does not have.
    InventoryEnded {
        /// Who.
        host: Host,
    },
    /// A worker is lost: what may run elsewhere shall not wait for it. Each step ends one try:
    /// repeat the event for as long as it makes a record.
    HostLost {
        /// Who.
        worker: WorkerId,
    },
    /// An installation is gone for good, or was given up: nothing of it is waited for. Each step
    /// ends one try: repeat the event for as long as it makes a record.
    HostGone {
        /// Who.
        host: Host,
    },
    /// Something changed by which a hook could be placed that could not be before.
    LookAgain,
    /// A person decides a case; ignored unless the hook is one.
    ResolutionAsked {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// What shall become of it.
        resolution: Resolution,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The job is over: forget it.
    Closed {
        /// The job.
        job: JobId,
    },
    /// Time has passed; does the one most urgent thing that is due.
    Tick,
}

/// What was decided about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything becomes visible.
    Commit,
    /// Nothing does.
    Abort,
}

impl Verdict {
    /// Returns the word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
        }
    }
}

/// What was decided about a job, and what its hooks are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The decision.
    pub verdict: Verdict,
    /// When.
    pub decided: WallTime,
    /// Of the job; never reused, so that no key is.
    pub uid: Uuid,
    /// The job and its decision as JSON: the body of every webhook and `VOTUM_JOB_FILE`, the
    /// same bytes at every try because they are recorded.
    pub announcement: String,
}

/// A compensatable task that may have started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The task.
    pub task: TaskId,
    /// Every attempt that was given out, in order; never empty.
    pub attempts: Vec<AttemptId>,
    /// Who had the last one.
    pub host: Host,
}

/// A worker, and which installation of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub worker: WorkerId,
    /// Its installation.
    pub uid: WorkerUid,
}
