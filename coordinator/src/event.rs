//! What the coordinator reacts to.

use std::time::Duration;

use votum_commit::Installation;
use votum_driver::Tick;
use votum_ids::{Incarnation, JobId, TaskId, TxnId, WorkerId};
use votum_job::JobSpec;
use votum_schedule::{LiveAttempts, Submission};
use votum_wire::{FromWorker, Hello};

use crate::{
    record::{Closing, Tombstone},
    replies::ReplyId,
};

/// What the journal remembers of a job that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// It has committed.
    Committed,
    /// It has aborted, or nothing is remembered of it.
    NotCommitted,
    /// The journal could not be read.
    Unreadable,
}

/// What happens to the coordinator.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client handed in a checked job.
    Submit {
        /// Whom to answer.
        reply: ReplyId,
        /// Whether it shall be received, or only checked.
        intent: Intent,
        /// The id it shall have.
        job: JobId,
        /// What was asked for.
        spec: Box<JobSpec>,
        /// Who, and under which request.
        submission: Submission,
    },
    /// A client wants a job to abort.
    Cancel {
        /// Whom to answer.
        reply: ReplyId,
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A client wants a job to be held, to go on, or to be tried again at once.
    Steer {
        /// Whom to answer.
        reply: ReplyId,
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// What is wanted.
        wish: Wish,
    },
    /// A client wants a job that takes over what an aborted one has staged.
    Rescue {
        /// Whom to answer.
        reply: ReplyId,
        /// Whether it shall be received, or only planned.
        intent: Intent,
        /// The aborted job.
        from: JobId,
        /// The id that the other one shall have.
        job: JobId,
        /// Who, and under which request.
        submission: Submission,
    },
    /// A client wants to see jobs; those that are not open are left out of the answer.
    ShowJobs {
        /// Whom to answer.
        reply: ReplyId,
        /// Which.
        jobs: Vec<JobId>,
    },
    /// A client wants to see open transactions.
    ShowTxns {
        /// Whom to answer.
        reply: ReplyId,
        /// Which.
        wanted: WantedTxns,
    },
    /// A client wants to see every worker.
    ShowWorkers {
        /// Whom to answer.
        reply: ReplyId,
    },
    /// A client wants to see the cluster as a whole.
    ShowCluster {
        /// Whom to answer.
        reply: ReplyId,
    },
    /// An operator orders something about a worker.
    Operate {
        /// Whom to answer.
        reply: ReplyId,
        /// The worker.
        worker: WorkerId,
        /// What shall be done with it.
        operation: Operation,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A worker opened a session; its frames follow.
    SessionOpened(Hello),
    /// A worker spoke on its session.
    Frame {
        /// Whose session it is: what the frame says about others is not believed.
        from: Installation,
        /// What it said; never Hello.
        frame: FromWorker,
    },
    /// A session ended, for whatever reason.
    SessionClosed {
        /// Whose.
        worker: WorkerId,
        /// Of which start of its daemon.
        incarnation: Incarnation,
    },
    /// A request of a webhook has come to an end.
    Answered {
        /// The job.
        job: JobId,
        /// The effect.
        hook: TaskId,
        /// Which try of it.
        number: u32,
        /// How.
        trial: votum_settle::Trial,
    },
    /// A client wants to see every case.
    ShowCases {
        /// Whom to answer.
        reply: ReplyId,
    },
    /// A person decides a case.
    Resolve {
        /// Whom to answer.
        reply: ReplyId,
        /// The job.
        job: JobId,
        /// The effect, or the task that is compensated.
        subject: TaskId,
        /// What shall become of it.
        action: votum_wire::CaseAction,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The retention of a closed job has ended.
    Expired {
        /// The job.
        closing: Closing,
        /// What outlives its records; none if nothing shall.
        tombstone: Option<Box<Tombstone>>,
    },
    /// The time of a tombstone is over.
    Crumbled {
        /// Whose.
        job: JobId,
    },
    /// It was looked up what became of a job that was not open.
    Recalled {
        /// Who is in doubt.
        from: Installation,
        /// About which round.
        txn: TxnId,
        /// What was found.
        past: Past,
    },
    /// Time has passed.
    Tick,
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

impl Tick for Event {
    fn tick() -> Self {
        Self::Tick
    }
}
