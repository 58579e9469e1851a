//! Many jobs, one line each.

use votum_machine::WallTime;
use votum_wire::view::{JobView, TaskState};

use super::{
    amount,
    paint::Tone,
    progress,
    table::{Table, cell},
};

/// Returns one job as a line that stands for itself: for pipes.
pub(crate) fn line(view: &JobView, now: WallTime) -> String {
    let (done, tasks) = (done(view), view.tasks.len());
    let age = amount::age(now.since(view.created));
    format!("{}  {}  {done}/{tasks}  {age}  {}", view.job, word(view), note(view, NOTE_CHARS))
}

/// Returns the list of jobs; a wide one with everything that is known of each.
pub(crate) fn list(jobs: &[JobView], wide: bool, now: WallTime) -> Table {
    if wide {
        return wide_list(jobs);
    }
    let mut table = Table::new(["JOB", "STATE", "TASKS", "AGE", "BY", "NOTE"]);
    for view in jobs {
        table.row([
            cell(view.job.as_str()),
            cell(word(view)).tone(Tone::of_view(view)),
            cell(format!("{}/{}", done(view), view.tasks.len())).right(),
            cell(amount::age(now.since(view.created))).right(),
            cell(if view.creator.is_empty() { "-" } else { &view.creator }),
            cell(note(view, NOTE_CHARS)),
        ]);
    }
    table
}

fn wide_list(jobs: &[JobView]) -> Table {
    let mut table =
        Table::new(["JOB", "NAME", "STATE", "TASKS", "RECEIVED", "ENDED", "WORKERS", "BY", "NOTE"]);
    for view in jobs {
        let mut workers: Vec<&str> =
            view.tasks.iter().filter_map(|task| Some(task.worker.as_ref()?.as_str())).collect();
        workers.sort_unstable();
        workers.dedup();
        table.row([
            cell(view.job.as_str()),
            cell(&*view.display_name),
            cell(view.word()).tone(Tone::of_view(view)),
            cell(format!("{}/{}", done(view), view.tasks.len())).right(),
            cell(amount::time(view.created)),
            cell(view.ended.map_or_else(|| "-".to_owned(), amount::time)),
            cell(if workers.is_empty() { "-".to_owned() } else { workers.join(",") }),
            cell(if view.creator.is_empty() { "-" } else { &view.creator }),
            cell(note(view, usize::MAX)),
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

fn note(view: &JobView, chars: usize) -> String {
    let told = progress::brief(view).filter(|_| view.cause.is_none());
    let words = view.cause.as_ref().map_or(view.state_message.as_str(), |cause| &cause.message);
    // How far it is says more than that it runs.
    let text = told.map_or_else(|| words.to_owned(), |told| format!("{told}; {words}"));
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= chars {
        line.to_owned()
    } else {
        line.chars().take(chars - 1).chain(['…']).collect()
    }
}

/// A list is read across; the whole of it is told by `show`.
const NOTE_CHARS: usize = 60;
