//! One job on one screen.

use std::fmt::Write as _;

use votum_commit::{Decision, Vote};
use votum_machine::WallTime;
use votum_wire::view::{
    AttemptView, JobState, JobView, Outcome, OutputState, OutputView, ParticipantView, TaskState,
    TaskView,
};
use votum_wire::{PauseOrigin, rescue::KeptReleaseView};

use super::{
    amount, attempts, doubt, dry_vote, forced, hooks, outcome,
    paint::{Paint, Tone},
    progress, quarantine,
    table::{Cell, Table, cell},
};

/// Returns everything worth knowing about a job.
pub(crate) fn screen(view: &JobView, now: WallTime, paint: Paint) -> String {
    let mut out = head(view, now, paint);
    out.push('\n');
    out.push_str(&tasks(view, now).text(paint));
    let findings =
        view.dry_vote.as_ref().filter(|last| !last.is_clean() && view.decision.is_none());
    if let Some(findings) = findings {
        out.push('\n');
        out.push_str(&dry_vote::table(findings).text(paint));
    }
    out.push_str(&attempts::table(view, paint));
    out.push_str(&reports(view, now, paint));
    out.push_str(&checkpoints(view, now));
    let visible = outputs(view);
    if let Some(visible) = visible {
        out.push('\n');
        out.push_str(&visible.text(paint));
    }
    out.push_str(&hooks::table(view, now, paint));
    out.push_str(&forced::table(view, now, paint));
    out.push('\n');
    out.push_str(&next(view).indented(2).text(paint));
    out
}

fn head(view: &JobView, now: WallTime, paint: Paint) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{} {text}", paint.text(Tone::Soft, &format!("{label:<9}")));
    };
    let by = if view.creator.is_empty() { "somebody" } else { &view.creator };
    let ago = amount::age(now.since(view.created));
    let lasts = amount::stopwatch(outcome::elapsed(view, now));
    let verb = if outcome::took(view).is_some() { "took" } else { "for" };
    let name = paint.text(Tone::Strong, view.job.as_str());
    line("Job", format!("{name}  ({})  by {by}, {ago} ago, {verb} {lasts}", view.uid));
    if let Some(spec) = view.spec.as_deref().filter(|spec| !spec.description.is_empty()) {
        line("", spec.description.clone());
    }
    let state = paint.text(Tone::of_view(view), view.word());
    line("State", format!("{state}  {}", state_words(view)).trim_end().to_owned());
    if view.is_held() {
        for (at, hold) in holds(view, now).lines(paint).into_iter().enumerate() {
            line(if at == 0 { "Held" } else { "" }, hold);
        }
    }
    if let Some(cause) = &view.cause {
        line("Because", cause.message.clone());
    }
    for text in stderr_of_failure(view) {
        line("", format!("stderr: {text}"));
    }
    if let Some(decision) = view.decision {
        line("Decision", decision_words(view, decision));
    }
    if let Some(of) = view.spec.as_ref().and_then(|spec| spec.reverts()) {
        line("Reverts", of.to_string());
    }
    if let Some(from) = &view.rescued_from {
        line("Rescues", from.to_string());
    }
    if let Some(until) = view.kept_until {
        line("Kept", kept_words(view, until));
    }
    if let Some(release) = &view.kept_release {
        line("Given up", given_up(release));
    }
    if let Some(successor) = &view.rescued_by {
        line("Rescued", format!("by {successor}"));
    }
    if let Some(approval) = &view.approval {
        line("Approval", dry_vote::approval(approval, now));
    }
    if let Some(last) = view.dry_vote.as_ref().filter(|_| view.decision.is_none()) {
        line("Dry vote", dry_vote::words(last, now));
    }
    if let Some(votes) = votes(view) {
        line("Votes", votes);
    }
    for (label, text) in quarantine::lines(view) {
        line(label, text);
    }
    out
}

/// Returns who holds a job, since when and why, one line each.
pub(crate) fn holds(view: &JobView, now: WallTime) -> Table {
    let mut table = Table::bare();
    for hold in view.holds() {
        let stops = if hold.stop_running { ", stopping what ran" } else { "" };
        let reason = if hold.reason.is_empty() { "(no reason given)" } else { &hold.reason };
        table.row([
            cell(format!("by {}, {} ago{stops}", hold.by, amount::age(now.since(hold.since)))),
            cell(reason),
        ]);
    }
    table
}

