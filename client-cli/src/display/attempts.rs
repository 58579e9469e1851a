//! The attempts of tasks that are over: when, where and why each ended.

use std::time::Duration;

use votum_job::{Failure, FailureKind};
use votum_wire::view::{AttemptView, JobView, Outcome, TaskState, TaskView};

use super::{
    amount,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns the ended attempts of every task that took more than one, or whose only one failed;
/// nothing if there is none.
pub(crate) fn table(view: &JobView, paint: Paint) -> String {
    let mut table = Table::new(["ATTEMPT", "WORKER", "STARTED", "ENDED", "ENDING", "BECAUSE"]);
    let mut any = false;
    let mut omitted = String::new();
    for task in view.tasks.iter().filter(|task| is_told(task)) {
        for attempt in &task.attempts {
            let (Some(ended), Some(outcome)) = (attempt.ended, &attempt.outcome) else { continue };
            any = true;
            let (ending, tone) = ending(outcome);
            table.row([
                cell(format!("{}/{}", task.task, attempt.number)),
                cell(attempt.worker.as_str()),
                cell(attempt.started.map_or_else(|| "never".to_owned(), amount::time)),
                cell(amount::time(ended)),
                cell(ending).tone(tone),
                cell(why(outcome)),
            ]);
        }
        if task.omitted_attempts > 0 {
            let attempts = amount::count(task.omitted_attempts.into(), "earlier attempt");
            omitted.push_str(&format!("{}: {attempts} not shown\n", task.task));
        }
    }
    if any { format!("\n{}{omitted}", table.text(paint)) } else { omitted }
}

/// Returns one line for each attempt that has failed since `before`.
///
/// At a first look only the last one is told, of a task that has not got over it.
pub(crate) fn endings(before: Option<&TaskView>, task: &TaskView) -> Vec<String> {
    let mut failed = task.attempts.iter().filter(|attempt| failure(attempt).is_some());
    let open = |before: &TaskView, attempt: &AttemptView| {
        let known = before.attempts.iter().find(|known| known.number == attempt.number);
        known.map_or_else(
            || before.attempts.last().is_none_or(|last| last.number < attempt.number),
            |known| known.ended.is_none(),
        )
    };
    match before {
        Some(before) => failed.filter(|attempt| open(before, attempt)).map(line(task)).collect(),
        None if has_got_over(task) => Vec::new(),
        None => failed.next_back().map(line(task)).into_iter().collect(),
    }
}

/// Returns why the last attempt that is over failed.
pub(crate) fn last_failure(task: &TaskView) -> Option<&Failure> {
    task.attempts.iter().rev().find(|attempt| attempt.ended.is_some()).and_then(failure)
}

/// Returns how long an attempt ran, if it ran and is over.
fn run_time(attempt: &AttemptView) -> Option<Duration> {
    Some(attempt.ended?.since(attempt.started?))
}

fn line(task: &TaskView) -> impl Fn(&AttemptView) -> String {
    move |attempt| {
        let after = run_time(attempt)
            .map_or_else(String::new, |time| format!(" after {}", amount::stopwatch(time)));
        let why = attempt.outcome.as_ref().map(why).unwrap_or_default();
        let (number, worker) = (attempt.number, &attempt.worker);
        format!("attempt {}/{number} on {worker} ended{after}: {why}", task.task)
    }
}

fn is_told(task: &TaskView) -> bool {
    task.tries() > 1 || last_failure(task).is_some() && !stopped_with_its_job(task)
}

/// What never got to fail by itself says nothing that the job's cause does not say.
fn stopped_with_its_job(task: &TaskView) -> bool {
    match task.state {
        TaskState::Cancelled => true,
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Retrying
        | TaskState::Staged
        | TaskState::Prepared
        | TaskState::Committed
        | TaskState::Failed
        | TaskState::Discarded => false,
    }
}

fn has_got_over(task: &TaskView) -> bool {
    match task.state {
        TaskState::Staged
        | TaskState::Prepared
        | TaskState::Committed
        | TaskState::Discarded
        | TaskState::Cancelled => true,
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Retrying
        | TaskState::Failed => false,
    }
}

fn failure(attempt: &AttemptView) -> Option<&Failure> {
    match &attempt.outcome {
        Some(Outcome::Failed(failure)) => Some(failure),
        Some(Outcome::Succeeded) | None => None,
    }
}

fn ending(outcome: &Outcome) -> (&'static str, Tone) {
    let failure = match outcome {
        Outcome::Succeeded => return ("SUCCEEDED", Tone::Good),
        Outcome::Failed(failure) => failure,
    };
    match failure.kind {
        FailureKind::TimedOut | FailureKind::StartTimedOut | FailureKind::Stuck => {
            ("TIMED OUT", Tone::Bad)
        }
        FailureKind::Stopped | FailureKind::Drained => ("STOPPED", Tone::Soft),
        FailureKind::WorkerLost => ("LOST", Tone::Bad),
        FailureKind::ExitCode(_)
        | FailureKind::Signal(_)
        | FailureKind::Unhealthy
        | FailureKind::SpawnFailed
        | FailureKind::SecretUnknown
        | FailureKind::OutputMissing
        | FailureKind::OutputRefused
        | FailureKind::InputUnavailable
        | FailureKind::StorageFailed
        | FailureKind::OutOfMemory
        | FailureKind::DiskFull
        | FailureKind::Interrupted => ("FAILED", Tone::Bad),
    }
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded => "-".to_owned(),
        Outcome::Failed(failure) => failure.message.clone(),
    }
}
