//! Records become state again; a sequence of records that cannot have happened is corrupt.

use std::sync::Arc;

use thiserror::Error;
use votum_ids::{AttemptId, Epoch, JobId, TaskId, WorkerId};
use votum_job::{InvalidJob, JobSpec};
use votum_machine::WallTime;

use crate::{
    DryVote, GivenApproval, KeptRelease, LastWords, Pause, Record, Replica, Scheduler, Submission,
    active_job::{ActiveJob, Fallout},
    pace::Pace,
};

/// A record that does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CorruptSchedule {
    /// A job was received twice.
    #[error("job {job} was received twice")]
    DuplicateJob {
        /// The job.
        job: JobId,
    },
    /// A received spec does not pass its checks.
    #[error("job {job} was received with an invalid spec ({} problems)", .problems.len())]
    InvalidSpec {
        /// The job.
        job: JobId,
        /// What is wrong with it.
        problems: Vec<InvalidJob>,
    },
    /// Something happened to a job that was never received.
    #[error("job {job} was never received")]
    UnknownJob {
        /// The job.
        job: JobId,
    },
    /// Something happened to a task that the job does not have.
    #[error("job {job} has no task {task}")]
    UnknownTask {
        /// The job.
        job: JobId,
        /// What is named.
        task: TaskId,
    },
    /// An attempt was assigned while its task ran, was staged or had failed.
    #[error("attempt {attempt} was assigned while its task was not waiting")]
    NotPending {
        /// The attempt.
        attempt: AttemptId,
    },
    /// An attempt was assigned with a token that does not fence the one before.
    #[error("attempt {attempt} does not fence the attempt before it")]
    StaleToken {
        /// The attempt.
        attempt: AttemptId,
    },
    /// A token comes from an epoch that has not begun before this start.
    #[error("attempt {attempt} was assigned in an epoch that is not before {epoch}")]
    FutureToken {
        /// The attempt.
        attempt: AttemptId,
        /// Of this start.
        epoch: Epoch,
    },
    /// Something happened to an attempt that was not the live one of its task.
    #[error("attempt {attempt} was not live")]
    NotLive {
        /// The attempt.
        attempt: AttemptId,
    },
    /// A job was given a key that it did not wait for.
    #[error("job {job} was given its concurrency key while it did not wait for it")]
    KeyNotAwaited {
        /// The job.
        job: JobId,
    },
    /// A job was let go that was not held.
    #[error("job {job} was let go while it was not paused")]
    NotPaused {
        /// The job.
        job: JobId,
    },
    /// A task was tried again that neither waited for that nor had failed.
    #[error("task {task} of job {job} was tried again while it did not wait for that")]
    NotRetrying {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
    },
    /// A person was asked to approve something else than what was staged, or all was not staged.
    #[error("an approval of job {job} was asked for that did not fit what was staged")]
    UnfitApproval {
        /// The job.
        job: JobId,
    },
    /// A job was approved that did not wait for it.
    #[error("job {job} was approved while that was not asked for")]
    NotAwaiting {
        /// The job.
        job: JobId,
    },
    /// An attempt returned that was never given up, or a second time.
    #[error("attempt {attempt} returned, but had not been given up")]
    NotGivenUp {
        /// The attempt.
        attempt: AttemptId,
    },
    /// What a job kept was given up a second time.
    #[error("what job {job} kept was given up twice")]
    ReleasedTwice {
        /// The job.
        job: JobId,
    },
    /// Outputs were to be held by a worker that has no replica of them.
    #[error("worker {worker} has no replica of task {task} of job {job}")]
    NotReplicated {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
        /// The worker.
        worker: WorkerId,
    },
    /// Outputs were lost that nobody held.
    #[error("task {task} of job {job} was not staged where it was lost")]
    NotStaged {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
    },
}

impl Scheduler {
    /// Applies a record of an earlier start; all of them come before the first session.
    ///
    /// The records of one job come in their order; jobs and workers may come in any order.
    ///
    /// # Errors
    /// [`CorruptSchedule`]; nothing was changed then, and the record's job shall be set aside.
    pub fn replay(&mut self, at: WallTime, record: &Record) -> Result<(), CorruptSchedule> {
        if let Record::Assigned { attempt, .. } = record
            && attempt.token.epoch >= self.epoch
        {
            let (attempt, epoch) = (attempt.clone(), self.epoch);
            return Err(CorruptSchedule::FutureToken { attempt, epoch });
        }
        self.last_recorded = self.last_recorded.max(at);
        self.begun = false;
        self.apply(at, record)?;
        if let Record::Received { job, .. } = record
            && let Some(job) = self.jobs.get_mut(job)
        {
            job.inherited = true;
        }
        Ok(())
    }

