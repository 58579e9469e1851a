//! What the engine tells those who trace and log its jobs; it knows nothing of what they make of it.

use votum_ids::{AttemptId, JobId, WorkerId};
use votum_machine::Moment;

use super::Engine;
use crate::traces::{Context, Followed};

impl Engine {
    /// Returns every open job, by name.
    pub(crate) fn open_jobs(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.keys()
    }

    /// Returns the trace that an open job belongs to.
    pub(crate) fn trace_of(&self, job: &JobId) -> Option<Context> {
        let submission = &self.jobs.get(job)?.submission;
        Some(Context::of(submission.uid, submission.traceparent.as_deref()))
    }

    /// Returns the span that whoever handed an open job in has named.
    pub(crate) fn caller_of(&self, job: &JobId) -> Option<&str> {
        self.jobs.get(job)?.submission.traceparent.as_deref()
    }

    /// Returns who has an attempt, or had it, while its job is open.
    pub(crate) fn worker_of(&self, attempt: &AttemptId) -> Option<WorkerId> {
        let task = self.scheduler.task(Moment::START, &attempt.job, &attempt.task)?;
        task.attempts.into_iter().find(|known| known.id == *attempt).map(|known| known.worker)
    }

    /// Returns what is known of an open job that was not followed so far.
    pub(crate) fn followed(&self, job: &JobId) -> Option<Followed> {
        let mut followed = Followed::new(job.clone(), self.trace_of(job)?);
        if let Some(decided) = self.jobs.get(job).and_then(|open| open.decided) {
            followed.resume_decided(decided);
            return Some(followed);
        }
        let tasks = self.scheduler.job(Moment::START, job).map(|view| view.tasks);
        for view in tasks.unwrap_or_default() {
            followed.resume_task(view.task, &view.attempts);
        }
        Some(followed)
    }
}
