//! A job in plain words: where it stands, what it waits for and why, what happens next.

use votum_commit::Vote;
use votum_job::{InputSpec, Placement};
use votum_machine::WallTime;
use votum_wire::{
    PauseOrigin, PauseView,
    view::{JobState, JobView, TaskState, TaskView, WorkerView},
};

use super::{
    amount, forced, job, outcome,
    paint::{Paint, Tone},
    progress,
};

/// What is said of a job.
#[derive(Debug, Default)]
pub(crate) struct Explanation {
    /// Where it stands.
    pub now: Vec<String>,
    /// What it waits for, and why.
    pub waits: Vec<String>,
    /// What happens next, by itself.
    pub next: Vec<String>,
    /// What a person can do.
    pub commands: Vec<String>,
    title: String,
}

/// Explains a job; `workers` are those of the cluster, as far as they are known.
pub(crate) fn explain(view: &JobView, workers: &[WorkerView], now: WallTime) -> Explanation {
    let mut told =
        Explanation { title: format!("{} is {}", view.job, view.word()), ..Explanation::default() };
    match view.state {
        JobState::Received | JobState::Running => running(view, workers, now, &mut told),
        JobState::Queued => queued(view, now, &mut told),
        JobState::AwaitingApproval => awaiting(view, now, &mut told),
        JobState::Preparing => preparing(view, &mut told),
        JobState::Committing => committing(view, &mut told),
        JobState::Committed => committed(view, now, &mut told),
        JobState::Aborting | JobState::Aborted => aborted(view, now, &mut told),
        JobState::Quarantined => {
            told.now.push("A record of it in the coordinator's log cannot be read.".to_owned());
            told.now.push(sentence(&view.state_message));
            told.next.push("Nothing, by itself: no byte of it is discarded.".to_owned());
            told.command("what is known:", "case list");
        }
    }
    told.waits.extend(super::hooks::goes_on(view).map(|words| sentence(&words)));
    told.command("everything:", &format!("show {}", view.job));
    told
}

impl Explanation {
    /// Returns the words, folded at a width.
    pub(crate) fn text(&self, paint: Paint, width: Option<usize>) -> String {
        let width = width.unwrap_or(FOLDED_AT).clamp(FOLDED_LEAST, FOLDED_MOST);
        let mut out = format!("{}\n", paint.text(Tone::Strong, &self.title));
        let sections =
            [("Now", &self.now), ("It waits for", &self.waits), ("What happens next", &self.next)];
        for (heading, sentences) in sections {
            if sentences.is_empty() {
                continue;
            }
            out.push_str(&format!("\n{}\n", paint.text(Tone::Soft, heading)));
            for sentence in sentences {
                out.push_str(&folded(sentence, width));
            }
        }
        out.push('\n');
        for command in &self.commands {
            out.push_str(&format!("  {command}\n"));
        }
        out
    }

    fn command(&mut self, what: &str, command: &str) {
        self.commands.push(format!("{what:<16}votum {command}"));
    }
}

