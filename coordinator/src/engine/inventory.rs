//! What a worker still has, taken apart: every entry is an event of its own (R4).

use votum_commit::{CoordinatorEvent, Installation, Share};
use votum_ids::{JobId, WorkerId};
use votum_job::{Comeback, HeldCheckpoint};
use votum_wire::Inventory;

use super::{Engine, Pending, settling};
use crate::turn::Turn;

impl Engine {
    /// Queues every entry of a page as an event of its own: each may make a record.
    ///
    /// What belongs to a job that is closed here is released: its log is complete
    /// and current, and C14 says that nothing is owed. On a stale log, or for a job
    /// whose records cannot be read, everything is kept (C9).
    ///
    /// Only its questions are answered at once: what it says next may be that it has the answer.
    pub(super) fn inventory(&mut self, turn: &mut Turn, from: Installation, page: Inventory) {
        let worker = from.worker.clone();
        self.note_unreadable(&worker, &page);
        self.hear(turn, &worker, &page);
        for listed in page.attempts {
            let Some(listed) = self.list_try(&from, listed) else { continue };
            let job = &listed.attempt.job;
            if self.concerns(&from, job) {
                let event = votum_schedule::Event::Listed { worker: worker.clone(), listed };
                self.pending.push_back(Pending::Schedule(event));
            } else {
                let comeback = Comeback::of_listed(&listed.state);
                self.release_leftover(&worker, job.clone());
                let (from, attempt) = (from.clone(), listed.attempt);
                self.pending.push_back(Pending::Returned { from, attempt, comeback });
            }
        }
        for held in page.checkpoints {
            let job = &held.id.attempt.job;
            if self.concerns(&from, job) {
                let worker = worker.clone();
                let event = votum_schedule::Event::CheckpointHeld { worker, held };
                self.pending.push_back(Pending::Schedule(event));
            } else {
                self.release_leftover(&worker, job.clone());
            }
        }
        for txn in page.prepared {
            self.inquired(turn, from.clone(), txn);
        }
        for round in page.committed {
            // It has acknowledged, and is released when the job is settled.
            let job = &round.txn.job;
            let is_over = self.jobs.get(job).is_some_and(|open| open.over.is_some());
            let concerns = self.concerns(&from, job);
            if is_over && concerns && !self.owed(job).contains(&from) {
                continue;
            }
            if concerns || self.is_quarantined(job) {
                let share = Share {
                    holder: from.clone(),
                    address: self.address_of(&worker),
                    pledges: round.pledges,
                };
                let event =
                    CoordinatorEvent::FoundCommitted { from: from.clone(), txn: round.txn, share };
                self.pending.push_back(Pending::Commit(event));
            } else {
                self.release_leftover(&worker, round.txn.job);
            }
        }
    }

    /// Lets each machine draw its conclusions, after the last entry.
    pub(super) fn inventory_ended(&mut self, from: &Installation) {
        self.tell_owed(from);
        self.heard_in_full(from);
        let worker = from.worker.clone();
        let event = votum_schedule::Event::InventoryEnded { worker };
        self.pending.push_back(Pending::Schedule(event));
        let event = votum_settle::Event::InventoryEnded { host: settling::host(from) };
        self.pending.push_back(Pending::Settle(event));
    }

    /// Drops what waits of an inventory whose session is over: it would count as said in
    /// the next session, by a daemon that may have lost it since.
    pub(super) fn forget_listing(&mut self, lister: &WorkerId) {
        use votum_schedule::Event;
        self.forget_damages(lister);
        self.forget_testimony(lister);
        self.pending.retain(|pending| match pending {
            Pending::Schedule(
                Event::Listed { worker, .. }
                | Event::CheckpointHeld { worker, .. }
                | Event::InventoryEnded { worker },
            ) => worker != lister,
            Pending::Settle(
                votum_settle::Event::Listed { host, .. }
                | votum_settle::Event::InventoryEnded { host },
            ) => host.worker != *lister,
            Pending::Schedule(_)
            | Pending::Settle(_)
            | Pending::Commit(_)
            | Pending::Release { .. }
            | Pending::Returned { .. }
            | Pending::Conclude { .. }
            | Pending::Asked { .. }
            | Pending::Forget(_)
            | Pending::Superseded { .. }
            | Pending::Uncross
            | Pending::LogFoundStale { .. } => true,
        });
    }

    /// Releases what is left on a worker of a job that is closed here.
    pub(super) fn release_leftover(&mut self, worker: &WorkerId, job: JobId) {
        if self.may_judge(&job) {
            self.pending.push_back(Pending::Release { worker: worker.clone(), job });
        }
    }

    /// Takes the word of a worker that it has a checkpoint; one of a job that is over goes.
    pub(super) fn checkpoint_held(
        &mut self,
        turn: &mut Turn,
        worker: WorkerId,
        held: HeldCheckpoint,
    ) {
        let job = &held.id.attempt.job;
        if self.jobs.contains_key(job) {
            self.schedule(turn, votum_schedule::Event::CheckpointHeld { worker, held });
        } else {
            self.release_leftover(&worker, job.clone());
        }
    }

    fn address_of(&self, worker: &WorkerId) -> String {
        let known = self.scheduler.worker(worker);
        known.map(|known| known.registration.artifact_address).unwrap_or_default()
    }
}
