//! What workers have told since this start where the log alone does not tell enough (C6, V3).
//!
//! Nothing in here is recorded: every worker lists everything again in its next session.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{Installation, Reply};
use votum_ids::{AttemptId, Epoch, JobId, WorkerId, WorkerUid};
use votum_machine::Moment;
use votum_wire::Inventory;

use super::Engine;
use crate::{action::Action, quarantine::Listing, turn::Turn};

/// What workers have told, and what the log held before they did.
#[derive(Debug, Default)]
pub(super) struct Testimony {
    /// Who has listed everything that it has, in its latest session.
    heard: BTreeMap<WorkerId, WorkerUid>,
    /// What is listed of each job; gathered while the log is stale.
    listed: BTreeMap<JobId, BTreeMap<WorkerId, Listing>>,
    /// What was staged, and where, by a log that was found to be stale.
    staged: BTreeMap<JobId, BTreeSet<(AttemptId, WorkerId)>>,
    /// Jobs that a worker lists and that are not open here; gathered while the log is stale.
    strangers: BTreeMap<JobId, Stranger>,
    /// Jobs of a stale log that a person lets go on.
    vouched: BTreeSet<JobId>,
    /// The largest epoch that a worker had seen when it introduced itself.
    furthest: Option<Epoch>,
}

/// What is known of a job that a worker lists and that is not open here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// The journal is asked.
    LookedUp,
    /// The journal knows how it ended, or a person has settled it.
    Settled,
    /// The journal has never heard of it.
    Unknown,
}

impl Testimony {
    /// Lets a job of a stale log go on, at a person's word.
    pub(super) fn vouch(&mut self, job: JobId) {
        self.vouched.insert(job);
    }

    /// Says whether a person lets the job go on.
    pub(super) fn is_vouched(&self, job: &JobId) -> bool {
        self.vouched.contains(job)
    }

    /// Returns what every worker lists of a job.
    pub(super) fn of(&self, job: &JobId) -> BTreeMap<WorkerId, Listing> {
        self.listed.get(job).cloned().unwrap_or_default()
    }

    /// Returns what was staged of a job by a log that was found to be stale.
    pub(super) fn staged(&self, job: &JobId) -> BTreeSet<(AttemptId, WorkerId)> {
        self.staged.get(job).cloned().unwrap_or_default()
    }

    /// Returns the jobs that are listed and not open here, with what is known of them.
    pub(super) fn strangers(&self) -> impl Iterator<Item = (&JobId, Stranger)> {
        self.strangers.iter().map(|(job, known)| (job, *known))
    }

    /// Notes what is known of a job that is listed and not open here.
    pub(super) fn know(&mut self, job: JobId, known: Stranger) {
        self.strangers.insert(job, known);
    }

    /// Notes how far a worker had seen a log.
    pub(super) fn see(&mut self, epoch: Epoch) {
        self.furthest = self.furthest.max(Some(epoch));
    }

    /// Returns an epoch above every one that a worker had seen.
    pub(super) fn above(&self) -> Epoch {
        self.furthest.map_or(Epoch(0), Epoch::next)
    }
}

impl Engine {
    /// Remembers what is staged where by a log that is stale: what workers list changes that.
    pub(super) fn remember_staged(&mut self) {
        let jobs: Vec<JobId> = self.jobs.keys().cloned().collect();
        for job in jobs {
            let tasks = self.scheduler.job(Moment::START, &job).map(|view| view.tasks);
            let attempts = tasks.unwrap_or_default().into_iter().flat_map(|task| task.attempts);
            let held = attempts.filter(votum_schedule::Attempt::is_held);
            let held = held.map(|attempt| (attempt.id, attempt.worker)).collect();
            self.testimony.staged.insert(job, held);
        }
    }

    /// Returns what a worker lists of a job about which that is remembered.
    fn listing(&mut self, job: &JobId, worker: &WorkerId) -> Option<&mut Listing> {
        if self.is_quarantined(job) {
            return self.quarantined_listing(job, worker);
        }
        let is_stale = self.commit.is_stale();
        let listed = &mut self.testimony.listed;
        is_stale.then(|| listed.entry(job.clone()).or_default().entry(worker.clone()).or_default())
    }

