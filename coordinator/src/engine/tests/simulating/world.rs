//! One coordinator, two workers, their wires and their clocks; a seed decides what comes next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;
use votum_commit::{
    Coordinator, Heuristic, Installation, LogPosition, LogState, Message, Objection, Start, Vote,
};
use votum_driver::Stamped;
use votum_ids::{ClusterId, Epoch, Incarnation, TxnId, WorkerId};
use votum_job::{Assignment, JobSpec};
use votum_schedule::Scheduler;
use votum_settle::{Post, Trial};
use votum_wire::{
    CaseAction, CaseName, CoordinatorFrame, FromCoordinator, FromWorker, Subject, Versions,
};
use votum_worker::Event as WorkerEvent;

use super::{
    cast::job_spec,
    node::{Node, open_streams, wall},
    site::{Session, Site},
    truth::Truth,
};
use crate::{
    action::{Action, Answer},
    engine::{
        Engine, Lease,
        tests::{job, submission},
    },
    event::{Event, Past, Place},
    question::{Intent, Question},
    recall::{compare, place_in, round},
    record::Record,
    replies::Replies,
};

/// How the job is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything goes well.
    Commits,
    /// The task `load` always fails.
    TaskFails,
    /// Every worker votes No.
    VotesNo,
    /// A client cancels the job after so many moves.
    Cancelled(usize),
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Chief,
    Worker(&'static str),
}

/// Where a process dies: some moves after its journal has so many records, and without a sync
/// in between.
#[derive(Debug, Clone)]
pub(super) struct Crash {
    pub(super) who: Who,
    pub(super) records: usize,
    /// Whether what no sync has covered is on the disk all the same.
    pub(super) kept: bool,
    /// How many moves later.
    pub(super) delay: usize,
}

/// What a world is asked to play.
#[derive(Debug, Clone)]
pub(super) struct Play {
    pub(super) seed: u64,
    pub(super) ending: Ending,
    pub(super) crash: Option<Crash>,
    /// How many crashes and cuts may happen at any time.
    pub(super) faults: u32,
}

/// What the programs and the disks of a site are asked to do.
pub(super) struct Asked<'a> {
    pub(super) spec: &'a JobSpec,
    pub(super) ending: &'a Ending,
    pub(super) dice: &'a mut Dice,
}

/// Splitmix64: the same numbers for the same seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

pub(super) struct World {
    play: Play,
    spec: JobSpec,
    dice: Dice,
    time: Duration,
    chief: Node<Engine>,
    log: LogPosition,
    sites: BTreeMap<WorkerId, Site>,
    posts: Vec<Post>,
    replies: Replies,
    pub(super) truth: Truth,
    moves: usize,
}

/// Something that may happen.
#[derive(Debug, Clone)]
enum Move {
    Sync(Option<WorkerId>),
    Tick(Option<WorkerId>),
    Connect(WorkerId),
    Hear(WorkerId),
    Tell(WorkerId),
    Work(WorkerId, usize),
    Answer(usize),
    Wait,
}

impl World {
    /// Plays until nothing of the job is left anywhere, and judges the end.
    pub(super) fn run(play: &Play) -> Self {
        let mut world = Self::new(play.clone());
        world.submit();
        while !world.is_over() {
            assert!(world.moves < MOVES_MAX, "it does not end: {}", world.describe());
            world.go_on();
        }
        world.truth.judge(&world.spec);
        world
    }

    /// Says how many records each node has written.
    pub(super) fn records(&self, who: &Who) -> usize {
        match who {
            Who::Chief => self.chief.journal.len(),
            Who::Worker(name) => self.sites[&WorkerId::new(*name).unwrap()].node.journal.len(),
        }
    }

    fn new(play: Play) -> Self {
        let mut dice = Dice(play.seed);
        dice.below(2);
        let time = Duration::ZERO;
        let sites = ["a", "b"].map(|name| {
            let site = Site::start(name, Vec::new(), BTreeSet::new(), 1, time);
            (WorkerId::new(name).unwrap(), site)
        });
        let (chief, log) = start(Vec::new(), time);
        Self {
            play,
            spec: job_spec(),
            dice,
            time,
            chief,
            log,
            sites: sites.into(),
            posts: Vec::new(),
            replies: Replies::default(),
            truth: Truth::default(),
            moves: 0,
        }
    }

