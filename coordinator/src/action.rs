//! What the coordinator asks its shell to do.

use std::collections::BTreeMap;

use votum_driver::Awaits;
use votum_ids::{JobId, WorkerId};
use votum_wire::{
    FromCoordinator,
    view::{JobState, JobView, WorkerState, WorkerView},
};

use crate::replies::ReplyId;

/// What the coordinator asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Send to a worker, if it is connected; every sender asks again by itself.
    Send {
        /// To whom.
        worker: WorkerId,
        /// What.
        frame: FromCoordinator,
    },
    /// Send once the latest facts are durable: what lets a worker forget or stop repeating.
    SendDurable {
        /// To whom.
        worker: WorkerId,
        /// What.
        frame: FromCoordinator,
    },
    /// Answer a client.
    Reply {
        /// Whom.
        reply: ReplyId,
        /// What.
        answer: Answer,
    },
    /// Wake whoever watches the job.
    JobChanged {
        /// The job.
        job: JobId,
    },
    /// Somebody must look: the protocol excludes this.
    Raise {
        /// What was seen.
        alarm: String,
    },
}

impl Awaits for Action {
    fn awaits_lazy_records(&self) -> bool {
        match self {
            Self::SendDurable { .. } | Self::Reply { .. } | Self::JobChanged { .. } => true,
            Self::Send { .. } | Self::Raise { .. } => false,
        }
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The job is durable; `duplicate` if the request had been received before.
    Received {
        /// The job.
        job: Box<JobView>,
        /// The same request had been received before.
        duplicate: bool,
    },
    /// The job would be received.
    Valid,
    /// The abort is durable, or was before.
    Cancelling(Box<JobView>),
    /// The jobs asked for that are open.
    Jobs(Vec<JobView>),
    /// Every worker.
    Workers(Vec<WorkerView>),
    /// The cluster.
    Cluster(Cluster),
    /// Nothing was changed, and why.
    Refused(Refusal),
}

/// The cluster as a whole, as far as the engine knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// How many open jobs are in each state.
    pub jobs: BTreeMap<JobState, u64>,
    /// How many workers are in each state.
    pub workers: BTreeMap<WorkerState, u64>,
    /// Jobs whose records cannot be read: they answer *unknown* and keep their data (V3).
    pub quarantined: Vec<JobId>,
    /// A worker knows a newer log than this one: nothing is admitted or aborted (C6).
    pub stale: bool,
}

/// Why a request changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// No open job of this id; it may be closed or never have existed.
    #[error("there is no open job {job}")]
    NotOpen {
        /// The job.
        job: JobId,
    },
    /// The commit is decided.
    #[error("{job} is decided to commit; a commit cannot be cancelled")]
    AlreadyCommitting {
        /// The job.
        job: JobId,
    },
    /// The id belongs to another job.
    #[error("the job id {job} is taken")]
    IdTaken {
        /// The job.
        job: JobId,
    },
    /// The request was used for another spec.
    #[error("request {request} was used before with another spec, for job {job}")]
    RequestReused {
        /// The request.
        request: votum_ids::RequestId,
        /// Its job.
        job: JobId,
    },
    /// A task is pinned to a worker that this cluster has never seen.
    #[error("tasks.{task}.worker: no worker named {worker} was ever seen by this cluster")]
    NoSuchWorker {
        /// The task.
        task: votum_ids::TaskId,
        /// The worker.
        worker: WorkerId,
    },
    /// A target lies below none of the worker's publish roots.
    #[error("tasks.{task}.outputs.{output}.publish: {path} lies below no publish root of {worker}")]
    OutsideRoots {
        /// The task.
        task: votum_ids::TaskId,
        /// Its output.
        output: votum_ids::OutputName,
        /// The target.
        path: String,
        /// The worker.
        worker: WorkerId,
    },
    /// The log of this coordinator is behind what a worker has seen.
    #[error("this coordinator's log is older than what its workers have seen; it admits no jobs")]
    LogStale,
    /// As many jobs are open as the configuration allows.
    #[error("{max} jobs are open, as many as are allowed")]
    TooManyJobs {
        /// The limit.
        max: usize,
    },
}
