//! What a decision leaves to do: effects, compensations, and how they get on.

use votum_machine::WallTime;
use votum_wire::{HookKind, HookState, HookView, JobView, TrialOutcome};

use super::{
    amount, forced,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns a table of everything that the decision leaves to do; empty if that is nothing.
pub(crate) fn table(view: &JobView, now: WallTime, paint: Paint) -> String {
    if view.hooks.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["AFTERWARDS", "KIND", "STATE", "TRIES", "WHERE", "NEXT", "LAST"]);
    for hook in &view.hooks {
        table.row([
            cell(hook.hook.as_str()),
            cell(hook.kind.word()),
            cell(hook.state.word()).tone(tone(hook.state)),
            cell(hook.tries.to_string()).right(),
            cell(place(hook)),
            cell(next(hook, now)),
            cell(last(hook)),
        ]);
    }
    format!("\n{}", table.text(paint))
}

/// Returns the cases of a job as commands that show them.
pub(crate) fn cases(view: &JobView) -> impl Iterator<Item = String> {
    let parked = view.hooks.iter().filter(|hook| hook.state == HookState::Parked);
    parked.map(|hook| format!("votum case show {}/{}", view.job, hook.hook))
}

/// Returns all of it in one line, for a picture; nothing before the decision.
pub(crate) fn brief(view: &JobView, paint: Paint) -> Option<String> {
    let words = |hook: &HookView| {
        let state = paint.text(tone(hook.state), hook.state.word());
        format!("{} {state}", called(hook))
    };
    let words: Vec<String> = view.hooks.iter().map(words).collect();
    (!words.is_empty()).then(|| words.join("   "))
}

/// Says that something goes on after the decision, which does not wait for it.
pub(crate) fn goes_on(view: &JobView) -> Option<String> {
    let open = |kind| {
        let is_open = |hook: &&HookView| match hook.state {
            HookState::Waiting | HookState::Due | HookState::Running => hook.kind == kind,
            HookState::Done | HookState::Parked | HookState::Closed => false,
        };
        view.hooks.iter().filter(is_open).count() as u64
    };
    let (effects, compensations) = (open(HookKind::Effect), open(HookKind::Compensation));
    let cases = cases(view).chain(forced::cases(view)).count() as u64;
    let mut words = Vec::new();
    if effects > 0 {
        words.push(amount::count(effects, "effect"));
    }
    if compensations > 0 {
        words.push(amount::count(compensations, "compensation"));
    }
    let verb = if effects + compensations == 1 { "goes on" } else { "go on" };
    let mut sentence =
        if words.is_empty() { String::new() } else { format!("{} {verb}", words.join(" and ")) };
    if cases > 0 {
        let joint = if sentence.is_empty() { "" } else { ", " };
        let verb = if cases == 1 { "waits" } else { "wait" };
        let count = amount::count(cases, "case");
        sentence.push_str(&format!("{joint}{count} {verb} for a person"));
    }
    (!sentence.is_empty()).then(|| format!("{sentence}:  votum show {}", view.job))
}

/// Returns a line for each that `after` shows in another state, or at another try.
pub(crate) fn changes(before: Option<&JobView>, after: &JobView) -> Vec<String> {
    let known = |hook: &HookView| {
        let known = before?.hooks.iter().find(|known| known.hook == hook.hook)?;
        Some((known.state, known.tries))
    };
    let changed = |hook: &&HookView| known(hook) != Some((hook.state, hook.tries));
    after.hooks.iter().filter(changed).map(|hook| line(after, hook)).collect()
}

fn line(view: &JobView, hook: &HookView) -> String {
    let mut line = format!("{} {}", called(hook), hook.state.word());
    match hook.state {
        HookState::Running => line.push_str(&format!(" on {}", place(hook))),
        HookState::Parked => {
            line.push_str(&format!(":  votum case show {}/{}", view.job, hook.hook))
        }
        HookState::Waiting | HookState::Due | HookState::Done | HookState::Closed => {}
    }
    let last = last(hook);
    match hook.state {
        HookState::Due | HookState::Closed if last != "-" => line.push_str(&format!(": {last}")),
        HookState::Waiting
        | HookState::Due
        | HookState::Running
        | HookState::Done
        | HookState::Parked
        | HookState::Closed => {}
    }
    line
}

fn called(hook: &HookView) -> String {
    match hook.kind {
        HookKind::Effect => format!("effect {}", hook.hook),
        HookKind::Compensation => format!("compensation of {}", hook.hook),
    }
}

/// Returns where it is tried, or was tried last.
fn place(hook: &HookView) -> String {
    let last = hook.trials.last();
    let worker = hook.worker.as_ref().or_else(|| last.and_then(|trial| trial.worker.as_ref()));
    match worker {
        Some(worker) => worker.to_string(),
        None if hook.state == HookState::Running || last.is_some() => "coordinator".to_owned(),
        None => "-".to_owned(),
    }
}

fn next(hook: &HookView, now: WallTime) -> String {
    match hook.next.filter(|_| hook.state == HookState::Due) {
        Some(at) if at > now => format!("in {}", amount::duration(at.since(now))),
        Some(_) => "now".to_owned(),
        None => "-".to_owned(),
    }
}

/// Returns what was said last of it: by a person who closed it, or by a try.
fn last(hook: &HookView) -> String {
    if let Some(closed) = hook.resolution.as_ref().filter(|_| hook.state == HookState::Closed) {
        return format!("{} by {}: {}", closed.action.word(), closed.by, closed.reason);
    }
    let Some(trial) = hook.trials.last() else { return "-".to_owned() };
    let message = trial.message.lines().next().unwrap_or_default();
    match trial.outcome {
        TrialOutcome::Done if message.is_empty() => "-".to_owned(),
        TrialOutcome::Unknown => format!("outcome unknown: {message}"),
        TrialOutcome::Done | TrialOutcome::Failed => message.to_owned(),
    }
}

fn tone(state: HookState) -> Tone {
    match state {
        HookState::Waiting | HookState::Closed => Tone::Soft,
        HookState::Due => Tone::Odd,
        HookState::Running => Tone::Busy,
        HookState::Done => Tone::Good,
        HookState::Parked => Tone::Bad,
    }
}