/// Says what an aborted job keeps, and what of it went with a deleted worker.
fn kept_words(view: &JobView, until: WallTime) -> String {
    let in_state = |state| view.tasks.iter().filter(move |task| task.state == state);
    let names: Vec<&str> = in_state(TaskState::Discarded).map(|task| task.task.as_str()).collect();
    let until = amount::time(until);
    match (in_state(TaskState::Staged).count(), names.is_empty()) {
        (_, true) => format!("what was staged, invisible, until {until}"),
        (0, false) => "nothing: what was staged went with its deleted worker".to_owned(),
        (_, false) => format!(
            "what was staged, invisible, until {until}; {} went with its deleted worker",
            names.join(", ")
        ),
    }
}

/// Counts what is staged and names what runs, of a job whose reasons to wait are told apart.
fn held_words(view: &JobView) -> String {
    let staged = view.tasks.iter().filter(|task| task.state == TaskState::Staged).count();
    let live = |task: &&TaskView| matches!(task.state, TaskState::Starting | TaskState::Running);
    let live = view.tasks.iter().filter(live).count() as u64;
    let runs = match live {
        0 => "nothing runs".to_owned(),
        1 => "1 task runs".to_owned(),
        _ => format!("{live} tasks run"),
    };
    format!("{staged} of {} staged; {runs}", amount::count(view.tasks.len() as u64, "task"))
}

/// Says who gave up what an aborted job kept, and what that was.
pub(crate) fn given_up(release: &KeptReleaseView) -> String {
    let mut workers: Vec<&str> = release.kept.values().map(|worker| worker.as_str()).collect();
    workers.sort_unstable();
    workers.dedup();
    let tasks = match release.kept.len() {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    };
    let why =
        if release.reason.is_empty() { String::new() } else { format!(": {}", release.reason) };
    let (workers, at) = (workers.join(", "), amount::time(release.at));
    format!("the outputs of {tasks} on {workers}, by {} at {at}{why}", release.by)
}

fn state_words(view: &JobView) -> String {
    if view.is_held() {
        return held_words(view);
    }
    match view.state {
        JobState::Committed | JobState::Aborted if view.is_mixed() => forced::mixed(view),
        // Its records are gone, and with them its tasks.
        JobState::Committed | JobState::Aborted if view.tasks.is_empty() => {
            view.state_message.clone()
        }
        JobState::Committed if outcome::published(view).next().is_none() => {
            "it publishes nothing".to_owned()
        }
        JobState::Committed => "every output became visible".to_owned(),
        JobState::Aborted => "nothing became visible on any worker".to_owned(),
        JobState::Received
        | JobState::Queued
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Preparing
        | JobState::Committing
        | JobState::Aborting
        | JobState::Quarantined => view.state_message.clone(),
    }
}

/// Returns the last words of the task that made the job abort.
fn stderr_of_failure(view: &JobView) -> Vec<String> {
    if view.cause.is_none() {
        return Vec::new();
    }
    let failed = view.tasks.iter().find(|task| task.state == TaskState::Failed);
    let tail = failed.and_then(|task| task.attempts.last()).and_then(stderr_tail).unwrap_or("");
    let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(STDERR_LINES);
    lines[skipped..].iter().map(|line| line.chars().take(160).collect()).collect()
}

fn stderr_tail(attempt: &AttemptView) -> Option<&str> {
    match &attempt.outcome {
        Some(Outcome::Failed(failure)) => Some(&failure.stderr_tail),
        Some(Outcome::Succeeded) | None => None,
    }
}

fn decision_words(view: &JobView, decision: Decision) -> String {
    let word = match decision {
        Decision::Commit => "COMMIT",
        Decision::Abort => "ABORT",
    };
    let at = view.decided.map(|at| format!(" recorded {}", amount::time(at))).unwrap_or_default();
    let (applied, open): (Vec<_>, Vec<_>) =
        view.participants.iter().partition(|participant| participant.acknowledged);
    let names = |participants: &[&ParticipantView]| {
        let names: Vec<&str> = participants.iter().map(|p| p.worker.as_str()).collect();
        names.join(", ")
    };
    let mut words = format!("{word}{at}");
    if decision == Decision::Commit && !applied.is_empty() {
        words.push_str(&format!(", applied by {}", names(&applied)));
    }
    if decision == Decision::Commit && !open.is_empty() {
        words.push_str(&format!(", not yet by {}", names(&open)));
    }
    if let Some(window) = doubt::window(view) {
        words.push_str(&format!("; {window}"));
    }
    words
}

/// Returns who voted what, if a round was ever opened.
pub(crate) fn votes(view: &JobView) -> Option<String> {
    let votes: Vec<String> = view
        .participants
        .iter()
        .map(|ParticipantView { worker, vote, .. }| {
            format!("{worker} {}", vote_word(vote.as_ref()))
        })
        .collect();
    (!votes.is_empty()).then(|| votes.join("   "))
}

