//! The public API: requests become events, replies come from answers.
//!
//! One file a service. What is closed is read from the journal; everything else
//! goes through the engine, so that nothing is shown that is not durable.

mod admin;
mod approval;
mod cases;
mod history;
mod jobs;
mod keeper;
mod listing;
mod logs;
mod outputs;
mod removed;
mod rescue;
mod revert;
mod room;
mod steer;
mod txns;
mod watch;
mod workers;

pub(crate) use admin::{AdminApi, Bounds};
pub(crate) use cases::CaseApi;
pub(crate) use jobs::JobApi;
pub(crate) use room::Room;
pub(crate) use txns::TxnApi;
pub(crate) use workers::WorkerApi;

use std::time::Duration;

use tonic::{Request, Status};
use votum_driver::{Clock, Inbox};
use votum_ids::JobId;
use votum_journal::Reader;
use votum_tls::Dialer;
use votum_wire::{CaseName, Subject, Translate, WorkerDamage, status, view::JobView};

use crate::{
    action::{Answer, Refusal},
    auth::Principal,
    changes::Changes,
    event::Event,
    quarantine::{self, Contradiction, Quarantined},
    question::Question,
    record::{Tombstone, job_stream},
    recovery::read_tombstone,
    replies::Replies,
    traces::is_traceparent,
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
    /// How long a job whose records are removed is still known.
    pub(crate) tombstones_kept: Duration,
    /// Whether the disk has room for another job.
    pub(crate) room: Room,
    /// Reaches workers.
    pub(crate) dialer: Dialer,
}

impl Desk {
    /// Asks and waits for the answer; a refusal is an error.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, Status> {
        self.put(question).await?.map_err(|refusal| refused(&refusal))
    }

    /// Asks and waits for the answer or the refusal.
    async fn put(&self, question: Question) -> Result<Result<Answer, Refusal>, Status> {
        let (reply, caller) = self.replies.register();
        if !self.inbox.send(Event::Asked { reply, question }).await {
            return Err(status::shutting_down());
        }
        match caller.answer().await {
            Some(Answer::Refused(refusal)) => Ok(Err(refusal)),
            Some(answer) => Ok(Ok(answer)),
            None => Err(status::shutting_down()),
        }
    }

    /// Shows a job, open, quarantined or closed.
    async fn job(&self, job: &JobId) -> Result<JobView, Status> {
        let jobs = vec![job.clone()];
        if let Answer::Jobs(mut open) = self.ask(Question::ShowJobs { jobs }).await?
            && let Some(view) = open.pop()
        {
            return Ok(view);
        }
        self.closed_job(job)
    }

    /// Returns what is known of a job whose records were removed.
    fn tombstone(&self, job: &JobId) -> Result<Option<Tombstone>, Status> {
        read_tombstone(&self.reader, job).map_err(|error| status::internal(error.as_ref()))
    }

    /// Returns the workers that cannot read their own records of a job, closed or not.
    async fn damages_of(&self, job: &JobId) -> Result<Vec<WorkerDamage>, Status> {
        let workers = self.workers().await?.into_iter();
        let damage = workers.filter_map(|view| {
            let found = view.damages.into_iter().find(|damage| damage.job == *job)?;
            Some(WorkerDamage { worker: view.worker, problem: found.problem })
        });
        Ok(damage.collect())
    }

    /// Shows a closed job from its records, or from what outlives them.
    fn closed_job(&self, job: &JobId) -> Result<JobView, Status> {
        let stored =
            self.reader.read(&job_stream(job)).map_err(|error| status::internal(&error))?;
        if stored.is_empty() {
            let tombstone = self.tombstone(job)?.ok_or_else(|| status::job_not_found(job))?;
            return Ok(view::job::removed(tombstone));
        }
        let anchor = self.clock.anchor();
        let damages = match quarantine::read(job, &stored) {
            Ok(records) => match view::job::closed(anchor, job, &records) {
                Ok(view) => return Ok(view),
                Err(Contradiction { at, why }) => vec![quarantine::damage(&stored, at, why)],
            },
            Err(damages) => damages,
        };
        let found = Quarantined::new(anchor, job.clone(), &stored, damages);
        Ok(view::job::quarantined(anchor, &found, None))
    }
}

