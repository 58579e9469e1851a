//! A worker without its shell: its machine, its connections, and what it is about to have done.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;
use votum_commit::{Installation, ParticipantEvent, Pledge};
use votum_ids::{AttemptId, Digest, Incarnation, OutputName, TxnId};
use votum_job::{Assignment, DryVoteRequest, FailureKind};
use votum_machine::WallTime;
use votum_wire::{FromCoordinator, FromWorker, Hello, Versions, Vitals};
use votum_worker::{Action, AttemptEvent, Engine, Event, Record};

use super::{
    bug::Bug,
    cast::installation,
    fact::Fact,
    node::{Clock, Node, open_streams},
    programs::failed,
    wire::Line,
    world::Stage,
};

/// One worker machine.
pub(super) struct Site {
    pub(super) me: Installation,
    pub(super) node: Node<Engine>,
    pub(super) lines: Vec<Line>,
    pub(super) sessions: u64,
    /// What its shell is about to do, in any order.
    pub(super) work: Vec<Work>,
    /// What runs, whoever watches it.
    pub(super) running: BTreeMap<AttemptId, Assignment>,
    /// What has ended by itself, and whether well, until the daemon knows it.
    pub(super) exits: BTreeMap<AttemptId, (Assignment, bool)>,
    /// What has a directory in the staging, and what of it is whole and durable.
    pub(super) staged: BTreeMap<AttemptId, BTreeMap<OutputName, Digest>>,
    /// Attempts that copy what others have sealed.
    pub(super) copies: BTreeSet<AttemptId>,
    /// Until then what acts outside may run.
    pub(super) lease_ends: Option<Duration>,
    /// Until then nothing reaches it.
    pub(super) away: Duration,
    /// Until then nothing reaches it, or nothing leaves it.
    pub(super) deaf: Duration,
    pub(super) dumb: Duration,
    /// It is gone for good.
    pub(super) lost: bool,
    starts: u128,
}

/// Something that the shell does while the machine goes on.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Fetch(Assignment),
    /// The program comes to its end by itself.
    Exit(AttemptId),
    /// It came to its end while the daemon stood still.
    Exited(AttemptId),
    /// The program has been made to end.
    Stopped(AttemptId),
    /// The program is gone: its supervisor has ended it.
    Vanished(AttemptId),
    Seal(Assignment),
    Check(TxnId, Vec<Pledge>),
    DryVote(Box<DryVoteRequest>, bool),
    /// Makes one output after the other visible.
    Publish {
        txn: TxnId,
        number: u64,
        pledges: Vec<Pledge>,
        tells: bool,
    },
    Withdraw {
        txn: TxnId,
        number: u64,
        pledges: Vec<Pledge>,
    },
    Discard(AttemptId),
}

/// An event for the worker of another machine.
pub(super) struct Mail {
    pub(super) from: Installation,
    pub(super) to: Installation,
    pub(super) event: Event,
    pub(super) arrives: Duration,
}

impl Site {
    /// Makes a worker that knows nothing yet.
    pub(super) fn new(name: &str, clock: Clock) -> Self {
        let me = installation(name);
        let engine = Engine::new(me.clone(), GRACE_MAX);
        Self {
            me,
            node: Node::start(engine, Vec::new(), clock),
            lines: Vec::new(),
            sessions: 0,
            work: Vec::new(),
            running: BTreeMap::new(),
            exits: BTreeMap::new(),
            staged: BTreeMap::new(),
            copies: BTreeSet::new(),
            lease_ends: None,
            away: Duration::ZERO,
            deaf: Duration::ZERO,
            dumb: Duration::ZERO,
            lost: false,
            starts: 1,
        }
    }

    /// Steps the machine, as a planted bug has it.
    pub(super) fn step(&mut self, stage: &mut Stage, event: Event) {
        let bug = stage.play.bug;
        let copies = &self.copies;
        let event = Bug::twist_worker_event(bug, event);
        self.node.step(
            stage.time,
            event,
            |record| Bug::neglects_worker(bug, record, copies),
            |_| false,
        );
    }

    /// Says whether its daemon does anything at this time.
    pub(super) fn is_awake(&self, time: Duration) -> bool {
        !self.lost && self.node.is_awake(time)
    }

    /// The daemon dies; the machine may go on, with every process on it.
    pub(super) fn crash(&mut self, beyond: usize, power: bool, stage: &mut Stage) {
        stage.ledger.see(stage.time, &Fact::Died { who: self.me.worker.as_str() });
        self.node.crash(beyond);
        if power {
            for order in std::mem::take(&mut self.running).into_values() {
                stage
                    .ledger
                    .see(stage.time, &Fact::Ended { at: &self.me, order: &order, well: false });
            }
            self.exits.clear();
            self.lease_ends = None;
        }
        // What is running ends by itself, whoever sees it.
        self.work.retain(|work| matches!(work, Work::Exit(attempt) if !power && self.running.contains_key(attempt)));
        for line in &mut self.lines {
            line.worker_open = false;
            line.down.clear();
        }
    }

