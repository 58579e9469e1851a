//! What the coordinator and its participants say to each other.
//!
//! Every message may come twice, late or never. All but Abort and Release
//! belong to one round and carry its [`TxnId`]; those two belong to the job.

use serde::{Deserialize, Serialize};
use votum_ids::{
    ClusterId, Digest, Epoch, FencingToken, Incarnation, JobId, OutputName, Target, TaskId, TxnId,
    WorkerId, WorkerUid,
};

use crate::{Heuristic, Vote};

/// One installation of a worker: who may take part in a round under its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Installation {
    /// The name, which a new installation may take over.
    pub worker: WorkerId,
    /// The installation itself.
    pub uid: WorkerUid,
}

/// One staged output that a round names: what is voted is what is published (C13).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pledge {
    /// The task that made it.
    pub task: TaskId,
    /// Its name in the task.
    pub output: OutputName,
    /// Of the attempt that sealed it.
    pub token: FencingToken,
    /// Of its manifest, as reported when it was sealed.
    pub digest: Digest,
    /// Where it becomes visible; an intermediate has none.
    pub target: Option<Target>,
    /// Whether another worker may publish it in the place of the one that promised it: then
    /// nobody publishes it without the coordinator's own word (C13).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaceable: bool,
}

/// One participant's part of a round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share {
    /// Who shall publish.
    pub holder: Installation,
    /// Where peers reach it, as `host:port`.
    pub address: String,
    /// What it holds for the job.
    pub pledges: Vec<Pledge>,
}

impl Share {
    /// Says whether there is something to publish; otherwise the vote is ReadOnly.
    #[must_use]
    pub fn updates(&self) -> bool {
        self.pledges.iter().any(|pledge| pledge.target.is_some())
    }
}

/// Another participant of the round, for cooperative termination (C5, C7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// The installation that the round names.
    pub installation: Installation,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Whether it has something to publish; only then may it refuse a round.
    pub updates: bool,
}

/// How far a coordinator's log had grown when it spoke (C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// Whose log.
    pub cluster: ClusterId,
    /// Of its coordinator.
    pub epoch: Epoch,
    /// The start of the coordinator that raised the epoch.
    pub start: Incarnation,
    /// The last durable record.
    pub lsn: u64,
}

impl LogPosition {
    /// Says whether this position lies past what the log of `held` held.
    #[must_use]
    pub fn outruns(&self, held: &Self) -> bool {
        (self.epoch, self.lsn) > (held.epoch, held.lsn)
    }
}

/// What the coordinator says to a participant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Phase one: promise to publish exactly these.
    Prepare {
        /// The round.
        txn: TxnId,
        /// Who is meant; another installation votes No.
        holder: Installation,
        /// What to promise.
        pledges: Vec<Pledge>,
        /// Whom to ask in doubt: everyone else in the round, or in a large one the next
        /// [`PEERS_MAX`](crate::PEERS_MAX) in the ring of all.
        peers: Vec<Peer>,
    },
    /// Phase two: the round committed; publish what names this installation.
    Commit {
        /// The round.
        txn: TxnId,
        /// Who is meant.
        holder: Installation,
        /// What to publish.
        pledges: Vec<Pledge>,
    },
    /// The round committed, and who promised these is lost: publish them in its place.
    TakeOver {
        /// The round.
        txn: TxnId,
        /// Who is meant.
        holder: Installation,
        /// The publisher number, which the acknowledgement bears; never 0.
        number: u64,
        /// What to publish.
        pledges: Vec<Pledge>,
    },
    /// The round committed, and another one publishes in this installation's place: what it
    /// has made visible under this number is to be taken back, and confirmed.
    Replaced {
        /// The round.
        txn: TxnId,
        /// Who is meant.
        holder: Installation,
        /// The publisher number that it lost; 0: what it promised itself.
        number: u64,
    },
    /// The job aborts, whatever round it was in.
    Abort {
        /// The job.
        job: JobId,
    },
    /// Answer to an inquiry: the round is open, ask again.
    Undecided {
        /// The round asked about.
        txn: TxnId,
    },
    /// Answer to an inquiry: the round ended without commit; back to Staged, nothing is discarded.
    RoundEnded {
        /// The round asked about.
        txn: TxnId,
    },
    /// What was forced in this round is in the coordinator's log (H2).
    Noted {
        /// The round.
        txn: TxnId,
    },
    /// The job is over for everyone: forget it and remove what is still staged.
    Release {
        /// The job.
        job: JobId,
    },
}

impl Message {
    /// Returns the job that the message belongs to.
    #[must_use]
    pub fn job(&self) -> &JobId {
        match self {
            Self::Prepare { txn, .. }
            | Self::Commit { txn, .. }
            | Self::TakeOver { txn, .. }
            | Self::Replaced { txn, .. }
            | Self::Undecided { txn }
            | Self::RoundEnded { txn }
            | Self::Noted { txn } => &txn.job,
            Self::Abort { job } | Self::Release { job } => job,
        }
    }
}

/// What a participant says to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Phase one's answer.
    Voted {
        /// The round.
        txn: TxnId,
        /// The vote.
        vote: Vote,
    },
    /// Phase two's answer: everything named is visible, durably.
    Acked {
        /// The round.
        txn: TxnId,
    },
    /// Everything that it was to publish in the place of another is visible, durably.
    TookOver {
        /// The round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
    },
    /// It does not hold what it was to publish in the place of another.
    Declined {
        /// The round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
    },
    /// It knows that it was replaced, and nothing of what it would have published is visible.
    StoodDown {
        /// The round.
        txn: TxnId,
        /// The publisher number that it lost.
        number: u64,
    },
    /// A person has forced an outcome here; said until it is noted, and until what was decided is
    /// known: so it asks as well.
    Forced(Heuristic),
    /// What became of this round?
    Inquired {
        /// The round.
        txn: TxnId,
        /// Known is that it committed, and asked only whether another publishes by now (C13);
        /// otherwise the asker is in doubt.
        committed: bool,
    },
}

impl Reply {
    /// Returns the round that the reply is about.
    #[must_use]
    pub fn txn(&self) -> &TxnId {
        match self {
            Self::Voted { txn, .. }
            | Self::Acked { txn }
            | Self::TookOver { txn, .. }
            | Self::Declined { txn, .. }
            | Self::StoodDown { txn, .. }
            | Self::Forced(Heuristic { txn, .. })
            | Self::Inquired { txn, .. } => txn,
        }
    }
}

/// What a peer knows about a round (C7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// Another installation, voted ReadOnly, or may have forgotten.
    Unknown,
    /// Prepared as well.
    InDoubt,
    /// Learned Commit.
    Commit,
    /// Learned Abort, or refused the round durably.
    Refused,
}
