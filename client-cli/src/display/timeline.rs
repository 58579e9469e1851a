//! What changed between two looks at a job, one line per change: for pipes and logs.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::Decision;
use votum_machine::WallTime;
use votum_wire::view::{JobState, JobView, ParticipantView, TaskState, TaskView};

use super::{amount, attempts, dry_vote, hooks, job, outcome};

/// Returns a line for everything that `after` knows and `before` did not, causes before what
/// follows from them.
pub(crate) fn changes(before: Option<&JobView>, after: &JobView, now: WallTime) -> Vec<String> {
    let mut lines = Vec::new();
    let before_state = before.map(|before| before.state);
    let stands = standing(after);
    if before.map(standing).as_ref() != Some(&stands) && !after.state.is_final() {
        lines.push(format!("job {} {stands}", after.job));
    }
    task_lines(before, after, now, |state| !follows_from_decision(state), &mut lines);
    lines.extend(dry_vote::changes(before, after));
    vote_lines(before, after, &mut lines);
    let undecided = before.is_none_or(|before| before.decision.is_none());
    if let Some(decision) = after.decision.filter(|_| undecided) {
        lines.push(match decision {
            Decision::Commit => "decision COMMIT is durable".to_owned(),
            Decision::Abort => "decision ABORT is durable".to_owned(),
        });
    }
    task_lines(before, after, now, follows_from_decision, &mut lines);
    lines.extend(hooks::changes(before, after));
    let ended = after.state.is_final() && !before_state.is_some_and(JobState::is_final);
    if let (true, Some(cause)) = (ended, &after.cause) {
        lines.push(format!("because {}", cause.message));
    }
    let at = amount::stopwatch(outcome::elapsed(after, now));
    lines.iter().map(|line| format!("{at:>8}  {line}")).collect()
}

/// Says where a job stands, and whom it waits for in line.
fn standing(view: &JobView) -> String {
    match view.state {
        JobState::Queued => format!("{}: {}", view.word(), view.state_message),
        JobState::Received
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Preparing
        | JobState::Committing
        | JobState::Committed
        | JobState::Aborting
        | JobState::Aborted
        | JobState::Quarantined => view.word().to_owned(),
    }
}

/// What a job waits for, each told once, as soon as it has been so for two looks.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// What was seen at the last look, told or not.
    seen: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Waits {
    /// Returns a line for each reason that keeps tasks from getting on, and was not told before.
    pub(crate) fn look(&mut self, view: &JobView, now: WallTime) -> Vec<String> {
        let mut reasons = BTreeMap::<String, (&str, Vec<&str>)>::new();
        // What the job as a whole waits for was told of it.
        let queued = view.state == JobState::Queued;
        for task in view.tasks.iter().filter(|_| !queued) {
            let stands = match task.state {
                TaskState::Ready | TaskState::Starting | TaskState::Running | TaskState::Staged => {
                    true
                }
                // What waits for other tasks, or for its next attempt, was told.
                TaskState::Waiting
                | TaskState::Retrying
                | TaskState::Prepared
                | TaskState::Committed
                | TaskState::Failed
                | TaskState::Cancelled
                | TaskState::Discarded => false,
            };
            let Some(why) = task.waits.as_deref().filter(|_| stands) else { continue };
            let (_, tasks) = reasons.entry(gist(why)).or_insert((why, Vec::new()));
            tasks.push(task.task.as_str());
        }
        let at = amount::stopwatch(outcome::elapsed(view, now));
        let mut lines = Vec::new();
        for (gist, (why, tasks)) in &reasons {
            if self.seen.contains(gist) && self.told.insert(gist.clone()) {
                let more = tasks.len().saturating_sub(TASKS_NAMED_MAX);
                let names = tasks[..tasks.len() - more].join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                lines.push(format!("{at:>8}  waits {names}{more}: {why}"));
            }
        }
        self.seen = reasons.into_keys().collect();
        lines
    }
}

/// Returns what stays of a reason while time goes by and others take their turns.
fn gist(why: &str) -> String {
    let passing = |word: &&str| word.contains('/') || word.bytes().all(|b| b.is_ascii_digit());
    why.split_whitespace().filter(|word| !passing(word)).collect::<Vec<_>>().join(" ")
}

/// Adds what changed of the tasks whose state is wanted.
fn task_lines(
    before: Option<&JobView>,
    after: &JobView,
    now: WallTime,
    wanted: impl Fn(TaskState) -> bool,
    lines: &mut Vec<String>,
) {
    for task in after.tasks.iter().filter(|task| wanted(task.state)) {
        let earlier = before.and_then(|b| b.tasks.iter().find(|known| known.task == task.task));
        lines.extend(attempts::endings(earlier, task));
        let same =
            earlier.is_some_and(|was| was.state == task.state && was.tries() == task.tries());
        if !same && (before.is_some() || task.state != TaskState::Waiting) {
            lines.push(task_line(task, now));
        }
    }
}

fn vote_lines(before: Option<&JobView>, after: &JobView, lines: &mut Vec<String>) {
    for participant in &after.participants {
        let known = before
            .and_then(|before| before.participants.iter().find(|p| p.worker == participant.worker));
        let voted = participant.vote.is_some() && known.is_none_or(|known| known.vote.is_none());
        if voted {
            lines.push(vote_line(participant));
        }
    }
}

fn follows_from_decision(state: TaskState) -> bool {
    match state {
        TaskState::Committed | TaskState::Cancelled | TaskState::Discarded => true,
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Retrying
        | TaskState::Staged
        | TaskState::Prepared
        | TaskState::Failed => false,
    }
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

/// So many tasks are named that wait for the same.
const TASKS_NAMED_MAX: usize = 4;
