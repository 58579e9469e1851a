//! What whoever settles a decided job asks of the scheduler: which attempts were given out, whether
//! they are over, and who can run what is left to do.

use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{OnUnreachable, Placement};
use votum_machine::Moment;

use crate::{
    Attempt, Outcome, Scheduler,
    active_job::ActiveJob,
    roster::{Liveness, Session},
};

/// A task that acts outside, and everything of it that may have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenOut {
    /// The task.
    pub task: TaskId,
    /// Every attempt that was given out, in order; never empty.
    pub attempts: Vec<AttemptId>,
    /// Who had the last one.
    pub worker: WorkerId,
    /// On which installation.
    pub uid: WorkerUid,
}

/// Who can run what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// This worker, under this token.
    Worker {
        /// Who.
        worker: WorkerId,
        /// Which installation.
        uid: WorkerUid,
        /// Fences every attempt of the task that was ever given out.
        token: FencingToken,
    },
    /// Nobody at present.
    Later,
    /// Nobody ever.
    Never {
        /// Why, for people.
        message: String,
    },
}

impl Scheduler {
    /// Returns the compensatable tasks of a job that may have started, by name.
    #[must_use]
    pub fn given_out(&self, job: &JobId) -> Vec<GivenOut> {
        let Some(job) = self.jobs.get(job) else { return Vec::new() };
        let given_out = |position: usize| {
            let attempts = &job.tasks[position].attempts;
            let last = attempts.last()?;
            job.task_spec(position).compensate.as_ref()?;
            Some(GivenOut {
                task: job.graph.name(position).clone(),
                attempts: attempts.iter().map(|attempt| attempt.id.clone()).collect(),
                worker: last.worker.clone(),
                uid: last.uid,
            })
        };
        (0..job.tasks.len()).filter_map(given_out).collect()
    }

    /// Says whether no attempt of a task runs anywhere, as far as R3 lets anybody know.
    #[must_use]
    pub fn is_quiet(&self, job: &JobId, task: &TaskId) -> bool {
        let Some(job) = self.jobs.get(job) else { return true };
        let Some(position) = job.graph.position(task) else { return true };
        job.tasks[position].attempts.iter().all(|attempt| self.is_over(job, position, attempt))
    }

    fn is_over(&self, job: &ActiveJob, position: usize, attempt: &Attempt) -> bool {
        match attempt.outcome {
            Outcome::Live => false,
            Outcome::Sealed { .. } | Outcome::Failed { .. } | Outcome::Superseded => true,
            Outcome::Lost => {
                let Some(worker) = self.roster.get(&attempt.worker) else { return true };
                attempt.comeback.is_some()
                    // The loss was recorded only when its lease and the grace were over.
                    || worker.is_foreign(attempt.uid)
                    || job.task_spec(position).on_unreachable == OnUnreachable::Proceed
                    // What it did not list when it came back, it does not have.
                    || matches!(worker.session, Session::Ready { .. })
            }
        }
    }

    /// Finds a worker for what is left to do for a decided job.
    ///
    /// Slots do not count: what is left is short, and must not wait behind the tasks of days. A
    /// worker that is drained still does what nobody else may.
    pub fn find_host(&mut self, placement: &Placement) -> Offer {
        if let Some(message) = placement.worker.as_ref().and_then(|name| self.never(name)) {
            return Offer::Never { message };
        }
        let able = |(_, worker): &(&WorkerId, &crate::roster::Worker)| {
            let reachable = match placement.worker {
                Some(_) => worker.is_ready() && worker.liveness < Liveness::Expired,
                None => worker.is_open(),
            };
            reachable && worker.matches(placement)
        };
        let freest =
            self.roster.present().filter(able).max_by(|(a, one), (b, two)| {
                one.free_slots().cmp(&two.free_slots()).then(b.cmp(a))
            });
        let Some((name, worker)) = freest else { return Offer::Later };
        let (worker, uid) = (name.clone(), worker.registration.uid);
        Offer::Worker { worker, uid, token: self.next_token() }
    }

    fn never(&self, name: &WorkerId) -> Option<String> {
        let Some(worker) = self.roster.get(name) else {
            return Some(format!("no worker named {name} was ever seen by this cluster"));
        };
        if worker.is_removed() {
            return Some(format!("worker {name} was deleted"));
        }
        let given_up = worker.liveness == Liveness::GivenUp;
        given_up.then(|| format!("worker {name} did not come back"))
    }

    /// Returns the installation that bears a name, if it is lost.
    #[must_use]
    pub fn is_lost(&self, name: &WorkerId) -> bool {
        self.roster.get(name).is_some_and(crate::roster::Worker::is_lost)
    }

    /// Says whether nothing of an installation runs or is ever heard again: it was deleted or given
    /// up, or another one has borne its name for so long that its lease is over (R3).
    #[must_use]
    pub fn is_gone(&self, now: Moment, name: &WorkerId, uid: WorkerUid) -> bool {
        self.roster.get(name).is_none_or(|worker| {
            let over = worker.installed.after(self.config.lease).after(self.config.stop_grace);
            (worker.is_foreign(uid) && over <= now) || worker.liveness == Liveness::GivenUp
        })
    }
}
