//! The real machine with a log, an engine around it, workers, and what is on its way.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use votum_ids::{AttemptId, Epoch, FencingToken, TaskId};
use votum_job::{Assignment, AttemptState, JobSpec, ListedAttempt, OnUnknown, Role};
use votum_machine::{Machine as _, Moment, WallTime};
use votum_settle::{Action, Event, Host, Record, Resolution, Settlement, Trial, Verdict};

use crate::{
    bug::Bug,
    cast::{decision, end, host, job, worker},
    rules::Broken,
    site::{End, Frame, Site, Stage},
    turn::{Again, Cut, Turn},
};

/// What may go wrong how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) workers: u8,
    pub(crate) chief_crashes: u8,
    pub(crate) site_crashes: u8,
    pub(crate) leaves: u8,
    pub(crate) wipes: u8,
    pub(crate) resolutions: u8,
    pub(crate) strandings: u8,
    pub(crate) repeats: u8,
}

/// Nothing goes wrong but programs and receivers.
pub(crate) const CALM: Bounds = Bounds {
    workers: 1,
    chief_crashes: 0,
    site_crashes: 0,
    leaves: 0,
    wipes: 0,
    resolutions: 0,
    strandings: 0,
    repeats: 0,
};

/// The whole world of one decided job.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) bug: Option<Bug>,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) verdict: Verdict,
    pub(crate) machine: Settlement,
    /// Numbers of records.
    pub(crate) log: Vec<u16>,
    pub(crate) durable: usize,
    /// What waits until every record is durable.
    held: Vec<(usize, Frame)>,
    /// Hooks for which a worker was asked, by this start of the coordinator.
    pub(crate) wanted: BTreeSet<TaskId>,
    /// Requests that this start of the coordinator has sent.
    pub(crate) posts: BTreeSet<(TaskId, u32)>,
    /// The last token that was given out.
    token: u8,
    pub(crate) sites: Vec<Site>,
    pub(crate) left: Bounds,
    pub(crate) past: Past,
}

/// What the promises are about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// The bytes of the first try of each hook, as a number.
    pub(crate) bytes: BTreeMap<TaskId, u64>,
    /// How often each hook may have taken effect.
    pub(crate) done: BTreeMap<TaskId, u8>,
    /// What a worker was told that the coordinator knows to be done.
    pub(crate) sure: BTreeSet<TaskId>,
    /// How often a person wanted it once more.
    pub(crate) wished: BTreeMap<TaskId, u8>,
    /// What a person has closed.
    pub(crate) closed: BTreeSet<TaskId>,
}

impl Hash for Cluster {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.machine, &self.log, self.durable, &self.held, &self.wanted, &self.posts).hash(state);
        (self.token, &self.sites, self.left, &self.past).hash(state);
    }
}

impl Cluster {
    pub(crate) fn new(verdict: &str, lines: &[&str], bounds: Bounds) -> Self {
        let decided = decision(&job(), verdict, lines);
        let Event::Decided { spec, facts, .. } = &decided else { panic!("it is a decision") };
        let mut cluster = Self {
            bug: None,
            spec: Arc::clone(spec),
            verdict: facts.verdict,
            machine: Settlement::new(DOOMSDAY),
            log: Vec::new(),
            durable: 0,
            held: Vec::new(),
            wanted: BTreeSet::new(),
            posts: BTreeSet::new(),
            token: 10,
            sites: (0..bounds.workers).map(|_| Site::new()).collect(),
            left: bounds,
            past: Past::default(),
        };
        cluster.step(decided, Cut::Whole).unwrap();
        cluster
    }

    /// Plants a bug.
    pub(crate) fn with(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        let mut spec = Arc::clone(&self.spec);
        if bug == Bug::OrderForgotten {
            let tasks = Arc::make_mut(&mut spec).tasks.values_mut();
            tasks.for_each(|task| task.needs.clear());
            self.machine = self.replayed(&spec);
        }
        if bug == Bug::ParkingIgnored {
            let effects = Arc::make_mut(&mut spec).effects.values_mut();
            effects.for_each(|effect| effect.on_unknown = OnUnknown::Repeat);
            self.machine = self.replayed(&spec);
        }
        self
    }

