//! Records become state again; a sequence of records that cannot have happened is corrupt.

use std::sync::Arc;

use thiserror::Error;
use votum_ids::{JobId, TaskId};
use votum_job::JobSpec;
use votum_machine::{Moment, WallTime};

use crate::{
    Record, Settlement, Trial,
    hook::{Place, State, Try},
    plan::Plan,
};

/// A record that does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CorruptSettlement {
    /// What a decision leaves to do was recorded twice.
    #[error("what is left to do for job {job} was recorded twice")]
    OpenedTwice {
        /// The job.
        job: JobId,
    },
    /// Something happened to a job for which nothing is left to do.
    #[error("nothing is left to do for job {job}, but something was done")]
    NotOpen {
        /// The job.
        job: JobId,
    },
    /// Something happened to a hook that the decision does not leave.
    #[error("job {job} has no effect or compensation {hook} to do")]
    UnknownHook {
        /// The job.
        job: JobId,
        /// What is named.
        hook: TaskId,
    },
    /// A try was made out of turn.
    #[error("try {number} of {hook} of job {job} was intended while {found} was not due")]
    NotDue {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// The try that was intended.
        number: u32,
        /// The try that comes next.
        found: u32,
    },
    /// A try ended that was not under way.
    #[error("try {number} of {hook} of job {job} ended, but was not under way")]
    NotRunning {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
        /// The try.
        number: u32,
    },
    /// No worker was found for what was not due.
    #[error("no worker was found for {hook} of job {job}, but it was not due")]
    NotSought {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
    },
    /// A person decided what was no case.
    #[error("{hook} of job {job} was decided by a person, but was no case")]
    NoCase {
        /// The job.
        job: JobId,
        /// The hook.
        hook: TaskId,
    },
}

impl Settlement {
    /// Applies a record of an earlier start; those of one job come in their order.
    ///
    /// # Errors
    /// [`CorruptSettlement`]; nothing was changed then, and the record's job shall be set aside.
    pub fn replay(
        &mut self,
        at: WallTime,
        spec: &Arc<JobSpec>,
        record: &Record,
    ) -> Result<(), CorruptSettlement> {
        let job = record.job();
        if let Record::Opened { facts, started, .. } = record {
            if self.plans.contains_key(job) {
                return Err(CorruptSettlement::OpenedTwice { job: job.clone() });
            }
            let (spec, facts, started) = (spec.clone(), facts.clone(), started.clone());
            let plan = Plan::new(Moment::START, job.clone(), spec, facts, started);
            self.plans.insert(job.clone(), plan);
            return Ok(());
        }
        let not_open = || CorruptSettlement::NotOpen { job: job.clone() };
        let plan = self.plans.get_mut(job).ok_or_else(not_open)?;
        check(plan, record)?;
        plan.apply(Moment::START, at, record);
        Ok(())
    }

    /// Ends the replay of a job: a request whose answer was not recorded has an unknown end.
    pub fn resume(&mut self, job: &JobId) {
        let Some(plan) = self.plans.get_mut(job) else { return };
        for hook in plan.hooks.values_mut() {
            if let State::Running(Try { place: place @ Place::Here, .. }) = &mut hook.state {
                *place = Place::Forgotten;
            }
        }
        self.look(job);
    }
}

fn check(plan: &Plan, record: &Record) -> Result<(), CorruptSettlement> {
    let job = record.job().clone();
    let find = |hook: &TaskId| {
        let unknown = || CorruptSettlement::UnknownHook { job: job.clone(), hook: hook.clone() };
        plan.hooks.get(hook).ok_or_else(unknown)
    };
    match record {
        Record::Opened { .. } => Ok(()),
        Record::Intended { hook: name, number, .. } => {
            let hook = find(name)?;
            let found = hook.tries + 1;
            if !matches!(hook.state, State::Due { .. }) || found != *number {
                let (hook, number) = (name.clone(), *number);
                return Err(CorruptSettlement::NotDue { job, hook, number, found });
            }
            Ok(())
        }
        Record::Tried { hook: name, number, trial, .. } => {
            let hook = find(name)?;
            let running =
                matches!(&hook.state, State::Running(running) if running.number == *number);
            if running || (*trial == Trial::Done && hook.misses(*number)) {
                return Ok(());
            }
            let (hook, number) = (name.clone(), *number);
            Err(CorruptSettlement::NotRunning { job, hook, number })
        }
        Record::Stranded { hook: name, .. } => match find(name)?.state {
            State::Due { .. } => Ok(()),
            State::Waiting
            | State::Running(_)
            | State::Done
            | State::Parked { .. }
            | State::Closed { .. } => Err(CorruptSettlement::NotSought { job, hook: name.clone() }),
        },
        Record::Resolved { hook: name, .. } => match find(name)?.state {
            State::Parked { .. } => Ok(()),
            State::Waiting
            | State::Due { .. }
            | State::Running(_)
            | State::Done
            | State::Closed { .. } => Err(CorruptSettlement::NoCase { job, hook: name.clone() }),
        },
    }
}