/// Translates the engine's refusals; the one table of them.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::NotOpen { job } => status::job_not_found(job),
        Refusal::Quarantined { job, problem } => status::job_quarantined(job, problem),
        Refusal::AlreadyCommitting { job } => status::already_decided(job),
        Refusal::Decided { job, state } => status::decided(job, *state),
        Refusal::NotEnded { job, state, why } => status::job_not_ended(job, *state, why),
        Refusal::NotAborted { job, state } => status::not_aborted(job, *state),
        Refusal::NothingKept { job } => status::nothing_kept(job),
        Refusal::KeyHeld { key, holder } => status::key_held(key, holder),
        Refusal::AlreadyRescued { job, successor } => status::already_rescued(job, successor),
        Refusal::NoCase { job, subject } => status::case_not_found(&case_name(job, subject)),
        Refusal::IllegalResolution { job, subject, legal } => {
            status::illegal_resolution(&case_name(job, subject), legal)
        }
        Refusal::NotSettled { case, why } => status::not_settled(case, why),
        Refusal::NothingOwed { job, worker, why } => status::nothing_owed(job, worker, why),
        Refusal::NotDecided { job, state } => status::not_decided(job, *state),
        Refusal::AbortRecorded { job, state } => status::abort_recorded(job, *state),
        Refusal::WorkerNotLost { job, worker } => status::worker_not_lost(job, worker),
        Refusal::NotPaused { job } => status::not_paused(job),
        Refusal::NotAwaitingApproval { job, state } => status::not_awaiting_approval(job, *state),
        Refusal::StaleEtag { job, etag, given } => status::stale_etag(job, etag, given),
        Refusal::VoteUnderWay { job, state } => status::vote_under_way(job, *state),
        Refusal::TooManyDryVotes { max } => status::quota_exceeded("dry votes", max),
        Refusal::NothingToRetry { job, task } => status::nothing_to_retry(job, task.as_ref()),
        Refusal::NoSuchTask { job, task } => status::task_not_found(job, task),
        Refusal::IdTaken { job } => status::job_id_taken(job),
        Refusal::RequestReused { request, job } => status::request_id_reused(*request, job),
        Refusal::NoSuchWorker { task, worker } => status::no_such_worker(task, worker),
        Refusal::WorkerDeleted { task, worker } => status::pinned_worker_deleted(task, worker),
        Refusal::Misplaced { first, others } => {
            status::all_of(&refused(first), others.iter().map(refused))
        }
        Refusal::OutsideRoots { task, output, path, worker } => {
            status::publish_root_not_allowed(task, output, path, worker)
        }
        Refusal::NoWorker { worker, deleted: true } => status::worker_deleted(worker),
        Refusal::NoWorker { worker, deleted: false } => status::worker_not_found(worker),
        Refusal::WorkerConnected { worker, running, holding } => {
            status::worker_connected(worker, *running, *holding)
        }
        Refusal::WorkerInDoubt { worker, jobs } => status::worker_in_doubt(worker, jobs),
        Refusal::NameTaken { worker, holder } => status::worker_name_taken(worker, *holder),
        Refusal::WorkerRemoved { worker, uid, by, reason } => {
            status::worker_removed(worker, *uid, by, reason)
        }
        Refusal::ProtocolMismatch { worker, theirs, ours, behind } => {
            status::protocol_mismatch(worker, *theirs, *ours, *behind)
        }
        Refusal::TooManyRemovals { max, .. } => status::quota_exceeded("removals", max),
        Refusal::LogStale => status::log_stale(),
        Refusal::TooManyJobs { max } => status::quota_exceeded("jobs", max),
    }
}

fn case_name(job: &JobId, subject: &Subject) -> CaseName {
    CaseName { job: Some(job.clone()), subject: subject.clone() }
}

/// Reads a request whose every fault is a malformed field.
fn read<T: Translate>(request: Request<T::Proto>) -> Result<T, Status> {
    T::from_proto(request.into_inner()).map_err(|malformed| status::malformed(&malformed))
}

/// Returns the span of whoever calls, if the request tells one.
fn traceparent<T>(request: &Request<T>) -> Option<String> {
    let told = request.metadata().get("traceparent")?.to_str().ok()?;
    is_traceparent(told).then(|| told.to_owned())
}

/// Says who calls, as the guard has found out.
fn caller<T>(request: &Request<T>) -> String {
    let principal = request.extensions().get::<Principal>();
    principal.map_or_else(|| "unknown".to_owned(), |principal| principal.name.clone())
}