fn running(view: &JobView, workers: &[WorkerView], now: WallTime, told: &mut Explanation) {
    let staged = view.tasks.iter().filter(|task| task.state == TaskState::Staged).count();
    let are = if view.tasks.len() == 1 { "task is" } else { "tasks are" };
    let all = view.tasks.len();
    told.now.push(format!(
        "{staged} of {all} {are} staged (done, with outputs that are sealed and visible to nobody)."
    ));
    told.waits.extend(view.holds().map(|hold| held(hold, now)));
    for task in &view.tasks {
        match task.state {
            TaskState::Starting | TaskState::Running => {
                told.now.push(runs(view, task, now));
                told.waits.extend(task.waits.as_ref().map(|why| of_task(task, why)));
            }
            TaskState::Waiting => told.waits.extend(predecessors(view, task)),
            TaskState::Retrying => told.waits.push(retries(task, now)),
            TaskState::Ready => {
                let unknown = "it could run, and has no place yet";
                told.waits.push(of_task(task, task.waits.as_deref().unwrap_or(unknown)));
            }
            TaskState::Staged => {
                told.waits.extend(task.waits.as_ref().map(|why| of_task(task, why)));
            }
            TaskState::Prepared
            | TaskState::Committed
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Discarded => {}
        }
    }
    // It says the same of the tasks, and at most of a few.
    if view.tasks.iter().all(|task| task.waits.is_none()) {
        told.now.push(format!("In the coordinator's words: {}.", view.state_message));
    }
    told.next.push(vote_words(view));
    told.next.push(
        "If a task fails for good, the job aborts and nothing of it ever becomes visible."
            .to_owned(),
    );
    let held = |origin| view.holds().any(|hold| hold.origin == origin);
    if held(PauseOrigin::Asked) {
        told.command("let it go on:", &format!("unpause {}", view.job));
    }
    if held(PauseOrigin::Exhausted) {
        told.command("try it again:", &format!("retry {}", view.job));
    }
    places(view, workers, told);
    told.command("follow it:", &format!("watch {}", view.job));
    told.command("stop it:", &format!("cancel {}", view.job));
}

/// Says who holds a job, and why.
fn held(hold: &PauseView, now: WallTime) -> String {
    let why = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
    let since = amount::age(now.since(hold.since));
    match hold.origin {
        PauseOrigin::Asked => {
            format!("{} to let it go on; it is held since {since}{why}.", hold.by)
        }
        PauseOrigin::Exhausted => format!(
            "a person to have it tried again or give it up, since {since}{why}; its file says \
             `on_exhausted: pause`."
        ),
    }
}

/// Says whose end a job waits for, and what follows then.
fn queued(view: &JobView, now: WallTime, told: &mut Explanation) {
    told.now.push("Nothing of it runs, and its timeout does not count yet.".to_owned());
    let holder = view.queue.as_ref().and_then(|queue| queue.holder.as_ref());
    if let Some((queue, holder)) = view.queue.as_ref().zip(holder) {
        let before = match queue.ahead {
            0 => String::new(),
            1 => ", and one job that waits before it".to_owned(),
            ahead => format!(", and {ahead} jobs that wait before it"),
        };
        told.waits.push(format!("{holder}, which holds the key {}{before}.", queue.key));
        told.command("what that does:", &format!("explain {holder}"));
    }
    told.waits.extend(view.holds().map(|hold| held(hold, now)));
    told.next.push(
        "It begins once the others are visible everywhere, or aborted and cleaned up.".to_owned(),
    );
    if view.holds().any(|hold| hold.origin == PauseOrigin::Asked) {
        told.command("let it go on:", &format!("unpause {}", view.job));
    }
    told.command("follow it:", &format!("watch {}", view.job));
    told.command("give it up:", &format!("cancel {}", view.job));
}

fn of_task(task: &TaskView, why: &str) -> String {
    format!("{}: {why}.", task.task)
}

/// Says how a task that has no place could get one.
fn places(view: &JobView, workers: &[WorkerView], told: &mut Explanation) {
    let unplaced = || view.tasks.iter().filter(|task| task.state == TaskState::Ready);
    if unplaced().next().is_none() || view.pause.is_some() {
        return;
    }
    let spec = |task: &TaskView| view.spec.as_ref()?.tasks.get(&task.task);
    let placements: Vec<&Placement> =
        unplaced().filter_map(spec).map(|spec| &spec.placement).collect();
    let fits = |worker: &WorkerView, placement: &Placement| {
        placement.worker.as_ref().is_none_or(|name| *name == worker.worker)
            && placement.labels.iter().all(|(key, value)| worker.labels.get(key) == Some(value))
    };
    let wanted = |worker: &&WorkerView| placements.iter().any(|one| fits(worker, one));
    let drained = workers.iter().filter(|worker| worker.drain.is_some()).filter(wanted);
    for worker in drained.take(DRAINED_NAMED_MAX) {
        told.command("take it up:", &format!("worker resume {}", worker.worker));
    }
    told.command("who is there:", "worker list");
}

