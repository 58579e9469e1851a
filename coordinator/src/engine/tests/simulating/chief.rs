//! The coordinator without its shell: how it starts, what it obeys, and what it looks up.

use std::time::Duration;

use uuid::Uuid;
use votum_commit::{Coordinator, Heuristic, Installation, LogPosition, LogState, Start};
use votum_driver::Stamped;
use votum_ids::{ClusterId, Epoch, Incarnation, TxnId, WorkerId};
use votum_machine::WallTime;
use votum_schedule::{Record as ScheduleRecord, Scheduler};
use votum_settle::{Post, Trial};
use votum_wire::{CoordinatorFrame, FromCoordinator, FromWorker, Versions, view::JobView};

use super::{
    bug::Bug,
    fact::Fact,
    ledger::Violation,
    node::{Clock, Node, open_streams},
    oracle,
    wire::ChiefEnd,
    world::World,
};
use crate::{
    action::{Action, Answer},
    engine::{Engine, Lease, tests::job},
    event::{Event, Past, Place},
    recall::{compare, place_in, round},
    record::{JobRecord, Record},
    view,
};

impl World {
    /// Steps the machine, as a planted bug has it.
    pub(super) fn step_chief(&mut self, event: Event) {
        let bug = self.stage.play.bug;
        let event = Bug::twist_chief_event(bug, &self.chief.machine, &self.newest, event);
        let before = self.chief.journal.len();
        let time = self.stage.time;
        let neglects = |record: &Record| Bug::neglects_chief(bug, record);
        let hurries = |action: &Action| Bug::hurries_chief(bug, action);
        self.chief.step(time, event, neglects, hurries);
        if let Some(event) = Bug::invented(bug, &self.chief.machine) {
            self.chief.step(time, event, neglects, hurries);
        }
        // Compares what it has counted on the way with what there is.
        let _totals = self.chief.machine.totals();
        if bug == Some(Bug::FencingOff) {
            for (_, record) in &self.chief.journal[before..] {
                if let Record::Job(record) = record
                    && let Some(ScheduleRecord::Assigned { attempt, .. }) = &record.schedule
                {
                    self.newest.insert(attempt.task.clone(), attempt.clone());
                }
            }
        }
    }

    /// Starts the coordinator where its records end.
    pub(super) fn start_chief(&mut self) {
        let clock = self.draw_clock();
        let lacks = self.stage.dice.below(6);
        Bug::twist_log(self.stage.play.bug, &mut self.chief.journal, lacks);
        let (engine, log, started) = started(&self.chief.journal, clock.anchor);
        self.chief.journal.push((clock.anchor, started));
        self.chief.restart(engine, clock);
        self.log = log;
        self.stage.ledger.see(self.stage.time, &Fact::ChiefStarted { epoch: log.epoch });
    }

    /// Makes the coordinator of a world that begins.
    pub(super) fn first_chief(clock: Clock) -> (Node<Engine>, LogPosition) {
        let (engine, log, started) = started(&[], clock.anchor);
        (Node::start(engine, vec![(clock.anchor, started)], clock), log)
    }

    /// Tells what has become durable.
    fn tell_logged(&mut self) {
        let chief = &mut self.chief;
        chief.read = chief.read.min(chief.durable);
        for (_, record) in &chief.journal[chief.read..chief.durable] {
            self.stage.ledger.see(self.stage.time, &Fact::Logged(record));
        }
        chief.read = chief.durable;
    }

