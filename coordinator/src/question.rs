//! What clients ask of the coordinator; each is answered once, after what it changes is durable.

use std::{sync::Arc, time::Duration};

use votum_ids::{JobId, TaskId, WorkerId};
use votum_job::JobSpec;
use votum_machine::WallTime;
use votum_schedule::{LiveAttempts, Submission};
use votum_wire::{Subject, approval::ApproveJob, request::Wanted};

use crate::record::{Closing, Tombstone};

/// What a client asks for.
#[derive(Debug)]
pub(crate) enum Question {
    /// A client handed in a checked job.
    Submit {
        /// Whether it shall be received, or only checked.
        intent: Intent,
        /// The id it shall have.
        job: JobId,
        /// What was asked for.
        spec: Arc<JobSpec>,
        /// Who, and under which request.
        submission: Submission,
    },
    /// A client wants a job to abort.
    Cancel {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A client wants a job to be held, to go on, or to be tried again at once.
    Steer {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// What is wanted.
        wish: Wish,
    },
    /// A client answers the approval that a job waits for.
    Approve {
        /// The job, the answer and why.
        wish: ApproveJob,
        /// Who.
        by: String,
    },
    /// A client wants to know what stands in the way of a job's commit.
    DryVote {
        /// The job.
        job: JobId,
    },
    /// A client wants a job that takes over what an aborted one has staged.
    Rescue {
        /// Whether it shall be received, or only planned.
        intent: Intent,
        /// The aborted job.
        from: JobId,
        /// The id that the other one shall have.
        job: JobId,
        /// Who, and under which request.
        submission: Submission,
    },
    /// A client wants a job that has ended to be forgotten before its retention is over.
    Delete {
        /// How it ended.
        closing: Closing,
        /// What outlives its records, if anything shall.
        tombstone: Option<Box<Tombstone>>,
    },
    /// A client wants to see jobs; those that are not open are left out of the answer.
    ShowJobs {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// A client looks for jobs; those that it cannot want are left out of the answer.
    ChooseJobs {
        /// Among which.
        jobs: Vec<JobId>,
        /// Which it wants.
        wanted: Box<Wanted>,
        /// When it asks, for ages.
        now: WallTime,
    },
    /// A client wants to see open transactions.
    ShowTxns {
        /// Which.
        wanted: WantedTxns,
    },
    /// A client wants to see every worker.
    ShowWorkers,
    /// A client wants to see the cluster as a whole.
    ShowCluster,
    /// Somebody counts.
    ShowFigures,
    /// An operator orders something about a worker.
    Operate {
        /// The worker.
        worker: WorkerId,
        /// What shall be done with it.
        operation: Operation,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A client wants to see every case.
    ShowCases,
    /// A person decides a case.
    Resolve {
        /// The job.
        job: JobId,
        /// What of it.
        subject: Subject,
        /// What shall become of it.
        action: votum_wire::CaseAction,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person decides the case of a stale log as a whole.
    TrustLog {
        /// What shall become of it.
        action: votum_wire::CaseAction,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// An operator gives up a lost participant that a decided commit waits for.
    Force {
        /// The job.
        job: JobId,
        /// Who is given up.
        worker: WorkerId,
        /// Who asks for it.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Which open transactions a client wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WantedTxns {
    /// That of one job, if there is one.
    Of(JobId),
    /// A part of the list.
    After {
        /// Begin after this job; at the start if absent.
        job: Option<JobId>,
        /// Only those with a participant in doubt.
        in_doubt: bool,
        /// At most so many.
        max: usize,
    },
}

/// What a client wants with a job that it hands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// It shall be received.
    Receive,
    /// It shall be checked, and nothing else.
    Check,
}

/// What an operator wants done with a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It shall take no further attempts, and end what runs after a while, if one is given.
    Drain {
        /// How long what runs may go on.
        time_limit: Option<Duration>,
    },
    /// It shall take attempts again.
    Resume,
    /// Its installation is gone for good.
    Remove,
}

/// What a client wants of a job that is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Place nothing of it.
    Pause {
        /// Why, for people and for the tasks.
        reason: String,
        /// What becomes of the attempts that run.
        live: LiveAttempts,
    },
    /// Go on.
    Unpause,
    /// Try at once what waits for another attempt.
    Retry {
        /// Only this task.
        task: Option<TaskId>,
    },
}
