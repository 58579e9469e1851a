//! The one table from what went wrong to what the peer is told.

mod access;

pub use access::{no_such_call, not_authenticated, not_that_worker, role_needed, too_often};

use std::{fmt::Display, time::Duration};

use tonic::Status;
use votum_ids::{ClusterId, JobId, OutputName, RequestId, TaskId, WorkerId, WorkerUid};
use votum_job::{ConcurrencyKey, InvalidJob};

use crate::{
    Behind, CaseName, Fault, InvalidFilter, JobState, Malformed, Versions,
    names::{AttemptName, job_name, worker_name},
    output::OutputId,
    problem::{Problem, Reason},
};

/// A field means nothing.
#[must_use]
pub fn malformed(malformed: &Malformed) -> Status {
    let reason = match &malformed.fault {
        Fault::Twice(_) => Reason::DuplicateName,
        Fault::Missing
        | Fault::UnknownValue(_)
        | Fault::Name(_)
        | Fault::Key(_)
        | Fault::Digest(_)
        | Fault::Txn(_)
        | Fault::Uuid(_)
        | Fault::Form { .. }
        | Fault::Meaningless(_)
        | Fault::OutOfRange(_)
        | Fault::TooMany { .. } => Reason::Malformed,
    };
    Problem::words(reason, malformed.to_string()).field(&malformed.field, &malformed.fault).into()
}

/// Fields of a job mean nothing.
#[must_use]
pub fn malformed_spec(found: &[Malformed]) -> Status {
    let reason = match found {
        [Malformed { fault: Fault::Twice(_), .. }] => Reason::DuplicateName,
        [..] => Reason::InvalidSpec,
    };
    let words = sentence(found);
    let problem = Problem::words(reason, words);
    found.iter().fold(problem, |problem, wrong| problem.field(&wrong.field, &wrong.fault)).into()
}

/// A job makes no sense; fields are named from the request.
#[must_use]
pub fn invalid_job(found: &[InvalidJob]) -> Status {
    let reason = found.first().map_or("INVALID_SPEC", |first| first.problem.reason());
    let alike = found.iter().all(|wrong| wrong.problem.reason() == reason);
    let reason = if alike { Reason::from(reason) } else { Reason::InvalidSpec };
    let problem = Problem::words(reason, sentence(found));
    let in_request = |field: &str| match field {
        "" => "spec".to_owned(),
        field => format!("spec.{field}"),
    };
    found
        .iter()
        .fold(problem, |problem, wrong| problem.field(in_request(&wrong.field), &wrong.problem))
        .into()
}

/// The spec is larger than is read.
#[must_use]
pub fn spec_too_large(bytes: usize, bytes_max: usize) -> Status {
    let words = format!("the spec has {bytes} bytes, at most {bytes_max} are allowed");
    Problem::words(Reason::SpecTooLarge, &words)
        .with("bytes", bytes)
        .with("bytes_max", bytes_max)
        .field("spec", words)
        .into()
}

/// The page token is not of this list.
#[must_use]
pub fn page_token_invalid() -> Status {
    let words = "the page token is not one of this list with these arguments";
    Problem::words(Reason::PageTokenInvalid, words).field("page_token", words).into()
}

/// The filter means nothing.
#[must_use]
pub fn filter_invalid(invalid: &InvalidFilter) -> Status {
    Problem::words(Reason::FilterInvalid, invalid.to_string())
        .with("position", invalid.at)
        .field("filter", invalid)
        .into()
}

/// A task is pinned to a worker that was never seen.
#[must_use]
pub fn no_such_worker(task: &TaskId, worker: &WorkerId) -> Status {
    let words = format!("no worker named {worker} was ever seen by this cluster");
    Problem::words(Reason::NoSuchWorker, format!("task {task}: {words}"))
        .with("task", task)
        .with("worker", worker)
        .precondition(worker_name(worker), words)
        .into()
}

/// A task is pinned to a worker that was deleted.
#[must_use]
pub fn pinned_worker_deleted(task: &TaskId, worker: &WorkerId) -> Status {
    let words = format!("worker {worker} was deleted, and no other has its name");
    Problem::words(Reason::NoSuchWorker, format!("task {task}: {words}"))
        .with("task", task)
        .with("worker", worker)
        .precondition(worker_name(worker), words)
        .into()
}