    fn submit(&mut self) {
        let question = Question::Submit {
            intent: Intent::Receive,
            job: job(),
            spec: Box::new(self.spec.clone()),
            submission: submission(),
        };
        // A worker that nobody has met is no place for a task.
        while self.sites.values().any(|site| !site.session.as_ref().is_some_and(|one| one.open)) {
            self.go_on();
        }
        self.ask(question);
        self.chief.sync();
        self.perform();
    }

    fn ask(&mut self, question: Question) {
        let reply = self.replies.register().0;
        self.chief.step(self.time, Event::Asked { reply, question });
        self.perform();
    }

    /// Lets one thing happen.
    fn go_on(&mut self) {
        self.moves += 1;
        if let Ending::Cancelled(at) = self.play.ending
            && self.moves == at
        {
            let (by, reason) = ("ana".to_owned(), String::new());
            self.ask(Question::Cancel { job: job(), by, reason });
        }
        self.fault();
        let moves = self.moves();
        let chosen = match moves.len() {
            0 if self.decide_a_case() => return self.perform(),
            0 => Move::Wait,
            many => moves[self.dice.below(many)].clone(),
        };
        match chosen {
            Move::Sync(None) => self.chief.sync(),
            Move::Sync(Some(worker)) => self.site(&worker).node.sync(),
            Move::Tick(None) => self.chief.step(self.time, Event::Tick),
            Move::Tick(Some(worker)) => {
                let time = self.time;
                self.site(&worker).node.step(time, WorkerEvent::Tick);
            }
            Move::Connect(worker) => {
                let time = self.time;
                self.site(&worker).connect(time);
            }
            Move::Hear(worker) => {
                let (time, again) = (self.time, self.dice.below(8) == 0);
                self.site(&worker).hear(time, again);
            }
            Move::Tell(worker) => self.tell(&worker),
            Move::Work(worker, at) => {
                let site = self.sites.get_mut(&worker).unwrap();
                let mut asked =
                    Asked { spec: &self.spec, ending: &self.play.ending, dice: &mut self.dice };
                site.work(at, self.time, &mut self.truth, &mut asked);
            }
            Move::Answer(at) => self.answer(at),
            Move::Wait => self.wait(),
        }
        self.perform();
        self.crash_if_due();
    }

    /// A person looks whether what nobody knows of took place, and says so.
    fn decide_a_case(&mut self) -> bool {
        // What is lost here comes back; only hooks wait for a person.
        let mut cases = self.chief.machine.hook_cases().into_iter();
        let Some(CaseName { job, subject: Subject::Hook(hook) }) =
            cases.next().map(|case| case.name)
        else {
            return false;
        };
        let took_place = self.truth.effects.contains_key(&hook);
        let action = if took_place { CaseAction::Done } else { CaseAction::Retry };
        self.truth.see(&hook);
        let (subject, by) = (Subject::Hook(hook), "ana".to_owned());
        let reason = "looked".to_owned();
        self.ask(Question::Resolve { job, subject, action, by, reason });
        true
    }