fn runs(view: &JobView, task: &TaskView, now: WallTime) -> String {
    let worker = task.worker.as_ref().map_or("a worker", |worker| worker.as_str());
    let verb = if task.state == TaskState::Starting { "is being started" } else { "runs" };
    let since = job::run_time(task, now);
    let since = if since.is_empty() { String::new() } else { format!(" since {since}") };
    let said = progress::told(task).map(|told| progress::line(told, now)).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!("; it says: {said}") };
    let tries = task.tries();
    let again = if tries > 1 { format!(" (attempt {tries})") } else { String::new() };
    let step = job::step(view, task).map(|step| format!(", {step}")).unwrap_or_default();
    format!("{} {verb} on {worker}{since}{again}{step}{said}.", task.task)
}

/// Says which tasks must be staged before this one.
fn predecessors(view: &JobView, task: &TaskView) -> Option<String> {
    let spec = view.spec.as_ref()?.tasks.get(&task.task)?;
    let from = spec.inputs.values().filter_map(|input| match input {
        InputSpec::TaskOutput { task, .. } => Some(task),
        InputSpec::WorkerPath(_) => None,
    });
    let is_open = |name: &&votum_ids::TaskId| {
        view.tasks.iter().any(|task| task.task == **name && task.state != TaskState::Staged)
    };
    let mut names: Vec<&str> =
        spec.needs.iter().chain(from).filter(is_open).map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| format!("{}, before {} can start.", names.join(" and "), task.task))
}

fn retries(task: &TaskView, now: WallTime) -> String {
    let when = task
        .retry_at
        .map_or_else(|| "soon".to_owned(), |at| format!("in {}", amount::stopwatch(at.since(now))));
    let why = super::attempts::last_failure(task)
        .map(|failure| format!(": the last one failed, {}", failure.message))
        .unwrap_or_default();
    format!("another attempt of {}, {when}{why}.", task.task)
}

fn vote_words(view: &JobView) -> String {
    let approval = view.spec.as_ref().is_some_and(|spec| spec.approval.is_some());
    let gate = if approval { " a person is asked to approve, and then" } else { "" };
    let workers: Vec<String> = outcome::workers(view).iter().map(ToString::to_string).collect();
    let who = if workers.is_empty() {
        "every worker that holds something".to_owned()
    } else {
        workers.join(", ")
    };
    format!(
        "When every task is staged,{gate} the workers vote ({who}). If all say yes, one record \
         decides COMMIT and everything becomes visible; a single no ends in ABORT, and nothing does."
    )
}

fn awaiting(view: &JobView, now: WallTime, told: &mut Explanation) {
    let away: Vec<String> =
        view.tasks.iter().filter_map(|task| Some(of_task(task, task.waits.as_ref()?))).collect();
    if away.is_empty() {
        told.now.push("Every task is staged, and a dry vote found nothing in the way.".to_owned());
    } else {
        told.now.push(
            "Every task is staged, but not everybody who holds something is there.".to_owned(),
        );
        told.waits.extend(away);
        told.next.push(
            "Approved before that worker is back, it is voted on again and again until it is, or \
             until the job's time is over."
                .to_owned(),
        );
    }
    let left = view.approval.as_ref().map(|asked| amount::duration(asked.expires.since(now)));
    let left = left.map(|left| format!(" for {left} more")).unwrap_or_default();
    told.waits
        .push(format!("a person to approve or reject it{left}; nobody is in doubt meanwhile."));
    told.next.push(
        "Approved, it is voted on and commits; rejected, or not answered in time, it aborts."
            .to_owned(),
    );
    told.command("let it commit:", &format!("approve {}", view.job));
    told.command("let it abort:", &format!("reject {}", view.job));
}