/// Several things are wrong at once: the first is what it is refused for, and all are named as
/// preconditions that do not hold.
#[must_use]
pub fn all_of(first: &Status, others: impl Iterator<Item = Status>) -> Status {
    let first = Problem::from_status(first);
    let mut all = vec![first.clone()];
    all.extend(others.map(|status| Problem::from_status(&status)));
    let message = format!("{}; {} more like it", first.message, all.len() - 1);
    let preconditions = all.into_iter().map(|problem| crate::problem::Precondition {
        kind: problem.reason.as_str().to_owned(),
        subject: problem.preconditions.first().map_or_else(String::new, |it| it.subject.clone()),
        description: problem.message,
    });
    Problem { message, preconditions: preconditions.collect(), ..first }.into()
}

/// A target lies below no publish root of its worker.
#[must_use]
pub fn publish_root_not_allowed(
    task: &TaskId,
    output: &OutputName,
    path: &str,
    worker: &WorkerId,
) -> Status {
    let words = format!("{path:?} lies below no publish root of {worker}");
    Problem::words(Reason::PublishRootNotAllowed, format!("{task}.{output}: {words}"))
        .with("task", task)
        .with("output", output)
        .with("path", path)
        .with("worker", worker)
        .precondition(worker_name(worker), words)
        .into()
}

/// The commit is durable, so it cannot be cancelled.
#[must_use]
pub fn already_decided(job: &JobId) -> Status {
    let words = format!("{job} is decided to commit; a commit cannot be cancelled");
    of_job(Reason::AlreadyDecided, job, words).into()
}

/// The job has ended, and not because it was cancelled.
#[must_use]
pub fn over_already(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {} already; there is nothing left to cancel", state.word());
    of_job(Reason::AlreadyDecided, job, words).with("state", state.word()).into()
}

/// The job is decided, so that nothing of it can be held or tried again.
#[must_use]
pub fn decided(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}: no task of it is run any more", state.word());
    of_job(Reason::AlreadyDecided, job, words).with("state", state.word()).into()
}

/// A record of the job cannot be read, so that nothing is done with it (V3).
#[must_use]
pub fn job_quarantined(job: &JobId, problem: &str) -> Status {
    let words = format!("{job} is quarantined, nothing is done with it: {problem}");
    of_job(Reason::JobQuarantined, job, words).with("problem", problem).into()
}

/// Only an aborted job can be rescued.
#[must_use]
pub fn not_aborted(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}; only an aborted job can be rescued", state.word());
    of_job(Reason::NotAborted, job, words).with("state", state.word()).into()
}

/// There is no such case, or it is decided.
#[must_use]
pub fn case_not_found(case: &CaseName) -> Status {
    Problem::words(Reason::CaseNotFound, format!("there is no open case {case}"))
        .resource("votum.v1.Case", case.resource())
        .into()
}

/// What the log knows about the case does not allow what was wanted.
#[must_use]
pub fn illegal_resolution(case: &CaseName, legal: &[&str]) -> Status {
    let words = if legal.is_empty() {
        "what the log tells allows no action".to_owned()
    } else {
        format!("the log allows only this: {}", legal.join(", "))
    };
    illegal(case, words)
}

/// The case cannot be decided yet; `why` says what is missing.
#[must_use]
pub fn not_settled(case: &CaseName, why: &str) -> Status {
    illegal(case, format!("{case} cannot be decided yet: {why}"))
}

fn illegal(case: &CaseName, words: String) -> Status {
    let problem = Problem::words(Reason::IllegalResolution, &words).with("case", &case.subject);
    let problem = match &case.job {
        Some(job) => problem.with("job", job),
        None => problem,
    };
    problem.precondition(case.resource(), words).into()
}

/// The decision on the job does not wait for this worker, so that it cannot be given up (H1).
#[must_use]
pub fn nothing_owed(job: &JobId, worker: &WorkerId, why: &str) -> Status {
    let words = format!("{worker} cannot be given up: {why}");
    of_job(Reason::NothingOwed, job, words).with("worker", worker).into()
}

/// Nothing is decided about the job: a person who does not want to wait cancels it (H1).
#[must_use]
pub fn not_decided(job: &JobId, state: JobState) -> Status {
    let words = format!(
        "{job} is {}; nothing is decided, so that nobody can be given up; to end it, cancel it",
        state.word()
    );
    of_job(Reason::NotDecided, job, words).with("state", state.word()).into()
}