    /// The daemon starts where its records end.
    pub(super) fn restart(&mut self, clock: Clock, stage: &mut Stage) {
        self.starts += 1;
        let engine = replayed(&self.me, &self.node.journal);
        self.node.restart(engine, clock);
        let cut_off: Vec<AttemptId> = self.node.machine.cut_off().cloned().collect();
        let unrecorded = self.staged.keys().filter(|attempt| !self.node.machine.knows(attempt));
        let unrecorded: Vec<AttemptId> = unrecorded.cloned().collect();
        let all = cut_off.iter().chain(&unrecorded).chain(self.running.keys());
        let found: BTreeSet<AttemptId> = all.cloned().collect();
        for attempt in found {
            let is_over = self.node.machine.knows(&attempt) && !cut_off.contains(&attempt);
            self.find(stage, &attempt, is_over, unrecorded.contains(&attempt));
        }
    }

    /// Takes up what an earlier start of the daemon had begun (R6).
    fn find(&mut self, stage: &mut Stage, attempt: &AttemptId, is_over: bool, unrecorded: bool) {
        if let Some(order) = self.running.get(attempt).cloned() {
            if is_over {
                self.end(stage, attempt, false);
                return;
            }
            let (assignment, elapsed) = (Box::new(order), Duration::from_secs(1));
            return self.step(stage, Event::Adopted { assignment, pid: Some(7), elapsed });
        }
        if let Some((order, well)) = self.exits.get(attempt).cloned().filter(|_| !is_over) {
            let (assignment, elapsed) = (Box::new(order), Duration::from_secs(1));
            self.step(stage, Event::Adopted { assignment, pid: None, elapsed });
            let event = ended(well);
            return self.step(stage, Event::Attempt(attempt.clone(), event));
        }
        if unrecorded {
            self.step(stage, Event::Found { attempt: attempt.clone(), number: 1 });
        }
        let event = failed(FailureKind::Interrupted);
        self.step(stage, Event::Attempt(attempt.clone(), event));
    }

    pub(super) fn name(&self) -> &str {
        self.me.worker.as_str()
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation(Uuid::from_u128(self.starts))
    }

    /// Says whether nothing of any job is left here.
    pub(super) fn is_clean(&self) -> bool {
        if self.lost {
            return true;
        }
        let quiet = self.staged.is_empty() && self.work.is_empty() && self.running.is_empty();
        quiet && !self.node.down && {
            let streams = open_streams(&self.node.journal);
            streams.values().all(|records| records[0].record.job().is_none())
        }
    }

    /// Says what is left here, for the report of a world that does not come to its end.
    pub(super) fn rest(&self) -> String {
        let streams = open_streams(&self.node.journal).into_values();
        let records: Vec<Record> = streams.flatten().map(|stamped| stamped.record).collect();
        let Self { me, staged, work, running, lost, .. } = self;
        format!(
            "{}: lost {lost}, staged {staged:?}, work {work:?}, running {running:?}, records {records:?}",
            me.worker
        )
    }

    /// Tells what has become durable.
    pub(super) fn tell_durable(&mut self, stage: &mut Stage) {
        let node = &mut self.node;
        node.read = node.read.min(node.durable);
        for (_, record) in &node.journal[node.read..node.durable] {
            stage.ledger.see(stage.time, &Fact::Noted { at: &self.me, record });
        }
        node.read = node.durable;
    }

    /// Performs what the machine asks for.
    pub(super) fn perform(&mut self, stage: &mut Stage) {
        self.tell_durable(stage);
        while let Some(action) = self.node.pop() {
            match action {
                Action::Greet { seen, .. } => {
                    let seen = Bug::twist_seen(stage.play.bug, seen);
                    let hello = self.hello(seen);
                    self.say(stage, FromWorker::Hello(hello));
                }
                Action::Send(frame) => {
                    if Bug::keeps_silent(stage.play.bug, &frame) {
                        continue;
                    }
                    self.decide_alone(stage, &frame);
                    self.say(stage, frame);
                }
                Action::Heartbeat { number } => {
                    let vitals = Vitals::default();
                    let free_bytes = 1 << 30;
                    self.say(stage, FromWorker::Heartbeat { number, free_bytes, vitals });
                }
                Action::RenewLease { until } => {
                    self.lease_ends = Some(self.node.time_of(until)).max(self.lease_ends);
                }
                Action::Leave { session, .. } => {
                    if self.line().is_some_and(|line| line.number == session) {
                        self.disconnect(stage);
                    }
                }
                Action::AskPeer { peer, txn } => {
                    let (by, asked) = (self.me.clone(), peer.installation.uid);
                    let updates = peer.updates;
                    let event = ParticipantEvent::PeerAsked { txn, asked, updates, by };
                    self.post(stage, peer.installation, event);
                }
                Action::AnswerPeer { to, txn, knowledge } => {
                    stage
                        .ledger
                        .see(stage.time, &Fact::PeerTold { by: &self.me, txn: &txn, knowledge });
                    self.post(stage, to, ParticipantEvent::PeerAnswered { txn, knowledge });
                }
                Action::Raise(alarm) => {
                    let (who, alarm) = (self.me.worker.to_string(), alarm.to_string());
                    stage.ledger.see(stage.time, &Fact::Alarmed { who: &who, alarm: &alarm });
                }
                other => self.begin(stage, other),
            }
            self.tell_durable(stage);
        }
    }