fn preparing(view: &JobView, told: &mut Explanation) {
    told.now.push(
        "Every task is staged, and the workers are asked to promise that they can publish."
            .to_owned(),
    );
    for one in &view.participants {
        match &one.vote {
            None => told.waits.push(format!("the vote of {}.", one.worker)),
            Some(Vote::Yes) => told.now.push(format!(
                "{} has voted yes: it is in doubt and keeps everything until it hears the decision.",
                one.worker
            )),
            Some(Vote::ReadOnly) => {
                told.now.push(format!("{} has nothing to publish and is done.", one.worker));
            }
            Some(Vote::No(_)) => told.now.push(format!("{} has voted no.", one.worker)),
        }
    }
    told.next.push("All yes: COMMIT is recorded, then published. One no: the job aborts, or a new round is held.".to_owned());
    told.command("the round:", &format!("txn show {}", view.job));
}

fn committing(view: &JobView, told: &mut Explanation) {
    told.now.push("COMMIT is decided and durable: no one can undo it any more.".to_owned());
    for one in view.participants.iter().filter(|one| !one.acknowledged) {
        told.waits.push(format!("{} to say that its outputs are visible.", one.worker));
    }
    if view.is_held_back() {
        told.waits.push("A lost worker holds its outputs back: a person decides.".to_owned());
        for command in forced::cases(view) {
            told.commands.push(format!("{:<16}{command}", "decide:"));
        }
    }
    told.next.push("The coordinator repeats COMMIT until everybody has published.".to_owned());
    told.command("who is missing:", &format!("txn show {}", view.job));
}

fn committed(view: &JobView, now: WallTime, told: &mut Explanation) {
    let took = outcome::took(view).map(|took| format!(" in {}", amount::stopwatch(took)));
    let ago = view.ended.or(view.decided).map(|at| amount::age(now.since(at)));
    let ago = ago.map(|ago| format!(", {ago} ago")).unwrap_or_default();
    let took = took.unwrap_or_default();
    told.now.push(format!("Committed {}{took}{ago}: {}.", view.job, view.state_message));
    if view.is_mixed() {
        told.now.push(sentence(&forced::mixed(view)));
    }
    told.command("the outputs:", &format!("output list {}", view.job));
    if outcome::published(view).next().is_some() {
        told.now.push(
            "What stands at its targets since then, a later job or a person may have replaced."
                .to_owned(),
        );
        told.command("still there?", &format!("verify {}", view.job));
    }
}

fn aborted(view: &JobView, now: WallTime, told: &mut Explanation) {
    let cause = view.cause.as_ref().map_or("it was aborted", |cause| cause.message.as_str());
    told.now.push(format!("Because {cause}."));
    told.now.push("Nothing of it became visible on any worker.".to_owned());
    if view.state == JobState::Aborting {
        told.waits
            .push("what still runs to end, and the workers to discard what they hold.".to_owned());
    }
    if let Some(until) = view.kept_until.filter(|until| *until > now) {
        let left = amount::duration(until.since(now));
        told.now.push(format!("What was staged is kept, invisible, for {left} more."));
        told.command("go on from it:", &format!("rescue {}", view.job));
    }
    told.command("what it wrote:", &format!("logs {}", view.job));
    told.command("once more:", &format!("rerun {}", view.job));
}

fn sentence(words: &str) -> String {
    let end = if words.ends_with('.') { "" } else { "." };
    format!("{}{end}", capital(words))
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Folds a sentence into lines, behind a dash.
fn folded(sentence: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::from("  - ");
    let mut empty = true;
    for word in sentence.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(&line);
            out.push('\n');
            line = String::from("    ");
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out + &line + "\n"
}

/// So many workers are named that could be taken up again.
const DRAINED_NAMED_MAX: usize = 3;
const FOLDED_AT: usize = 100;
const FOLDED_LEAST: usize = 40;
const FOLDED_MOST: usize = 110;