/// An abort is recorded: nothing of the job is ever published, forced or not (H1).
#[must_use]
pub fn abort_recorded(job: &JobId, state: JobState) -> Status {
    let words = format!(
        "the abort of {job} is recorded, which nothing changes: it is {}, and nobody is owed a \
         commit of it",
        state.word()
    );
    of_job(Reason::AlreadyDecided, job, words).with("state", state.word()).into()
}

/// The worker is not lost: it is told the decision, and obeys it by itself.
#[must_use]
pub fn worker_not_lost(job: &JobId, worker: &WorkerId) -> Status {
    let words = format!(
        "worker {worker} is not lost: it is told the commit of {job} and publishes by itself"
    );
    Problem::words(Reason::WorkerNotLost, &words)
        .with("job", job)
        .with("worker", worker)
        .precondition(worker_name(worker), words)
        .into()
}

/// Nothing of the job is staged any more.
#[must_use]
pub fn nothing_kept(job: &JobId) -> Status {
    let words = format!("nothing that {job} staged is kept");
    of_job(Reason::NothingKept, job, words).into()
}

/// Another job takes over what the job keeps, or has committed in its place.
#[must_use]
pub fn already_rescued(job: &JobId, successor: &JobId) -> Status {
    let words = format!("{job} is rescued by {successor}, which takes over what it staged");
    Problem::words(Reason::AlreadyRescued, &words)
        .with("job", job)
        .with("successor", successor)
        .precondition(job_name(successor), words)
        .into()
}

/// Another job has the concurrency key, and the spec says that it is not waited for.
#[must_use]
pub fn key_held(key: &ConcurrencyKey, holder: &JobId) -> Status {
    let words =
        format!("{holder} holds the concurrency key {key}, and the job does not wait for it");
    Problem::words(Reason::ConcurrencyKeyHeld, &words)
        .with("key", key)
        .with("holder", holder)
        .into()
}

/// Only what has committed, everywhere, can be reverted.
#[must_use]
pub fn not_committed(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}; only a committed job can be reverted", state.word());
    let reason = if state.is_final() { Reason::NotRevertible } else { Reason::JobNotEnded };
    of_job(reason, job, words).with("state", state.word()).into()
}

/// What stood at the targets of the job before cannot be put back; nothing was changed.
#[must_use]
pub fn not_revertible(job: &JobId, why: &str) -> Status {
    let words = format!("{job} cannot be reverted, and nothing was changed: {why}");
    of_job(Reason::NotRevertible, job, words).into()
}

/// What stood at a target of the job before was retired; nothing was changed.
#[must_use]
pub fn retired_versions_gone(
    job: &JobId,
    worker: &WorkerId,
    path: &str,
    earlier: &JobId,
) -> Status {
    let words = format!(
        "{job} cannot be reverted, and nothing was changed: what {earlier} had published at {path} \
         on {worker} before is not kept any more"
    );
    of_job(Reason::RetiredVersionsGone, job, words)
        .with("worker", worker)
        .with("path", path)
        .with("earlier", earlier)
        .into()
}

/// Another job has published since at a target of the job; nothing was changed.
#[must_use]
pub fn replaced_since(job: &JobId, worker: &WorkerId, path: &str, by: &JobId) -> Status {
    let words = format!(
        "{job} cannot be reverted, and nothing was changed: {path} on {worker} shows the output of \
         {by} by now"
    );
    of_job(Reason::NotRevertible, job, words)
        .with("worker", worker)
        .with("path", path)
        .with("replaced_by", by)
        .into()
}

/// A task that puts back is made by a revert, which looks at everything first.
#[must_use]
pub fn reverts_itself(of: &JobId) -> Status {
    let words = format!("only a revert puts back what stood at the targets of {of} before");
    Problem::words(Reason::InvalidSpec, words).with("job", of).into()
}

/// The job is not held.
#[must_use]
pub fn not_paused(job: &JobId) -> Status {
    let words = format!("{job} is not paused");
    of_job(Reason::NotPaused, job, words).into()
}

/// Nobody is asked to approve the job.
#[must_use]
pub fn not_awaiting_approval(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}; it does not wait for an approval", state.word());
    of_job(Reason::NotAwaitingApproval, job, words).with("state", state.word()).into()
}

