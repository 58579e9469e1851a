//! Jobs with one concurrency key: one of them is under way, the others wait in line behind it.
//!
//! A job enters the line of its key with its receipt and leaves it when whoever joins the machines
//! says that nothing of it is under way any longer: that is more than the scheduler knows. Its
//! number in the line is recorded with its receipt, so that first come is first served over every
//! restart; the line itself is made of those records. Who is first has the key. That somebody
//! who waited has it is recorded, because from then on the time of the job counts.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::JobId;
use votum_job::{ConcurrencyKey, ConcurrencyPolicy};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, CorruptSchedule, Record, Scheduler,
    active_job::{ActiveJob, Blame, Fallout, Phase},
    dry_vote::DRY_VOTE_START,
    scheduler::Reaction,
};

/// The lines of all keys that somebody has.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Who has the key comes first.
    lines: BTreeMap<ConcurrencyKey, BTreeSet<(u64, JobId)>>,
    /// Jobs that wait, and may be the first by now.
    called: BTreeSet<JobId>,
    /// Jobs in whose place another one was received, and which one.
    replaced: BTreeMap<JobId, JobId>,
}

/// What a job that waits for its key waits behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine {
    /// What it waits for.
    pub key: ConcurrencyKey,
    /// Who has it; none: the job itself has it next.
    pub holder: Option<JobId>,
    /// How many others wait before it; at most [`AHEAD_COUNTED_MAX`] are counted.
    pub ahead: usize,
}

impl Lines {
    /// Returns the number of whoever comes next; 1: nobody has the key.
    pub(crate) fn next_number(&self, key: &ConcurrencyKey) -> u64 {
        self.lines.get(key).and_then(|line| line.last()).map_or(1, |(number, _)| number + 1)
    }

    /// Lets a job into a line.
    pub(crate) fn enter(&mut self, key: &ConcurrencyKey, number: u64, job: JobId) {
        self.lines.entry(key.clone()).or_default().insert((number, job));
    }

    /// Says whether something is to be done at once.
    pub(crate) fn has_news(&self) -> bool {
        !self.called.is_empty() || !self.replaced.is_empty()
    }

    /// Takes a job that may be the first of its line by now.
    pub(crate) fn pop_called(&mut self) -> Option<JobId> {
        self.called.pop_first()
    }

    /// Takes a job in whose place another one was received.
    pub(crate) fn pop_replaced(&mut self) -> Option<(JobId, JobId)> {
        self.replaced.pop_first()
    }

    fn first(&self, key: &ConcurrencyKey) -> Option<&JobId> {
        self.lines.get(key)?.first().map(|(_, job)| job)
    }

    /// Calls the first of a line, and returns those whose place in it is another one by now.
    fn leave(&mut self, key: &ConcurrencyKey, number: u64, job: &JobId) -> Vec<JobId> {
        self.called.remove(job);
        self.replaced.remove(job);
        let Some(line) = self.lines.get_mut(key) else { return Vec::new() };
        if !line.remove(&(number, job.clone())) {
            return Vec::new();
        }
        if line.is_empty() {
            self.lines.remove(key);
            return Vec::new();
        }
        self.called.extend(line.first().map(|(_, job)| job.clone()));
        let behind = line.range((number, job.clone())..);
        behind.take(AHEAD_COUNTED_MAX).map(|(_, job)| job.clone()).collect()
    }
}

impl Scheduler {
    /// Returns who has a key.
    #[must_use]
    pub fn key_holder(&self, key: &ConcurrencyKey) -> Option<&JobId> {
        self.lines.first(key)
    }

    /// Returns what a job waits behind; none unless it waits for its key.
    #[must_use]
    pub fn in_line(&self, id: &JobId) -> Option<InLine> {
        let job = self.jobs.get(id).filter(|job| job.since.is_none())?;
        let key = job.spec.concurrency.as_ref()?.key.clone();
        let line = self.lines.lines.get(&key)?;
        let before = line.range(..(job.number_in_line?, id.clone()));
        let holder = before.clone().next().map(|(_, first)| first.clone());
        let ahead = before.skip(1).take(AHEAD_COUNTED_MAX).count();
        Some(InLine { key, holder, ahead })
    }

