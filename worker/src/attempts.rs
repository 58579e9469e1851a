//! Every attempt that this worker knows of, by job, task and token.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use votum_commit::Pledge;
use votum_ids::{AttemptId, FencingToken, JobId, TaskId};
use votum_job::ListedAttempt;
use votum_machine::Moment;
use votum_wire::FromWorker;

use crate::{action::Action, attempt::Attempt, engine::Reaction};

/// Every attempt that this worker knows of.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    jobs: BTreeMap<JobId, BTreeMap<(TaskId, FencingToken), Attempt>>,
    /// Those of which something may be under way: few, however many are sealed.
    live: BTreeSet<AttemptId>,
    /// The latest that are gone, so that a late order does not run them again.
    gone: VecDeque<AttemptId>,
}

impl Attempts {
    /// Adds an attempt.
    pub(crate) fn insert(&mut self, id: &AttemptId, attempt: Attempt) {
        if attempt.is_live() {
            self.live.insert(id.clone());
        }
        let job = self.jobs.entry(id.job.clone()).or_default();
        job.insert((id.task.clone(), id.token), attempt);
    }

    /// Changes an attempt, the only way to do so; forgets it when nothing of it is left.
    pub(crate) fn alter<T>(
        &mut self,
        id: &AttemptId,
        change: impl FnOnce(&mut Attempt) -> T,
    ) -> Option<T> {
        let job = self.jobs.get_mut(&id.job)?;
        let key = (id.task.clone(), id.token);
        let attempt = job.get_mut(&key)?;
        let changed = change(attempt);
        if attempt.is_live() {
            self.live.insert(id.clone());
        } else {
            self.live.remove(id);
        }
        if attempt.is_gone() {
            job.remove(&key);
            if job.is_empty() {
                self.jobs.remove(&id.job);
            }
            self.gone.push_back(id.clone());
            if self.gone.len() > GONE_MAX {
                self.gone.pop_front();
            }
        }
        Some(changed)
    }

    /// Changes an attempt that may be unknown; nothing happens then.
    pub(crate) fn react(
        &mut self,
        id: &AttemptId,
        change: impl FnOnce(&mut Attempt) -> Reaction,
    ) -> Reaction {
        self.alter(id, change).unwrap_or_else(Reaction::none)
    }

    /// Returns an attempt.
    pub(crate) fn find(&self, id: &AttemptId) -> Option<&Attempt> {
        self.jobs.get(&id.job)?.get(&(id.task.clone(), id.token))
    }

    /// Returns the largest token of the task that was ever known here, as far as is remembered.
    pub(crate) fn newest(&self, id: &AttemptId) -> Option<FencingToken> {
        let gone = self.gone.iter().filter(|gone| gone.job == id.job && gone.task == id.task);
        let known = self.of_job(&id.job).filter(|(known, _)| known.task == id.task);
        known.map(|(known, _)| known.token).chain(gone.map(|gone| gone.token)).max()
    }

    /// Returns the attempts of the same task with a smaller token.
    pub(crate) fn older(&self, id: &AttemptId) -> Vec<AttemptId> {
        self.of_job(&id.job)
            .map(|(known, _)| known)
            .filter(|known| known.task == id.task && known.token < id.token)
            .collect()
    }

    /// Returns the attempts of a job.
    pub(crate) fn of_job(&self, job: &JobId) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        self.jobs.get_key_value(job).into_iter().flat_map(|(job, attempts)| {
            attempts.iter().map(|((task, token), attempt)| {
                (AttemptId { job: job.clone(), task: task.clone(), token: *token }, attempt)
            })
        })
    }

    /// Returns every attempt.
    pub(crate) fn all(&self) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        self.jobs.keys().flat_map(|job| self.of_job(job))
    }

    /// Returns the attempts of which something may be under way.
    pub(crate) fn live(&self) -> impl Iterator<Item = &AttemptId> {
        self.live.iter()
    }

    /// Says of each attempt whose program runs that it does.
    pub(crate) fn reports_of_running(&self) -> Vec<Action> {
        self.live.iter().filter_map(|id| self.find(id)?.report()).collect()
    }

    /// Returns the attempts that must not run without a lease (R3).
    pub(crate) fn exclusive(&self) -> impl Iterator<Item = &AttemptId> {
        self.live.iter().filter(|id| self.find(id).is_some_and(Attempt::needs_lease))
    }

    /// Returns what programs have said and the coordinator has not heard in this session.
    pub(crate) fn pass_on(&mut self, now: Moment) -> Vec<FromWorker> {
        let live: Vec<AttemptId> = self.live.iter().cloned().collect();
        live.iter().filter_map(|id| self.alter(id, |attempt| attempt.pass_on(now))?).collect()
    }

    /// Begins a session: what programs have said is to be passed on again.
    pub(crate) fn repeat_reports(&mut self) {
        let live: Vec<AttemptId> = self.live.iter().cloned().collect();
        for id in live {
            self.alter(&id, Attempt::repeat_report);
        }
    }

    /// Returns one line for each attempt that the coordinator should know of.
    pub(crate) fn listed(&self) -> impl Iterator<Item = ListedAttempt> {
        self.all().filter_map(|(_, attempt)| attempt.listed())
    }

    /// Says whether exactly what a round names is sealed here.
    pub(crate) fn holds(&self, job: &JobId, pledge: &Pledge) -> bool {
        let Pledge { task, output, token, digest, target: _, replaceable: _ } = pledge;
        self.jobs
            .get(job)
            .and_then(|attempts| attempts.get(&(task.clone(), *token)))
            .is_some_and(|attempt| attempt.holds(output, digest))
    }

    /// Says when the first attempt must end.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines().map(|(deadline, _)| deadline).min()
    }

    /// Returns the attempt that should have ended first, if its time is over.
    pub(crate) fn due(&self, now: Moment) -> Option<AttemptId> {
        let (deadline, id) = self.deadlines().min()?;
        (deadline <= now).then(|| id.clone())
    }

    fn deadlines(&self) -> impl Iterator<Item = (Moment, &AttemptId)> {
        self.live.iter().filter_map(|id| Some((self.find(id)?.deadline()?, id)))
    }
}

/// How many attempts that are gone are remembered.
const GONE_MAX: usize = 4096;
