//! One sentence about a job: what it does, or what it waits for and why.

use std::fmt::Display;

use votum_commit::{Decision, Forced};
use votum_ids::WorkerId;
use votum_machine::Moment;
use votum_schedule::{AHEAD_COUNTED_MAX, Scheduler, WorkerState};
use votum_wire::{
    ForcedKind, ForcedView, PauseOrigin, PauseView,
    view::{JobState, JobView, ParticipantView, QueueView, TaskState},
};

use crate::{
    quarantine::Quarantined,
    record::{Ruled, Ruling},
    view,
};

/// Returns the sentence.
pub(crate) fn of(now: Moment, view: &JobView, scheduler: &Scheduler) -> String {
    match view.state {
        JobState::Received | JobState::Queued | JobState::Running | JobState::AwaitingApproval
            if view.pause.is_some() =>
        {
            paused(now, view, scheduler)
        }
        JobState::Queued => queued(view),
        JobState::AwaitingApproval => awaiting(now, view, scheduler),
        JobState::Received | JobState::Running => running(now, view, scheduler),
        JobState::Preparing => {
            let silent = view.participants.iter().filter(|one| one.vote.is_none());
            let silent = listed(silent.map(|one| &one.worker));
            if silent.is_empty() { "counts votes".to_owned() } else { waits_for_votes(&silent) }
        }
        JobState::Committing => {
            let missing = view.participants.iter().filter(|one| !one.acknowledged);
            let forced =
                |one: &&&ParticipantView| view.mixed().any(|forced| forced.worker == one.worker);
            let missing: Vec<_> = missing.filter(|one| !forced(&one)).collect();
            let missing = missing.iter().map(|one| absence(now, &one.worker, scheduler));
            let waits = format!("commit is decided and stands; waits for {}", listed(missing));
            match listed(view.mixed().map(without)).as_str() {
                "" => waits,
                names => format!("{waits}; without {names}"),
            }
        }
        JobState::Committed => {
            let (outputs, workers) = view::job::published(view);
            let visible = match outputs {
                0 => "committed; it publishes nothing".to_owned(),
                1 => format!("1 output became visible on {}", listed(workers)),
                _ => format!("{outputs} outputs became visible on {}", listed(workers)),
            };
            let visible = if outputs == 0 && view.is_mixed() {
                "no output is visible".to_owned()
            } else {
                visible
            };
            let published = |forced: &&ForcedView| forced.kind == ForcedKind::Committed;
            let (alone, missing): (Vec<_>, Vec<_>) = view.mixed().partition(published);
            let missing = listed(missing.into_iter().map(without));
            let missing = if missing.is_empty() { missing } else { format!("without {missing}") };
            [missing, by_force(alone), visible]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("; ")
        }
        JobState::Aborting => {
            let alive = |state| matches!(state, TaskState::Starting | TaskState::Running);
            let alive = view.tasks.iter().filter(|task| alive(task.state));
            let alive = listed(alive.map(|task| &task.task));
            if alive.is_empty() { cause(view) } else { format!("{}; stops {alive}", cause(view)) }
        }
        JobState::Aborted if view.kept_until.is_some() => {
            format!("{}; what was staged is kept, invisible, for a rescue", cause(view))
        }
        JobState::Aborted if view.kept_release.is_some() => {
            format!("{}; what was staged was kept for a rescue, and given up", cause(view))
        }
        JobState::Aborted if view.is_mixed() => {
            format!("{}; {}", cause(view), by_force(view.mixed().collect()))
        }
        JobState::Aborted => format!("{}; nothing became visible on any worker", cause(view)),
        // Its sentence is made where its records are known.
        JobState::Quarantined => view.state_message.clone(),
    }
}

/// Names who does not publish, and why.
fn without(forced: &ForcedView) -> String {
    match forced.kind {
        ForcedKind::GivenUp => format!("{}, given up", forced.worker),
        ForcedKind::Aborted => format!("{}, where an abort was forced", forced.worker),
        ForcedKind::Committed => format!("{}, which published by force", forced.worker),
    }
}

/// Names who has published what was not decided.
fn by_force(forced: Vec<&ForcedView>) -> String {
    if forced.is_empty() {
        return String::new();
    }
    let names = listed(forced.into_iter().map(|forced| &forced.worker));
    format!("outputs are visible on {names} that a person made it publish")
}

/// Says what a person has ruled about a job of which the log does not tell enough.
pub(crate) fn of_ruling(ruling: &Ruling) -> String {
    let Forced { by, reason, .. } = &ruling.forced;
    let what = match ruling.ruled {
        Ruled::Commit => "settled as committed",
        Ruled::Abort => "settled as aborted",
        Ruled::Resume => "let go on",
    };
    format!("{what} by {by}: {reason}")
}

/// Returns the sentence about a job whose records cannot all be read.
pub(crate) fn of_quarantined(quarantined: &Quarantined, view: &JobView) -> String {
    let problem = match &quarantined.open {
        Some(_) => quarantined.problem(),
        None => "what was submitted is not known".to_owned(),
    };
    if let Some(ruling) = &quarantined.ruling {
        return format!("{}; {problem}", of_ruling(&ruling.record));
    }
    let problem = quarantined.problem();
    if quarantined.closed {
        return format!("{problem}; the job had ended before");
    }
    let Some(decision) = view.decision else {
        return format!("{problem}; nothing of it is run, decided or discarded");
    };
    match decision {
        Decision::Commit => {
            let missing = view.participants.iter().filter(|one| !one.acknowledged);
            let missing = listed(missing.map(|one| &one.worker));
            if missing.is_empty() {
                format!("{problem}; its commit can, and every participant has applied it")
            } else {
                format!("{problem}; its commit can, and is delivered: waits for {missing}")
            }
        }
        Decision::Abort => format!("{problem}; its abort can, but nothing is discarded"),
    }
}