    /// Notes what a page lists of jobs of which the log does not tell enough.
    pub(super) fn hear(&mut self, turn: &mut Turn, worker: &WorkerId, page: &Inventory) {
        use votum_job::AttemptState;
        for listed in &page.attempts {
            let Some(known) = self.listing(&listed.attempt.job, worker) else { continue };
            known.attempts.insert(listed.attempt.clone());
            match listed.state {
                AttemptState::Live => known.live += 1,
                AttemptState::Ended(_) => known.ended += 1,
            }
        }
        for held in &page.checkpoints {
            if let Some(known) = self.listing(&held.id.attempt.job, worker) {
                known.checkpoints += 1;
            }
        }
        for txn in &page.prepared {
            if let Some(known) = self.listing(&txn.job, worker) {
                known.prepared = Some(txn.clone());
            }
        }
        for round in &page.committed {
            if let Some(known) = self.listing(&round.txn.job, worker) {
                known.committed = Some(round.txn.clone());
                known.pledges.clone_from(&round.pledges);
            }
        }
        if self.commit.is_stale() {
            self.look_up_strangers(turn);
        }
    }

    /// Asks the journal about every job that is listed and not open here.
    fn look_up_strangers(&mut self, turn: &mut Turn) {
        let jobs = self.testimony.listed.keys();
        let strange = jobs.filter(|job| !self.jobs.contains_key(*job)).cloned();
        let strange: Vec<JobId> = strange.collect();
        for job in strange {
            let known = self.testimony.strangers.entry(job.clone());
            // One that the journal was asked about in vain is asked about again.
            if *known.or_insert(Stranger::LookedUp) == Stranger::LookedUp {
                turn.act(Action::LookUp { job });
            }
        }
    }

    /// Notes whether the journal knows how a job ended.
    pub(super) fn looked_up(&mut self, job: JobId, ended: bool) {
        let asked = self.testimony.strangers.get(&job) == Some(&Stranger::LookedUp);
        if asked && !self.knows(&job) {
            let known = if ended { Stranger::Settled } else { Stranger::Unknown };
            self.testimony.know(job, known);
        }
    }

    /// Notes that a worker has done what the commit of a round asks of it: it was told so by a
    /// peer, where the coordinator does not know.
    pub(super) fn heard_of_commit(&mut self, from: &Installation, reply: &Reply) {
        let (Reply::Acked { txn } | Reply::TookOver { txn, .. }) = reply else { return };
        if let Some(known) = self.listing(&txn.job, &from.worker) {
            known.committed = Some(txn.clone());
            known.prepared = None;
            self.conclude_later();
        }
    }

    /// Takes the word of a worker that it has done what a commit asks of it, of a job that is not
    /// open here.
    pub(super) fn done_when_closed(&mut self, turn: &mut Turn, from: &Installation, reply: &Reply) {
        self.heard_of_commit(from, reply);
        if self.commit.is_stale() {
            self.look_up_strangers(turn);
        }
        self.release_leftover(&from.worker, reply.txn().job.clone());
    }

    /// Notes that a worker has listed everything.
    pub(super) fn heard_in_full(&mut self, from: &Installation) {
        self.testimony.heard.insert(from.worker.clone(), from.uid);
        self.conclude_later();
    }

    /// Drops what a worker has told in an earlier session: it tells everything again.
    pub(super) fn forget_testimony(&mut self, worker: &WorkerId) {
        self.testimony.heard.remove(worker);
        for listed in self.testimony.listed.values_mut() {
            listed.remove(worker);
        }
        self.testimony.listed.retain(|_, listed| !listed.is_empty());
        let Testimony { listed, strangers, .. } = &mut self.testimony;
        strangers.retain(|job, known| *known == Stranger::Settled || listed.contains_key(job));
    }

    /// Returns every worker of this cluster that has not listed everything since this start.
    pub(super) fn awaited_reports(&self) -> Vec<WorkerId> {
        let silent = self.scheduler.workers().filter(|view| {
            let registration = &view.registration;
            self.testimony.heard.get(&registration.worker) != Some(&registration.uid)
        });
        silent.map(|view| view.registration.worker).collect()
    }

    /// Says whether a worker that is in doubt about a round shall ask its peers: one of them is
    /// known to have committed it, and the log cannot tell.
    pub(super) fn peers_know(&self, txn: &votum_ids::TxnId) -> bool {
        let listed = self.testimony.listed.get(&txn.job);
        let knows = |listing: &Listing| listing.committed.as_ref() == Some(txn);
        !self.jobs.contains_key(&txn.job) && listed.is_some_and(|all| all.values().any(knows))
    }
}
