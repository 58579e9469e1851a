//! What a worker reacts to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use votum_commit::ParticipantEvent;
use votum_driver::Tick;
use votum_ids::{AttemptId, CheckpointId, OutputName};
use votum_job::{
    Assignment, Failure, FailureKind, HeldCheckpoint, SelfReport, StagedOutput, Usage,
};
use votum_wire::CoordinatorFrame;

use crate::{action::Resumed, control::AskId, forcing::LocalQuestion};

/// What happens to a worker.
#[derive(Debug)]
pub enum Event {
    /// A connection to the coordinator stands; nothing was said on it yet.
    Connected(SessionNumber),
    /// A connection ended, which means nothing but that it must be made again.
    Disconnected(SessionNumber),
    /// The coordinator said something.
    Received {
        /// On which connection.
        session: SessionNumber,
        /// What.
        frame: Box<CoordinatorFrame>,
    },
    /// Something happened to an attempt here.
    Attempt(AttemptId, AttemptEvent),
    /// An attempt that an earlier start of the daemon ran goes on, or ended meanwhile (R6).
    ///
    /// Its processes have proven to be its own, or its end was recorded. What
    /// becomes of it follows as its own events.
    Adopted {
        /// What it was told to do.
        assignment: Box<Assignment>,
        /// Of its process group leader, if it runs.
        pid: Option<u32>,
        /// For how long it has run already.
        elapsed: Duration,
    },
    /// Something happened to the saving of an attempt here.
    Checkpoint(AttemptId, CheckpointEvent),
    /// A copy of another worker's checkpoint is whole and durable here.
    CheckpointArrived(HeldCheckpoint),
    /// A checkpoint here is not what was sealed.
    CheckpointSpoilt(CheckpointId),
    /// Something of an attempt was found at the start that no record knows of.
    ///
    /// Its record was lazy and got lost: nobody was promised anything. It is
    /// reported as failed, and the coordinator says whether it may go (C9).
    Found {
        /// Which.
        attempt: AttemptId,
        /// Counts the attempts of the task from 1, for people; 0 if unknown.
        number: u32,
    },
    /// A check or a publication ended, or a peer spoke.
    Participant(ParticipantEvent),
    /// A person on this machine asks for something.
    Local {
        /// Whom to answer.
        ask: AskId,
        /// What for.
        question: LocalQuestion,
    },
    /// The operator wants the daemon to end.
    Terminated(Parting),
    /// An operator has removed this installation for good: nothing that runs here is wanted.
    Removed,
    /// Time has passed; does the one most urgent thing that is due.
    Tick,
}

impl Tick for Event {
    fn tick() -> Self {
        Self::Tick
    }
}

/// What becomes of running tasks when the daemon is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// They go on; the next start of the daemon adopts them.
    TasksGoOn,
    /// They are stopped, and the daemon ends after the last of them.
    TasksStop,
}

/// What happens to the saving of one running attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointEvent {
    /// Somebody wants a checkpoint.
    Asked(Ask),
    /// It is whole and durable, and has its number.
    Sealed(HeldCheckpoint),
    /// There is nothing to save that is not saved.
    Unchanged,
    /// It was not sealed; nothing of it is left.
    Failed {
        /// What it means for a step, which must be durable.
        kind: FailureKind,
        /// Why.
        message: String,
    },
}

/// Who wants a checkpoint, and how he is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The program, which waits for the answer.
    Task {
        /// Names the ask.
        request: String,
    },
    /// Whoever runs the steps of the task: one is done and must be durable.
    Step {
        /// Names the ask.
        request: String,
        /// How many steps are done.
        done: u32,
    },
    /// The program, by a line of its report; nobody waits.
    Line,
    /// The interval of the task's policy.
    Interval,
    /// The worker, which is about to stop the program.
    Last,
}

/// What happens to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEvent {
    /// Every input has arrived and its digest holds.
    Fetched {
        /// Where the program finds each.
        inputs: BTreeMap<OutputName, PathBuf>,
        /// What it goes on from.
        resumed: Resumed,
    },
    /// The program runs.
    Started {
        /// Of its process group leader.
        pid: u32,
    },
    /// The program said something of itself, perhaps not for the first time.
    Reported {
        /// Everything that it has said so far.
        report: Box<SelfReport>,
        /// Seals of its checkpoint directory that it asked for since its last report, by the
        /// words that name the requests.
        checkpoints: Vec<String>,
    },
    /// The health command of the task ran, and none of its processes is left.
    HealthChecked {
        /// Whether the task is well; if not, what the command said.
        verdict: Result<(), String>,
    },
    /// It has taken more than it may of something that no kernel limits, and runs on.
    LimitReached {
        /// What that means for the attempt.
        kind: FailureKind,
        /// For people.
        message: String,
    },
    /// The program exited with 0 and all its processes are gone.
    Exited {
        /// What it used.
        usage: Usage,
    },
    /// Everything declared is sealed.
    Sealed {
        /// What was sealed.
        outputs: Vec<StagedOutput>,
    },
    /// What was under way ended badly or early; none of its processes is left.
    Failed {
        /// Why.
        failure: Failure,
        /// What it used.
        usage: Usage,
    },
}

/// Counts the connections to the coordinator from 1, within one start of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionNumber(pub u64);