    /// Returns everything that may happen before time passes.
    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.chief.durable < self.chief.journal.len() && !self.is_stalled(&Who::Chief) {
            moves.push(Move::Sync(None));
        }
        if self.chief.due().is_some_and(|due| due <= self.time) {
            moves.push(Move::Tick(None));
        }
        for (worker, site) in &self.sites {
            let who = Who::Worker(site.name());
            if site.node.durable < site.node.journal.len() && !self.is_stalled(&who) {
                moves.push(Move::Sync(Some(worker.clone())));
            }
            if site.node.due().is_some_and(|due| due <= self.time) {
                moves.push(Move::Tick(Some(worker.clone())));
            }
            match &site.session {
                None if site.away > self.time => {}
                None => moves.push(Move::Connect(worker.clone())),
                Some(session) => {
                    if !session.down.is_empty() {
                        moves.push(Move::Hear(worker.clone()));
                    }
                    if !session.up.is_empty() {
                        moves.push(Move::Tell(worker.clone()));
                    }
                }
            }
            moves.extend((0..site.work.len()).map(|at| Move::Work(worker.clone(), at)));
        }
        moves.extend((0..self.posts.len()).map(Move::Answer));
        moves
    }

    /// Lets time pass until somebody wants a tick.
    fn wait(&mut self) {
        let sites = self.sites.values().filter_map(|site| site.node.due());
        let away = self.sites.values().map(|site| site.away).filter(|until| *until > self.time);
        let due = sites.chain(self.chief.due()).chain(away).min();
        self.time = due.expect("somebody waits").max(self.time);
    }

    /// The coordinator takes the next frame of a worker, perhaps twice.
    fn tell(&mut self, worker: &WorkerId) {
        let again = self.dice.below(8) == 0;
        let site = self.sites.get_mut(worker).unwrap();
        let from = site.me.clone();
        let Some(session) = &mut site.session else { return };
        let Some(frame) = session.up.pop_front() else { return };
        if let FromWorker::Hello(hello) = frame {
            session.open = true;
            return self.chief.step(self.time, Event::SessionOpened(hello));
        }
        if again {
            let (from, frame) = (from.clone(), frame.clone());
            self.chief.step(self.time, Event::Frame { from, frame });
        }
        self.chief.step(self.time, Event::Frame { from, frame });
    }

    /// A request of a webhook comes to its end: taken, refused, or nobody knows.
    fn answer(&mut self, at: usize) {
        let post = self.posts.remove(at);
        let message = "no luck".to_owned();
        let (taken, trial) = match self.dice.below(8) {
            0 => (false, Trial::Failed { message, hopeless: false }),
            1 => (false, Trial::Unknown { message }),
            2 => (true, Trial::Unknown { message }),
            _ => (true, Trial::Done),
        };
        if taken {
            self.truth.post(&self.spec, &post.hook, &post.key, &post.body);
        }
        if let Trial::Unknown { .. } = trial {
            self.truth.lose_sight(&post.hook);
        }
        let Post { job, hook, number, .. } = post;
        self.chief.step(self.time, Event::Answered { job, hook, number, trial });
    }

    /// Performs what waits for nothing, everywhere.
    fn perform(&mut self) {
        self.truth.learn(&self.chief.journal[..self.chief.durable]);
        while let Some(action) = self.chief.pop() {
            self.obey(action);
        }
        let mut mail = Vec::new();
        for site in self.sites.values_mut() {
            let asked = Asked { spec: &self.spec, ending: &self.play.ending, dice: &mut self.dice };
            mail.extend(site.perform(self.time, &mut self.truth, &asked));
        }
        for (to, event) in mail {
            if let Some(site) = self.sites.get_mut(&to.worker) {
                site.node.step(self.time, event);
            }
        }
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Send { worker, frame } | Action::SendDurable { worker, frame } => {
                self.send(&worker, frame);
            }
            Action::Refuse { installation, .. } => self.cut(&installation.worker),
            Action::Post(post) => {
                self.truth.send(&post.hook);
                self.posts.push(*post);
            }
            Action::Recall { from, txn } => {
                let past = self.past(&txn);
                self.chief.step(self.time, Event::Recalled { from, txn, past });
            }
            Action::RecallForced { from, heuristic } => {
                let place = self.place(&from, &heuristic);
                self.chief.step(self.time, Event::ForcedRecalled { from, heuristic, place });
            }
            Action::Raise { alarm } => panic!("the coordinator: {alarm}"),
            Action::Reply { answer: Answer::Cancelling(_), .. } => self.truth.tell_abort(),
            Action::Reply { .. } | Action::JobChanged { .. } => {}
        }
    }

    fn send(&mut self, worker: &WorkerId, body: FromCoordinator) {
        if let FromCoordinator::Commit(Message::Abort { .. }) = &body {
            self.truth.tell_abort();
        }
        let log = LogPosition { lsn: self.chief.durable as u64, ..self.log };
        let site = self.sites.get_mut(worker).unwrap();
        if let Some(session) = site.session.as_mut().filter(|session| session.open) {
            session.down.push_back(CoordinatorFrame { log, body });
        }
    }

    fn place(&self, from: &Installation, heuristic: &Heuristic) -> Place {
        let durable = self.chief.journal[..self.chief.durable].iter();
        let records = durable.filter_map(|(at, record)| match record {
            Record::Job(record) if record.job == heuristic.txn.job => {
                Some(Stamped { at: *at, record: (**record).clone() })
            }
            _ => None,
        });
        place_in(&records.collect::<Vec<_>>(), from, heuristic)
    }

    fn past(&self, txn: &TxnId) -> Past {
        let durable = self.chief.journal[..self.chief.durable].iter();
        let committed = durable.filter_map(|(_, record)| match record {
            Record::Job(record) if record.job == txn.job => round(record),
            _ => None,
        });
        compare(committed.take(1).next(), txn)
    }

    /// The session of a worker ends, after some of what is under way has arrived; both sides
    /// notice.
    fn cut(&mut self, worker: &WorkerId) {
        let time = self.time;
        let flight = |session: &Session| (session.up.len(), session.down.len());
        let (up, down) = self.site(worker).session.as_ref().map(flight).unwrap_or_default();
        for _ in 0..self.dice.below(up + 1) {
            self.tell(worker);
        }
        for _ in 0..self.dice.below(down + 1) {
            self.site(worker).hear(time, false);
        }
        let site = self.site(worker);
        let open = site.session.as_ref().is_some_and(|session| session.open);
        let incarnation = site.incarnation();
        site.disconnect(time);
        if open {
            let worker = worker.clone();
            self.chief.step(time, Event::SessionClosed { worker, incarnation });
        }
    }

    /// Breaks something now and then, as long as anything may break.
    fn fault(&mut self) {
        if self.play.faults == 0 || self.dice.below(40) > 0 {
            return;
        }
        self.play.faults -= 1;
        let names: Vec<WorkerId> = self.sites.keys().cloned().collect();
        let worker = names[self.dice.below(names.len())].clone();
        match self.dice.below(4) {
            0 => self.crash_chief(None),
            1 => self.crash_site(&worker, None),
            2 => self.cut(&worker),
            _ => {
                self.cut(&worker);
                let away = Duration::from_secs(self.dice.below(90) as u64);
                let until = self.time + away;
                self.site(&worker).away = until;
            }
        }
        self.perform();
    }

    fn crash_if_due(&mut self) {
        let Some(Crash { who, kept, delay, .. }) = self.play.crash.clone() else { return };
        if !self.is_stalled(&who) {
            return;
        }
        if let (Some(crash), 1..) = (&mut self.play.crash, delay) {
            crash.delay -= 1;
            return;
        }
        self.play.crash = None;
        match who {
            Who::Chief => self.crash_chief(Some(kept)),
            Who::Worker(name) => self.crash_site(&WorkerId::new(name).unwrap(), Some(kept)),
        }
        self.perform();
    }

    /// Says whether the disk of a node that is about to die takes nothing more.
    fn is_stalled(&self, who: &Who) -> bool {
        let doomed = |crash: &&Crash| crash.who == *who && self.records(who) >= crash.records;
        self.play.crash.as_ref().filter(doomed).is_some()
    }

    /// The coordinator dies and starts again; `kept` says what becomes of undurable records.
    fn crash_chief(&mut self, kept: Option<bool>) {
        for post in std::mem::take(&mut self.posts) {
            // What had left may have arrived.
            if self.dice.below(2) == 0 {
                self.truth.post(&self.spec, &post.hook, &post.key, &post.body);
            }
            self.truth.lose_sight(&post.hook);
        }
        let beyond = self.beyond(self.chief.journal.len() - self.chief.durable, kept);
        let time = self.time;
        for site in self.sites.values_mut() {
            // What had left may arrive.
            let flight = site.session.as_ref().map_or(0, |session| session.down.len());
            for _ in 0..self.dice.below(flight + 1) {
                site.hear(time, false);
            }
            site.disconnect(time);
        }
        let (fresh, _) = start(Vec::new(), time);
        let dead = std::mem::replace(&mut self.chief, fresh);
        (self.chief, self.log) = start(dead.crash(beyond), time);
    }

    fn crash_site(&mut self, worker: &WorkerId, kept: Option<bool>) {
        self.cut(worker);
        let site = self.sites.remove(worker).unwrap();
        let beyond = self.beyond(site.node.journal.len() - site.node.durable, kept);
        let site = site.crash(beyond, self.time, &mut self.truth);
        self.sites.insert(worker.clone(), site);
    }

    fn beyond(&mut self, undurable: usize, kept: Option<bool>) -> usize {
        match kept {
            Some(true) => undurable,
            Some(false) => 0,
            None => self.dice.below(undurable + 1),
        }
    }

    fn is_over(&self) -> bool {
        let durable = &self.chief.journal[..self.chief.durable];
        let closed = durable
            .iter()
            .any(|(_, record)| matches!(record, Record::Job(record) if record.closing.is_some()));
        closed && self.posts.is_empty() && self.sites.values().all(Site::is_clean)
    }

    fn describe(&self) -> String {
        let sites: Vec<String> = self.sites.values().map(Site::rest).collect();
        let last: Vec<_> = self.chief.journal.iter().rev().take(5).collect();
        format!("{:?}, last {last:#?}, {}", self.play, sites.join("; "))
    }

    fn site(&mut self, worker: &WorkerId) -> &mut Site {
        self.sites.get_mut(worker).unwrap()
    }
}