/// Returns a vote in one word.
pub(crate) fn vote_word(vote: Option<&Vote>) -> String {
    match vote {
        None => "…".to_owned(),
        Some(Vote::Yes) => "yes".to_owned(),
        Some(Vote::ReadOnly) => "read-only".to_owned(),
        Some(Vote::No(objection)) => format!("no ({})", objection_words(objection)),
    }
}

fn objection_words(objection: &votum_commit::Objection) -> String {
    use votum_commit::Objection;
    match objection {
        Objection::Refused => "it had refused this round".to_owned(),
        Objection::NotHeld => "it does not hold the outputs".to_owned(),
        Objection::WrongInstallation => "it is another installation".to_owned(),
        Objection::Failed { message, .. } => message.clone(),
    }
}

fn tasks(view: &JobView, now: WallTime) -> Table {
    let mut table = Table::new(["TASK", "STATE", "WORKER", "TRIES", "TOOK", "OUTPUTS"]);
    for task in &view.tasks {
        table.row([
            cell(task.task.as_str()),
            cell(task.state.word()).tone(Tone::of_task(task.state)),
            worker(task),
            cell(task.tries().to_string()).right(),
            cell(run_time(task, now)),
            cell(output_words(task)),
        ]);
    }
    table
}

/// Returns what the running tasks say of themselves, and what others said at last.
///
/// How far a task had come is no news once it has succeeded; what it warned of is.
fn reports(view: &JobView, now: WallTime, paint: Paint) -> String {
    let mut table = Table::new(["TASK", "REPORTED", "PROGRESS"]);
    let mut any = false;
    for task in &view.tasks {
        let (told, step) = (task.report.as_ref(), step(view, task));
        let line = told.filter(|_| !has_succeeded(task)).map(|told| progress::line(told, now));
        let warning = told.and_then(|told| progress::warning(&told.report));
        if progress::told(task).is_none() && [&step, &line, &warning].iter().all(|l| l.is_none()) {
            continue;
        }
        any = true;
        let lines = [step, line, warning].into_iter().flatten().filter(|line| !line.is_empty());
        let ago = told.map(|told| format!("{} ago", amount::age(now.since(told.at))));
        let ago = ago.unwrap_or_else(|| "-".to_owned());
        table.row([
            cell(task.task.as_str()),
            cell(ago),
            cell(lines.collect::<Vec<_>>().join("; ")),
        ]);
    }
    if any { format!("\n{}", table.text(paint)) } else { String::new() }
}

fn has_succeeded(task: &TaskView) -> bool {
    match task.state {
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
    }
}

/// Returns where each unfinished task would go on after an interruption.
fn checkpoints(view: &JobView, now: WallTime) -> String {
    let mut out = String::new();
    for task in &view.tasks {
        let open = matches!(
            task.state,
            TaskState::Ready | TaskState::Starting | TaskState::Running | TaskState::Retrying
        );
        let Some(checkpoint) = task.checkpoint.as_ref().filter(|_| open) else { continue };
        let size = amount::size(checkpoint.bytes);
        let age = amount::age(now.since(checkpoint.recorded));
        let workers: Vec<&str> = checkpoint.workers.iter().map(|worker| worker.as_str()).collect();
        let steps = steps_of(view, task);
        let done = steps.map(|of| format!(", {} of {of} steps done", checkpoint.steps));
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "{}: checkpoint {} ({size}, {age} ago{}) on {}",
            task.task,
            checkpoint.sequence,
            done.unwrap_or_default(),
            workers.join(", ")
        );
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// Returns the step that a running task is at: `step 2/5 load`.
pub(crate) fn step(view: &JobView, task: &TaskView) -> Option<String> {
    let spec = view.spec.as_ref()?.tasks.get(&task.task)?;
    let votum_job::Program::Steps(steps) = &spec.program else { return None };
    // Each step that is done is a checkpoint.
    let done = task.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.steps as usize);
    let step = steps.get(done).filter(|_| task.state == TaskState::Running)?;
    Some(format!("step {}/{} {}", done + 1, steps.len(), step.name))
}

fn steps_of(view: &JobView, task: &TaskView) -> Option<usize> {
    match &view.spec.as_ref()?.tasks.get(&task.task)?.program {
        votum_job::Program::Steps(steps) => Some(steps.len()),
        votum_job::Program::Command(_)
        | votum_job::Program::Script { .. }
        | votum_job::Program::PutBack(_) => None,
    }
}

