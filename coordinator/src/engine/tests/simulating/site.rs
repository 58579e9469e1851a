//! A worker without its shell: its machine, its session, and what it is about to have done.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use uuid::Uuid;
use votum_commit::{Installation, ParticipantEvent, Pledge, Vote};
use votum_ids::{AttemptId, Digest, Incarnation, TxnId};
use votum_job::{Assignment, Failure, FailureKind, StagedOutput, Usage};
use votum_machine::WallTime;
use votum_wire::{CoordinatorFrame, FromWorker, Hello, Versions, Vitals};
use votum_worker::{Action, AttemptEvent, Engine, Event, Record, Resumed, SessionNumber};

use super::{
    cast::installation,
    node::{Node, open_streams},
    truth::Truth,
    world::{Asked, Ending},
};

/// One worker machine.
pub(super) struct Site {
    pub(super) me: Installation,
    pub(super) node: Node<Engine>,
    pub(super) session: Option<Session>,
    /// What its shell is about to do, in any order.
    pub(super) work: Vec<Work>,
    running: BTreeMap<AttemptId, Assignment>,
    /// What has a directory in the staging.
    staged: BTreeSet<AttemptId>,
    /// Until then nothing reaches it.
    pub(super) away: Duration,
    sessions: u64,
    starts: u128,
}

/// A connection to the coordinator; each direction keeps its order.
pub(super) struct Session {
    number: SessionNumber,
    /// The coordinator has read the Hello.
    pub(super) open: bool,
    pub(super) down: VecDeque<CoordinatorFrame>,
    pub(super) up: VecDeque<FromWorker>,
}

/// Something that the shell does while the machine goes on.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Fetch(Assignment),
    /// The program comes to its end by itself.
    Exit(AttemptId),
    /// The program has been made to end.
    Stopped(AttemptId),
    Seal(Assignment),
    Check(TxnId),
    Publish(TxnId, Vec<Pledge>),
}

impl Site {
    /// Starts a worker machine on these records, with this staging; `starts` counts the starts.
    pub(super) fn start(
        name: &str,
        journal: Vec<(WallTime, Record)>,
        staged: BTreeSet<AttemptId>,
        starts: u128,
        time: Duration,
    ) -> Self {
        let me = installation(name);
        let streams = open_streams(&journal);
        let of = |job: bool| {
            let streams = streams.values();
            streams.filter(move |records| records[0].record.job().is_some() == job)
        };
        let own = of(false).flatten().map(|stamped| stamped.record.clone());
        let mut engine = Engine::replay(me.clone(), Duration::from_secs(5), own);
        for records in of(true) {
            let job = records[0].record.job().unwrap().clone();
            let records = records.iter().map(|stamped| stamped.record.clone()).collect();
            engine.resume(&job, records).unwrap();
        }
        let cut_off: Vec<AttemptId> = engine.cut_off().cloned().collect();
        let unrecorded: Vec<AttemptId> =
            staged.iter().filter(|attempt| !engine.knows(attempt)).cloned().collect();
        let mut site = Self {
            me,
            node: Node::start(engine, journal, time),
            session: None,
            work: Vec::new(),
            running: BTreeMap::new(),
            staged,
            away: Duration::ZERO,
            sessions: 0,
            starts,
        };
        for attempt in &unrecorded {
            site.node.step(time, Event::Found { attempt: attempt.clone(), number: 1 });
        }
        for attempt in cut_off.into_iter().chain(unrecorded) {
            let event = failed(FailureKind::Interrupted);
            site.node.step(time, Event::Attempt(attempt, event));
        }
        site
    }

    /// The machine dies, with every process on it.
    pub(super) fn crash(mut self, beyond: usize, time: Duration, truth: &mut Truth) -> Self {
        for order in std::mem::take(&mut self.running).into_values() {
            truth.end(&order, false);
        }
        let name = self.me.worker.to_string();
        let (staged, starts) = (self.staged, self.starts + 1);
        Self::start(&name, self.node.crash(beyond), staged, starts, time)
    }