/// What the job staged is not what was looked at (AIP-154).
#[must_use]
pub fn stale_etag(job: &JobId, etag: &str, given: &str) -> Status {
    let words = format!("what {job} has staged has changed since: it is {etag}, not {given}");
    Problem::words(Reason::StaleEtag, words)
        .with("job", job)
        .with("etag", etag)
        .with("given", given)
        .into()
}

/// A vote on the job, or its decision, is on its way.
#[must_use]
pub fn vote_under_way(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}; it is too late for a dry vote", state.word());
    of_job(Reason::VoteUnderWay, job, words).with("state", state.word()).into()
}

/// No task of the job waits for another attempt, or not this one.
#[must_use]
pub fn nothing_to_retry(job: &JobId, task: Option<&TaskId>) -> Status {
    let words = match task {
        Some(task) => format!("task {task} of {job} does not wait for another attempt"),
        None => format!("no task of {job} waits for another attempt"),
    };
    of_job(Reason::NothingToRetry, job, words).into()
}

/// No round of votes of the job is open, and no decision on its way.
#[must_use]
pub fn no_open_txn(job: &JobId, state: JobState) -> Status {
    let words = format!("{job} is {}; no transaction of it is open", state.word());
    of_job(Reason::NoOpenTxn, job, words).with("state", state.word()).into()
}

/// The coordinator's log is older than what its workers have seen (C6).
#[must_use]
pub fn log_stale() -> Status {
    let words = "this coordinator's log is older than what its workers have seen";
    Problem::words(Reason::LogStale, words).precondition("journal", words).into()
}

/// The worker belongs to another cluster.
#[must_use]
pub fn foreign_cluster(theirs: ClusterId, ours: ClusterId) -> Status {
    let words = format!("the worker belongs to cluster {theirs}, this is {ours}");
    Problem::words(Reason::ForeignCluster, &words)
        .with("theirs", theirs)
        .with("ours", ours)
        .precondition("cluster", words)
        .into()
}

/// A session begins with Hello.
#[must_use]
pub fn hello_expected() -> Status {
    let words = "a session begins with Hello, soon after it is opened";
    Problem::words(Reason::HelloExpected, words).precondition("session", words).into()
}

/// A session has one Hello.
#[must_use]
pub fn hello_repeated() -> Status {
    let words = "a session has one Hello; open another session to introduce another start";
    Problem::words(Reason::HelloExpected, words).precondition("session", words).into()
}

/// There is no such job.
#[must_use]
pub fn job_not_found(job: &JobId) -> Status {
    Problem::words(Reason::JobNotFound, format!("there is no job {job}"))
        .with("job", job)
        .resource("votum.v1.Job", job_name(job))
        .into()
}

/// There is no such task in the job.
#[must_use]
pub fn task_not_found(job: &JobId, task: &TaskId) -> Status {
    Problem::words(Reason::TaskNotFound, format!("{job} has no task {task}"))
        .with("job", job)
        .with("task", task)
        .resource("votum.v1.Task", format_args!("jobs/{job}/tasks/{task}"))
        .into()
}

/// There is no such attempt of the task.
#[must_use]
pub fn attempt_not_found(attempt: &AttemptName) -> Status {
    let words = format!("{}/{} has no attempt {}", attempt.job, attempt.task, attempt.number);
    Problem::words(Reason::AttemptNotFound, words)
        .with("job", &attempt.job)
        .with("task", &attempt.task)
        .with("attempt", attempt.number)
        .resource("votum.v1.Attempt", attempt)
        .into()
}

/// There is no such worker.
#[must_use]
pub fn worker_not_found(worker: &WorkerId) -> Status {
    Problem::words(Reason::WorkerNotFound, format!("there is no worker {worker}"))
        .with("worker", worker)
        .resource("votum.v1.Worker", worker_name(worker))
        .into()
}

/// There is no such worker any more: an operator has deleted it.
#[must_use]
pub fn worker_deleted(worker: &WorkerId) -> Status {
    Problem::words(Reason::WorkerNotFound, format!("worker {worker} was deleted"))
        .with("worker", worker)
        .resource("votum.v1.Worker", worker_name(worker))
        .into()
}

/// The worker does not hold the output.
#[must_use]
pub fn output_not_found(output: impl Display) -> Status {
    Problem::words(Reason::OutputNotFound, format!("the output {output} is not held here"))
        .resource("votum.worker.v1.ArtifactRef", output)
        .into()
}

