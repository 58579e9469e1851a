//! What a worker asks its shell to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use votum_commit::{Alarm, Installation, Knowledge, LogPosition, Peer, Pledge};
use votum_driver::Awaits;
use votum_ids::{AttemptId, CheckpointId, Digest, JobId, OutputName, TaskId, TxnId};
use votum_job::{Assignment, DryVoteRequest, ResumePoint, TaskSignal};
use votum_machine::Moment;
use votum_wire::FromWorker;

use crate::{control::AskId, doubts::DoubtNews, event::SessionNumber, forcing::LocalAnswer};

/// What a worker asks for. Every action is idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Introduce this worker on a connection; nothing else may be said on it before.
    Greet {
        /// Which connection.
        session: SessionNumber,
        /// The furthest position of a coordinator's log that is known here (C6).
        seen: Option<LogPosition>,
    },
    /// Say something to the coordinator, if it can be reached.
    Send(FromWorker),
    /// Say that this worker lives, and how much space it has.
    Heartbeat {
        /// Returned when it was heard.
        number: u64,
    },
    /// Let the supervisors of exclusive attempts go on; without it they end them (R3).
    RenewLease {
        /// By then the last process of such an attempt is killed.
        until: Moment,
    },
    /// Close a connection and make another one later.
    Leave {
        /// Which.
        session: SessionNumber,
        /// Why, for people.
        reason: &'static str,
    },
    /// Make the attempt's directories and bring its inputs; answer with `Fetched` or `Failed`.
    Fetch(Box<Assignment>),
    /// Run the program; answer with `Started`, and `Exited` or `Failed`.
    Run {
        /// What to run.
        assignment: Box<Assignment>,
        /// Where the program finds each input.
        inputs: BTreeMap<OutputName, PathBuf>,
        /// What it goes on from.
        resumed: Resumed,
    },
    /// End whatever is under way for an attempt; its answer comes as without this.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
        /// Told to the task.
        reason: String,
    },
    /// Seal what the attempt left; answer with `Sealed` or `Failed`.
    Seal(Box<Assignment>),
    /// Seal the state of a running attempt as a checkpoint; answer with `Checkpoint`.
    SealCheckpoint(SealOrder),
    /// Tell whoever of an attempt asked for a checkpoint what became of it.
    Answer {
        /// Whose asks.
        attempt: AttemptId,
        /// The names of the asks.
        requests: Vec<String>,
        /// One line.
        text: String,
    },
    /// Send a task the signal at which it writes its state.
    Signal {
        /// Which.
        attempt: AttemptId,
        /// Which signal.
        signal: TaskSignal,
    },
    /// Copy a checkpoint from another worker; answer with `CheckpointArrived`.
    Replicate(Box<ResumePoint>),
    /// Remove a checkpoint.
    RemoveCheckpoint(CheckpointId),
    /// Remove every checkpoint of a job.
    RemoveCheckpoints(JobId),
    /// Remove what an attempt staged.
    Discard(AttemptId),
    /// Remove everything staged for a job.
    DiscardJob(JobId),
    /// Check what this worker would publish; answer with `Checked`.
    Check {
        /// The round.
        txn: TxnId,
        /// What would be published; all of it is sealed here.
        pledges: Vec<Pledge>,
    },
    /// Look for what stands in the way of a vote, and tell the coordinator; nothing is promised.
    DryVote {
        /// What is asked.
        request: Box<DryVoteRequest>,
        /// What no record says is sealed here, though it is asked for.
        not_held: Vec<(TaskId, OutputName)>,
    },
    /// Make it visible, durably; answer with `Published`.
    Publish {
        /// The deciding round.
        txn: TxnId,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Make it visible in the place of another, durably; answer with `TookOver`.
    TakeOver {
        /// The deciding round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Take back what was made visible under this number; answer with `Withdrawn`.
    Withdraw {
        /// The deciding round.
        txn: TxnId,
        /// The publisher number that was lost.
        number: u64,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Ask a peer about a round (C7); answer with `PeerAnswered`.
    AskPeer {
        /// Whom.
        peer: Peer,
        /// The round.
        txn: TxnId,
    },
    /// Answer a peer.
    AnswerPeer {
        /// Who asked.
        to: Installation,
        /// The round.
        txn: TxnId,
        /// What is known.
        knowledge: Knowledge,
    },
    /// Tell the operator about an observation that the protocol excludes.
    Raise(Alarm),
    /// Answer a person on this machine; what he forced is durable by then.
    AnswerLocal {
        /// Whom.
        ask: AskId,
        /// What.
        answer: LocalAnswer,
    },
    /// Tell the operator how a doubt stands, and for how long.
    TellDoubt(DoubtNews),
    /// Remove the directories of attempts that ended long ago.
    PruneLogs {
        /// Except these.
        kept: BTreeSet<AttemptId>,
    },
    /// End the daemon: nothing runs any more.
    Exit,
}

/// What an attempt goes on from; all zero: it begins afresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Of the checkpoint.
    pub sequence: u64,
    /// How many steps are done in it.
    pub steps: u32,
}

/// The order to seal a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealOrder {
    /// Its name.
    pub id: CheckpointId,
    /// How many steps are done in it.
    pub steps: u32,
    /// Whether scratch and outputs belong to the state.
    pub whole: bool,
    /// Most bytes; absent: this worker's limit.
    pub bytes_max: Option<u64>,
    /// Nobody has asked: an empty state is left alone, and one of this digest.
    pub unless: Option<Option<Digest>>,
}

impl Awaits for Action {
    fn awaits_lazy_records(&self) -> bool {
        match self {
            // A crash must not find bytes gone that the log still promises to publish or list.
            // Nor a program at its end, and nobody who knows that it was asked to.
            Self::Stop { .. }
            | Self::Discard(_)
            | Self::DiscardJob(_)
            | Self::RemoveCheckpoint(_)
            | Self::RemoveCheckpoints(_)
            | Self::Exit => true,
            Self::Greet { .. }
            | Self::Send(_)
            | Self::Heartbeat { .. }
            | Self::RenewLease { .. }
            | Self::Leave { .. }
            | Self::Fetch(_)
            | Self::Run { .. }
            | Self::Seal(_)
            | Self::SealCheckpoint(_)
            | Self::Answer { .. }
            | Self::Signal { .. }
            | Self::Replicate(_)
            | Self::Check { .. }
            | Self::DryVote { .. }
            | Self::Publish { .. }
            | Self::TakeOver { .. }
            | Self::Withdraw { .. }
            | Self::AskPeer { .. }
            | Self::AnswerPeer { .. }
            | Self::Raise(_)
            | Self::AnswerLocal { .. }
            | Self::TellDoubt(_)
            | Self::PruneLogs { .. } => false,
        }
    }
}
