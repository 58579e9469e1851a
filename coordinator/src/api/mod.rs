//! The public API: requests become events, replies come from answers.
//!
//! One file a service. What is closed is read from the journal; everything else
//! goes through the engine, so that nothing is shown that is not durable.

mod admin;
mod jobs;
mod logs;
mod watch;
mod workers;

pub(crate) use admin::AdminApi;
pub(crate) use jobs::JobApi;
pub(crate) use workers::WorkerApi;

use tonic::Status;
use votum_driver::{Clock, Inbox};
use votum_ids::JobId;
use votum_journal::Reader;
use votum_wire::{status, view::JobView};

use crate::{
    action::{Answer, Refusal},
    changes::Changes,
    event::Event,
    record::job_stream,
    recovery::read_job,
    replies::{Replies, ReplyId},
    view,
};

/// What every service needs: a way in, a way back, and the journal for what is closed.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) inbox: Inbox<Event>,
    pub(crate) replies: Replies,
    pub(crate) changes: Changes,
    pub(crate) reader: Reader,
    pub(crate) clock: Clock,
}

impl Desk {
    /// Hands in an event and waits for its answer.
    async fn ask(&self, event: impl FnOnce(ReplyId) -> Event) -> Result<Answer, Status> {
        let (reply, caller) = self.replies.register();
        if !self.inbox.send(event(reply)).await {
            return Err(status::shutting_down());
        }
        match caller.answer().await {
            Some(Answer::Refused(refusal)) => Err(refused(&refusal)),
            Some(answer) => Ok(answer),
            None => Err(status::shutting_down()),
        }
    }

    /// Shows a job, open or closed.
    async fn job(&self, job: &JobId) -> Result<JobView, Status> {
        let jobs = vec![job.clone()];
        if let Answer::Jobs(mut open) = self.ask(|reply| Event::ShowJobs { reply, jobs }).await?
            && let Some(view) = open.pop()
        {
            return Ok(view);
        }
        self.closed_job(job)
    }

    /// Shows a closed job from its records.
    fn closed_job(&self, job: &JobId) -> Result<JobView, Status> {
        let records = read_job(&self.reader, &job_stream(job))
            .map_err(|error| status::internal(error.as_ref()))?
            .map_err(|error| status::internal(error.as_ref()))?;
        if records.is_empty() {
            return Err(status::job_not_found(job));
        }
        view::closed(self.clock.anchor(), job, &records)
            .map_err(|error| status::internal(error.as_ref()))
    }
}

/// Translates the engine's refusals; the one table of them.
fn refused(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::NotOpen { job } => status::job_not_found(job),
        Refusal::AlreadyCommitting { job } => status::already_decided(job),
        Refusal::IdTaken { job } => status::job_id_taken(job),
        Refusal::RequestReused { request, job } => status::request_id_reused(*request, job),
        Refusal::NoSuchWorker { task, worker } => status::no_such_worker(task, worker),
        Refusal::OutsideRoots { task, output, path, worker } => {
            status::publish_root_not_allowed(task, output, path, worker)
        }
        Refusal::LogStale => status::log_stale(),
        Refusal::TooManyJobs { max } => status::quota_exceeded("jobs", max),
    }
}
