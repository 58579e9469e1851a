//! A job as a picture that is drawn again and again while it runs.

use std::collections::BTreeMap;

use votum_job::{Graph, WHOLE};
use votum_machine::WallTime;
use votum_wire::view::{JobView, TaskState, TaskView};

use super::{
    attempts, hooks, job, outcome,
    paint::{Paint, Tone},
    progress,
    table::{Table, cell},
};
use crate::display::amount;

/// How large the terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// In lines.
    pub height: usize,
    /// In characters.
    pub width: usize,
}

/// Returns the picture, never higher than the terminal; tasks beyond it are counted.
pub(crate) fn picture(view: &JobView, now: WallTime, size: Size, paint: Paint) -> Vec<String> {
    let mut lines = vec![head(view, now, paint)];
    let beside = LINES_BESIDE_TASKS + usize::from(!view.hooks.is_empty());
    let room = size.height.saturating_sub(beside).max(1);
    let mut table = Table::bare().indented(2);
    let folded = view.tasks.len() > room;
    if folded {
        lines.push(format!("  {}", counts(&view.tasks, paint)));
    }
    let places = places(view, folded);
    for task in in_order(chosen(view, room), &places) {
        let place = places.get(task.task.as_str());
        let deep = place.map_or(0, |place| place.level.min(INDENTS_MAX));
        table.row([
            cell(format!("{}{}", "  ".repeat(deep), task.task)),
            cell(bar(task, now)).tone(Tone::of_task(task.state)),
            cell(task.state.word()).tone(Tone::of_task(task.state)),
            cell(task.worker.as_ref().map_or("", |worker| worker.as_str())),
            cell(job::run_time(task, now)).right(),
            cell(last(note(view, task, now), place)).tone(Tone::Soft),
        ]);
    }
    lines.extend(table.lines(paint));
    if let Some(votes) = job::votes(view) {
        lines.push(format!("  {}  {votes}", paint.text(Tone::Soft, "votes")));
    } else if !view.state_message.is_empty() && !view.state.is_final() {
        lines.push(format!("  {}", paint.text(Tone::Soft, &view.state_message)));
    }
    if let Some(hooks) = hooks::brief(view, paint) {
        lines.push(format!("  {}  {hooks}", paint.text(Tone::Soft, "then")));
    }
    lines.into_iter().map(|line| cut(&line, size.width)).collect()
}

/// Where a task stands in the graph.
struct Place {
    /// What stands on one level waits for nothing on it.
    level: usize,
    /// Among all tasks, every one behind those that it waits for.
    position: usize,
    /// What it waits for, in words.
    after: String,
}

/// Finds where each task stands in the graph; nothing if not everything is drawn anyway.
fn places(view: &JobView, folded: bool) -> BTreeMap<String, Place> {
    let spec = view.spec.as_deref().filter(|_| !folded);
    let Some(graph) = spec.and_then(|spec| Graph::check(spec).ok()) else {
        return BTreeMap::new();
    };
    let levels = graph.levels().iter().enumerate();
    let tasks = levels.flat_map(|(level, tasks)| tasks.iter().map(move |&task| (level, task)));
    let place = |(position, (level, task)): (usize, (usize, usize))| {
        let names: Vec<&str> =
            graph.predecessors(task).iter().map(|&before| graph.name(before).as_str()).collect();
        let after = match names.as_slice() {
            [] => String::new(),
            [one, two, _, ..] => format!("← {one}, {two} and {} more", names.len() - 2),
            [..] => format!("← {}", names.join(", ")),
        };
        (graph.name(task).to_string(), Place { level, position, after })
    };
    tasks.enumerate().map(place).collect()
}

/// Ends a line with what the task waits for, in the graph.
fn last(note: String, place: Option<&Place>) -> String {
    let after = place.map_or("", |place| place.after.as_str());
    match (note.as_str(), after) {
        (_, "") => note,
        ("" | "-", after) => after.to_owned(),
        (note, after) => format!("{note}  {after}"),
    }
}

/// Draws a task below those that it waits for.
fn in_order<'a>(
    tasks: impl Iterator<Item = &'a TaskView>,
    places: &BTreeMap<String, Place>,
) -> Vec<&'a TaskView> {
    let mut tasks: Vec<&TaskView> = tasks.collect();
    tasks.sort_by_key(|task| places.get(task.task.as_str()).map_or(0, |place| place.position));
    tasks
}

fn head(view: &JobView, now: WallTime, paint: Paint) -> String {
    let name = paint.text(Tone::Strong, view.job.as_str());
    let state = paint.text(Tone::of_view(view), view.word());
    format!("{name}  {state}  {}", amount::stopwatch(outcome::elapsed(view, now)))
}

