//! A coordinator around the scheduler: a clock, a journal, heartbeats and a restart.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use votum_ids::{Epoch, Incarnation, JobId, WorkerId};
use votum_job::{AttemptEnd, InputSource};
use votum_machine::{Machine as _, Moment, WallTime};
use votum_schedule::{
    Action, Config, Event, InLine, JobState, Record, Rescue, Scheduler, TaskStanding,
};

/// The scheduler, what it recorded, and the world's clock.
pub(crate) struct World {
    pub(crate) scheduler: Scheduler,
    pub(crate) records: Vec<(WallTime, Record)>,
    /// Since the scheduler's start.
    now: Duration,
    /// Wall time of the scheduler's start.
    anchor: WallTime,
    pub(crate) epoch: Epoch,
    /// Workers that send signs of life, and the start of their daemon.
    pub(crate) speaking: BTreeMap<WorkerId, Incarnation>,
    /// Everything that happened since it was last taken.
    pub(crate) told: String,
    /// The actions behind it.
    pub(crate) actions: Vec<Action>,
}

impl World {
    pub(crate) fn new() -> Self {
        let anchor = WallTime(1_000_000);
        Self {
            scheduler: Scheduler::new(Config::default(), Epoch(1), anchor),
            records: Vec::new(),
            now: Duration::ZERO,
            anchor,
            epoch: Epoch(1),
            speaking: BTreeMap::new(),
            told: String::new(),
            actions: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::since_start(self.now)
    }

    pub(crate) fn wall(&self) -> WallTime {
        self.anchor.at(self.now())
    }

    /// Hands one event to the scheduler and tells what it asks for.
    pub(crate) fn step(&mut self, event: Event) {
        let reaction = self.scheduler.step(self.now(), event);
        if let Some(record) = reaction.record {
            self.told += &tell_record(&record);
            self.records.push((self.anchor.at(self.now()), record));
        }
        for action in reaction.actions {
            self.told += &tell_action(&action);
            self.actions.push(action);
        }
    }

    /// Ticks until nothing is due.
    pub(crate) fn settle(&mut self) {
        for _ in 0..SETTLING_STEPS_MAX {
            match self.scheduler.next_deadline() {
                Some(due) if due <= self.now() => self.step(Event::Tick),
                Some(_) | None => return,
            }
        }
        panic!("the scheduler never comes to rest:\n{}", self.told);
    }

    /// Lets time pass; whoever speaks sends a sign of life every three seconds.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let end = self.now + wait;
        while self.now < end {
            let heartbeat = self.now + Duration::from_secs(3);
            let due = self.scheduler.next_deadline().map_or(end, Moment::elapsed);
            self.now = heartbeat.min(due.max(self.now + Duration::from_millis(1))).min(end);
            if self.now == heartbeat {
                self.heartbeats();
            }
            self.settle();
        }
    }

    pub(crate) fn heartbeats(&mut self) {
        for worker in self.speaking.keys().cloned().collect::<Vec<_>>() {
            self.step(Event::Heard { worker, free_bytes: None });
        }
    }

    /// Lets the coordinator stand still: time passes and nobody acts.
    pub(crate) fn stand_still(&mut self, wait: Duration) {
        self.now += wait;
    }

    /// Starts a later coordinator from the first `kept` records.
    pub(crate) fn restart(&mut self, kept: usize) {
        self.records.truncate(kept);
        self.anchor = self.anchor.at(self.now());
        self.now = Duration::ZERO;
        self.epoch = self.epoch.next();
        self.scheduler = replayed(&self.records, self.epoch, self.anchor);
        self.speaking.clear();
    }

    /// Says how every undecided job and its tasks stand, without the clock.
    pub(crate) fn portrait(&self) -> String {
        let jobs = self.scheduler.jobs().filter(|job| self.is_undecided(job));
        let jobs = jobs.map(|job| portrait(&self.scheduler, self.now(), job));
        workers(&self.scheduler).chain(jobs).collect()
    }

    /// Says the same of a coordinator that starts from the records right away.
    pub(crate) fn portrait_of_replay(&self) -> String {
        let anchor = self.anchor.at(self.now());
        let later = replayed(&self.records, self.epoch.next(), anchor);
        let jobs = later.jobs().filter(|job| self.is_undecided(job));
        let jobs = jobs.map(|job| portrait(&later, Moment::START, job));
        workers(&later).chain(jobs).collect()
    }

    /// Says what is kept of an aborted job by a coordinator that starts from the records.
    pub(crate) fn rescuable_after_replay(&self, job: &JobId) -> Option<Rescue> {
        let anchor = self.anchor.at(self.now());
        let mut later = replayed(&self.records, self.epoch.next(), anchor);
        let (job, why) = (job.clone(), String::new());
        // The records of the scheduler do not say how the job was decided.
        let _ = later.step(Moment::START, Event::Aborting { job: job.clone(), why });
        later.rescuable(&job)
    }

