//! One coordinator, its workers, their wires, clocks and disks; a seed decides what comes next.

use std::{collections::BTreeMap, fmt, time::Duration};

use votum_commit::{Decision, LogPosition};
use votum_ids::{AttemptId, TaskId, WorkerId};
use votum_job::{InputSource, JobSpec};
use votum_machine::WallTime;
use votum_settle::Post;
use votum_worker::Event as WorkerEvent;

use super::{
    bug::Bug,
    cast::{job_spec, workers},
    dice::Dice,
    fact::End,
    ledger::{Ledger, Violation},
    node::{Clock, Node},
    oracle::Oracle,
    play::{Fault, Play, Who},
    site::{Mail, Site, Work},
};
use crate::{engine::Engine, event::Event, replies::Replies};

/// What everybody in a world shares.
pub(super) struct Stage {
    pub(super) play: Play,
    pub(super) spec: JobSpec,
    pub(super) dice: Dice,
    pub(super) time: Duration,
    pub(super) ledger: Ledger,
    /// What workers say to each other, in any order.
    pub(super) mail: Vec<Mail>,
    /// Until then single messages get lost.
    pub(super) lossy: Option<Duration>,
    /// Whether anything may go wrong.
    pub(super) faulty: bool,
}

pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) chief: Node<Engine>,
    pub(super) log: LogPosition,
    pub(super) sites: BTreeMap<WorkerId, Site>,
    pub(super) posts: Vec<Post>,
    pub(super) replies: Replies,
    pub(super) oracle: Oracle,
    /// The last attempt of each task, for a planted bug.
    pub(super) newest: BTreeMap<TaskId, AttemptId>,
    pub(super) moves: usize,
    pub(super) cancelled: bool,
    /// Calls were lost: the client asks what is there.
    pub(super) looks_again: bool,
    /// The person looks again then.
    pub(super) attended: Duration,
    pub(super) faults_left: u32,
    /// From then on nothing is broken any more, unless another fault falls.
    pub(super) whole: Duration,
    pub(super) tally: BTreeMap<Fault, u32>,
}

/// What a world came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) decision: Option<Decision>,
    /// How often the task that books was undone.
    pub(super) undone: u32,
    pub(super) mixed: bool,
    pub(super) replaced: bool,
    pub(super) given_up: bool,
    pub(super) forced: Option<Decision>,
    /// How many records each node has written.
    pub(super) records: BTreeMap<String, usize>,
    pub(super) moves: usize,
    pub(super) time: Duration,
    pub(super) tally: BTreeMap<Fault, u32>,
    /// The same for the same play.
    pub(super) trace: u64,
    pub(super) lines: Vec<String>,
}

/// A promise that a world has broken.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) violation: Violation,
    pub(super) moves: usize,
    pub(super) lines: Vec<String>,
}

/// Something that may happen.
#[derive(Debug, Clone)]
enum Move {
    Sync(Option<WorkerId>),
    Tick(Option<WorkerId>),
    Wake(Option<WorkerId>),
    Connect(WorkerId),
    Hear(WorkerId),
    Tell(WorkerId, usize),
    WorkerNotices(WorkerId),
    ChiefNotices(WorkerId, usize),
    Work(WorkerId, usize),
    Lapse(WorkerId),
    Answer(usize),
    Deliver(usize),
    Calm,
}