fn worker(task: &TaskView) -> Cell {
    cell(task.worker.as_ref().map_or("-", |worker| worker.as_str()))
}

/// Returns how long the last attempt ran or has been running.
pub(crate) fn run_time(task: &TaskView, now: WallTime) -> String {
    let attempt = task.attempts.last();
    attempt
        .and_then(|attempt| Some(attempt.ended.unwrap_or(now).since(attempt.started?)))
        .map_or_else(|| "-".to_owned(), amount::stopwatch)
}

fn output_words(task: &TaskView) -> String {
    let words = |output: &OutputView| {
        let size = size(output);
        // What fed other tasks is discarded in the end, and nobody misses it.
        let missed = output.state == OutputState::Discarded && task.state != TaskState::Committed;
        let discarded = if missed { " (discarded)" } else { "" };
        format!("{} {size}{discarded}", output.output)
    };
    let words: Vec<String> = task.outputs.iter().map(words).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Returns how large an output is, in the measure that says more.
pub(crate) fn size(output: &OutputView) -> String {
    match output.files {
        0 | 1 => amount::size(output.bytes),
        files => format!("{files} files"),
    }
}

/// Returns what becomes or became visible where.
pub(crate) fn outputs(view: &JobView) -> Option<Table> {
    let mut table = Table::new(["OUTPUT", "STATE", "WORKER", "SIZE", "FILES", "DIGEST", "TARGET"]);
    let mut any = false;
    for task in &view.tasks {
        for output in &task.outputs {
            let Some(path) = &output.publish_path else { continue };
            any = true;
            table.row([
                cell(format!("{}.{}", task.task, output.output)),
                cell(output.state.word()).tone(match output.state {
                    OutputState::Published => Tone::Good,
                    OutputState::Staged | OutputState::Prepared => Tone::Plain,
                    OutputState::Discarded => Tone::Soft,
                }),
                cell(output.worker.as_str()),
                cell(amount::size(output.bytes)).right(),
                cell(output.files.to_string()).right(),
                cell(&output.digest.to_string()[..DIGEST_CHARS]).tone(Tone::Soft),
                cell(path),
            ]);
        }
    }
    any.then_some(table)
}

/// Returns what one would do next.
fn next(view: &JobView) -> Table {
    let mut table = Table::bare();
    let mut suggest =
        |label: &str, command: String| table.row([cell(label).tone(Tone::Soft), cell(command)]);
    if view.is_removed() {
        return table;
    }
    if view.quarantine.is_some() {
        for (label, command) in quarantine::commands(view) {
            suggest(label, command);
        }
        return table;
    }
    for command in forced::cases(view).chain(hooks::cases(view)) {
        suggest("case:", command);
    }
    let failed = view.tasks.iter().find(|task| task.state == TaskState::Failed);
    match (view.state.is_final(), failed) {
        (true, _) if view.kept_until.is_some() => {
            suggest("rescue:", format!("votum rescue {} --dry-run", view.job));
            suggest("give up:", format!("votum cancel {}", view.job));
            suggest("logs:", format!("votum logs {}", view.job));
        }
        (true, Some(task)) => suggest("logs:", format!("votum logs {}/{}", view.job, task.task)),
        (true, None) => {
            // A later job may have replaced what this one made visible.
            if outcome::published(view).next().is_some() {
                suggest("still there:", format!("votum verify {}", view.job));
            }
            suggest("logs:", format!("votum logs {}", view.job));
        }
        (false, _) => {
            let held = |origin| view.is_held() && view.holds().any(|hold| hold.origin == origin);
            let exhausted = held(PauseOrigin::Exhausted);
            if held(PauseOrigin::Asked) {
                suggest("go on:", format!("votum unpause {}", view.job));
            } else if exhausted {
                suggest("again:", format!("votum retry {}", view.job));
            }
            if exhausted {
                suggest("give up:", format!("votum cancel {}", view.job));
            }
            let asked = view.approval.as_ref().filter(|asked| asked.given.is_none());
            if let (JobState::AwaitingApproval, Some(asked)) = (view.state, asked) {
                let etag = &asked.etag;
                suggest("approve:", format!("votum approve {} --etag {etag}", view.job));
                suggest("reject:", format!("votum reject {} --reason TEXT", view.job));
            }
            suggest("follow:", format!("votum watch {}", view.job));
            suggest("logs:", format!("votum logs {} -f", view.job));
        }
    }
    table
}

/// Enough to tell contents apart at a glance.
const DIGEST_CHARS: usize = 12;
/// How much of a failed task's standard error is shown.
const STDERR_LINES: usize = 3;