    /// Does one thing.
    pub(crate) fn take(&mut self, turn: &Turn) -> Result<(), Broken> {
        match turn {
            Turn::Tick(cut) => self.step_at(END_OF_TIME, Event::Tick, *cut)?,
            Turn::Offer(hook, at, cut) => {
                self.token += 1;
                self.wanted.remove(hook);
                let (job, hook, host) = (job(), hook.clone(), self.host(*at));
                self.step(Event::Offered { job, hook, host, token: wide(self.token) }, *cut)?;
            }
            Turn::Unplaceable(hook) => {
                self.left.strandings -= 1;
                self.wanted.remove(hook);
                let (job, hook, message) = (job(), hook.clone(), String::new());
                self.step(Event::Unplaceable { job, hook, message }, Cut::Whole)?;
            }
            Turn::Deliver(at, frame, again) => {
                match again {
                    Again::Yes => self.left.repeats -= 1,
                    Again::No => {
                        self.sites[*at].inbox.remove(frame);
                    }
                }
                self.deliver(*at, frame)?;
            }
            Turn::Report(at, hook, token, end, again) => {
                match again {
                    Again::Yes => self.left.repeats -= 1,
                    Again::No => {
                        self.sites[*at].outbox.remove(&(hook.clone(), *token, *end));
                    }
                }
                self.report(*at, hook, *token, *end)?;
            }
            Turn::Finish(at, hook, token, end) => {
                self.sites[*at].finish(hook, *token, *end);
                self.known_undone(hook, *end);
            }
            Turn::Answer(hook, number, end) => {
                self.posts.remove(&(hook.clone(), *number));
                self.known_undone(hook, *end);
                let (job, hook, trial) = (job(), hook.clone(), answer(*end));
                self.step(Event::Answered { job, hook, number: *number, trial }, Cut::Whole)?;
            }
            Turn::Join(at) => self.join(*at)?,
            Turn::Resolve(hook, resolution) => self.resolve(hook, *resolution)?,
            Turn::Leave(at) => {
                self.left.leaves -= 1;
                self.sites[*at].leave();
            }
            Turn::Lose(at) => self.lose(*at)?,
            Turn::Gone(at) => {
                if let Some(host) = self.outlived(*at) {
                    self.exhaust(&Event::HostGone { host })?;
                }
            }
            Turn::CrashSite(at) => {
                self.left.site_crashes -= 1;
                self.sites[*at].crash();
            }
            Turn::Wipe(at) => {
                self.left.wipes -= 1;
                self.sites[*at].wipe();
            }
            Turn::Sync => self.sync(),
            Turn::Crash(kept) => self.crash(*kept)?,
        }
        Ok(())
    }

    pub(crate) fn is_due(&self) -> bool {
        self.machine.next_deadline().is_some()
    }