/// Starts a coordinator on these records.
fn start(
    journal: Vec<(votum_machine::WallTime, Record)>,
    time: Duration,
) -> (Node<Engine>, LogPosition) {
    let mut journal = journal;
    let cluster = ClusterId(Uuid::from_u128(9));
    let mut held = LogPosition {
        cluster,
        epoch: Epoch(0),
        start: Incarnation(Uuid::nil()),
        lsn: journal.len() as u64,
    };
    for (_, record) in &journal {
        if let Record::EpochStarted { epoch, start, .. } = record {
            (held.epoch, held.start) = (*epoch, *start);
        }
    }
    let epoch = Epoch(held.epoch.0 + 1);
    let incarnation = Incarnation(Uuid::from_u128(u128::from(epoch.0)));
    let anchor = wall(time);
    let streams = open_streams(&journal);
    journal.push((anchor, Record::EpochStarted { epoch, start: incarnation, stale: false }));
    let machine = Start { cluster, epoch, incarnation, held, log: LogState::Whole };
    let lease = Lease {
        length: Duration::from_secs(15),
        heartbeat_interval: Duration::from_secs(3),
        stop_grace: Duration::from_secs(10),
        protocols: Versions::OURS,
    };
    let scheduler = Scheduler::new(votum_schedule::Config::default(), epoch, anchor);
    let mut engine = Engine::new(anchor, 10, lease, scheduler, Coordinator::new(machine));
    for records in streams.into_values() {
        take_up(&mut engine, records);
    }
    let log = LogPosition { cluster, epoch, start: incarnation, lsn: journal.len() as u64 };
    (Node::start(engine, journal, time), log)
}