    /// Changes the state as a record says: the only way in which anything durable changes.
    pub(crate) fn apply(
        &mut self,
        at: WallTime,
        record: &Record,
    ) -> Result<Fallout, CorruptSchedule> {
        match record {
            Record::Received { job, spec, submission, in_line } => {
                self.open(at, job, spec.clone(), submission.clone(), *in_line)
            }
            Record::KeyTaken { job } => self.recorded_job(job)?.take_key(at),
            Record::Assigned { attempt, number, worker, uid, exclusive: _ } => {
                self.recorded_job(&attempt.job)?.assign(at, attempt, *number, worker, *uid)
            }
            Record::Started { attempt } => self.recorded_job(&attempt.job)?.start(at, attempt),
            Record::Ended { attempt, end, said } => {
                let fallout = self.recorded_job(&attempt.job)?.end(at, attempt, end)?;
                self.recall(attempt, said.as_deref());
                Ok(fallout)
            }
            Record::Lost { job, worker, attempts, staged, moved, uid: _ } => {
                self.recorded_job(job)?.lose(at, worker, attempts, staged, moved)
            }
            Record::Replicated { attempt, worker, uid, outputs } => {
                let replica = Replica { uid: *uid, outputs: outputs.clone() };
                self.recorded_job(&attempt.job)?.hold_replica(attempt, worker, replica)
            }
            Record::ReplicaLost { attempt, worker, uid: _ } => {
                self.recorded_job(&attempt.job)?.lose_replica(attempt, worker)
            }
            Record::Returned { attempt, comeback } => {
                self.recorded_job(&attempt.job)?.come_back(at, attempt, *comeback)
            }
            Record::Paused { job, by, reason, live } => {
                let pause = Pause::asked(at, by.clone(), reason.clone(), *live);
                Ok(self.recorded_job(job)?.pause(pause))
            }
            Record::Unpaused { job, by: _ } => self.recorded_job(job)?.unpause(),
            Record::RetryAsked { job, tasks, by: _ } => self.recorded_job(job)?.retry(tasks),
            Record::KeptReleased { job, by, reason, kept } => {
                let (by, reason, kept) = (by.clone(), reason.clone(), kept.clone());
                self.recorded_job(job)?.give_up(KeptRelease { by, reason, at, kept })
            }
            Record::Rescued { job, by } => Ok(self.recorded_job(job)?.leave_to(by)),
            Record::DryVoted { job, complete, findings, omitted, bases } => {
                let (complete, omitted, findings) = (*complete, *omitted, findings.clone());
                let last = DryVote { at, complete, findings, omitted };
                self.recorded_job(job)?.note_dry_vote(last, bases);
                Ok(Fallout::default())
            }
            Record::ApprovalAsked { job, contents } => {
                self.recorded_job(job)?.ask_for_approval(at, *contents)
            }
            Record::Approved { job, contents, by, reason } => {
                let given = GivenApproval { by: by.clone(), reason: reason.clone(), at };
                self.recorded_job(job)?.approve(*contents, given)
            }
            Record::CheckpointHeld { held, worker, uid } => {
                let job = self.recorded_job(&held.id.attempt.job)?;
                job.hold_checkpoint(at, held, worker, *uid).map(|()| Fallout::default())
            }
            Record::CheckpointGone { id, worker } => {
                let job = self.recorded_job(&id.attempt.job)?;
                job.lose_checkpoint(id, worker).map(|()| Fallout::default())
            }
            Record::Registered(registration) => {
                self.roster.register(registration.clone());
                Ok(Fallout::default())
            }
            Record::Ordered { worker, orders } => {
                self.roster.order(worker.clone(), orders.clone());
                Ok(Fallout::default())
            }
        }
    }

    fn open(
        &mut self,
        at: WallTime,
        job: &JobId,
        spec: Arc<JobSpec>,
        submission: Submission,
        in_line: Option<u64>,
    ) -> Result<Fallout, CorruptSchedule> {
        if self.jobs.contains_key(job) {
            return Err(CorruptSchedule::DuplicateJob { job: job.clone() });
        }
        let mut active = ActiveJob::new(job.clone(), self.age, at, spec, submission)?;
        if let (Some(number), Some(wanted)) = (in_line, &active.spec.concurrency) {
            self.lines.enter(&wanted.key, number, job.clone());
            active.number_in_line = in_line;
            active.since = (number == 1).then_some(at);
        }
        self.age += 1;
        let touched = (0..active.graph.len()).collect();
        self.jobs.insert(job.clone(), Box::new(active));
        Ok(Fallout { touched, ..Fallout::default() })
    }

    /// Knows after a restart what an attempt had said by its end.
    fn recall(&mut self, attempt: &AttemptId, said: Option<&LastWords>) {
        let job = self.jobs.get(&attempt.job);
        let task = job.and_then(|job| job.graph.position(&attempt.task));
        if let (Some(task), Some(said)) = (task, said) {
            let pace = self.paces.entry((attempt.job.clone(), task));
            let pace = pace.or_insert_with(|| Pace::recalled(attempt.clone(), said));
            if !pace.is_of(attempt) {
                *pace = Pace::recalled(attempt.clone(), said);
            }
        }
    }

    fn recorded_job(&mut self, job: &JobId) -> Result<&mut ActiveJob, CorruptSchedule> {
        let unknown = || CorruptSchedule::UnknownJob { job: job.clone() };
        self.jobs.get_mut(job).map(Box::as_mut).ok_or_else(unknown)
    }
}
