//! Tells one job what became of one worker: the fan-out of a loss, an inventory or a replacement.

use votum_ids::{AttemptId, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{AttemptEnd, Failure, FailureKind, Usage};
use votum_machine::Moment;

use crate::{
    Action, Config, Moved, Record, Scheduler,
    active_job::{ActiveJob, Blame, Phase, TaskState, Tie},
    agenda::Due,
    attempt::Attempt,
    roster::{Liveness, Session, Worker},
    scheduler::Reaction,
};

impl Scheduler {
    /// Tells one job what became of one worker: the fan-out of a loss or an inventory.
    pub(crate) fn reckon(&mut self, now: Moment, name: &WorkerId, id: &JobId) -> Reaction {
        let (Some(worker), Some(job)) = (self.roster.get(name), self.jobs.get(id)) else {
            return Reaction::none();
        };
        if let Some(record) = self.replica_loss(name, id) {
            self.reckonings.insert((name.clone(), id.clone()));
            let mut reaction = self.record(now, record);
            reaction.actions.extend(self.attend(now, id));
            return reaction;
        }
        let successor = |task: usize| self.next_holder(job, task);
        let loss = Loss::of(now, &self.config, worker, job, &successor);
        if let Some(parted) = loss.parted {
            self.agenda.set(Due::Parted(name.clone()), parted);
        }
        if let Some(record) = loss.record(name, id) {
            // One installation, one record; whatever is left has its own step.
            self.reckonings.insert((name.clone(), id.clone()));
            let mut reaction = self.record(now, record);
            reaction.actions.extend(self.attend(now, id));
            return reaction;
        }
        if let Some(blame) = given_up(worker, job) {
            return Reaction::perform(self.fail(now, id, blame));
        }
        let missing: Vec<Attempt> = worker
            .tasks_of(id)
            .into_iter()
            .filter_map(|task| job.live_attempt(task))
            .filter(|attempt| worker.is_missing(&attempt.id))
            .cloned()
            .collect();
        self.restart_missing(now, name, id, missing)
    }

    /// Ends what a worker forgot, or orders it again if it never began.
    fn restart_missing(
        &mut self,
        now: Moment,
        name: &WorkerId,
        id: &JobId,
        missing: Vec<Attempt>,
    ) -> Reaction {
        let mut actions = Vec::new();
        for attempt in missing {
            self.roster.change(name, |worker| {
                if let Session::Ready { missing, .. } = &mut worker.session {
                    missing.remove(&attempt.id);
                }
            });
            let running = self
                .jobs
                .get(id)
                .is_some_and(|job| job.phase == Phase::Running && job.holds.is_empty());
            // A drained worker begins nothing, not even what it was given before.
            let drained = self.roster.get(name).is_some_and(|known| known.orders.drain.is_some());
            let begun = attempt.started.is_some()
                || self.jobs.get(id).is_some_and(|job| job.has_saved(&attempt.id));
            let assignment = if !begun && running && !drained {
                self.assignment(now, &attempt.id)
            } else {
                None
            };
            match assignment {
                Some(assignment) => actions.push(Action::Start(Box::new(assignment))),
                None => {
                    self.reckonings.insert((name.clone(), id.clone()));
                    let (end, said) = (interrupted(name), self.said(&attempt.id));
                    let record = Record::Ended { attempt: attempt.id, end, said };
                    let mut reaction = self.record(now, record);
                    actions.append(&mut reaction.actions);
                    actions.extend(self.attend(now, id));
                    reaction.actions = actions;
                    return reaction;
                }
            }
        }
        actions.extend(self.attend(now, id));
        Reaction::perform(actions)
    }

    /// Takes the word of the commit coordinator that a holder no longer has its share.
    pub(crate) fn lose_share(
        &mut self,
        now: Moment,
        id: &JobId,
        name: &WorkerId,
        uid: WorkerUid,
    ) -> Reaction {
        let Some(job) = self.jobs.get_mut(id) else { return Reaction::none() };
        if job.phase != Phase::Running {
            return Reaction::none();
        }
        // That round is over, whatever was lost: another one must be offered.
        job.offered = false;
        let job = &self.jobs[id];
        let held = |task: &usize| {
            job.held_attempt(*task).is_some_and(|attempt| {
                attempt.worker == *name && attempt.uid == uid && !attempt.held_outputs().is_empty()
            })
        };
        let (mut staged, mut moved) = (Vec::new(), Vec::new());
        for task in (0..job.tasks.len()).filter(held) {
            match self.next_holder(job, task) {
                Some(successor) => moved.push(successor),
                None => staged.push(job.graph.name(task).clone()),
            }
        }
        let mut reaction = if staged.is_empty() && moved.is_empty() {
            Reaction::none()
        } else {
            let (job, worker, attempts) = (id.clone(), name.clone(), Vec::new());
            self.record(now, Record::Lost { job, worker, uid, attempts, staged, moved })
        };
        reaction.actions.extend(self.attend(now, id));
        reaction
    }
}

/// What a job has lost with one installation of a worker.
#[derive(Default)]
struct Loss {
    uid: Option<WorkerUid>,
    attempts: Vec<AttemptId>,
    staged: Vec<TaskId>,
    moved: Vec<Moved>,
    /// When an exclusive attempt that an earlier installation ran is over for certain.
    parted: Option<Moment>,
}

impl Loss {
    fn of(
        now: Moment,
        config: &Config,
        worker: &Worker,
        job: &ActiveJob,
        successor: &dyn Fn(usize) -> Option<Moved>,
    ) -> Self {
        let mut loss = Self::default();
        let aborting = match job.phase {
            Phase::Committing => return loss,
            Phase::Aborting { .. } => true,
            Phase::Running | Phase::Failing(_) => false,
        };
        for task in worker.tasks_of(&job.id) {
            let pinned = job.task_spec(task).placement.worker.is_some();
            if let Some(attempt) = job.live_attempt(task) {
                let foreign = worker.is_foreign(attempt.uid);
                let tied = job.tie(task).is_some();
                let gone = foreign
                    || (worker.is_lost() && (aborting || !tied))
                    || job.is_superseded(task, attempt);
                if gone && foreign && job.task_spec(task).acts_outside() {
                    let over = parted(config, worker, attempt);
                    if over > now {
                        loss.parted = loss.parted.max(Some(over));
                        continue;
                    }
                }
                if gone && loss.takes(attempt) {
                    loss.attempts.push(attempt.id.clone());
                }
            } else if let Some(attempt) = job.held_attempt(task)
                && !aborting
                && !attempt.held_outputs().is_empty()
            {
                let foreign = worker.is_foreign(attempt.uid);
                let moved = successor(task);
                // What lies elsewhere as well is not waited for.
                let waits = pinned && job.is_needed(task) && moved.is_none();
                let gone =
                    foreign || worker.is_missing(&attempt.id) || (worker.is_lost() && !waits);
                if gone && loss.takes(attempt) {
                    match moved {
                        Some(moved) => loss.moved.push(moved),
                        None => loss.staged.push(job.graph.name(task).clone()),
                    }
                }
            }
        }
        loss
    }

    /// Says whether the attempt belongs to the installation that this loss is about.
    fn takes(&mut self, attempt: &Attempt) -> bool {
        *self.uid.get_or_insert(attempt.uid) == attempt.uid
    }

    fn record(self, worker: &WorkerId, job: &JobId) -> Option<Record> {
        let (job, worker, uid) = (job.clone(), worker.clone(), self.uid?);
        let Self { attempts, staged, moved, .. } = self;
        Some(Record::Lost { job, worker, uid, attempts, staged, moved })
    }
}

/// Says by when a worker that is not what it was has ended an exclusive attempt (R3).
fn parted(config: &Config, worker: &Worker, attempt: &Attempt) -> Moment {
    let heard =
        if attempt.uid == worker.registration.uid { worker.heard } else { worker.installed };
    heard.after(config.lease).after(config.stop_grace)
}

/// Says why a job fails whose pinned work is on a worker that nobody waits for any longer.
fn given_up(worker: &Worker, job: &ActiveJob) -> Option<Blame> {
    if worker.liveness != Liveness::GivenUp || job.phase != Phase::Running {
        return None;
    }
    let stuck = worker.tasks_of(&job.id).into_iter().find(|&task| match job.tasks[task].state {
        // Only a person knows whether an exclusive attempt that escaped may meet its successor.
        TaskState::Live => job.tie(task) == Some(Tie::Pinned),
        TaskState::Staged => job.held_attempt(task).is_some() && job.is_needed(task),
        TaskState::Pending | TaskState::Retrying(_) | TaskState::Failed(_) => false,
    })?;
    let (task, name) = (job.graph.name(stuck), &worker.registration.worker);
    Some(Blame {
        reason: FailureKind::WorkerLost.reason().to_owned(),
        message: format!("worker {name} did not come back, and task {task} is pinned to it"),
    })
}

fn interrupted(worker: &WorkerId) -> AttemptEnd {
    AttemptEnd::Failed {
        failure: Failure {
            kind: FailureKind::Interrupted,
            message: format!("worker {worker} came back without it"),
            stderr_tail: String::new(),
        },
        usage: Usage::default(),
    }
}
