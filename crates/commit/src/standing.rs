//! Where a transaction stands, as plain data for people and status pages.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::TxnId;
use votum_machine::Moment;

use crate::{Cause, Decision, Installation, Vote};

/// A picture of one transaction at the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When it entered its stage; the start of the daemon if that was before.
    pub since: Moment,
    /// What is going on.
    pub stage: Stage,
}

/// What is going on in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The job runs; nobody is asked.
    Working,
    /// Votes are being collected.
    Preparing {
        /// The round.
        txn: TxnId,
        /// Every participant with its vote, if it has voted.
        votes: BTreeMap<Installation, Option<Vote>>,
    },
    /// The decision is Commit, and somebody has not acknowledged it.
    Delivering {
        /// The deciding round.
        txn: TxnId,
        /// Who has not acknowledged and is waited for.
        unacked: BTreeSet<Installation>,
        /// Who has not acknowledged and was given up, or replaced and not told so.
        given_up: BTreeSet<Installation>,
    },
    /// The decision was Commit, and everybody that is waited for has acknowledged it.
    Owing {
        /// The deciding round.
        txn: TxnId,
        /// Who was given up, or replaced and not told so; each is told whenever it comes back (C14).
        given_up: BTreeSet<Installation>,
    },
    /// The decision is Abort.
    Aborting {
        /// Why.
        cause: Cause,
    },
    /// Its records cannot all be understood, and tell of no commit: nothing is decided, nothing
    /// is answered but "ask again".
    Quarantined,
}

impl Standing {
    /// Returns why the job aborts, once that is decided.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match &self.stage {
            Stage::Aborting { cause } => Some(cause),
            Stage::Working
            | Stage::Preparing { .. }
            | Stage::Delivering { .. }
            | Stage::Owing { .. }
            | Stage::Quarantined => None,
        }
    }

    /// Returns the decision, if there is one.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        match self.stage {
            Stage::Working | Stage::Preparing { .. } | Stage::Quarantined => None,
            Stage::Delivering { .. } | Stage::Owing { .. } => Some(Decision::Commit),
            Stage::Aborting { .. } => Some(Decision::Abort),
        }
    }
}
