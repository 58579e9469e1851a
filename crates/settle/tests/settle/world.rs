//! A coordinator around the settlement: a clock, a journal, and a restart.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use votum_ids::{Epoch, FencingToken, JobId};
use votum_job::{JobSpec, Role};
use votum_machine::{Machine as _, Moment, WallTime};
use votum_settle::{Action, Event, HookState, HookView, Record, Settlement, Trial};

/// The settlement, what it recorded, and the world's clock.
pub(crate) struct World {
    pub(crate) settlement: Settlement,
    pub(crate) records: Vec<(WallTime, Record)>,
    specs: BTreeMap<JobId, Arc<JobSpec>>,
    now: Duration,
    anchor: WallTime,
    /// The last token that was given out.
    token: FencingToken,
    /// Everything that happened since it was last taken.
    pub(crate) told: String,
    /// The actions behind it.
    pub(crate) actions: Vec<Action>,
}

impl World {
    pub(crate) fn new() -> Self {
        let anchor = WallTime(1_000_000);
        Self {
            settlement: Settlement::new(anchor),
            records: Vec::new(),
            specs: BTreeMap::new(),
            now: Duration::ZERO,
            anchor,
            token: FencingToken { epoch: Epoch(1), counter: 10 },
            told: String::new(),
            actions: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::since_start(self.now)
    }

    pub(crate) fn next_token(&mut self) -> FencingToken {
        self.token.counter += 1;
        self.token
    }

    /// Hands one event to the settlement and tells what it asks for; says whether it made a record.
    pub(crate) fn step(&mut self, event: Event) -> bool {
        if let Event::Decided { job, spec, .. } = &event {
            self.specs.insert(job.clone(), spec.clone());
        }
        let reaction = self.settlement.step(self.now(), event);
        let recorded = reaction.record.is_some();
        if let Some(record) = reaction.record {
            self.told += &tell_record(&record);
            self.records.push((self.anchor.at(self.now()), record));
        }
        for action in reaction.actions {
            self.told += &tell_action(&action);
            self.actions.push(action);
        }
        recorded
    }

    /// Hands over an event that the machine deals with one record at a time.
    pub(crate) fn exhaust(&mut self, event: &Event) {
        for _ in 0..SETTLING_STEPS_MAX {
            if !self.step(event.clone()) {
                return;
            }
        }
        panic!("{event:?} never comes to rest:\n{}", self.told);
    }

    /// Ticks until nothing is due.
    pub(crate) fn settle(&mut self) {
        for _ in 0..SETTLING_STEPS_MAX {
            match self.settlement.next_deadline() {
                Some(due) if due <= self.now() => self.step(Event::Tick),
                Some(_) | None => return,
            };
        }
        panic!("the settlement never comes to rest:\n{}", self.told);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let end = self.now + wait;
        while self.now < end {
            let due = self.settlement.next_deadline().map_or(end, Moment::elapsed);
            self.now = due.max(self.now + Duration::from_millis(1)).min(end);
            self.settle();
        }
    }

    /// Starts a later coordinator from the first `kept` records.
    pub(crate) fn restart(&mut self, kept: usize) {
        self.records.truncate(kept);
        self.anchor = self.anchor.at(self.now());
        self.now = Duration::ZERO;
        self.token = FencingToken { epoch: self.token.epoch.next(), counter: 0 };
        self.settlement = self.replayed();
    }

    /// Returns what was asked for.
    pub(crate) fn spec(&self, job: &JobId) -> &Arc<JobSpec> {
        &self.specs[job]
    }

    /// Returns a machine that starts from the records.
    pub(crate) fn replayed(&self) -> Settlement {
        let mut settlement = Settlement::new(self.anchor.at(self.now()));
        for (at, record) in &self.records {
            settlement.replay(*at, &self.specs[record.job()], record).unwrap();
        }
        for job in self.specs.keys() {
            settlement.resume(job);
        }
        settlement
    }

    pub(crate) fn show(&self, job: &JobId) -> String {
        let mut shown = String::new();
        for view in self.settlement.hooks(job) {
            writeln!(shown, "{}", tell_hook(&view, self.now())).unwrap();
        }
        if self.settlement.is_settled(job) {
            shown += "settled\n";
        }
        shown
    }

    /// Says how every hook stands, without what time alone brings.
    pub(crate) fn portrait(settlement: &Settlement, job: &JobId) -> String {
        let mut shown = String::new();
        for view in settlement.hooks(job) {
            let state = match &view.state {
                HookState::Waiting | HookState::Due { .. } => "open".to_owned(),
                other => format!("{other:?}"),
            };
            writeln!(shown, "{} {state} {} {:?}", view.hook, view.tries, view.trials).unwrap();
            writeln!(shown, "{:?}", settlement.case(job, &view.hook)).unwrap();
        }
        shown
    }
}

fn tell_hook(view: &HookView, now: Moment) -> String {
    let state = match &view.state {
        HookState::Waiting => "waiting".to_owned(),
        HookState::Due { at } => format!("due in {:?}", at.since(now)),
        HookState::Running { worker: Some(worker) } => format!("running on {worker}"),
        HookState::Running { worker: None } => "on its way".to_owned(),
        HookState::Done => "done".to_owned(),
        HookState::Parked => "a case".to_owned(),
        HookState::Closed { resolution, by, reason, .. } => {
            format!("closed by {by}, {}: {reason}", resolution.word())
        }
    };
    format!("{} {} {state}, {} tries", view.kind.word(), view.hook, view.tries)
}

fn tell_record(record: &Record) -> String {
    let text = match record {
        Record::Opened { job, facts, .. } => format!("opened {job}: {}", facts.verdict.word()),
        Record::Intended { hook, number, at: None, .. } => format!("intended {hook}, try {number}"),
        Record::Intended { hook, number, at: Some((host, token)), .. } => {
            format!("intended {hook}, try {number}, on {} with {token}", host.worker)
        }
        Record::Tried { hook, number, trial, .. } => {
            format!("tried {hook}, try {number}: {}", tell_trial(trial))
        }
        Record::Stranded { hook, message, .. } => format!("stranded {hook}: {message}"),
        Record::Resolved { hook, resolution, by, reason, .. } => {
            format!("resolved {hook} by {by}, {}: {reason}", resolution.word())
        }
    };
    format!("record {text}{}\n", if record.forced() { " (forced)" } else { "" })
}

fn tell_trial(trial: &Trial) -> String {
    match trial {
        Trial::Done => "done".into(),
        Trial::Failed { message, hopeless: false } => format!("failed, {message}"),
        Trial::Failed { message, hopeless: true } => format!("failed for good, {message}"),
        Trial::Unknown { message } => format!("unknown, {message}"),
    }
}

fn tell_action(action: &Action) -> String {
    match action {
        Action::Place { hook, placement, undoes, .. } => {
            let on = placement.worker.as_ref().map(|worker| format!(" on {worker}"));
            let after = undoes.as_ref().map(|task| format!(" once {task} is over"));
            format!("place {hook}{}{}\n", on.unwrap_or_default(), after.unwrap_or_default())
        }
        Action::Start(order) => {
            let Role::Hook(role) = &order.role else { panic!("it is the try of a hook") };
            let undoes: Vec<String> = role.undoes.iter().map(ToString::to_string).collect();
            let undoes = if undoes.is_empty() {
                String::new()
            } else {
                format!(", undoes {}", undoes.join(" "))
            };
            let worker = &order.worker;
            format!("{worker} <- start {}, key {}{undoes}\n", order.attempt, role.key)
        }
        Action::Post(post) => format!("post {} key {} {}\n", post.url, post.key, post.body),
        Action::Acknowledge { worker, attempt } => format!("{worker} <- acknowledge {attempt}\n"),
        Action::Discard { worker, attempt } => format!("{worker} <- discard {attempt}\n"),
        Action::Changed { .. } => String::new(),
        Action::Settled { job } => format!("report {job} settled\n"),
    }
}

/// No wish of the tests needs more steps than this to be fulfilled.
const SETTLING_STEPS_MAX: usize = 10_000;
