//! The inventory: everything this worker still has, in pages of a bounded size (R4).

use votum_ids::TxnId;
use votum_job::{AttemptEnd, AttemptState, HeldCheckpoint, ListedAttempt};
use votum_wire::{CommittedRound, FromWorker, INVENTORY_PAGE_MAX, Inventory, UnreadableJob};

/// Divides what is listed into frames; the last one says that this is all.
pub(crate) fn pages(
    attempts: impl Iterator<Item = ListedAttempt>,
    prepared: impl Iterator<Item = TxnId>,
    committed: impl Iterator<Item = CommittedRound>,
    checkpoints: impl Iterator<Item = HeldCheckpoint>,
    unreadable: impl Iterator<Item = UnreadableJob>,
) -> Vec<FromWorker> {
    let mut pages = Pages::default();
    for attempt in attempts {
        let weight = match &attempt.state {
            AttemptState::Ended(AttemptEnd::Sealed { outputs, .. }) => 1 + outputs.len(),
            AttemptState::Live | AttemptState::Ended(AttemptEnd::Failed { .. }) => 1,
        };
        pages.with_room_for(weight).attempts.push(attempt);
    }
    for txn in prepared {
        pages.with_room_for(1).prepared.push(txn);
    }
    for round in committed {
        pages.with_room_for(1 + round.pledges.len()).committed.push(round);
    }
    // After the attempts that sealed them: the coordinator may have to adopt those first.
    for checkpoint in checkpoints {
        pages.with_room_for(1).checkpoints.push(checkpoint);
    }
    for job in unreadable {
        pages.with_room_for(1).unreadable.push(job);
    }
    let mut frames: Vec<FromWorker> = pages.full.into_iter().map(FromWorker::Inventory).collect();
    if pages.weight > 0 {
        frames.push(FromWorker::Inventory(pages.open));
    }
    frames.push(FromWorker::InventoryEnded);
    frames
}

#[derive(Default)]
struct Pages {
    full: Vec<Inventory>,
    open: Inventory,
    weight: usize,
}

impl Pages {
    /// Returns the page to add to; begins another one if that would be too much for it.
    ///
    /// An entry counts with what it lists, so that a frame stays below the size
    /// of a message; one that is larger than a page has a page for itself.
    fn with_room_for(&mut self, weight: usize) -> &mut Inventory {
        if self.weight > 0 && self.weight + weight > INVENTORY_PAGE_MAX {
            self.full.push(std::mem::take(&mut self.open));
            self.weight = 0;
        }
        self.weight += weight;
        &mut self.open
    }
}