/// Chooses what is shown when not everything fits: what runs or went wrong.
fn chosen(view: &JobView, room: usize) -> impl Iterator<Item = &TaskView> {
    let folded = view.tasks.len() > room;
    let is_interesting = move |task: &&TaskView| match task.state {
        TaskState::Starting | TaskState::Running | TaskState::Retrying | TaskState::Failed => true,
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Staged
        | TaskState::Prepared
        | TaskState::Committed
        | TaskState::Cancelled
        | TaskState::Discarded => !folded,
    };
    view.tasks.iter().filter(is_interesting).take(if folded { room - 1 } else { room })
}

fn counts(tasks: &[TaskView], paint: Paint) -> String {
    let mut counts: BTreeMap<TaskState, usize> = BTreeMap::new();
    for task in tasks {
        *counts.entry(task.state).or_default() += 1;
    }
    let words: Vec<String> = counts
        .into_iter()
        .map(|(state, count)| {
            paint.text(Tone::of_task(state), &format!("{count} {}", state.word()))
        })
        .collect();
    format!("{} tasks: {}", tasks.len(), words.join("  "))
}

/// Returns how far a task is in its life, or in its work if it says so; while it runs and
/// says nothing, a light wanders.
fn bar(task: &TaskView, now: WallTime) -> String {
    let filled = match task.state {
        TaskState::Waiting | TaskState::Ready | TaskState::Cancelled => 0,
        TaskState::Starting => 2,
        TaskState::Running | TaskState::Retrying => match progress::millionths(task) {
            Some(millionths) => usize::try_from(millionths).unwrap_or(0) * BAR_CHARS / WHOLE_BAR,
            None => return light(now),
        },
        TaskState::Staged => BAR_CHARS - 4,
        TaskState::Prepared => BAR_CHARS - 2,
        TaskState::Committed => BAR_CHARS,
        TaskState::Failed | TaskState::Discarded => 0,
    };
    "█".repeat(filled) + &"░".repeat(BAR_CHARS - filled)
}

fn light(now: WallTime) -> String {
    let step = usize::try_from(now.0 / LIGHT_STEP_MS).unwrap_or(0);
    let room = BAR_CHARS - LIGHT_CHARS;
    let phase = step % (2 * room);
    let start = if phase < room { phase } else { 2 * room - phase };
    "░".repeat(start) + &"█".repeat(LIGHT_CHARS) + &"░".repeat(room - start)
}

fn note(view: &JobView, task: &TaskView, now: WallTime) -> String {
    let told = progress::told(task).map(|told| progress::line(told, now)).unwrap_or_default();
    let told: Vec<String> = [job::step(view, task), Some(told)]
        .into_iter()
        .flatten()
        .filter(|s| !s.is_empty())
        .collect();
    if !told.is_empty() {
        return told.join("  ");
    }
    let outputs: Vec<String> = task.outputs.iter().map(job::size).collect();
    if !outputs.is_empty() {
        return outputs.join(", ");
    }
    let why = attempts::last_failure(task).map(|failure| failure.message.as_str());
    match (task.state, task.tries(), why) {
        (TaskState::Retrying, _, Some(why)) => match task.retry_at {
            Some(at) => format!("again in {}: {why}", amount::stopwatch(at.since(now))),
            None => why.to_owned(),
        },
        (_, tries, Some(why)) if tries > 1 => format!("attempt {tries}, since {why}"),
        (_, 0 | 1, _) => String::new(),
        (_, tries, _) => format!("attempt {tries}"),
    }
}

/// Cuts a line to the terminal's width; colours take no room.
fn cut(line: &str, width: usize) -> String {
    let mut out = String::new();
    let mut seen = 0;
    let mut in_colour = false;
    for c in line.chars() {
        if c == '\x1b' {
            in_colour = true;
        }
        if in_colour {
            in_colour = c != 'm';
        } else if seen == width {
            continue;
        } else {
            seen += 1;
        }
        out.push(c);
    }
    out
}

/// Deeper levels are not moved further.
const INDENTS_MAX: usize = 6;
/// The head, the votes, the shell's own line and one for air.
const LINES_BESIDE_TASKS: usize = 4;
const BAR_CHARS: usize = 22;
/// What a full bar stands for, in millionths.
const WHOLE_BAR: usize = WHOLE as usize;
const LIGHT_CHARS: usize = 4;
const LIGHT_STEP_MS: u64 = 120;
