//! A job that is held: by a person, or because its retries are exhausted.
//!
//! While it is held nothing of it is placed and no round is opened, so that
//! nobody is in doubt while a person thinks. What runs goes on, unless the
//! pause asks it to stop; its deadline goes on counting.

use serde::{Deserialize, Serialize};
use votum_ids::{JobId, TaskId};
use votum_job::{Failure, FailureKind, OnExhausted};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, CorruptSchedule, Record, Scheduler,
    active_job::{ActiveJob, Fallout, Phase, TaskState},
    retry::Budget,
    scheduler::Reaction,
};

/// Why a job is held, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who holds it.
    pub by: String,
    /// For people; may be empty.
    pub reason: String,
    /// Since when.
    pub since: WallTime,
    /// What made it pause.
    pub origin: PauseOrigin,
    /// What became, and becomes, of attempts that are live.
    pub live: LiveAttempts,
}

impl Pause {
    /// Makes one that a person asked for.
    pub(crate) fn asked(since: WallTime, by: String, reason: String, live: LiveAttempts) -> Self {
        Self { by, reason, since, origin: PauseOrigin::Asked, live }
    }
}

/// What made a job pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseOrigin {
    /// A person asked for it; only a person ends it.
    Asked,
    /// A task failed for good, and the job says that it waits then; trying it again ends it.
    Exhausted,
}

/// What becomes of the attempts that are live when a job is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveAttempts {
    /// They go on.
    GoOn,
    /// They are asked to stop; that costs none of the task's attempts.
    Stop,
}

impl Scheduler {
    /// Returns why the job is held, the first reason first; nothing if it is not, is decided, or
    /// is over.
    #[must_use]
    pub fn holds(&self, id: &JobId) -> &[Pause] {
        let job = self.jobs.get(id).filter(|job| job.phase == Phase::Running);
        job.map_or(&[], |job| &job.holds)
    }

    /// Returns the tasks that another attempt can be asked for: all, or only this one.
    ///
    /// They wait for the end of a backoff, or have failed for good in a job that is held for it.
    #[must_use]
    pub fn retryable(&self, id: &JobId, only: Option<&TaskId>) -> Vec<TaskId> {
        let running = |job: &&ActiveJob| job.phase == Phase::Running;
        let Some(job) = self.jobs.get(id).map(Box::as_ref).filter(running) else {
            return Vec::new();
        };
        let waits = |task: &usize| match job.tasks[*task].state {
            TaskState::Retrying(_) | TaskState::Failed(_) => true,
            TaskState::Pending | TaskState::Live | TaskState::Staged => false,
        };
        let names = (0..job.tasks.len()).filter(waits).map(|task| job.graph.name(task));
        names.filter(|name| only.is_none_or(|only| only == *name)).cloned().collect()
    }

    /// Holds a job, also one that is held for another reason; asked for once more in the same
    /// words, it is held once more only to stop what runs.
    pub(crate) fn hold(
        &mut self,
        now: Moment,
        id: JobId,
        by: String,
        reason: String,
        live: LiveAttempts,
    ) -> Reaction {
        let Some(job) = self.jobs.get(&id).filter(|job| job.phase == Phase::Running) else {
            return Reaction::none();
        };
        let asked = job.holds.iter().any(|known| known.says(&by, &reason));
        let spared = |task| job.live_attempt(task).is_some_and(|attempt| !attempt.set_aside);
        let stops = live == LiveAttempts::Stop && (0..job.tasks.len()).any(spared);
        if asked && !stops {
            return Reaction::none();
        }
        let mut reaction = self.record(now, Record::Paused { job: id.clone(), by, reason, live });
        let Some(job) = self.jobs.get_mut(&id) else { return reaction };
        if std::mem::take(&mut job.offered) {
            reaction.actions.push(Action::Withdraw { job: id.clone() });
        }
        let tasks = 0..self.jobs[&id].tasks.len();
        reaction.actions.extend(tasks.filter_map(|task| self.stop_set_aside(&id, task)));
        reaction
    }

    /// Lets a job go on; what failed for good while it was held gets a fresh round of attempts.
    pub(crate) fn let_go(&mut self, now: Moment, id: JobId, by: String) -> Reaction {
        if self.holds(&id).is_empty() {
            return Reaction::none();
        }
        self.reports.insert(id.clone());
        self.record(now, Record::Unpaused { job: id, by })
    }

    /// Tries tasks at once that wait for the end of a backoff, or have failed for good.
    pub(crate) fn try_again(
        &mut self,
        now: Moment,
        id: JobId,
        only: Option<&TaskId>,
        by: String,
    ) -> Reaction {
        let tasks = self.retryable(&id, only);
        if tasks.is_empty() {
            return Reaction::none();
        }
        self.reports.insert(id.clone());
        self.record(now, Record::RetryAsked { job: id, tasks, by })
    }

    /// Asks the worker of an attempt to end it, if that is what its job's pause wants.
    pub(crate) fn stop_set_aside(&self, id: &JobId, task: usize) -> Option<Action> {
        let stops = |pause: &&Pause| pause.live == LiveAttempts::Stop;
        let pause = self.holds(id).iter().rfind(stops)?;
        self.jobs[id].live_attempt(task).filter(|attempt| attempt.set_aside)?;
        self.interrupt(id, task, &pause.sentence())
    }
}

