//! What the coordinator reacts to.

use votum_commit::{Heuristic, Installation};
use votum_driver::Tick;
use votum_ids::{Incarnation, JobId, TaskId, TxnId, WorkerId};
use votum_wire::{FromWorker, Hello};

use crate::{
    question::Question,
    record::{Closing, Tombstone},
    replies::ReplyId,
};

/// What the journal remembers of a job that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// The round that was asked about has committed.
    Committed,
    /// Another round of it has committed.
    OtherRoundCommitted,
    /// It has aborted, or nothing is remembered of it.
    NotCommitted,
    /// The journal could not be read.
    Unreadable,
}

/// What the journal has of a job about which something was forced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is closed, and its history can be added to.
    Closed(Box<Closing>),
    /// Its history has it already.
    Noted,
    /// Its records are gone, or there never were any.
    Gone,
    /// The journal could not be read.
    Unreadable,
}

/// What happens to the coordinator.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody asks for something and waits for the answer.
    Asked {
        /// Whom to answer.
        reply: ReplyId,
        /// What for.
        question: Question,
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
    /// It was looked up where what was forced about a job that is not open belongs.
    ForcedRecalled {
        /// Who has told it.
        from: Installation,
        /// What was forced.
        heuristic: Box<Heuristic>,
        /// What the journal has of the job.
        place: Place,
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
    /// It was looked up whether the journal knows how a job ended.
    LookedUp {
        /// The job.
        job: JobId,
        /// Whether it does.
        ended: bool,
    },
    /// Time has passed.
    Tick,
}

impl Tick for Event {
    fn tick() -> Self {
        Self::Tick
    }
}