/// The worker keeps no log of the attempt.
#[must_use]
pub fn log_not_found(attempt: impl Display) -> Status {
    Problem::words(Reason::LogNotFound, format!("no log of {attempt} is kept here"))
        .resource("votum.worker.v1.AttemptRef", attempt)
        .into()
}

/// Another job has the id.
#[must_use]
pub fn job_id_taken(job: &JobId) -> Status {
    Problem::words(Reason::JobIdTaken, format!("the job id {job} is taken"))
        .with("job", job)
        .resource("votum.v1.Job", job_name(job))
        .into()
}

/// The id belonged to a job that has ended and was removed; it is not given out again yet.
#[must_use]
pub fn job_id_spent(job: &JobId, state: JobState) -> Status {
    let words = format!("the job id {job} belonged to a job that {}", state.word());
    Problem::words(Reason::JobIdTaken, format!("{words}; its record was removed since"))
        .with("job", job)
        .with("state", state.word())
        .resource("votum.v1.Job", job_name(job))
        .into()
}

/// The request id was used for another spec.
#[must_use]
pub fn request_id_reused(request: RequestId, job: &JobId) -> Status {
    let words = format!("request {request} was used before with another spec, for job {job}");
    Problem::words(Reason::RequestIdReused, words)
        .with("request", request)
        .with("job", job)
        .resource("votum.v1.Job", job_name(job))
        .into()
}

/// Another installation has the name, connected or not.
#[must_use]
pub fn worker_name_taken(worker: &WorkerId, holder: WorkerUid) -> Status {
    let words = format!(
        "the name {worker} belongs to another installation ({holder}); start this one under \
         another --name, or, if that one is gone for good:  votum worker delete {worker}"
    );
    Problem::words(Reason::WorkerNameTaken, words)
        .with("worker", worker)
        .with("holder", holder)
        .resource("votum.v1.Worker", worker_name(worker))
        .into()
}

/// An operator has removed this installation for good.
#[must_use]
pub fn worker_removed(worker: &WorkerId, uid: WorkerUid, by: &str, reason: &str) -> Status {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let words = format!(
        "{by} has removed this installation ({uid}) of worker {worker} for good{why}; to use the \
         machine again, start the worker with an empty data directory"
    );
    Problem::words(Reason::WorkerRemoved, &words)
        .with("worker", worker)
        .with("uid", uid)
        .precondition(worker_name(worker), words)
        .into()
}

/// Worker and coordinator have no version of the session's protocol in common.
#[must_use]
pub fn protocol_mismatch(
    worker: &WorkerId,
    theirs: Versions,
    ours: Versions,
    behind: Behind,
) -> Status {
    let upgrade = match behind {
        Behind::Worker => "upgrade the worker",
        Behind::Coordinator => "upgrade the coordinator first",
    };
    let words = format!(
        "worker {worker} speaks version {theirs} of the session's protocol, this coordinator \
         {ours}: {upgrade}"
    );
    Problem::words(Reason::ProtocolMismatch, &words)
        .with("worker", worker)
        .with("theirs", theirs)
        .with("ours", ours)
        .precondition(worker_name(worker), words)
        .into()
}

/// The worker is connected, so it is not gone for good.
#[must_use]
pub fn worker_connected(worker: &WorkerId, running: usize, holding: usize) -> Status {
    let left = match (running, holding) {
        (0, 0) => "nothing of an open job is there".to_owned(),
        (running, holding) => {
            format!("it runs {running} attempts and holds staged outputs of {holding} open jobs")
        }
    };
    let words = format!(
        "worker {worker} is connected ({left}); drain it and stop its daemon, then delete it"
    );
    Problem::words(Reason::WorkerConnected, &words)
        .with("worker", worker)
        .with("running", running)
        .with("holding", holding)
        .precondition(worker_name(worker), words)
        .into()
}

/// The commit of some jobs depends on the worker: removing it would decide what it must decide.
#[must_use]
pub fn worker_in_doubt(worker: &WorkerId, jobs: &[JobId]) -> Status {
    let names: Vec<&str> = jobs.iter().take(NAMES_MAX).map(JobId::as_str).collect();
    let more = match jobs.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let words = format!(
        "worker {worker} is part of a vote or a commit that is not over, of {}{more}; bring it \
         back so that it can finish",
        names.join(", ")
    );
    let problem = Problem::words(Reason::WorkerInDoubt, &words)
        .with("worker", worker)
        .with("jobs", names.join(","));
    jobs.iter()
        .take(NAMES_MAX)
        .fold(problem, |problem, job| problem.precondition(job_name(job), &words))
        .into()
}

