//! What people are shown of a task: its attempts, and what it staged.

use votum_commit::Decision;
use votum_ids::{TaskId, WorkerId};
use votum_job::{Comeback, Failure, FailureKind, JobSpec, StagedOutput};
use votum_machine::WallTime;
use votum_schedule::{Attempt, TaskStanding};
use votum_wire::view::{
    AttemptView, CheckpointView, Outcome, OutputView, ReportView, TaskState, TaskView,
};

use crate::view::fate::Fate;

/// Shows one task of a job.
pub(super) fn shown_task(
    anchor: WallTime,
    spec: &JobSpec,
    task: votum_schedule::TaskView,
    fate: &Fate,
) -> TaskView {
    let last = task.attempts.last().map(|attempt| attempt.worker.clone());
    let worker = task.worker.or(last);
    let outputs = match &worker {
        Some(worker) => task
            .outputs
            .iter()
            .map(|output| shown_output(spec, &task.task, worker, output, fate))
            .collect(),
        None => Vec::new(),
    };
    let standing = match task.attempts.last() {
        // What was stopped because the job aborts did not fail.
        Some(last) if fate.decision == Some(Decision::Abort) && was_stopped(last) => {
            TaskStanding::Cancelled
        }
        Some(_) | None => task.state,
    };
    TaskView {
        state: fate.task_state(standing, worker.as_ref()),
        attempts: task.attempts.into_iter().map(shown_attempt).collect(),
        omitted_attempts: 0,
        outputs,
        retry_at: task.retry_at.map(|moment| anchor.at(moment)),
        report: task.report.map(|told| ReportView {
            report: told.report,
            at: told.at,
            rate: told.rate,
            end: told.end.map(|moment| anchor.at(moment)),
        }),
        checkpoint: task.checkpoint.map(|known| CheckpointView {
            sequence: known.id.sequence,
            steps: known.steps,
            recorded: known.recorded,
            bytes: known.bytes,
            workers: known.holders.into_keys().collect(),
        }),
        // What is decided waits for nothing that the scheduler knows.
        waits: task.waits.filter(|_| fate.decision.is_none()),
        task: task.task,
        worker,
    }
}

fn was_stopped(attempt: &Attempt) -> bool {
    let stopped = |failure: &Failure| failure.kind == FailureKind::Stopped;
    matches!(&attempt.outcome, votum_schedule::Outcome::Failed { failure, .. } if stopped(failure))
}

fn shown_output(
    spec: &JobSpec,
    task: &TaskId,
    worker: &WorkerId,
    output: &StagedOutput,
    fate: &Fate,
) -> OutputView {
    let declared = spec.tasks.get(task).and_then(|spec| spec.outputs.get(&output.name));
    let target = declared.and_then(|declared| declared.publish.as_ref());
    OutputView {
        output: output.name.clone(),
        worker: worker.clone(),
        state: fate.output_state(worker, target.is_some()),
        files: output.files,
        bytes: output.bytes,
        digest: output.digest,
        publish_path: target.map(|target| target.path.clone()),
    }
}

fn shown_attempt(attempt: Attempt) -> AttemptView {
    let since = comeback(&attempt);
    let failed = |kind, message: &str| {
        let (message, stderr_tail) = (format!("{message}{since}"), String::new());
        Some(Outcome::Failed(Failure { kind, message, stderr_tail }))
    };
    let (outcome, usage) = match attempt.outcome {
        votum_schedule::Outcome::Live => (None, None),
        votum_schedule::Outcome::Sealed { usage, .. } => (Some(Outcome::Succeeded), Some(usage)),
        votum_schedule::Outcome::Failed { failure, usage } => {
            (Some(Outcome::Failed(failure)), Some(usage))
        }
        votum_schedule::Outcome::Lost => {
            (failed(FailureKind::WorkerLost, "its worker was lost"), None)
        }
        votum_schedule::Outcome::Superseded => {
            (failed(FailureKind::Stopped, "what it read was made again differently"), None)
        }
    };
    AttemptView {
        number: attempt.number,
        worker: attempt.worker,
        token: attempt.id.token,
        started: attempt.started,
        ended: attempt.ended,
        outcome,
        usage,
    }
}

/// Says what an attempt that was given up did meanwhile, once its worker has told.
fn comeback(attempt: &Attempt) -> String {
    let Some((at, comeback)) = attempt.comeback else { return String::new() };
    let wait = attempt.ended.map_or(0, |ended| at.since(ended).as_secs());
    let what = match comeback {
        Comeback::Running => "while it still ran; ended and discarded",
        Comeback::Sealed => "with sealed outputs; discarded",
        Comeback::Failed => "without success; discarded",
    };
    format!("; returned after {wait} s {what}")
}

/// Shows how far a task has come before any decision.
pub(super) fn word(standing: TaskStanding) -> TaskState {
    match standing {
        TaskStanding::Waiting => TaskState::Waiting,
        TaskStanding::Ready => TaskState::Ready,
        TaskStanding::Starting => TaskState::Starting,
        TaskStanding::Running => TaskState::Running,
        TaskStanding::Retrying => TaskState::Retrying,
        TaskStanding::Staged => TaskState::Staged,
        TaskStanding::Failed => TaskState::Failed,
        TaskStanding::Cancelled => TaskState::Cancelled,
    }
}
