//! The durable facts of the protocol, and which of them are forced (`protocol.md` §4).

use serde::{Deserialize, Serialize};
use votum_ids::{JobId, TxnId};

use crate::{Cause, Forced, Heuristic, Installation, LogPosition, Peer, Pledge, Share};

/// A fact of the coordinator's half.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinatorRecord {
    /// The point of no return: this round commits.
    CommitDecided {
        /// The deciding round.
        txn: TxnId,
        /// Who publishes what; ReadOnly voters have left.
        shares: Vec<Share>,
    },
    /// The job aborts; excludes every later commit.
    Aborting {
        /// The job.
        job: JobId,
        /// Why, and who.
        cause: Cause,
    },
    /// Others publish what an installation owes; durable before any of them is told (C13).
    Replaced {
        /// The round.
        txn: TxnId,
        /// Who is replaced.
        from: Installation,
        /// The publisher numbers that it loses; 0: what it promised itself.
        numbers: Vec<u64>,
        /// The number of the first of those that take its place; the others follow.
        first: u64,
        /// Who publishes what instead.
        to: Vec<Share>,
    },
    /// Nothing is waited for any more: without a participant that was given up, or that has yet
    /// to hear that it was replaced, the transaction may be forgotten.
    Ended {
        /// The job.
        job: JobId,
    },
    /// An operator waits no longer for this participant; the decision stands, and it is still
    /// told whenever it asks (C14, H2).
    GivenUp {
        /// The deciding round.
        txn: TxnId,
        /// Who.
        holder: Installation,
        /// By whom, and why.
        forced: Forced,
    },
    /// A participant that had been given up has published after all.
    CaughtUp {
        /// The deciding round.
        txn: TxnId,
        /// Who.
        holder: Installation,
    },
    /// A participant that had been given up never publishes, since its installation was removed
    /// for good or it has declined: it is told nothing any more (C14).
    Removed {
        /// The deciding round.
        txn: TxnId,
        /// Who.
        holder: Installation,
    },
    /// A participant has told what was forced there while it was in doubt; whether that
    /// contradicts the decision follows from the records before (H2).
    ///
    /// Whoever was forced to abort what is committed is waited for no longer: it never publishes.
    Heuristic {
        /// Who.
        holder: Installation,
        /// What was forced.
        heuristic: Heuristic,
    },
}

impl CoordinatorRecord {
    /// Says whether the actions of the step wait for the sync of this record.
    #[must_use]
    pub fn forced(&self) -> bool {
        match self {
            // With nobody to publish, nothing can become visible on one side only.
            Self::CommitDecided { shares, .. } => !shares.is_empty(),
            Self::Aborting { .. }
            | Self::GivenUp { .. }
            | Self::Replaced { .. }
            | Self::Heuristic { .. } => true,
            Self::Ended { .. } | Self::CaughtUp { .. } | Self::Removed { .. } => false,
        }
    }

    /// Returns the job that the record belongs to.
    #[must_use]
    pub fn job(&self) -> &JobId {
        match self {
            Self::CommitDecided { txn, .. }
            | Self::Replaced { txn, .. }
            | Self::GivenUp { txn, .. }
            | Self::CaughtUp { txn, .. }
            | Self::Removed { txn, .. } => &txn.job,
            Self::Heuristic { heuristic, .. } => &heuristic.txn.job,
            Self::Aborting { job, .. } | Self::Ended { job } => job,
        }
    }
}

/// A fact of a participant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantRecord {
    /// In doubt from here on: obeys either decision (C4, C5).
    Prepared {
        /// The round.
        txn: TxnId,
        /// Who was named.
        holder: Installation,
        /// What is promised.
        pledges: Vec<Pledge>,
        /// Everyone else in the round.
        peers: Vec<Peer>,
        /// How far the coordinator's log had grown (C6).
        log: LogPosition,
    },
    /// Refused this round for ever; excludes Prepared of the same round (C7).
    Refused {
        /// The round.
        txn: TxnId,
    },
    /// The round ended without commit: Staged again, nothing discarded (C10).
    RoundEnded {
        /// The round.
        txn: TxnId,
    },
    /// Commit was learned: publishing starts, and is repeated until Released.
    Committed {
        /// The round.
        txn: TxnId,
        /// What to publish.
        pledges: Vec<Pledge>,
    },
    /// Publishes these in the place of another, and repeats that until Released (C13).
    TakenOver {
        /// The round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
        /// What to publish.
        pledges: Vec<Pledge>,
    },
    /// Was replaced, and nothing that it published under this number is visible (C14).
    StoodDown {
        /// The round.
        txn: TxnId,
        /// The publisher number that it lost.
        number: u64,
    },
    /// A person has forced an outcome while the decision was not known; what follows from it is
    /// done after this (H2).
    Forced(Heuristic),
    /// Abort was learned: discarding starts.
    Aborted {
        /// The job.
        job: JobId,
    },
    /// The coordinator has released the job: nothing of it is kept.
    Released {
        /// The job.
        job: JobId,
    },
}

impl ParticipantRecord {
    /// Says whether the actions of the step wait for the sync of this record.
    #[must_use]
    pub fn forced(&self) -> bool {
        match self {
            Self::Prepared { .. }
            | Self::Refused { .. }
            | Self::Committed { .. }
            | Self::TakenOver { .. }
            | Self::StoodDown { .. }
            | Self::Forced(_) => true,
            Self::RoundEnded { .. } | Self::Aborted { .. } | Self::Released { .. } => false,
        }
    }

    /// Returns the job that the record belongs to.
    #[must_use]
    pub fn job(&self) -> &JobId {
        match self {
            Self::Prepared { txn, .. }
            | Self::Refused { txn }
            | Self::RoundEnded { txn }
            | Self::Committed { txn, .. }
            | Self::TakenOver { txn, .. }
            | Self::StoodDown { txn, .. } => &txn.job,
            Self::Forced(heuristic) => &heuristic.txn.job,
            Self::Aborted { job } | Self::Released { job } => job,
        }
    }
}