/// A later start of the daemon, or another session of it, took over.
#[must_use]
pub fn fenced(by: impl Display) -> Status {
    Problem::words(Reason::Fenced, format!("superseded by {by}")).with("by", by).into()
}

/// Recovery is not complete.
#[must_use]
pub fn recovering() -> Status {
    Problem::words(Reason::Recovering, "the coordinator recovers from its journal")
        .retry_after(RETRY_AFTER)
        .into()
}

/// The daemon is going away.
#[must_use]
pub fn shutting_down() -> Status {
    Problem::words(Reason::ShuttingDown, "the daemon is going away").retry_after(RETRY_AFTER).into()
}

/// A worker that is needed cannot be reached.
#[must_use]
pub fn worker_unreachable(worker: &WorkerId) -> Status {
    Problem::words(Reason::WorkerUnreachable, format!("worker {worker} cannot be reached"))
        .with("worker", worker)
        .resource("votum.v1.Worker", worker_name(worker))
        .into()
}

/// As much as is allowed is in progress.
#[must_use]
pub fn quota_exceeded(what: &str, max: impl Display) -> Status {
    Problem::words(Reason::QuotaExceeded, format!("{max} {what} are open, as many as allowed"))
        .with("max", max)
        .into()
}

/// The disk of the coordinator has too little room for another job.
#[must_use]
pub fn storage_low(free: impl Display, reserve: impl Display) -> Status {
    let words = format!(
        "the coordinator takes no job: {free} is free below its data directory, and {reserve} is \
         kept for the jobs that are open"
    );
    Problem::words(Reason::StorageLow, words).with("free", free).with("reserve", reserve).into()
}

/// The read token does not allow it.
#[must_use]
pub fn not_allowed(what: impl Display) -> Status {
    Problem::words(Reason::NotAllowed, format!("the read token does not allow reading {what}"))
        .into()
}

/// The disk failed, or an invariant does not hold; the whole chain of causes is told.
#[must_use]
pub fn internal(error: &dyn std::error::Error) -> Status {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    Problem::words(Reason::Internal, words).into()
}

/// The job is open, so that it cannot be forgotten.
#[must_use]
pub fn job_not_ended(job: &JobId, state: JobState, why: &str) -> Status {
    let word = state.word();
    let words = match why {
        "" => format!("{job} is {word}; only a job that has ended can be deleted"),
        why => format!("{job} is {word}, but still open: {why}"),
    };
    of_job(Reason::JobNotEnded, job, words).with("state", word).into()
}

/// The output is staged, and only who asks for that may read it.
#[must_use]
pub fn output_not_published(output: &OutputId, state: JobState) -> Status {
    let words = format!(
        "{}.{} of {} is not published: the job is {}, and what is staged counts for nobody yet",
        output.task,
        output.output,
        output.job,
        state.word()
    );
    of_job(Reason::OutputNotPublished, &output.job, words).with("output", output).into()
}

/// The output was discarded.
#[must_use]
pub fn output_discarded(output: &OutputId, state: JobState) -> Status {
    let OutputId { job, task, output: name } = output;
    let words = format!("{task}.{name} of {job} was discarded: the job is {}", state.word());
    Problem::words(Reason::OutputNotFound, words)
        .with("output", output)
        .resource("votum.v1.Output", output)
        .into()
}

/// The worker holds the output no longer, or not in a form that can be served.
#[must_use]
pub fn output_not_kept(output: &OutputId, worker: &WorkerId) -> Status {
    let OutputId { job, task, output: name } = output;
    let words = format!(
        "{worker} does not serve {task}.{name} of {job} any more, or has no such file in it; what \
         was published stands at its target as long as nothing replaced it"
    );
    Problem::words(Reason::OutputNotFound, words)
        .with("output", output)
        .with("worker", worker)
        .resource("votum.v1.Output", output)
        .into()
}

/// Begins a refusal that follows from how a job stands.
fn of_job(reason: Reason, job: &JobId, words: String) -> Problem {
    Problem::words(reason, &words).with("job", job).precondition(job_name(job), words)
}

/// The first problem in words, and how many more there are.
fn sentence(found: &[impl Display]) -> String {
    match found {
        [] => "the job is refused".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// So many names stand in a sentence.
const NAMES_MAX: usize = 8;
/// A restart takes about as long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
