//! The frames of a session as domain values: what a worker and the coordinator say to each other.
//!
//! Every frame may come twice, late or never; neither side acts on the end of a
//! stream beyond connecting again and comparing inventories (R4).

use std::{collections::BTreeMap, time::Duration};

use votum_commit::{Installation, LogPosition, Message, Pledge, Reply};
use votum_ids::{AttemptId, CheckpointId, Incarnation, JobId, TxnId};
use votum_job::{
    Assignment, AttemptEnd, Comeback, DryVoteAnswer, DryVoteRequest, HeldCheckpoint, ListedAttempt,
    ResumePoint, SelfReport,
};

use crate::{Versions, Vitals};

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromWorker {
    /// Who it is; always the first frame.
    Hello(Hello),
    /// A page of what it still has, at most [`INVENTORY_PAGE_MAX`] entries.
    Inventory(Inventory),
    /// The inventory is complete.
    InventoryEnded,
    /// Sign of life.
    Heartbeat {
        /// Free bytes on the filesystem of its staging.
        free_bytes: u64,
        /// Returned when it was heard; counts within one start of the daemon, from 1.
        number: u64,
        /// Its clock and its limits.
        vitals: Vitals,
    },
    /// The program of an attempt runs.
    Started {
        /// Which.
        attempt: AttemptId,
        /// Of its process group leader.
        pid: u32,
    },
    /// The program of an attempt said something of itself. Only the latest counts, and nothing
    /// that must be right rests on it.
    Reported {
        /// Which.
        attempt: AttemptId,
        /// Everything that it has said so far.
        report: Box<SelfReport>,
        /// How long ago it said the last of it.
        age: Duration,
    },
    /// An attempt ended; repeated until acknowledged.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: AttemptEnd,
    },
    /// It obeys the order to discard an attempt.
    Discarded {
        /// Which.
        attempt: AttemptId,
        /// What it was by then.
        comeback: Comeback,
    },
    /// A checkpoint is whole and durable here; listed again by every inventory.
    CheckpointHeld(HeldCheckpoint),
    /// A checkpoint that was here is damaged or gone.
    CheckpointGone(CheckpointId),
    /// What stands in the way of its part in a vote.
    DryVoted(Box<DryVoteAnswer>),
    /// A message of the commit protocol.
    Commit(Reply),
    /// It goes away in good order; its attempts are ended or re-listed at its return.
    Goodbye,
}

/// Introduces a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its name and its installation.
    pub installation: Installation,
    /// This start of its daemon.
    pub incarnation: Incarnation,
    /// Version of the daemon.
    pub version: String,
    /// For placement.
    pub labels: BTreeMap<String, String>,
    /// At most this many attempts at a time.
    pub slots: u32,
    /// Where it serves artifacts and logs, as `host:port`.
    pub artifact_address: String,
    /// Absolute paths below which it publishes; the first takes relative targets.
    pub publish_roots: Vec<String>,
    /// The furthest position of a coordinator's log that it knows (C6).
    pub seen: Option<LogPosition>,
    /// The versions of the protocol that it speaks.
    pub protocols: Versions,
}

/// A page of what a worker still has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Attempts: live, ended and not acknowledged, or sealed and not released.
    pub attempts: Vec<ListedAttempt>,
    /// Rounds it is in doubt about.
    pub prepared: Vec<TxnId>,
    /// Rounds it was told to commit, not yet released.
    pub committed: Vec<CommittedRound>,
    /// Checkpoints of jobs that are not released.
    pub checkpoints: Vec<HeldCheckpoint>,
    /// Jobs of which it cannot read its own records; nothing else is listed of them.
    pub unreadable: Vec<UnreadableJob>,
}

/// A job of which a worker cannot read its own records: it keeps what it has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableJob {
    /// Which.
    pub job: JobId,
    /// Why, for people.
    pub problem: String,
}

/// A round that a worker was told to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedRound {
    /// The round.
    pub txn: TxnId,
    /// What it publishes.
    pub pledges: Vec<Pledge>,
}

/// What the coordinator says, with the state of its log when it spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorFrame {
    /// How far its log had grown; a smaller epoch than a known one is refused.
    pub log: LogPosition,
    /// What it says.
    pub body: FromCoordinator,
}

/// What the coordinator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromCoordinator {
    /// The worker is admitted; answer to Hello.
    Welcome {
        /// Without a frame for this long the worker is suspect, and then lost.
        lease: Duration,
        /// How often to send a sign of life.
        heartbeat_interval: Duration,
        /// After the lease, until what ran there alone may run elsewhere (R3).
        stop_grace: Duration,
        /// The version of the protocol that is spoken from here on.
        protocol: u32,
        /// The newest version that the coordinator speaks.
        newest: u32,
    },
    /// A sign of life was heard: the lease lasts from when it was sent (R3).
    HeartbeatAcknowledged {
        /// Of the Heartbeat.
        number: u64,
    },
    /// Run an attempt.
    Start(Box<Assignment>),
    /// End an attempt.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
        /// Told to the task and shown in its history.
        reason: String,
        /// It will be gone on with: what it has done by now is sealed first, if it saves anything.
        checkpoint_first: bool,
    },
    /// The report of this attempt's end is durable: it need not be repeated.
    Acknowledged {
        /// Which.
        attempt: AttemptId,
    },
    /// Nobody wants this attempt: end it and discard what it staged (C9).
    Discard {
        /// Which.
        attempt: AttemptId,
    },
    /// Copy a checkpoint from one of its holders; one that is here already is reported again.
    Replicate(Box<ResumePoint>),
    /// Say what stands in the way of a vote, without a promise; only for who speaks
    /// [`DRY_VOTE_PROTOCOL`](votum_job::DRY_VOTE_PROTOCOL).
    DryVote(Box<DryVoteRequest>),
    /// A message of the commit protocol.
    Commit(Message),
}

/// Largest number of entries in one page of an inventory.
pub const INVENTORY_PAGE_MAX: usize = 256;