    /// Begins what takes a while.
    fn begin(&mut self, stage: &mut Stage, action: Action) {
        match action {
            Action::Fetch(order) => {
                self.staged.entry(order.attempt.clone()).or_default();
                self.work.push(Work::Fetch(*order));
            }
            Action::Run { assignment, .. } => self.run(stage, *assignment),
            Action::Stop { attempt, .. } if self.running.contains_key(&attempt) => {
                self.work.retain(|work| !matches!(work, Work::Exit(id) if *id == attempt));
                self.work.push(Work::Stopped(attempt));
            }
            Action::Seal(order) => self.work.push(Work::Seal(*order)),
            Action::Check { txn, pledges } => self.work.push(Work::Check(txn, pledges)),
            Action::DryVote { request, not_held } => {
                self.work.push(Work::DryVote(request, not_held.is_empty()));
            }
            Action::Publish { txn, pledges } => {
                let tells = stage.play.bug != Some(Bug::AckBeforePublication);
                if !tells {
                    let event = ParticipantEvent::Published { txn: txn.clone() };
                    self.step(stage, Event::Participant(event));
                }
                self.work.push(Work::Publish { txn, number: 0, pledges, tells });
            }
            Action::TakeOver { txn, number, pledges } => {
                self.work.push(Work::Publish { txn, number, pledges, tells: true });
            }
            Action::Withdraw { txn, number, pledges } => {
                self.work.push(Work::Withdraw { txn, number, pledges });
            }
            Action::Discard(attempt) => self.work.push(Work::Discard(attempt)),
            Action::DiscardJob(job) => {
                let of_job = self.staged.keys().filter(|attempt| attempt.job == job);
                let works: Vec<Work> = of_job.cloned().map(Work::Discard).collect();
                self.work.extend(works);
            }
            // Nobody checkpoints here, and nobody reads the logs.
            _ => {}
        }
    }

    /// Says something to another worker.
    fn post(&mut self, stage: &mut Stage, to: Installation, event: ParticipantEvent) {
        let (from, event, arrives) = (self.me.clone(), Event::Participant(event), stage.arrival());
        stage.mail.push(Mail { from, to, event, arrives });
    }

    /// The bug that takes a lost connection for a word about the job.
    pub(super) fn lose_connection(&mut self, stage: &mut Stage) {
        if stage.play.bug == Some(Bug::DiscardOnDisconnect) {
            let sealed = self.staged.iter().filter(|(_, outputs)| !outputs.is_empty());
            let works: Vec<Work> =
                sealed.map(|(attempt, _)| Work::Discard(attempt.clone())).collect();
            self.work.extend(works);
        }
    }

    /// The bugs that read more out of a frame than it says.
    pub(super) fn obey_badly(&mut self, stage: &mut Stage, frame: &FromCoordinator) {
        if Bug::discards_at(stage.play.bug, frame) {
            let works: Vec<Work> = self.staged.keys().cloned().map(Work::Discard).collect();
            self.work.extend(works);
        }
    }

    /// The bug that ends a doubt without anybody's word.
    fn decide_alone(&mut self, stage: &mut Stage, frame: &FromWorker) {
        if let Some(event) = Bug::decides_alone(stage.play.bug, frame) {
            self.step(stage, Event::Participant(event));
        }
    }

    fn hello(&self, seen: Option<votum_commit::LogPosition>) -> Hello {
        Hello {
            installation: self.me.clone(),
            incarnation: self.incarnation(),
            version: "0".to_owned(),
            labels: BTreeMap::new(),
            slots: 4,
            artifact_address: "127.0.0.1:1".to_owned(),
            publish_roots: vec!["/srv".to_owned()],
            seen,
            protocols: Versions::OURS,
        }
    }
}

/// Makes a worker out of its records.
fn replayed(me: &Installation, journal: &[(WallTime, Record)]) -> Engine {
    let streams = open_streams(journal);
    let of = |job: bool| {
        let streams = streams.values();
        streams.filter(move |records| records[0].record.job().is_some() == job)
    };
    let own = of(false).flatten().map(|stamped| stamped.record.clone());
    let mut engine = Engine::replay(me.clone(), GRACE_MAX, own);
    for records in of(true) {
        let job = records[0].record.job().unwrap().clone();
        let records = records.iter().map(|stamped| stamped.record.clone()).collect();
        engine.resume(&job, records).unwrap();
    }
    engine
}

/// What the daemon is told of a program that has ended by itself.
pub(super) fn ended(well: bool) -> AttemptEvent {
    if well {
        AttemptEvent::Exited { usage: votum_job::Usage::default() }
    } else {
        failed(FailureKind::ExitCode(1))
    }
}

/// How long a program may take to end when its daemon is asked to.
const GRACE_MAX: Duration = Duration::from_secs(5);