fn paused(now: Moment, view: &JobView, scheduler: &Scheduler) -> String {
    let why = |PauseView { by, reason, origin, .. }: &PauseView| match origin {
        PauseOrigin::Exhausted => format!("paused: {reason}"),
        PauseOrigin::Asked if reason.is_empty() => format!("paused by {by}"),
        PauseOrigin::Asked => format!("paused by {by}: {reason}"),
    };
    let mut parts: Vec<String> = view.holds().map(why).collect();
    parts.push(match view.state {
        JobState::Queued => queued(view),
        JobState::AwaitingApproval => awaiting(now, view, scheduler),
        JobState::Received
        | JobState::Running
        | JobState::Preparing
        | JobState::Committing
        | JobState::Committed
        | JobState::Aborting
        | JobState::Aborted
        | JobState::Quarantined => running(now, view, scheduler),
    });
    parts.join("; ")
}

/// Says who has the key that a job waits for, and how many wait before it.
fn queued(view: &JobView) -> String {
    let Some(QueueView { key, holder, ahead }) = &view.queue else {
        return "has its concurrency key next".to_owned();
    };
    let Some(holder) = holder else { return format!("has the key {key} next") };
    let before = match ahead {
        0 => String::new(),
        1 => "; 1 waits before it".to_owned(),
        _ if *ahead >= AHEAD_COUNTED_MAX => format!("; {ahead} or more wait before it"),
        _ => format!("; {ahead} wait before it"),
    };
    format!("waits for {holder}, which holds the key {key}{before}")
}

fn awaiting(now: Moment, view: &JobView, scheduler: &Scheduler) -> String {
    let deadline = scheduler.summary(&view.job).and_then(|summary| summary.deadline);
    let rest = deadline.map(|end| format!(", {} left", span(end.since(now).as_secs())));
    let away = view.tasks.iter().filter_map(|task| Some((&task.task, task.waits.as_ref()?)));
    let away = listed(away.map(|(task, waits)| format!("{task}: {waits}")));
    [format!("waits for an approval{}", rest.unwrap_or_default()), away, obstacles(view)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Names what the last dry vote has found, if it has.
fn obstacles(view: &JobView) -> String {
    let Some(last) = view.dry_vote.as_ref().filter(|last| !last.is_clean()) else {
        return String::new();
    };
    let found = last.findings.iter().map(|found| format!("{} on {}", found.reason, found.worker));
    format!("the dry vote found {}", listed(found))
}

fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn running(now: Moment, view: &JobView, scheduler: &Scheduler) -> String {
    let tasks = scheduler.job(now, &view.job).map(|job| job.tasks).unwrap_or_default();
    let staged = view.tasks.iter().filter(|task| task.state == TaskState::Staged).count();
    let active = view
        .tasks
        .iter()
        .filter(|task| matches!(task.state, TaskState::Starting | TaskState::Running));
    let active = listed(active.map(|task| {
        let worker = task.worker.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} on {worker}", task.task)
    }));
    // What is held has one reason, and that was said. What waits for other tasks is no news; a
    // live one that cannot be heard is.
    let waiting = tasks
        .into_iter()
        .filter(|_| view.pause.is_none())
        .filter(|task| task.state != votum_schedule::TaskStanding::Waiting);
    let waiting = listed(
        waiting.filter_map(|task| task.waits.map(|waits| format!("{}: {waits}", task.task))),
    );
    let progress = format!("{staged} of {} tasks staged", view.tasks.len());
    let gated = view.spec.as_ref().is_some_and(|spec| spec.approval.is_some());
    // It was given, or is asked for as soon as nothing stands in the way of the vote.
    let lacks = gated && view.approval.as_ref().is_none_or(|asked| asked.given.is_none());
    let gate = if lacks && staged == view.tasks.len() {
        "asks for an approval once a dry vote has passed".to_owned()
    } else {
        String::new()
    };
    [progress, runs(&active), waiting, gate, obstacles(view)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn runs(active: &str) -> String {
    if active.is_empty() { String::new() } else { format!("runs {active}") }
}

fn waits_for_votes(silent: &str) -> String {
    format!("waits for the votes of {silent}")
}

/// Names a worker that has not published, and what is known about it.
fn absence(now: Moment, name: &WorkerId, scheduler: &Scheduler) -> String {
    let Some(worker) = scheduler.worker(name) else {
        return format!("{name}, which is not known any more");
    };
    let silent = now.since(worker.heard).as_secs();
    match worker.state {
        WorkerState::Ready
        | WorkerState::Draining
        | WorkerState::Drained
        | WorkerState::Reconciling => format!("{name} to publish"),
        WorkerState::Suspect => format!("{name}, which is suspect (silent for {silent} s)"),
        WorkerState::Absent => format!("{name}, which is not connected (silent for {silent} s)"),
        WorkerState::Lost => {
            format!("{name}, which voted Yes and is lost (silent for {silent} s)")
        }
    }
}

fn cause(view: &JobView) -> String {
    match &view.cause {
        Some(cause) => cause.message.clone(),
        None => "aborted".to_owned(),
    }
}

/// Joins a few names and counts the rest.
fn listed(names: impl IntoIterator<Item = impl Display>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names.len().min(NAMES_MAX);
    let rest = names.len() - shown;
    let mut text = names[..shown].join(", ");
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}

/// Most names in one sentence.
const NAMES_MAX: usize = 4;