    /// Keeps a key from everybody else for a job that was set aside.
    pub(crate) fn keep_key(&mut self, job: JobId, key: &ConcurrencyKey) {
        self.lines.enter(key, SET_ASIDE, job);
    }

    /// Lets a job leave the line of its key: nothing of it is under way any longer.
    pub(crate) fn free_key(&mut self, id: &JobId, key: &ConcurrencyKey) -> Vec<Action> {
        let number = self.jobs.get(id).and_then(|job| job.number_in_line).unwrap_or(SET_ASIDE);
        let moved = self.lines.leave(key, number, id);
        if moved.is_empty() { Vec::new() } else { vec![Action::LineMoved { jobs: moved }] }
    }

    /// Gives a job its key if it is the first in line and still wants to run.
    pub(crate) fn take_key(&mut self, now: Moment, id: &JobId) -> Reaction {
        let is_first = |job: &&ActiveJob| {
            let concurrency = job.spec.concurrency.as_ref();
            concurrency.is_some_and(|wanted| self.lines.first(&wanted.key) == Some(id))
        };
        let waits = |job: &&ActiveJob| job.since.is_none() && job.phase == Phase::Running;
        let job = self.jobs.get(id).map(Box::as_ref);
        if job.filter(waits).filter(is_first).is_none() {
            return Reaction::none();
        }
        let reaction = self.record(now, Record::KeyTaken { job: id.clone() });
        self.arm_deadline(now, self.anchor.at(now), id);
        self.arm_dry_vote(now.after(DRY_VOTE_START), id);
        reaction
    }

    /// Notes whom a job that was just received replaces.
    pub(crate) fn replace_others(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        let Some(concurrency) = &job.spec.concurrency else { return };
        let (Some(number), ConcurrencyPolicy::Replace) = (job.number_in_line, concurrency.policy)
        else {
            return;
        };
        let line = self.lines.lines.get(&concurrency.key);
        let before = line.into_iter().flat_map(|line| line.range(..(number, id.clone())));
        let before: Vec<JobId> = before.map(|(_, job)| job.clone()).collect();
        self.lines.replaced.extend(before.into_iter().map(|job| (job, id.clone())));
    }

    /// Asks for the abort of a job in whose place another one was received, unless it is decided.
    pub(crate) fn replace(&mut self, now: Moment, id: &JobId, by: JobId) -> Vec<Action> {
        let Some(who) = self.jobs.get(&by).map(|job| job.submission.by.clone()) else {
            return Vec::new();
        };
        let blame = Blame { reason: REPLACED.to_owned(), message: format!("replaced by {by}") };
        let Some(mut actions) = self.give_up(now, id, blame) else { return Vec::new() };
        actions.push(Action::Replace { job: id.clone(), by, who });
        actions
    }

    /// Finds after a replay who is called, and who replaces whom.
    pub(crate) fn take_up_lines(&mut self) {
        let mut received: Vec<(u64, JobId)> = Vec::new();
        for line in self.lines.lines.values() {
            self.lines.called.extend(line.first().map(|(_, job)| job.clone()));
            received.extend(line.iter().cloned());
        }
        // Of several the last one counts.
        received.sort();
        for (_, job) in received {
            self.replace_others(&job);
        }
    }
}

impl ActiveJob {
    /// Applies the record that the job has the key that it waited for.
    pub(crate) fn take_key(&mut self, at: WallTime) -> Result<Fallout, CorruptSchedule> {
        if self.since.is_some() {
            return Err(CorruptSchedule::KeyNotAwaited { job: self.id.clone() });
        }
        self.since = Some(at);
        Ok(self.all_touched())
    }
}

/// So many of those that wait before a job are counted; nobody's place matters more exactly.
pub const AHEAD_COUNTED_MAX: usize = 100;
/// The number of a job that was set aside, and keeps its key: before everybody's.
const SET_ASIDE: u64 = 0;
/// Why a job fails in whose place another one was received.
const REPLACED: &str = "REPLACED";