    /// Performs what the coordinator asks for.
    pub(super) fn perform_chief(&mut self) {
        self.tell_logged();
        while let Some(action) = self.chief.pop() {
            self.obey(action);
            self.tell_logged();
        }
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Send { worker, frame } | Action::SendDurable { worker, frame } => {
                self.send(&worker, frame);
            }
            Action::Refuse { installation, .. } => {
                if let Some(site) = self.sites.get_mut(&installation.worker)
                    && let Some(line) = site.lines.last_mut()
                {
                    line.fail(self.stage.time, self.stage.time);
                }
            }
            Action::Post(post) => {
                let Post { hook, key, body, .. } = &*post;
                self.stage.ledger.see(self.stage.time, &Fact::Posted { hook, key, body });
                self.posts.push(*post);
            }
            Action::Recall { from, txn } => {
                let past = self.past(&txn);
                self.step_chief(Event::Recalled { from, txn, past });
            }
            Action::RecallForced { from, heuristic } => {
                let place = self.place(&from, &heuristic);
                self.step_chief(Event::ForcedRecalled { from, heuristic, place });
            }
            Action::Raise { alarm } => {
                let fact = Fact::Alarmed { who: "the coordinator", alarm: &alarm };
                self.stage.ledger.see(self.stage.time, &fact);
            }
            Action::Reply { reply, answer } => {
                let shows = matches!(answer, Answer::Jobs(_));
                let closed = if shows { self.closed() } else { None };
                let held = self.oracle.hear(reply, &answer, closed.as_ref());
                self.keep_promise(held);
            }
            Action::JobChanged { .. } | Action::LookUp { .. } | Action::StartAgain => {}
        }
    }

    /// Notes what a client has been told that another answer contradicts.
    pub(super) fn keep_promise(&mut self, held: Result<(), String>) {
        if let Err(said) = held {
            self.stage.ledger.break_promise(Violation {
                invariant: "oracle",
                rule: oracle::RULE,
                source: oracle::SOURCE,
                said,
                time: self.stage.time,
            });
        }
    }

    fn send(&mut self, worker: &WorkerId, body: FromCoordinator) {
        self.stage.ledger.see(self.stage.time, &Fact::Sent { to: worker, frame: &body });
        let log = LogPosition { lsn: self.chief.durable as u64, ..self.log };
        let arrives = self.stage.arrival();
        let Some(site) = self.sites.get_mut(worker) else { return };
        let open = site.lines.iter_mut().find(|line| line.chief == ChiefEnd::Open);
        if let Some(line) = open.filter(|line| line.worker_open) {
            line.down.push(arrives, CoordinatorFrame { log, body });
        }
    }

    /// The coordinator takes the next frame of a worker, perhaps twice.
    pub(super) fn tell(&mut self, worker: &WorkerId, at: usize) {
        let again = self.stage.dice.once_in(8);
        let site = self.sites.get_mut(worker).unwrap();
        let from = site.me.clone();
        let Some(frame) = site.next_up(at, &mut self.stage) else { return };
        if let FromWorker::Hello(hello) = frame {
            // It takes the place of an older one, of which nothing more comes.
            site.lines[at].chief = ChiefEnd::Open;
            for older in &mut site.lines[..at] {
                older.chief = ChiefEnd::Over;
                older.up.clear();
            }
            return self.step_chief(Event::SessionOpened(hello));
        }
        if again {
            let (from, frame) = (from.clone(), frame.clone());
            self.step_chief(Event::Frame { from, frame });
        }
        self.step_chief(Event::Frame { from, frame });
    }

    /// The coordinator notices that a connection is over.
    pub(super) fn close_line(&mut self, worker: &WorkerId, at: usize) {
        let site = self.sites.get_mut(worker).unwrap();
        let line = &mut site.lines[at];
        let (was, incarnation) = (line.chief, line.incarnation);
        line.chief = ChiefEnd::Over;
        line.up.clear();
        if was == ChiefEnd::Open {
            let worker = worker.clone();
            self.step_chief(Event::SessionClosed { worker, incarnation });
        }
    }

    /// A request of a webhook comes to its end: taken, refused, or nobody knows.
    pub(super) fn answer(&mut self, at: usize) {
        let post = self.posts.remove(at);
        let message = "no luck".to_owned();
        let (taken, trial) = match self.stage.dice.below(8) {
            0 => (false, Trial::Failed { message, hopeless: false }),
            1 => (false, Trial::Unknown { message }),
            2 => (true, Trial::Unknown { message }),
            _ => (true, Trial::Done),
        };
        let (time, Post { job, hook, number, .. }) = (self.stage.time, post);
        if taken {
            self.stage.ledger.see(time, &Fact::Taken { hook: &hook });
        }
        if let Trial::Unknown { .. } = trial {
            self.stage.ledger.see(time, &Fact::LostSight { hook: &hook });
        }
        self.step_chief(Event::Answered { job, hook, number, trial });
    }

    /// Returns what the journal has of the job, as the coordinator's shell reads it.
    pub(super) fn stamped(&self) -> Vec<Stamped<JobRecord>> {
        let durable = self.chief.journal[..self.chief.durable].iter();
        let records = durable.filter_map(|(at, record)| match record {
            Record::Job(record) => Some(Stamped { at: *at, record: (**record).clone() }),
            _ => None,
        });
        records.collect()
    }

    /// Returns the job as it is shown once it is closed.
    pub(super) fn closed(&self) -> Option<JobView> {
        self.is_closed().then(|| {
            view::job::closed(self.chief.wall(self.stage.time), &job(), &self.stamped()).unwrap()
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        let durable = &self.chief.journal[..self.chief.durable];
        let closes =
            |record: &Record| matches!(record, Record::Job(record) if record.closing.is_some());
        durable.iter().any(|(_, record)| closes(record))
    }

    fn place(&self, from: &Installation, heuristic: &Heuristic) -> Place {
        place_in(&self.stamped(), from, heuristic)
    }

    fn past(&self, txn: &TxnId) -> Past {
        let committed = self.stamped().iter().find_map(|stamped| round(&stamped.record));
        compare(committed, txn)
    }
}

/// Makes a coordinator out of its records, and the record of its start.
fn started(journal: &[(WallTime, Record)], anchor: WallTime) -> (Engine, LogPosition, Record) {
    let cluster = ClusterId(Uuid::from_u128(9));
    let mut held = LogPosition {
        cluster,
        epoch: Epoch(0),
        start: Incarnation(Uuid::nil()),
        lsn: journal.len() as u64,
    };
    for (_, record) in journal {
        if let Record::EpochStarted { epoch, start, .. } = record {
            (held.epoch, held.start) = (*epoch, *start);
        }
    }
    let epoch = Epoch(held.epoch.0 + 1);
    let incarnation = Incarnation(Uuid::from_u128(u128::from(epoch.0)));
    let machine = Start { cluster, epoch, incarnation, held, log: LogState::Whole };
    let lease = Lease {
        length: LEASE,
        heartbeat_interval: Duration::from_secs(5),
        stop_grace: STOP_GRACE,
        protocols: Versions::OURS,
    };
    let schedule = votum_schedule::Config {
        lease: LEASE,
        stop_grace: STOP_GRACE,
        lost_after: LOST_AFTER,
        ..votum_schedule::Config::default()
    };
    let scheduler = Scheduler::new(schedule, epoch, anchor);
    let mut engine = Engine::new(anchor, 10, lease, scheduler, Coordinator::new(machine));
    for records in open_streams(journal).into_values() {
        take_up(&mut engine, records);
    }
    engine.forget_removed();
    let log = LogPosition { cluster, epoch, start: incarnation, lsn: journal.len() as u64 + 1 };
    (engine, log, Record::EpochStarted { epoch, start: incarnation, stale: false })
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

const LEASE: Duration = Duration::from_secs(15);
const STOP_GRACE: Duration = Duration::from_secs(10);
const LOST_AFTER: Duration = Duration::from_mins(1);
