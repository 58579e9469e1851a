//! A commit on its way to those that promised it.

use std::{collections::BTreeSet, sync::Arc};

use votum_ids::TxnId;
use votum_machine::Moment;

use crate::{
    CoordinatorAction, CoordinatorRecord, Forced, Installation, Message, Share, round::Shares,
};

/// Who has to hear of a decided commit, and who has not acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Delivery {
    pub(crate) txn: TxnId,
    pub(crate) shares: Shares,
    /// Who is waited for.
    pub(crate) unacked: BTreeSet<Installation>,
    /// Who is waited for no longer, and still has not acknowledged (C14).
    pub(crate) given_up: BTreeSet<Installation>,
    pub(crate) due: Option<Moment>,
}

impl Delivery {
    /// Begins with the decision.
    pub(crate) fn begin(now: Moment, txn: TxnId, shares: Shares) -> Self {
        let unacked = shares.keys().cloned().collect();
        Self { txn, shares, unacked, given_up: BTreeSet::new(), due: Some(now) }
    }

    /// Continues what a log holds: whoever neither was given up nor parted is told again.
    pub(crate) fn resumed(
        txn: TxnId,
        shares: Shares,
        given_up: BTreeSet<Installation>,
        parted: &BTreeSet<Installation>,
    ) -> Self {
        let waited =
            |holder: &&Installation| !given_up.contains(holder) && !parted.contains(holder);
        let unacked = shares.keys().filter(waited).cloned().collect();
        Self { txn, shares, unacked, given_up, due: Some(Moment::START) }
    }

    /// Waits no longer for a participant; the next tick ends the delivery if it was the last.
    pub(crate) fn give_up(
        &mut self,
        now: Moment,
        holder: Installation,
        forced: Forced,
    ) -> CoordinatorRecord {
        self.unacked.remove(&holder);
        self.given_up.insert(holder.clone());
        if self.unacked.is_empty() {
            self.due = Some(now);
        }
        CoordinatorRecord::GivenUp { txn: self.txn.clone(), holder, forced }
    }

    /// Returns the commit for one of those that promised; none for anybody else.
    pub(crate) fn commit_for(&self, holder: &Installation) -> Option<CoordinatorAction> {
        let share = self.shares.get(holder)?;
        Some(CoordinatorAction::Send {
            to: holder.worker.clone(),
            message: Message::Commit {
                txn: self.txn.clone(),
                holder: holder.clone(),
                pledges: share.pledges.clone(),
            },
        })
    }

    /// Adds a publisher that a stale log did not know.
    pub(crate) fn add(&mut self, holder: Installation, share: Share) {
        Arc::make_mut(&mut self.shares).insert(holder.clone(), share);
        self.unacked.insert(holder);
    }

    /// States the decision anew, with everybody who is known to publish.
    pub(crate) fn record(&self) -> CoordinatorRecord {
        CoordinatorRecord::CommitDecided {
            txn: self.txn.clone(),
            shares: self.shares.values().cloned().collect(),
        }
    }
}
