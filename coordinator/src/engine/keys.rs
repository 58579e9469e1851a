//! Concurrency keys: which of the jobs that have one keeps it, as far as all machines together tell.
//!
//! The scheduler holds whoever waits for a key back. When a key is free is said here: nothing of
//! its job may become visible any more, and nothing of it runs or is being undone. What a decision
//! leaves to do beyond that, and what an aborted job keeps for a rescue, holds nobody back.

use votum_commit::{Cause, CoordinatorEvent, Decision};
use votum_ids::JobId;
use votum_job::{ConcurrencyKey, ConcurrencyPolicy, JobSpec};
use votum_machine::{Machine, Moment};
use votum_schedule::Event;

use super::{Engine, Pending};
use crate::{action::Refusal, quarantine::Quarantined, turn::Turn};

impl Engine {
    /// Refuses a job that wants to be refused while another one has its key.
    pub(super) fn admit_key(&self, spec: &JobSpec) -> Result<(), Refusal> {
        let Some(wanted) = &spec.concurrency else { return Ok(()) };
        match (wanted.policy, self.scheduler.key_holder(&wanted.key)) {
            (ConcurrencyPolicy::Reject, Some(holder)) => {
                let (key, holder) = (wanted.key.clone(), holder.clone());
                Err(Refusal::KeyHeld { key, holder })
            }
            (ConcurrencyPolicy::Queue | ConcurrencyPolicy::Replace, _)
            | (ConcurrencyPolicy::Reject, None) => Ok(()),
        }
    }

    /// Says whether a job would be refused for one of which a start has still to find out whether it
    /// needs its key.
    pub(super) fn is_key_unsettled(&self, spec: &JobSpec) -> bool {
        match self.admit_key(spec) {
            Err(Refusal::KeyHeld { holder, .. }) => self.is_unsettled(&holder),
            Err(_) | Ok(()) => false,
        }
    }

    /// Says whether a job waits behind another one from its receipt on.
    pub(super) fn will_wait(&self, spec: &JobSpec) -> bool {
        let wanted = spec.concurrency.as_ref();
        wanted.is_some_and(|wanted| self.scheduler.key_holder(&wanted.key).is_some())
    }

    /// Lets whoever waits have the keys of those jobs that a step has changed and that need them no
    /// longer. No fact is made here: the next in line has a step of its own.
    pub(super) fn free_keys(&mut self, turn: &mut Turn) {
        for job in turn.changed_jobs() {
            let key = self.key(&job).filter(|_| !self.needs_key(&job));
            for action in key.map(|key| self.freed(turn.now(), job, key)).unwrap_or_default() {
                self.on_schedule_action(turn, action);
            }
        }
    }

    /// Frees, after a start, the key of a job of which only its settlement is left.
    pub(super) fn resume_key(&mut self, job: &JobId) {
        if let Some(key) = self.key(job).filter(|_| !self.needs_key(job)) {
            self.pending.push_back(Pending::Schedule(Event::KeyFreed { job: job.clone(), key }));
        }
    }

    /// Keeps the key of a quarantined job from everybody else: nobody knows what of it runs.
    pub(super) fn keep_quarantined_key(&mut self, found: &Quarantined) {
        if let Some(key) = quarantined_key(found) {
            let job = found.job.clone();
            let _none = self.scheduler.step(Moment::START, Event::SetAside { job, key });
        }
    }

    /// Frees the key of a quarantined job that a person has settled.
    pub(super) fn free_quarantined_key(&mut self, turn: &mut Turn, found: &Quarantined) {
        let Some(key) = quarantined_key(found) else { return };
        for action in self.freed(turn.now(), found.job.clone(), key) {
            self.on_schedule_action(turn, action);
        }
    }

    /// Cancels a job in whose place another one was received.
    pub(super) fn replace(&mut self, turn: &mut Turn, job: JobId, by: &JobId, who: String) {
        let reason = votum_wire::view::CANCELLED.to_owned();
        let cause = Cause { reason, message: format!("cancelled: replaced by {by}"), by: who };
        self.commit(turn, CoordinatorEvent::AbortAsked { job, cause });
    }

    /// Counts the time of a job from when it has the key that it waited for.
    pub(super) fn begin_time(&mut self, turn: &mut Turn, job: &JobId) {
        let deadline = self.jobs.get(job).and_then(|open| self.deadline(open));
        if let Some(deadline) = deadline {
            self.commit(turn, CoordinatorEvent::TimeBegan { job: job.clone(), deadline });
        }
    }

    fn freed(
        &mut self,
        now: Moment,
        job: JobId,
        key: ConcurrencyKey,
    ) -> Vec<votum_schedule::Action> {
        self.scheduler.step(now, Event::KeyFreed { job, key }).actions
    }

    fn key(&self, job: &JobId) -> Option<ConcurrencyKey> {
        let wanted = self.jobs.get(job)?.spec.concurrency.as_ref();
        wanted.map(|wanted| wanted.key.clone())
    }

    fn needs_key(&self, job: &JobId) -> bool {
        match self.jobs.get(job).and_then(|open| open.over) {
            Some(Decision::Commit) => false,
            // What its tasks did outside must not meet what the next one does there.
            Some(Decision::Abort) => self.settlement.is_undoing(job),
            None => !self.keeps(job),
        }
    }
}

fn quarantined_key(found: &Quarantined) -> Option<ConcurrencyKey> {
    let open = found.open.as_ref().filter(|_| !found.closed)?;
    open.spec.concurrency.as_ref().map(|wanted| wanted.key.clone())
}
