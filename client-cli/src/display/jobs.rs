//! Many jobs, one line each.

use votum_machine::WallTime;
use votum_wire::view::{JobView, TaskState};

use super::{
    amount,
    paint::Tone,
    progress,
    table::{Table, cell},
};

/// Returns the list of jobs.
pub(crate) fn list(jobs: &[JobView], now: WallTime) -> Table {
    let mut table = Table::new(["JOB", "STATE", "TASKS", "AGE", "BY", "NOTE"]);
    for view in jobs {
        table.row([
            cell(view.job.as_str()),
            cell(word(view)).tone(Tone::of_view(view)),
            cell(format!("{}/{}", done(view), view.tasks.len())).right(),
            cell(amount::age(now.since(view.created))).right(),
            cell(if view.creator.is_empty() { "-" } else { &view.creator }),
            cell(note(view)),
        ]);
    }
    table
}

/// Returns the word for where a job stands, short enough for a list.
fn word(view: &JobView) -> &'static str {
    match view.word() {
        "AWAITING_APPROVAL" => "AWAITING",
        word => word,
    }
}

/// Counts the tasks that need not run again.
fn done(view: &JobView) -> usize {
    let is_done = |state: TaskState| match state {
        TaskState::Staged | TaskState::Prepared | TaskState::Committed | TaskState::Discarded => {
            true
        }
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Retrying
        | TaskState::Failed
        | TaskState::Cancelled => false,
    };
    view.tasks.iter().filter(|task| is_done(task.state)).count()
}

fn note(view: &JobView) -> String {
    let told = progress::brief(view).filter(|_| view.cause.is_none());
    let words = view.cause.as_ref().map_or(view.state_message.as_str(), |cause| &cause.message);
    // How far it is says more than that it runs.
    let text = told.map_or_else(|| words.to_owned(), |told| format!("{told}; {words}"));
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= NOTE_CHARS {
        line.to_owned()
    } else {
        line.chars().take(NOTE_CHARS - 1).chain(['…']).collect()
    }
}

/// A list is read across; the whole of it is told by `show`.
const NOTE_CHARS: usize = 60;