    /// Says how far the coordinator may get with a step that forces its record.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let mut cuts = vec![Cut::Whole];
        if self.left.chief_crashes > 0 {
            // Whoever dies after the last action dies after the step.
            cuts.push(Cut::After(0));
        }
        cuts
    }

    /// Returns the hooks that are cases.
    pub(crate) fn cases(&self) -> Vec<TaskId> {
        self.machine.cases().into_iter().map(|case| case.hook).collect()
    }

    /// Says whether a worker is silent, and not yet given up.
    pub(crate) fn may_lose(&self, at: usize) -> bool {
        let silent = !self.sites[at].connected || self.bug == Some(Bug::LostWhileConnected);
        silent && !self.sites[at].lost && self.machine.hosts().contains(&self.host(at))
    }

    /// Returns the earlier installation of a worker if something is tried on it.
    pub(crate) fn outlived(&self, at: usize) -> Option<Host> {
        let (now, mut hosts) = (self.host(at), self.machine.hosts().into_iter());
        hosts.find(|host| host.worker == now.worker && host.uid != now.uid)
    }

    fn host(&self, at: usize) -> Host {
        host(&format!("{}={}", NAMES[at], self.sites[at].uid))
    }

    fn deliver(&mut self, at: usize, frame: &Frame) -> Result<(), Broken> {
        if self.sites[at].take(frame)
            && let Frame::Start(hook, token) = frame
        {
            self.check_at_once(at, hook, *token)?;
            self.may_be_done(hook)?;
        }
        if let Frame::Acknowledged(hook, _) = frame {
            self.note_acknowledged(hook);
        }
        Ok(())
    }

    fn report(&mut self, at: usize, hook: &TaskId, token: u8, how: End) -> Result<(), Broken> {
        let end = Box::new(program_end(how));
        if self.bug == Some(Bug::TokensNotCompared)
            && let Some(host) = self.machine.hosts().into_iter().next()
        {
            // Its worker does not know that it was mistaken for another.
            self.hold(at, Frame::Acknowledged(hook.clone(), token));
            let attempt = attempt(hook, self.token);
            return self.step(Event::Ended { host, attempt, end }, Cut::Whole);
        }
        let host = self.host(at);
        self.step(Event::Ended { host, attempt: attempt(hook, token), end }, Cut::Whole)
    }

    fn join(&mut self, at: usize) -> Result<(), Broken> {
        let host = self.host(at);
        self.sites[at].connected = true;
        self.sites[at].lost = false;
        self.step(Event::Joined { host: host.clone() }, Cut::Whole)?;
        for ((hook, token), stage) in self.sites[at].tries.clone() {
            let state = match stage {
                Stage::Live { .. } => AttemptState::Live,
                Stage::Over(end) => {
                    self.sites[at].outbox.insert((hook.clone(), token, end));
                    AttemptState::Ended(program_end(end))
                }
            };
            let listed = ListedAttempt { attempt: attempt(&hook, token), number: 1, state };
            self.step(Event::Listed { host: host.clone(), listed }, Cut::Whole)?;
        }
        if self.bug == Some(Bug::InventoryWithoutEnd) {
            return Ok(());
        }
        self.step(Event::InventoryEnded { host }, Cut::Whole)
    }

    fn lose(&mut self, at: usize) -> Result<(), Broken> {
        self.sites[at].lost = true;
        if self.bug != Some(Bug::LostWhileConnected) {
            for stage in self.sites[at].tries.values_mut() {
                if let Stage::Live { parted } = stage {
                    *parted = true;
                }
            }
        }
        self.exhaust(&Event::HostLost { worker: worker(NAMES[at]) })?;
        self.check_moved(&worker(NAMES[at]))
    }

    fn resolve(&mut self, hook: &TaskId, resolution: Resolution) -> Result<(), Broken> {
        self.left.resolutions -= 1;
        match resolution {
            Resolution::Retry => *self.past.wished.entry(hook.clone()).or_default() += 1,
            Resolution::Done | Resolution::GiveUp => {
                self.past.closed.insert(hook.clone());
            }
        }
        let resolution =
            if self.bug == Some(Bug::ClosedIsRetried) { Resolution::Retry } else { resolution };
        let (job, hook) = (job(), hook.clone());
        let (by, reason) = (String::new(), String::new());
        self.step(Event::ResolutionAsked { job, hook, resolution, by, reason }, Cut::Whole)
    }

    /// Hands over an event for as long as it makes a record.
    fn exhaust(&mut self, event: &Event) -> Result<(), Broken> {
        loop {
            let records = self.log.len();
            self.step(event.clone(), Cut::Whole)?;
            if self.log.len() == records || self.bug == Some(Bug::LossToldOnce) {
                return Ok(());
            }
        }
    }

    fn step(&mut self, event: Event, cut: Cut) -> Result<(), Broken> {
        self.step_at(Moment::START, event, cut)
    }

    fn step_at(&mut self, now: Moment, event: Event, cut: Cut) -> Result<(), Broken> {
        let reaction = self.machine.step(now, event);
        let forced = reaction.record.as_ref().is_some_and(|record| {
            let neglected = match record {
                Record::Resolved { .. } => self.bug == Some(Bug::ResolutionNotForced),
                Record::Intended { .. } => self.bug == Some(Bug::StartBeforeIntent),
                _ => false,
            };
            record.forced() && !neglected
        });
        if let Some(record) = reaction.record {
            if let Record::Intended { hook, .. } = &record {
                self.check_order(hook)?;
            }
            self.log.push(number(record));
        }
        if forced {
            self.sync();
        }
        let actions = match cut {
            Cut::Whole => usize::MAX,
            Cut::After(count) => count,
        };
        let is_seen =
            |action: &Action| !matches!(action, Action::Changed { .. } | Action::Settled { .. });
        for action in reaction.actions.into_iter().filter(is_seen).take(actions) {
            self.perform(action)?;
        }
        match cut {
            Cut::Whole => Ok(()),
            Cut::After(_) => self.crash(self.log.len()),
        }
    }

    fn perform(&mut self, action: Action) -> Result<(), Broken> {
        match action {
            Action::Place { hook, .. } => {
                self.wanted.insert(hook);
            }
            Action::Start(order) => self.start(&order)?,
            Action::Post(mut post) => {
                if self.bug == Some(Bug::KeyPerTry) {
                    post.key += &post.number.to_string();
                }
                let bytes = format!("{:?}", (&post.url, &post.headers, &post.key, &post.body));
                self.check_begun(&post.hook, &bytes)?;
                self.check_post(&post.hook)?;
                self.posts.insert((post.hook.clone(), post.number));
                self.may_be_done(&post.hook)?;
            }
            Action::Acknowledge { worker, attempt } => {
                let at = place(worker.as_str());
                let frame = Frame::Acknowledged(attempt.task.clone(), narrow(attempt.token));
                self.hold(at, frame);
            }
            Action::Discard { worker, attempt } => {
                let at = place(worker.as_str());
                self.hold(at, Frame::Discard(attempt.task.clone(), narrow(attempt.token)));
            }
            Action::Changed { .. } | Action::Settled { .. } => {}
        }
        Ok(())
    }

    fn start(&mut self, order: &Assignment) -> Result<(), Broken> {
        let Role::Hook(role) = &order.role else { panic!("it is the try of a hook") };
        let hook = &order.attempt.task;
        let bytes = format!("{:?}", (role, &order.spec, &order.job_env, &order.params));
        self.check_begun(hook, &bytes)?;
        let site = &mut self.sites[place(order.worker.as_str())];
        if site.connected {
            site.inbox.insert(Frame::Start(hook.clone(), narrow(order.attempt.token)));
        }
        Ok(())
    }

    /// Keeps a frame back until every record is durable.
    fn hold(&mut self, at: usize, frame: Frame) {
        self.held.push((at, frame));
        if self.durable == self.log.len() || self.bug == Some(Bug::AckBeforeRecord) {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        for (at, frame) in std::mem::take(&mut self.held) {
            if self.sites[at].connected {
                self.sites[at].inbox.insert(frame);
            }
        }
    }

    fn sync(&mut self) {
        self.durable = self.log.len();
        self.let_go();
    }

    fn crash(&mut self, kept: usize) -> Result<(), Broken> {
        self.left.chief_crashes -= 1;
        self.log.truncate(kept);
        self.durable = kept;
        self.held.clear();
        self.wanted.clear();
        self.posts.clear();
        for site in &mut self.sites {
            site.leave();
            site.lost = false;
        }
        self.machine = self.replayed(&self.spec);
        self.check_closed()
    }

    fn replayed(&self, spec: &Arc<JobSpec>) -> Settlement {
        let mut machine = Settlement::new(DOOMSDAY);
        for number in &self.log {
            let mut record = record(*number);
            if let Record::Opened { facts, .. } = &mut record
                && self.bug == Some(Bug::DecisionTurned)
            {
                facts.verdict = match facts.verdict {
                    Verdict::Commit => Verdict::Abort,
                    Verdict::Abort => Verdict::Commit,
                };
            }
            // A log that a bug has spoilt may not fit.
            let replayed = machine.replay(DOOMSDAY, spec, &record);
            assert!(replayed.is_ok() || self.bug.is_some(), "{replayed:?}");
        }
        if self.bug != Some(Bug::NotResumed) {
            machine.resume(&job());
        }
        machine
    }
}