    pub(super) fn name(&self) -> &'static str {
        if self.me.worker.as_str() == "a" { "a" } else { "b" }
    }

    pub(super) fn connect(&mut self, time: Duration) {
        self.sessions += 1;
        let number = SessionNumber(self.sessions);
        let (down, up) = (VecDeque::new(), VecDeque::new());
        self.session = Some(Session { number, open: false, down, up });
        self.node.step(time, Event::Connected(number));
    }

    pub(super) fn disconnect(&mut self, time: Duration) {
        if let Some(session) = self.session.take() {
            self.node.step(time, Event::Disconnected(session.number));
        }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation(Uuid::from_u128(self.starts))
    }

    /// Takes the next frame of the coordinator, twice if `again`.
    pub(super) fn hear(&mut self, time: Duration, again: bool) {
        let Some(session) = &mut self.session else { return };
        let (number, frame) = (session.number, session.down.pop_front());
        for frame in frame.iter().cycle().take(frame.iter().len() * if again { 2 } else { 1 }) {
            let frame = Box::new(frame.clone());
            self.node.step(time, Event::Received { session: number, frame });
        }
    }

    /// Says whether nothing of any job is left here.
    pub(super) fn is_clean(&self) -> bool {
        let streams = open_streams(&self.node.journal);
        let nothing = streams.values().all(|records| records[0].record.job().is_none());
        nothing && self.staged.is_empty() && self.work.is_empty() && self.running.is_empty()
    }

    /// Says what is left here, for the report of a world that does not come to its end.
    pub(super) fn rest(&self) -> String {
        let streams = open_streams(&self.node.journal).into_values();
        let records: Vec<Record> = streams.flatten().map(|stamped| stamped.record).collect();
        let Self { me, staged, work, .. } = self;
        format!("{}: staged {staged:?}, work {work:?}, records {records:#?}", me.worker)
    }

    /// Performs what the machine asks for; returns what is for others.
    pub(super) fn perform(
        &mut self,
        time: Duration,
        truth: &mut Truth,
        asked: &Asked<'_>,
    ) -> Vec<(Installation, Event)> {
        let mut peers = Vec::new();
        while let Some(action) = self.node.pop() {
            match action {
                Action::Greet { seen, .. } => {
                    let hello = self.hello(seen);
                    self.say(FromWorker::Hello(hello));
                }
                Action::Send(frame) => self.say(frame),
                Action::Heartbeat { number } => {
                    self.say(FromWorker::Heartbeat {
                        number,
                        free_bytes: 1 << 30,
                        vitals: Vitals::default(),
                    });
                }
                Action::Leave { session, .. } if self.is_on(session) => self.disconnect(time),
                Action::Fetch(order) => {
                    self.staged.insert(order.attempt.clone());
                    self.work.push(Work::Fetch(*order));
                }
                Action::Run { assignment, .. } => {
                    truth.begin(asked.spec, &assignment);
                    let attempt = assignment.attempt.clone();
                    self.running.insert(attempt.clone(), *assignment);
                    self.work.push(Work::Exit(attempt.clone()));
                    let started = AttemptEvent::Started { pid: 7 };
                    self.node.step(time, Event::Attempt(attempt, started));
                }
                Action::Stop { attempt, .. } if self.running.contains_key(&attempt) => {
                    self.work.retain(|work| !matches!(work, Work::Exit(id) if *id == attempt));
                    self.work.push(Work::Stopped(attempt));
                }
                Action::Seal(order) => self.work.push(Work::Seal(*order)),
                Action::Check { txn, .. } => self.work.push(Work::Check(txn)),
                Action::Publish { txn, pledges } => self.work.push(Work::Publish(txn, pledges)),
                Action::Discard(attempt) => {
                    self.staged.remove(&attempt);
                }
                Action::DiscardJob(job) => self.staged.retain(|attempt| attempt.job != job),
                Action::AskPeer { peer, txn } => {
                    let (by, asked) = (self.me.clone(), peer.installation.uid);
                    let updates = peer.updates;
                    let event = ParticipantEvent::PeerAsked { txn, asked, updates, by };
                    peers.push((peer.installation, Event::Participant(event)));
                }
                Action::AnswerPeer { to, txn, knowledge } => {
                    let event = ParticipantEvent::PeerAnswered { txn, knowledge };
                    peers.push((to, Event::Participant(event)));
                }
                Action::Raise(alarm) => panic!("{}: {alarm:?}", self.me.worker),
                // Nobody checkpoints here, and the supervisors are told nothing that they need.
                _ => {}
            }
        }
        peers
    }

    /// Does one piece of the work that waits.
    pub(super) fn work(
        &mut self,
        at: usize,
        time: Duration,
        truth: &mut Truth,
        asked: &mut Asked<'_>,
    ) {
        let (attempt, event) = match self.work.remove(at) {
            Work::Fetch(order) => {
                let inputs = BTreeMap::new();
                (order.attempt, AttemptEvent::Fetched { inputs, resumed: Resumed::default() })
            }
            Work::Exit(attempt) => {
                let order = self.running.remove(&attempt).expect("it runs");
                let well = asked.ends_well(&order);
                truth.end(&order, well);
                let exited = AttemptEvent::Exited { usage: Usage::default() };
                (attempt, if well { exited } else { failed(FailureKind::ExitCode(1)) })
            }
            Work::Stopped(attempt) => {
                let order = self.running.remove(&attempt).expect("it runs");
                truth.end(&order, false);
                (attempt, failed(FailureKind::Signal(15)))
            }
            Work::Seal(order) => {
                let outputs = order.spec.outputs.keys().map(|name| StagedOutput {
                    name: name.clone(),
                    digest: Digest([7; 32]),
                    files: 1,
                    bytes: 10,
                    read_token: "secret".to_owned(),
                });
                (order.attempt, AttemptEvent::Sealed { outputs: outputs.collect() })
            }
            Work::Check(txn) => {
                let result = if *asked.ending == Ending::VotesNo { asked.no() } else { Vote::Yes };
                let event = ParticipantEvent::Checked { txn, result };
                return self.node.step(time, Event::Participant(event));
            }
            Work::Publish(txn, pledges) => {
                truth.publish(&self.me.worker, &txn, &pledges);
                let event = ParticipantEvent::Published { txn };
                return self.node.step(time, Event::Participant(event));
            }
        };
        self.node.step(time, Event::Attempt(attempt, event));
    }

    fn is_on(&self, number: SessionNumber) -> bool {
        self.session.as_ref().is_some_and(|session| session.number == number)
    }

    fn say(&mut self, frame: FromWorker) {
        if let Some(session) = &mut self.session {
            session.up.push_back(frame);
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

fn failed(kind: FailureKind) -> AttemptEvent {
    let (message, stderr_tail) = ("it did not go well".to_owned(), String::new());
    AttemptEvent::Failed {
        failure: Failure { kind, message, stderr_tail },
        usage: Usage::default(),
    }
}
