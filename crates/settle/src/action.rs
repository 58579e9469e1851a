//! What the settlement asks for.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{AttemptId, JobId, TaskId, WorkerId};
use votum_job::{Assignment, Placement};

/// What the settlement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Find a worker for a hook, and offer it; asked for again while it is due.
    Place {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// Which workers may run it.
        placement: Placement,
        /// The task that it undoes: nothing is offered before its attempts are over (R3).
        undoes: Option<TaskId>,
    },
    /// Order a worker to make a try. Waits for the sync of its intent.
    Start(Box<Assignment>),
    /// Send a request. Waits for the sync of its intent.
    Post(Box<Post>),
    /// Tell a worker that its report is durable. Waits for the sync of the report's record.
    Acknowledge {
        /// Whom.
        worker: WorkerId,
        /// Whose end.
        attempt: AttemptId,
    },
    /// Tell a worker that nobody wants a try: end it.
    Discard {
        /// Whom.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
    },
    /// Report: something that people see of the job has changed.
    Changed {
        /// The job.
        job: JobId,
    },
    /// Report: nothing is left to do for the job.
    Settled {
        /// The job.
        job: JobId,
    },
}

/// One HTTP request; the same bytes at every try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The job.
    pub job: JobId,
    /// The hook.
    pub hook: TaskId,
    /// Which try of it.
    pub number: u32,
    /// Where to.
    pub url: String,
    /// What the job wants to be sent beside what Votum sets.
    pub headers: BTreeMap<String, String>,
    /// Sent as `Idempotency-Key`.
    pub key: String,
    /// JSON.
    pub body: String,
    /// From the first byte to the answer.
    pub timeout: Duration,
}
