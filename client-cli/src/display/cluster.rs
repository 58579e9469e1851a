//! The coordinator and its workers.

use std::fmt::Write as _;

use votum_job::{BACKEND_LABEL, Enforced, RESERVED_LABELS, TASK_USER_LABEL};
use votum_machine::WallTime;
use votum_wire::view::{
    ClusterView, DrainView, IndexState, JobState, QuarantinedStream, WorkerState, WorkerView,
};

use super::{
    amount,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns the list of workers.
pub(crate) fn workers(workers: &[WorkerView], now: WallTime) -> Table {
    let mut table =
        Table::new(["WORKER", "STATE", "TASKS", "FREE", "SEEN", "LABELS", "PUBLISHES BELOW"]);
    for view in workers {
        let seen = view.last_seen.map(|at| amount::age(now.since(at)) + " ago");
        table.row([
            cell(view.worker.as_str()),
            cell(view.state.word()).tone(Tone::of_worker(view.state)),
            cell(format!("{}/{}", view.running.len(), view.slots)).right(),
            cell(view.free_bytes.map_or_else(|| "-".to_owned(), amount::size)).right(),
            cell(seen.unwrap_or_else(|| "-".to_owned())),
            cell(labels(view)),
            cell(view.publish_roots.join(", ")),
        ]);
    }
    table
}

/// Returns everything worth knowing about a worker.
pub(crate) fn worker(view: &WorkerView, now: WallTime) -> Table {
    let mut table = Table::bare();
    let mut line = |label: &str, text: String| {
        table.row([cell(label).tone(Tone::Soft), cell(text)]);
    };
    line("Worker", format!("{}  ({})", view.worker, view.uid));
    line("State", view.state.word().to_owned());
    if let Some(drain) = &view.drain {
        line("Drain", drained(view, drain, now));
    }
    let seen = view.last_seen.map(|at| amount::age(now.since(at)) + " ago");
    line("Last seen", seen.unwrap_or_else(|| "never since the coordinator started".to_owned()));
    line("Version", format!("{}, speaks protocol {}", view.version, view.protocol));
    line("Incarnation", view.incarnation.to_string());
    line("Labels", labels(view));
    line("Limits", limits(view));
    let task_user = view.labels.get(TASK_USER_LABEL).map(String::as_str);
    line("Tasks run as", task_user.unwrap_or("the worker's own user").to_owned());
    line("Artifacts", view.artifact_address.clone());
    line("Publishes", view.publish_roots.join(", "));
    line("Free", view.free_bytes.map_or_else(|| "-".to_owned(), amount::size));
    line("Tasks", format!("{} of {} slots", view.running.len(), view.slots));
    for attempt in &view.running {
        line("", format!("{}/{}/{}", attempt.job, attempt.task, attempt.number));
    }
    if !view.holds.is_empty() {
        let jobs: Vec<&str> = view.holds.iter().map(|job| job.as_str()).collect();
        line("Staged", format!("outputs of {}", jobs.join(", ")));
    }
    for damage in &view.damages {
        line("Damage", format!("its records of {}: {}", damage.job, damage.problem));
    }
    table
}

/// Says what is left on a worker that is drained.
pub(crate) fn left(view: &WorkerView) -> String {
    if view.state == WorkerState::Drained {
        return "nothing of any open job is there: its machine may be switched off".to_owned();
    }
    let runs = match view.running.len() {
        0 => "nothing runs there".to_owned(),
        1 => "1 attempt runs there".to_owned(),
        count => format!("{count} attempts run there"),
    };
    let holds = match view.holds.len() {
        0 => format!("{runs}, nothing of an open job is staged there"),
        1 => format!("{runs}, outputs of 1 open job are staged there"),
        count => format!("{runs}, outputs of {count} open jobs are staged there"),
    };
    if view.keeps.is_empty() {
        return holds;
    }
    let mut jobs: Vec<&str> = view.keeps.iter().map(|job| job.as_str()).collect();
    let rest = jobs.len().saturating_sub(NAMES_MAX);
    jobs.truncate(NAMES_MAX);
    let more = if rest > 0 { format!(" (and {rest} more)") } else { String::new() };
    let jobs = jobs.join(" ");
    format!(
        "{holds}; aborted jobs keep theirs for a rescue, to give that up:  votum cancel {jobs}{more}"
    )
}

fn drained(view: &WorkerView, drain: &DrainView, now: WallTime) -> String {
    let age = amount::age(now.since(drain.ordered));
    let why = if drain.reason.is_empty() { String::new() } else { format!(": {}", drain.reason) };
    let until = match drain.deadline {
        Some(at) if at > now => {
            format!("; what runs is stopped in {}", amount::duration(at.since(now)))
        }
        Some(_) => "; what runs is being stopped".to_owned(),
        None => String::new(),
    };
    format!("ordered by {} {age} ago{why}; {}{until}", drain.by, left(view))
}

fn labels(view: &WorkerView) -> String {
    let pairs: Vec<String> = view
        .labels
        .iter()
        .filter(|(key, _)| !key.starts_with(RESERVED_LABELS))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if pairs.is_empty() { "-".to_owned() } else { pairs.join(" ") }
}

/// Says what a worker can limit, and by which means.
fn limits(view: &WorkerView) -> String {
    let can = |limit: Enforced| view.labels.contains_key(&limit.label().0);
    let kinds = [
        (can(Enforced::Cpu), "cpu"),
        (can(Enforced::Memory), "memory"),
        (can(Enforced::Processes), "processes"),
        // Measured by the worker itself, whatever its machine has.
        (true, "disk"),
    ];
    let kinds: Vec<&str> =
        kinds.into_iter().filter(|(can, _)| *can).map(|(_, kind)| kind).collect();
    let backend = view.labels.get(BACKEND_LABEL).map_or("unknown", String::as_str);
    format!("{} (by {backend})", kinds.join(", "))
}

/// Returns the cluster on one screen; `cases` says how many wait for a person.
pub(crate) fn status(
    view: &ClusterView,
    cases: &str,
    address: &str,
    now: WallTime,
    paint: Paint,
) -> String {
    let mut table = Table::bare();
    let address = address.trim_start_matches("http://");
    let up = amount::age(now.since(view.started));
    table.row([
        cell("coordinator").tone(Tone::Soft),
        cell(format!("{address}  v{}  epoch {}  up {up}", view.version, view.epoch)),
    ]);
    table.row([cell("workers").tone(Tone::Soft), cell(worker_counts(view))]);
    table.row([cell("open jobs").tone(Tone::Soft), cell(job_counts(view))]);
    table.row([cell("cases").tone(Tone::Soft), cell(cases)]);
    table.row([
        cell("journal").tone(Tone::Soft),
        cell(format!(
            "{} forced records in {} syncs, {} written, index {}",
            view.journal.forced_records,
            view.journal.syncs,
            amount::size(view.journal.bytes),
            index(view.index),
        )),
    ]);
    let mut out = table.text(paint);
    if view.log_stale {
        let words = "this coordinator's log may lack decisions; nothing is decided from it until \
                     a person has settled that:  votum case list";
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{} {words}", paint.text(Tone::Bad, "STALE LOG"));
    }
    for QuarantinedStream { stream, problem } in &view.quarantined {
        let word = paint.text(Tone::Bad, "QUARANTINED");
        let _ = writeln!(out, "{word} {stream}: {problem}");
    }
    let jobs = view.jobs.get(&JobState::Quarantined).copied().unwrap_or(0);
    if jobs > 0 {
        let _ = writeln!(out, "  which jobs, and why:  votum list --state quarantined");
    }
    out
}

fn worker_counts(view: &ClusterView) -> String {
    let ready = view.workers.get(&WorkerState::Ready).copied().unwrap_or(0);
    let others =
        view.workers.iter().filter(|(state, count)| **state != WorkerState::Ready && **count > 0);
    others.fold(format!("{ready} ready"), |words, (state, count)| {
        words + &format!(", {count} {}", state.word().to_lowercase())
    })
}

fn job_counts(view: &ClusterView) -> String {
    let counts: Vec<String> = JobState::ALL
        .iter()
        .filter_map(|state| {
            view.jobs.get(state).filter(|count| **count > 0).map(|count| (state, count))
        })
        .map(|(state, count)| format!("{count} {}", state.word().to_lowercase().replace('_', " ")))
        .collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let counts = match view.kept {
        0 => counts,
        1 => format!("{counts} (1 aborted job keeps what it staged)"),
        kept => format!("{counts} ({kept} aborted jobs keep what they staged)"),
    };
    match view.mixed {
        0 => counts,
        mixed => format!("{counts}; {mixed} MIXED, those that are closed included"),
    }
}

fn index(state: IndexState) -> String {
    state.word().to_lowercase().replace('_', " ")
}

/// Most names in one sentence.
const NAMES_MAX: usize = 4;
