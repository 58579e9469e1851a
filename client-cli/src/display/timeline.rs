//! What changed between two looks at a job, one line per change: for pipes and logs.

use votum_commit::Decision;
use votum_machine::WallTime;
use votum_wire::view::{JobState, JobView, ParticipantView, TaskState, TaskView};

use super::{amount, attempts, job, outcome};

/// Returns a line for everything that `after` knows and `before` did not.
pub(crate) fn changes(before: Option<&JobView>, after: &JobView, now: WallTime) -> Vec<String> {
    let mut lines = Vec::new();
    let known = |task: &TaskView| {
        let before = before?.tasks.iter().find(|known| known.task == task.task)?;
        Some((before.state, before.tries()))
    };
    let before_state = before.map(|before| before.state);
    if before.map(JobView::word) != Some(after.word()) && !after.state.is_final() {
        lines.push(format!("job {} {}", after.job, after.word()));
    }
    for task in &after.tasks {
        let was = known(task);
        let same = was == Some((task.state, task.tries()));
        let earlier = before.and_then(|b| b.tasks.iter().find(|known| known.task == task.task));
        lines.extend(attempts::endings(earlier, task));
        if !same && (before.is_some() || task.state != TaskState::Waiting) {
            lines.push(task_line(task, now));
        }
    }
    for participant in &after.participants {
        let known = before
            .and_then(|before| before.participants.iter().find(|p| p.worker == participant.worker));
        let voted = participant.vote.is_some() && known.is_none_or(|known| known.vote.is_none());
        if voted {
            lines.push(vote_line(participant));
        }
    }
    let decided = before.and_then(|before| before.decision).is_none();
    if let Some(decision) = after.decision.filter(|_| decided) {
        lines.push(match decision {
            Decision::Commit => "decision COMMIT is durable".to_owned(),
            Decision::Abort => "decision ABORT is durable".to_owned(),
        });
    }
    let ended = after.state.is_final() && !before_state.is_some_and(JobState::is_final);
    if let (true, Some(cause)) = (ended, &after.cause) {
        lines.push(format!("because {}", cause.message));
    }
    let at = amount::stopwatch(outcome::elapsed(after, now));
    lines.iter().map(|line| format!("{at:>8}  {line}")).collect()
}

fn task_line(task: &TaskView, now: WallTime) -> String {
    let mut line = format!("task {} {}", task.task, task.state.word());
    if let Some(worker) = task.worker.as_ref().filter(|_| task.state != TaskState::Retrying) {
        line.push_str(&format!(" on {worker}"));
    }
    match task.state {
        TaskState::Staged => {
            line.push_str(&format!(" after {}", job::run_time(task, now)));
            let outputs: Vec<String> = task
                .outputs
                .iter()
                .map(|output| format!("{} {}", output.output, job::size(output)))
                .collect();
            if !outputs.is_empty() {
                line.push_str(&format!(": {}", outputs.join(", ")));
            }
        }
        TaskState::Retrying => {
            if let Some(at) = task.retry_at {
                line.push_str(&format!(" again in {}", amount::stopwatch(at.since(now))));
            }
        }
        TaskState::Starting | TaskState::Running if task.tries() > 1 => {
            line.push_str(&format!(", attempt {}", task.tries()));
        }
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Failed
        | TaskState::Prepared
        | TaskState::Committed
        | TaskState::Cancelled
        | TaskState::Discarded => {}
    }
    line
}

fn vote_line(participant: &ParticipantView) -> String {
    format!("vote {} {}", participant.worker, job::vote_word(participant.vote.as_ref()))
}