    fn is_undecided(&self, job: &JobId) -> bool {
        self.scheduler.summary(job).is_some_and(|job| job.state < JobState::Aborting)
    }
}

fn replayed(records: &[(WallTime, Record)], epoch: Epoch, anchor: WallTime) -> Scheduler {
    let mut scheduler = Scheduler::new(Config::default(), epoch, anchor);
    for (at, record) in records {
        scheduler.replay(*at, record).unwrap();
    }
    scheduler
}

/// Shows one job as people would see it.
pub(crate) fn show(scheduler: &Scheduler, now: Moment, job: &JobId) -> String {
    let Some(view) = scheduler.job(now, job) else { return format!("{job} is not known\n") };
    let mut shown = format!("{job} {}", view.summary.state.word());
    for pause in &view.summary.holds {
        write!(shown, ", paused by {}: {}", pause.by, pause.reason).unwrap();
    }
    if let Some(InLine { key, holder, ahead }) = scheduler.in_line(job) {
        let holder = holder.map_or("nobody".to_owned(), |holder| holder.to_string());
        write!(shown, ", waits for {holder}, which has {key}, {ahead} before it").unwrap();
    }
    shown.push('\n');
    for task in view.tasks {
        write!(shown, "  {} {}", task.task, task.state.word()).unwrap();
        if let Some(worker) = &task.worker {
            write!(shown, " on {worker}").unwrap();
        }
        if let Some(waits) = &task.waits {
            write!(shown, ": {waits}").unwrap();
        }
        shown.push('\n');
    }
    shown
}

/// Says what operators have ordered about each worker that was not removed.
fn workers(scheduler: &Scheduler) -> impl Iterator<Item = String> {
    let line = |worker: votum_schedule::WorkerView| {
        format!("{} drained {:?}\n", worker.registration.worker, worker.drain)
    };
    scheduler.workers().map(line)
}

fn portrait(scheduler: &Scheduler, now: Moment, job: &JobId) -> String {
    let view = scheduler.job(now, job).unwrap();
    let summary = &view.summary;
    let mut shown = format!("{job} {} of {} staged", summary.staged, summary.tasks);
    // Who is before it in line is told by what other machines know.
    let waits = scheduler.in_line(job).is_some();
    writeln!(shown, ", {:?}, waits in line: {waits}", summary.holds).unwrap();
    // When the same was found once more is no fact.
    let found = scheduler.last_dry_vote(job);
    let found = found.map(|found| (found.complete, &found.findings, found.omitted));
    writeln!(shown, "  {:?} {found:?}", scheduler.approval(job)).unwrap();
    for task in view.tasks {
        let state = match task.state {
            // The end of a backoff is no fact: time brings it back.
            TaskStanding::Retrying | TaskStanding::Ready | TaskStanding::Waiting => "PENDING",
            other => other.word(),
        };
        let saved = task.checkpoint.map(|known| (known.id, known.holders));
        let (attempts, replicas) = (task.attempts, task.replicas);
        writeln!(shown, "  {} {state} {attempts:?} {saved:?} {replicas:?}", task.task).unwrap();
    }
    shown
}

