//! The log lines about jobs: one when something of a job changes that an operator looks for.
//!
//! They are for people, and prove nothing: the journal does. Receipt and commit are told when
//! they are durable; an abort and the end of an attempt when they are written, which is up to
//! 100 ms before.

use votum_commit::{CoordinatorRecord, Decision};
use votum_ids::{AttemptId, JobId, TxnId};
use votum_job::AttemptEnd;

use crate::{
    action::{Action, Answer},
    engine::Engine,
    metrics::stable_word,
    record::{Closing, JobRecord},
};

/// Tells what a record says; `engine` has taken the step that made it.
pub(crate) fn recorded(engine: &Engine, record: &JobRecord) {
    use votum_schedule::Record as Noted;
    if let Some(Noted::Assigned { attempt, worker, number, .. }) = &record.schedule {
        tracing::debug!(%attempt, %worker, number, "assigned");
    }
    if let Some(Noted::Ended { attempt, end, .. }) = &record.schedule {
        ended(engine, attempt, end);
    }
    if let Some(Noted::Lost { worker, attempts, .. }) = &record.schedule {
        for attempt in attempts {
            tracing::warn!(%attempt, %worker, "an attempt is lost with its worker");
        }
    }
    if let Some(CoordinatorRecord::Aborting { job, cause }) = &record.commit {
        tracing::info!(%job, cause = &*stable_word(&cause.reason), "aborts");
    }
}

/// Tells that a job is over.
pub(crate) fn over(closing: &Closing) {
    let outcome = match closing.decision {
        Decision::Commit => "COMMITTED",
        Decision::Abort => "ABORTED",
    };
    tracing::info!(job = %closing.job, outcome, "over");
}

/// Tells that a commit is decided, durably.
pub(crate) fn committed(txn: &TxnId) {
    tracing::info!(job = %txn.job, %txn, decision = "COMMIT", "decided");
}

/// Tells of a job that is received durably, if that is what an answer says.
pub(crate) fn answered(action: &Action) {
    if let Action::Reply {
        answer:
            Answer::Received { job, duplicate: false }
            | Answer::Rescued { job: Some(job), duplicate: false, .. },
        ..
    } = action
    {
        received(&job.job);
    }
}

fn received(job: &JobId) {
    tracing::info!(%job, "received");
}

fn ended(engine: &Engine, attempt: &AttemptId, end: &AttemptEnd) {
    let worker = engine.worker_of(attempt).map(|worker| worker.to_string()).unwrap_or_default();
    match end {
        AttemptEnd::Sealed { .. } => tracing::debug!(%attempt, worker, "an attempt is staged"),
        AttemptEnd::Failed { failure, .. } => {
            tracing::warn!(%attempt, worker, reason = failure.kind.reason(), "an attempt failed");
        }
    }
}