fn take_up(engine: &mut Engine, records: Vec<Stamped<Record>>) {
    let (mut of_job, mut job) = (Vec::new(), None);
    for Stamped { at, record } in records {
        match record {
            Record::Registered(registration) => engine.register(at, registration).unwrap(),
            Record::Ordered { worker, orders } => engine.order(at, worker, orders).unwrap(),
            Record::Job(record) => {
                job = Some(record.job.clone());
                of_job.push(Stamped { at, record: *record });
            }
            _ => {}
        }
    }
    if let Some(job) = job {
        engine.resume(&job, of_job).unwrap();
    }
}

impl Asked<'_> {
    /// Says how a program ends.
    pub(super) fn ends_well(&mut self, order: &Assignment) -> bool {
        if order.role.is_task() {
            return *self.ending != Ending::TaskFails || order.attempt.task.as_str() != "load";
        }
        self.dice.below(4) > 0
    }

    /// Returns the vote of a worker whose target is not as it should be.
    pub(super) fn no(&self) -> Vote {
        let reason = "TARGET_NOT_WRITABLE".to_owned();
        Vote::No(Objection::Failed { reason, message: "no".to_owned() })
    }
}

impl Dice {
    /// Returns a number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

/// A world that has not come to its end by then never will.
const MOVES_MAX: usize = 20_000;