fn place(name: &str) -> usize {
    NAMES.iter().position(|other| *other == name).unwrap()
}

pub(crate) fn wide(token: u8) -> FencingToken {
    FencingToken { epoch: Epoch(1), counter: token.into() }
}

fn narrow(token: FencingToken) -> u8 {
    u8::try_from(token.counter).unwrap()
}

fn attempt(hook: &TaskId, token: u8) -> AttemptId {
    AttemptId { job: job(), task: hook.clone(), token: wide(token) }
}

fn program_end(how: End) -> votum_job::AttemptEnd {
    match how {
        End::Done => end(&["sealed"]),
        End::Failed => end(&["exit", "3"]),
        End::Killed => end(&["signal", "9"]),
    }
}

fn answer(how: End) -> Trial {
    match how {
        End::Done => Trial::Done,
        End::Failed => Trial::of_status(503),
        End::Killed => Trial::of_status(504),
    }
}

/// Returns the number of a text.
pub(crate) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

thread_local! {
    /// Every record that was ever made, and its number.
    static RECORDS: RefCell<(Vec<Record>, HashMap<String, u16>)> = RefCell::default();
}

fn number(record: Record) -> u16 {
    RECORDS.with_borrow_mut(|(records, numbers)| {
        let next = u16::try_from(records.len()).unwrap();
        let number = *numbers.entry(format!("{record:?}")).or_insert(next);
        if number == next {
            records.push(record);
        }
        number
    })
}

fn record(number: u16) -> Record {
    RECORDS.with_borrow(|(records, _)| records[usize::from(number)].clone())
}

const NAMES: [&str; 2] = ["alice", "bob"];
/// Every wall time of the model.
const DOOMSDAY: WallTime = WallTime(u64::MAX);
/// When everything is due; all else happens at the start, so that states differ by what happened.
const END_OF_TIME: Moment = Moment::since_start(Duration::MAX);