fn tell_record(record: &Record) -> String {
    let text = match record {
        Record::Received { job, in_line: None, .. } => format!("received {job}"),
        Record::Received { job, in_line: Some(number), .. } => {
            format!("received {job}, number {number} in line")
        }
        Record::KeyTaken { job } => format!("{job} takes its key"),
        Record::Assigned { attempt, number, worker, .. } => {
            format!("assigned {attempt} to {worker} (attempt {number})")
        }
        Record::Started { attempt } => format!("started {attempt}"),
        Record::Ended { attempt, end, .. } => match end {
            AttemptEnd::Sealed { .. } => format!("ended {attempt}: sealed"),
            AttemptEnd::Failed { failure, .. } => format!("ended {attempt}: {}", failure.message),
        },
        Record::Lost { job, worker, attempts, staged, moved, .. } => {
            let mut text =
                format!("lost {job} on {worker}: attempts {attempts:?}, staged {staged:?}");
            for moved in moved {
                write!(text, ", {} moved to {}", moved.task, moved.worker).unwrap();
            }
            text
        }
        Record::Replicated { attempt, worker, .. } => format!("replicated {attempt} on {worker}"),
        Record::ReplicaLost { attempt, worker, .. } => {
            format!("replica of {attempt} lost on {worker}")
        }
        Record::Returned { attempt, comeback } => format!("returned {attempt}: {comeback:?}"),
        Record::Paused { job, by, reason, live } => {
            format!("paused {job} by {by}: {reason}, live attempts {live:?}")
        }
        Record::Unpaused { job, by } => format!("unpaused {job} by {by}"),
        Record::RetryAsked { job, tasks, by } => format!("retry of {job} {tasks:?} by {by}"),
        Record::KeptReleased { job, by, reason, kept } => {
            format!("released what {job} keeps, {kept:?}, by {by}: {reason}")
        }
        Record::Rescued { job, by } => format!("{job} is rescued by {by}"),
        Record::CheckpointHeld { held, worker, .. } => {
            format!("checkpoint {} on {worker}", held.id)
        }
        Record::CheckpointGone { id, worker } => format!("checkpoint {id} gone from {worker}"),
        Record::DryVoted { job, complete, findings, bases, .. } => {
            let all = if *complete { "all of it staged, " } else { "" };
            let found: Vec<String> = findings
                .iter()
                .map(|found| format!("{}: {}", found.reason, found.message))
                .collect();
            format!("dry vote of {job}: {all}{} bases, {found:?}", bases.len())
        }
        Record::ApprovalAsked { job, contents } => format!("approval of {job} asked, {contents}"),
        Record::Approved { job, contents, by, reason } => {
            format!("{job} approved, {contents}, by {by}: {reason}")
        }
        Record::Registered(registration) => format!(
            "registered {} (installation {})",
            registration.worker,
            registration.uid.0.as_u128()
        ),
        Record::Ordered { worker, orders } => {
            let drain = orders.drain.as_ref().map_or("not drained".to_owned(), |drain| {
                let limit = drain.time_limit.map(|limit| format!(" within {limit:?}"));
                format!("drained{}: {}", limit.unwrap_or_default(), drain.reason)
            });
            let removed: Vec<u128> = orders.removed.keys().map(|uid| uid.0.as_u128()).collect();
            format!("ordered {worker}: {drain}, removed {removed:?}")
        }
    };
    format!("record {text}{}\n", if record.forced() { " (forced)" } else { "" })
}

fn tell_action(action: &Action) -> String {
    match action {
        Action::Start(assignment) => {
            let mut text = format!("start {}", assignment.attempt);
            for input in &assignment.inputs {
                let InputSource::Staged { holder, attempt, .. } = &input.source else { continue };
                write!(text, ", {} from {holder} ", input.name).unwrap();
                if attempt.job == assignment.attempt.job {
                    write!(text, "{}", attempt.token).unwrap();
                } else {
                    write!(text, "{attempt}").unwrap();
                }
            }
            for point in &assignment.resume {
                let holders = point.holders.iter().map(|holder| holder.worker.as_str());
                let holders: Vec<&str> = holders.collect();
                write!(text, ", resume {} from {}", point.id.sequence, holders.join(" ")).unwrap();
            }
            format!("{} <- {text}\n", assignment.worker)
        }
        Action::Stop { worker, attempt, reason, checkpoint_first, .. } => {
            let first = if *checkpoint_first { "checkpoint, then " } else { "" };
            format!("{worker} <- {first}stop {attempt}: {reason}\n")
        }
        Action::Acknowledge { worker, attempt } => format!("{worker} <- acknowledge {attempt}\n"),
        Action::Discard { worker, attempt } => format!("{worker} <- discard {attempt}\n"),
        Action::Replicate { worker, point } => {
            let holders: Vec<&str> =
                point.holders.iter().map(|holder| holder.worker.as_str()).collect();
            format!("{worker} <- replicate {} from {}\n", point.id, holders.join(" "))
        }
        Action::DryVote { worker, request } => {
            let mut text = format!("dry vote {} of {}:", request.id, request.job);
            for candidate in &request.candidates {
                write!(text, " {}.{}", candidate.task, candidate.output).unwrap();
                text += if candidate.sealed.is_some() { " (sealed)" } else { "" };
            }
            format!("{worker} <- {text}\n")
        }
        Action::DryVoted { job, came_to: None } => format!("report dry vote of {job} overtaken\n"),
        Action::DryVoted { job, came_to: Some(_) } => format!("report dry vote of {job}\n"),
        Action::AllStaged { job, holdings, .. } => {
            let mut text = format!("report {job} all staged:");
            for holding in holdings {
                write!(text, " {} holds", holding.worker).unwrap();
                for output in &holding.outputs {
                    write!(text, " {}.{}", output.task, output.output).unwrap();
                    text += if output.target.is_some() { " (published)" } else { "" };
                }
            }
            text + "\n"
        }
        Action::Withdraw { job } => format!("report {job} withdrawn\n"),
        Action::Fail { job, reason, message } => {
            format!("report {job} failed, {reason}: {message}\n")
        }
        Action::Replace { job, by, who } => format!("report {job} replaced by {by} of {who}\n"),
        Action::LineMoved { jobs } => format!("report line moved {jobs:?}\n"),
        Action::Stopped { job } => format!("report {job} stopped\n"),
        Action::WorkerChanged { worker } => format!("report worker {worker}\n"),
    }
}

/// No wish of the tests needs more steps than this to be fulfilled.
const SETTLING_STEPS_MAX: usize = 100_000;