impl ActiveJob {
    /// Applies the record that the job is held.
    pub(crate) fn pause(&mut self, pause: Pause) -> Fallout {
        let live = pause.live;
        if live == LiveAttempts::Stop {
            for task in &mut self.tasks {
                if let Some(attempt) = task.attempts.last_mut().filter(|last| last.is_live()) {
                    attempt.set_aside = true;
                }
            }
        }
        match self.holds.iter_mut().find(|known| known.says(&pause.by, &pause.reason)) {
            Some(known) => known.live = live,
            None => self.add_hold(pause),
        }
        self.all_touched()
    }

    /// Applies the record that the job goes on.
    pub(crate) fn unpause(&mut self) -> Result<Fallout, CorruptSchedule> {
        if std::mem::take(&mut self.holds).is_empty() {
            return Err(CorruptSchedule::NotPaused { job: self.id.clone() });
        }
        let failed = |task: &usize| matches!(self.tasks[*task].state, TaskState::Failed(_));
        let failed: Vec<usize> = (0..self.tasks.len()).filter(failed).collect();
        let mut fallout = self.all_touched();
        for task in failed {
            self.refresh(task, &mut fallout);
        }
        self.failed = None;
        Ok(fallout)
    }

    /// Applies the record that tasks are tried again at once.
    pub(crate) fn retry(&mut self, names: &[TaskId]) -> Result<Fallout, CorruptSchedule> {
        let mut tasks = Vec::with_capacity(names.len());
        for name in names {
            let task = self.position(name)?;
            match self.tasks[task].state {
                TaskState::Retrying(_) | TaskState::Failed(_) => tasks.push(task),
                TaskState::Pending | TaskState::Live | TaskState::Staged => {
                    let (job, task) = (self.id.clone(), name.clone());
                    return Err(CorruptSchedule::NotRetrying { job, task });
                }
            }
        }
        let mut fallout = Fallout::default();
        for task in tasks {
            match self.tasks[task].state {
                TaskState::Failed(_) => self.refresh(task, &mut fallout),
                TaskState::Retrying(_)
                | TaskState::Pending
                | TaskState::Live
                | TaskState::Staged => self.tasks[task].state = TaskState::Pending,
            }
            fallout.touched.insert(task);
        }
        let failed = |task: &usize| matches!(self.tasks[*task].state, TaskState::Failed(_));
        self.failed = (0..self.tasks.len()).find(failed);
        let exhausted = |pause: &Pause| pause.origin == PauseOrigin::Exhausted;
        if let Some(at) = self.holds.iter().position(exhausted) {
            match self.failed.map(|task| &self.tasks[task].state) {
                // What else has failed still holds it.
                Some(TaskState::Failed(blame)) => {
                    self.holds[at].reason.clone_from(&blame.message);
                }
                Some(
                    TaskState::Retrying(_)
                    | TaskState::Pending
                    | TaskState::Live
                    | TaskState::Staged,
                )
                | None => {
                    self.holds.remove(at);
                    fallout.touched.extend(0..self.tasks.len());
                }
            }
        }
        Ok(fallout)
    }

    /// Keeps the first reason and the newest ones.
    fn add_hold(&mut self, pause: Pause) {
        if self.holds.len() == HOLDS_MAX {
            self.holds.remove(1);
        }
        self.holds.push(pause);
    }

    /// Holds the job if that is what it means that a task has failed for the last time.
    pub(crate) fn hold_if_exhausted(&mut self, at: WallTime, task: usize, fallout: &mut Fallout) {
        let TaskState::Failed(blame) = &self.tasks[task].state else { return };
        let known = self.holds.iter().any(|pause| pause.origin == PauseOrigin::Exhausted);
        if self.spec.on_exhausted == OnExhausted::Abort || known {
            return;
        }
        self.add_hold(Pause {
            by: "votum".to_owned(),
            reason: blame.message.clone(),
            since: at,
            origin: PauseOrigin::Exhausted,
            live: LiveAttempts::GoOn,
        });
        fallout.touched.extend(0..self.tasks.len());
    }

    /// Says whether an attempt that is found to run shall stop, because the job is paused.
    pub(crate) fn sets_aside(&self) -> bool {
        self.holds.iter().any(|pause| pause.live == LiveAttempts::Stop)
    }

    /// Says whether the task waits for nothing but a worker, and may have one.
    pub(crate) fn is_placeable(&self, position: usize) -> bool {
        self.holds.is_empty() && self.is_ready(position)
    }

    /// Says whether the end of the last attempt is what a pause asked for, which costs nobody.
    pub(crate) fn was_set_aside(&self, position: usize, failure: &Failure) -> bool {
        let asked = self.tasks[position].attempts.last().is_some_and(|last| last.set_aside);
        asked && matches!(failure.kind, FailureKind::Stopped | FailureKind::Interrupted)
    }

    /// Gives a task that failed for good a fresh round of attempts.
    fn refresh(&mut self, task: usize, fallout: &mut Fallout) {
        self.tasks[task].state = TaskState::Pending;
        self.tasks[task].budget = Budget::default();
        self.demand_inputs(task, fallout);
    }

    pub(crate) fn all_touched(&self) -> Fallout {
        Fallout { touched: (0..self.tasks.len()).collect(), ..Fallout::default() }
    }
}

impl Pause {
    /// Says whether a person asked for it in these words.
    fn says(&self, by: &str, reason: &str) -> bool {
        self.origin == PauseOrigin::Asked && self.by == by && self.reason == reason
    }

    /// Says for the task why it is asked to stop.
    fn sentence(&self) -> String {
        let Self { by, reason, .. } = self;
        if reason.is_empty() {
            format!("the job is paused by {by}")
        } else {
            format!("the job is paused by {by}: {reason}")
        }
    }
}

/// Most reasons for which one job is held at a time; of more, the first and the newest are kept.
const HOLDS_MAX: usize = 8;
