//! Publishers that are lost after the decision, and who takes their place (C13, C14).
//!
//! The scheduler knows who holds a replica and whether a worker is lost, the commit
//! coordinator who owes what: here the one becomes an event of the other.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{CoordinatorEvent, Installation, Share};
use votum_ids::{JobId, TxnId};
use votum_schedule::{Moved, ReplicaHolder};
use votum_wire::TAKE_OVER_SINCE;

use super::{Engine, Pending};
use crate::turn::Turn;

impl Engine {
    /// Looks from here on whether a publisher of the job is lost.
    pub(super) fn await_publishers(&mut self, job: &JobId) {
        if self.watch_publishers(job) {
            self.replace_lost_publishers();
        }
    }

    /// Looks from the next change of a worker on; says whether any publisher can be replaced.
    pub(super) fn watch_publishers(&mut self, job: &JobId) -> bool {
        let replaceable = self
            .jobs
            .get(job)
            .is_some_and(|open| open.spec.tasks.values().any(|task| task.replicas() > 1));
        if replaceable {
            self.awaited.insert(job.clone(), BTreeSet::new());
        }
        replaceable
    }

    /// Lets holders of replicas publish what lost workers owe, where they can.
    pub(super) fn replace_lost_publishers(&mut self) {
        let mut replacements = Vec::new();
        for (job, declined) in &self.awaited {
            for from in self.commit.owing(job) {
                if !self.is_lost(&from) && !declined.contains(&from) {
                    continue;
                }
                if let Some(to) = self.takers(job, &from, declined) {
                    replacements.push(CoordinatorEvent::Replace { job: job.clone(), from, to });
                }
            }
        }
        self.pending.extend(replacements.into_iter().map(Pending::Commit));
    }

    /// Says who publishes what an installation owes, in its place; none unless all of it can be.
    fn takers(
        &self,
        job: &JobId,
        from: &Installation,
        declined: &BTreeSet<Installation>,
    ) -> Option<Vec<Share>> {
        let mut shares: BTreeMap<Installation, Share> = BTreeMap::new();
        let owed = self.commit.owed(job, from).into_iter().flat_map(|share| share.pledges);
        for pledge in owed.filter(|pledge| pledge.target.is_some()) {
            let token = pledge.token;
            let able = self.scheduler.replica_holders(job, &pledge.task, token, TAKE_OVER_SINCE);
            let mut able = able.into_iter().map(installed);
            let (holder, address) = able.find(|(one, _)| {
                one != from && !declined.contains(one) && !self.commit.is_barred(job, one)
            })?;
            let share = shares.entry(holder.clone());
            let share = share.or_insert_with(|| Share { holder, address, pledges: Vec::new() });
            share.pledges.push(pledge);
        }
        (!shares.is_empty()).then(|| shares.into_values().collect())
    }

    /// Says who has yet to hear that it was replaced; none if nobody has.
    pub(super) fn about_publishers(&self, job: &JobId) -> Option<String> {
        let untold = self.commit.untold(job);
        let names: Vec<&str> = untold.iter().map(|one| one.worker.as_str()).collect();
        let verb = if names.len() == 1 { "was" } else { "were" };
        let names = names.join(", ");
        (!untold.is_empty())
            .then(|| format!("{names} {verb} replaced as publisher, and not told so yet"))
    }

    /// Shows a replaced publisher's outputs where they are from here on.
    pub(super) fn publisher_replaced(&mut self, turn: &mut Turn, txn: TxnId, from: Installation) {
        let job = txn.job;
        turn.changed(&job);
        self.note_delivering(&job);
        let moved = self.commit.takers(&job).into_iter().flat_map(|share| {
            let Installation { worker, uid } = share.holder;
            let tasks: BTreeSet<_> = share.pledges.into_iter().map(|one| one.task).collect();
            tasks.into_iter().map(move |task| Moved { task, worker: worker.clone(), uid })
        });
        let (moved, Installation { worker, uid }) = (moved.collect(), from);
        let event = votum_schedule::Event::PublisherReplaced { job, worker, uid, moved };
        self.schedule(turn, event);
    }

    /// Says whether a holder of a replica has declined to publish it in the place of another, and
    /// nobody else can.
    pub(super) fn has_declined_alone(&self, job: &JobId, holder: &Installation) -> bool {
        self.awaited.get(job).is_some_and(|declined| {
            declined.contains(holder) && self.takers(job, holder, declined).is_none()
        })
    }

    /// Lets somebody else publish what a holder of a replica turned out not to have.
    pub(super) fn take_over_declined(&mut self, job: JobId, holder: Installation) {
        self.awaited.entry(job).or_default().insert(holder);
        self.replace_lost_publishers();
    }
}

fn installed(holder: ReplicaHolder) -> (Installation, String) {
    let ReplicaHolder { worker, uid, address } = holder;
    (Installation { worker, uid }, address)
}