impl World {
    /// Plays until nothing of the job is left anywhere, and judges the end.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub(super) fn run(play: &Play) -> Result<Outcome, Box<Failure>> {
        Self::told(play, false)
    }

    /// The same, with every fact in words.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub(super) fn told(play: &Play, tells: bool) -> Result<Outcome, Box<Failure>> {
        let mut world = Self::new(play.clone(), tells);
        while !world.is_over() && world.stage.ledger.violation.is_none() {
            if let Some(stuck) = world.is_stuck() {
                world.stage.ledger.break_promise(stuck);
                break;
            }
            world.go_on();
        }
        world.end()
    }

    fn new(play: Play, tells: bool) -> Self {
        let spec = job_spec(&play);
        let clock = Clock { born: Duration::ZERO, anchor: BEGINNING, fast: 0 };
        let sites = workers(play.shape).iter().map(|name| {
            let site = Site::new(name, clock);
            (site.me.worker.clone(), site)
        });
        let (chief, log) = Self::first_chief(clock);
        let faulty = play.faults > 0 || play.crash.is_some();
        let stage = Stage {
            dice: Dice::of(play.seed, 0),
            time: Duration::ZERO,
            ledger: Ledger::new(&spec, tells),
            spec,
            mail: Vec::new(),
            lossy: None,
            faulty,
            play,
        };
        Self {
            chief,
            log,
            sites: sites.collect(),
            posts: Vec::new(),
            replies: Replies::default(),
            oracle: Oracle::default(),
            newest: BTreeMap::new(),
            moves: 0,
            cancelled: false,
            looks_again: false,
            attended: Duration::ZERO,
            faults_left: stage.play.faults,
            whole: Duration::ZERO,
            tally: BTreeMap::new(),
            stage,
        }
    }

    /// Says whether the job can be handed in: whoever nobody has met is no place for a task.
    pub(super) fn may_submit(&self) -> bool {
        self.sites
            .values()
            .all(|site| site.lost || self.chief.machine.scheduler.worker(&site.me.worker).is_some())
    }

    /// Lets one thing happen.
    fn go_on(&mut self) {
        self.moves += 1;
        self.clients();
        if self.oracle.received {
            self.fault();
            self.force();
        }
        let moves = self.moves();
        if moves.is_empty() {
            if !self.attend() {
                self.wait();
            }
        } else {
            let at = self.stage.dice.below(moves.len());
            self.stage.ledger.mix((moves.len() * 256 + at) as u64);
            let chosen = moves[at].clone();
            self.make(chosen);
        }
        self.perform();
        self.crash_if_due();
    }

    fn make(&mut self, chosen: Move) {
        let time = self.stage.time;
        match chosen {
            Move::Sync(None) => {
                let forgives = self.stage.play.bug == Some(Bug::FailedSyncPassedOver);
                if self.chief.sync(time, forgives).is_err() {
                    self.crash_chief(None, Duration::ZERO);
                }
            }
            Move::Sync(Some(worker)) => {
                let forgives = self.stage.play.bug == Some(Bug::FailedSyncPassedOver);
                if self.site(&worker).node.sync(time, forgives).is_err() {
                    self.crash_site(&worker, None, false, Duration::ZERO);
                }
            }
            Move::Tick(None) => self.step_chief(Event::Tick),
            Move::Tick(Some(worker)) => self.with(&worker, |site, stage| {
                site.step(stage, WorkerEvent::Tick);
            }),
            Move::Wake(None) => self.start_chief(),
            Move::Wake(Some(worker)) => {
                let clock = self.draw_clock();
                self.with(&worker, |site, stage| site.restart(clock, stage));
            }
            Move::Connect(worker) => self.with(&worker, Site::connect),
            Move::Hear(worker) => self.with(&worker, Site::hear),
            Move::Tell(worker, line) => self.tell(&worker, line),
            Move::WorkerNotices(worker) => self.with(&worker, Site::disconnect),
            Move::ChiefNotices(worker, line) => self.close_line(&worker, line),
            Move::Work(worker, at) => {
                let readable = self.is_readable(&worker, at);
                self.with(&worker, |site, stage| site.work(at, readable, stage));
            }
            Move::Lapse(worker) => self.with(&worker, Site::lapse),
            Move::Answer(at) => self.answer(at),
            Move::Deliver(at) => self.deliver(at),
            Move::Calm => {
                self.stage.lossy = None;
                let names: Vec<WorkerId> = self.sites.keys().cloned().collect();
                for worker in names {
                    self.cut(&worker);
                }
            }
        }
    }

    /// Returns everything that may happen before time passes.
    fn moves(&self) -> Vec<Move> {
        let time = self.stage.time;
        let mut moves = Vec::with_capacity(16);
        let chief = self.chief.is_awake(time);
        if self.chief.down && self.chief.asleep.max(self.chief.full) <= time {
            moves.push(Move::Wake(None));
        }
        if chief {
            if self.chief.is_dirty() && !self.is_stalled(&Who::Chief) {
                moves.push(Move::Sync(None));
            }
            if self.chief.due().is_some_and(|due| due <= time) {
                moves.push(Move::Tick(None));
            }
            moves.extend((0..self.posts.len()).map(Move::Answer));
        }
        for (worker, site) in &self.sites {
            self.moves_of(worker, site, chief, &mut moves);
        }
        let arrived = self.stage.mail.iter().enumerate();
        let arrived = arrived.filter(|(_, mail)| mail.arrives <= time);
        moves.extend(arrived.map(|(at, _)| Move::Deliver(at)));
        if self.stage.lossy.is_some_and(|until| until <= time) {
            moves.push(Move::Calm);
        }
        moves
    }

    fn moves_of(&self, worker: &WorkerId, site: &Site, chief: bool, moves: &mut Vec<Move>) {
        let time = self.stage.time;
        let past = |due: Option<Duration>| due.is_some_and(|due| due <= time);
        if chief {
            for (at, line) in site.lines.iter().enumerate() {
                if past(line.up.due()) {
                    moves.push(Move::Tell(worker.clone(), at));
                } else if past(line.chief_ends) && line.chief != super::wire::ChiefEnd::Over {
                    moves.push(Move::ChiefNotices(worker.clone(), at));
                }
            }
        }
        if site.lost {
            return;
        }
        let node = &site.node;
        if node.down && node.asleep.max(node.full) <= time {
            moves.push(Move::Wake(Some(worker.clone())));
        }
        if past(site.lease_ends) && site.acting().next().is_some() {
            moves.push(Move::Lapse(worker.clone()));
        }
        if !site.is_awake(time) {
            // Programs end whether or not anybody watches.
            let exits = site.work.iter().enumerate();
            let exits = exits.filter(|(_, work)| matches!(work, Work::Exit(_)));
            moves.extend(exits.map(|(at, _)| Move::Work(worker.clone(), at)));
            return;
        }
        let stalled = self.stage.play.crash.as_ref().is_some_and(|crash| {
            matches!(crash.who, Who::Worker(name) if name == site.name())
                && self.is_stalled(&crash.who)
        });
        if node.is_dirty() && !stalled {
            moves.push(Move::Sync(Some(worker.clone())));
        }
        if past(node.due()) {
            moves.push(Move::Tick(Some(worker.clone())));
        }
        match site.lines.last().filter(|line| line.worker_open) {
            Some(line) => {
                if past(line.down.due()) {
                    moves.push(Move::Hear(worker.clone()));
                } else if past(line.worker_ends) {
                    moves.push(Move::WorkerNotices(worker.clone()));
                }
            }
            None if site.away <= time && chief => moves.push(Move::Connect(worker.clone())),
            None => {}
        }
        moves.extend((0..site.work.len()).map(|at| Move::Work(worker.clone(), at)));
    }

    /// Lets time pass until somebody wants something.
    fn wait(&mut self) {
        let time = self.stage.time;
        let awake = |node_down: bool, asleep: Duration, full: Duration, due: Option<Duration>| {
            if node_down { Some(asleep.max(full)) } else { due.map(|due| due.max(asleep)) }
        };
        let chief = &self.chief;
        let mut next = vec![awake(chief.down, chief.asleep, chief.full, chief.due())];
        for site in self.sites.values() {
            for line in &site.lines {
                let up = line.up.due().map(|due| due.max(chief.asleep));
                let ends = line.chief_ends.map(|ends| ends.max(chief.asleep));
                next.extend([up, ends.filter(|_| line.chief != super::wire::ChiefEnd::Over)]);
                if line.worker_open && !site.lost {
                    next.extend(
                        [line.down.due(), line.worker_ends]
                            .map(|due| due.map(|due| due.max(site.node.asleep))),
                    );
                }
            }
            if !site.lost {
                let node = &site.node;
                next.push(awake(node.down, node.asleep, node.full, node.due()));
                next.extend([Some(site.away), site.lease_ends, Some(node.asleep)]);
            }
        }
        next.extend([self.stage.lossy, Some(self.attended), Some(chief.asleep)]);
        next.extend(self.stage.mail.iter().map(|mail| Some(mail.arrives)));
        let due = next.into_iter().flatten().filter(|due| *due > time).min();
        self.stage.time = due.unwrap_or(time + Duration::from_secs(1));
    }

    /// Says whether what an attempt reads can be fetched now.
    fn is_readable(&self, worker: &WorkerId, at: usize) -> bool {
        let site = &self.sites[worker];
        let Some(Work::Fetch(order)) = site.work.get(at) else { return true };
        order.inputs.iter().all(|input| {
            let InputSource::Staged { holder, attempt, output, digest, .. } = &input.source else {
                return true;
            };
            let Some(from) = self.sites.get(holder) else { return false };
            let reached = holder == worker
                || (from.is_awake(self.stage.time)
                    && site.deaf <= self.stage.time
                    && from.dumb <= self.stage.time);
            let held = from.staged.get(attempt).and_then(|outputs| outputs.get(output));
            reached && held == Some(digest)
        })
    }

    /// A worker hears another one, unless nothing passes.
    fn deliver(&mut self, at: usize) {
        let Mail { from, to, event, .. } = self.stage.mail.remove(at);
        let time = self.stage.time;
        let (lossy, _) = self.stage.loss();
        let dumb = self.sites.get(&from.worker).is_none_or(|site| site.dumb > time);
        let Some(site) = self.sites.get_mut(&to.worker) else { return };
        if lossy || dumb || site.deaf > time || !site.is_awake(time) {
            return;
        }
        site.step(&mut self.stage, event);
    }

    /// Performs what waits for nothing, everywhere.
    pub(super) fn perform(&mut self) {
        if !self.chief.down {
            self.perform_chief();
        }
        for site in self.sites.values_mut() {
            if !site.lost && !site.node.down {
                site.perform(&mut self.stage);
            }
            if site.lines.len() > 1 {
                site.lines.retain(|line| !line.is_over());
            }
        }
    }

    fn is_over(&self) -> bool {
        // What a crash has left on the disk counts once it was read there.
        let read = !self.chief.down && self.chief.read == self.chief.durable;
        let clean = self.posts.is_empty() && self.sites.values().all(Site::is_clean);
        read && clean && self.is_closed()
    }

    /// Says that it never ends, once that is clear.
    fn is_stuck(&mut self) -> Option<Violation> {
        if self.stage.time > SAFETY_MAX {
            self.faults_left = 0;
        }
        let patience = self.whole + HEALING_MAX;
        let late = self.faults_left == 0 && self.stage.time > patience;
        (late || self.moves > MOVES_MAX).then(|| Violation {
            invariant: "liveness",
            rule: "liveness: when faults stop, every job reaches its end, and nobody stays in doubt",
            source: "Bernstein, Hadzilacos, Goodman 1987, AC5",
            said: format!("it does not end: {}", self.describe()),
            time: self.stage.time,
        })
    }

    fn end(mut self) -> Result<Outcome, Box<Failure>> {
        if self.stage.ledger.violation.is_none() {
            self.judge();
        }
        let ledger = &mut self.stage.ledger;
        let lines = ledger.lines.take().unwrap_or_default();
        if let Some(violation) = ledger.violation.take() {
            return Err(Box::new(Failure { violation, moves: self.moves, lines }));
        }
        let known = &self.stage.ledger.known;
        let names =
            self.sites.values().map(|site| (site.name().to_owned(), site.node.journal.len()));
        let records = names.chain([("chief".to_owned(), self.chief.journal.len())]).collect();
        Ok(Outcome {
            decision: known.decision,
            undone: known
                .took_place
                .get(&super::cast::task(super::cast::BOOK))
                .copied()
                .unwrap_or_default(),
            mixed: self.closed().is_some_and(|view| view.is_mixed()),
            replaced: !known.replaced.is_empty(),
            given_up: !known.given_up.is_empty() || !known.removed.is_empty(),
            forced: self.forced(),
            records,
            moves: self.moves,
            time: self.stage.time,
            trace: self.stage.ledger.trace,
            tally: self.tally,
            lines,
        })
    }

    fn judge(&mut self) {
        let view = self.closed().expect("it is closed");
        let held = self.oracle.look(Some(&view));
        self.keep_promise(held);
        let Stage { ledger, spec, time, faulty, .. } = &mut self.stage;
        ledger.judge(*time, &End { spec, view: &view, faulty: *faulty });
    }

    /// Says how many records a node has written.
    pub(super) fn records(&self, who: &Who) -> usize {
        match who {
            Who::Chief => self.chief.journal.len(),
            Who::Worker(name) => self.sites[&WorkerId::new(*name).unwrap()].node.journal.len(),
        }
    }

    fn describe(&self) -> String {
        let sites: Vec<String> = self.sites.values().map(Site::rest).collect();
        let last: Vec<_> = self.chief.journal.iter().rev().take(5).collect();
        let cases: Vec<_> = self.chief.machine.cases(self.chief.now(self.stage.time));
        let cases: Vec<_> = cases.iter().map(|case| &case.message).collect();
        format!("cases {cases:?}, last {last:?}, {}", sites.join("; "))
    }

    pub(super) fn site(&mut self, worker: &WorkerId) -> &mut Site {
        self.sites.get_mut(worker).unwrap()
    }

    fn with(&mut self, worker: &WorkerId, does: impl FnOnce(&mut Site, &mut Stage)) {
        does(self.sites.get_mut(worker).unwrap(), &mut self.stage);
    }
}

impl Stage {
    /// Says when what leaves at this time arrives.
    pub(super) fn arrival(&mut self) -> Duration {
        self.time + self.dice.time(self.play.delay)
    }

    /// Says whether the next message is lost, and whether it may be overtaken.
    pub(super) fn loss(&mut self) -> (bool, bool) {
        match self.lossy {
            Some(until) if until > self.time => (self.dice.once_in(4), self.dice.once_in(3)),
            Some(_) | None => (false, false),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, rule, source, said, time } = &self.violation;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "BROKEN after {:.3} s and {} moves: {said}", time.as_secs_f64(), self.moves)?;
        writeln!(f, "  invariant {invariant}: {rule}")?;
        write!(f, "  after: {source}")
    }
}

/// The time of day when a world begins.
pub(super) const BEGINNING: WallTime = WallTime(1_000_000_000);
/// A world that has made so many moves never ends.
const MOVES_MAX: usize = 40_000;
/// No fault falls after so long.
const SAFETY_MAX: Duration = Duration::from_mins(20);
/// What is whole ends within so long.
const HEALING_MAX: Duration = Duration::from_mins(30);
