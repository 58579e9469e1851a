//! The world of heuristics: a coordinator, two workers in doubt, people, and what is visible.

use std::{collections::BTreeSet, time::Duration};

use stateright::{Model, Property};
use votum_commit::{
    Cause, Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Decision, Forced,
    Heuristic, Installation, Knowledge, LogPosition, LogState, Message, ParticipantAction,
    ParticipantEvent, ParticipantRecord, Participants, Pledge, Reply, Share, Start, Vote,
};
use votum_ids::{
    ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_machine::{Machine, Moment, WallTime};

/// How far histories go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) forced: u8,
    pub(crate) worker_crashes: u8,
    pub(crate) chief_crashes: u8,
}

/// One mistake, planted between a machine and its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A peer that asks is told what was forced, as if it had been decided.
    Spreads,
    /// What was forced is done before its record is durable.
    BeforeTheRecord,
    /// Whoever was forced to abort what is committed acknowledges it like everybody.
    NotTold,
    /// Whatever was forced is forgotten with the job, noted or not.
    ForgottenEarly,
}

/// The model.
#[derive(Debug)]
pub(crate) struct Stage {
    bounds: Bounds,
    bug: Option<Bug>,
    first: World,
}

/// Something on its way; whoever it is for may get it any number of times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Letter {
    ToWorker(usize, Message),
    ToChief(usize, Reply),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    machine: Participants,
    log: Vec<ParticipantRecord>,
    lazy: Vec<ParticipantRecord>,
    /// A publication is under way, of this round; lost with the daemon.
    work: BTreeSet<TxnId>,
    visible: bool,
    discarded: bool,
    /// What a person has forced here, as the world knows it.
    forced: Option<Decision>,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    chief: Coordinator,
    log: Vec<CoordinatorRecord>,
    lazy: Vec<CoordinatorRecord>,
    sites: Vec<Site>,
    net: BTreeSet<Letter>,
    used: [u8; 3],
    cancelled: bool,
    epoch: u64,
    /// A promise that the last step has broken.
    broken: Option<&'static str>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    Deliver(Letter),
    Publishes(usize, TxnId),
    Force(usize, Decision),
    AsksPeer(usize),
    Tick(usize),
    ChiefTicks,
    Cancel,
    WorkerCrashes(usize),
    ChiefCrashes,
}

const NAMES: [&str; 2] = ["alice", "bob"];
/// Whoever is forced and whose daemon dies, where only one is and does.
const BOB: usize = 1;
const OBEYS: &str = "whoever was not forced obeys the decision";
const RECORDED: &str = "whatever is visible was decided or forced, by the log";
const NOTED: &str = "whatever was forced is noted before it is forgotten";

impl Stage {
    /// Begins with a round in which everybody has promised, and no vote was counted.
    pub(crate) fn new(bounds: Bounds, bug: Option<Bug>) -> Self {
        let mut world = World {
            chief: Coordinator::new(start(1)),
            log: Vec::new(),
            lazy: Vec::new(),
            sites: (0..NAMES.len()).map(|who| Site::new(who, Vec::new())).collect(),
            net: BTreeSet::new(),
            used: [0; 3],
            cancelled: false,
            epoch: 1,
            broken: None,
        };
        for who in 0..NAMES.len() {
            world.tell_worker(None, who, ParticipantEvent::Sealed { job: job() });
        }
        world.open_round(None);
        for letter in std::mem::take(&mut world.net) {
            let Letter::ToWorker(who, message) = letter else { continue };
            let event = ParticipantEvent::Received { message, log: position() };
            world.tell_worker(None, who, event);
        }
        Self { bounds, bug, first: world }
    }
}

impl Model for Stage {
    type State = World;
    type Action = Turn;

    fn init_states(&self) -> Vec<World> {
        vec![self.first.clone()]
    }

    fn actions(&self, world: &World, turns: &mut Vec<Turn>) {
        if world.broken.is_some() {
            return;
        }
        turns.extend(world.net.iter().cloned().map(Turn::Deliver));
        for (who, site) in world.sites.iter().enumerate() {
            turns.extend(site.work.iter().cloned().map(|txn| Turn::Publishes(who, txn)));
            turns.push(Turn::Tick(who));
            if site.machine.in_doubt().next().is_some() {
                turns.push(Turn::AsksPeer(who));
                if world.used[0] < self.bounds.forced && (who == BOB || self.bounds.forced > 1) {
                    turns.push(Turn::Force(who, Decision::Commit));
                    turns.push(Turn::Force(who, Decision::Abort));
                }
            }
            if world.used[1] < self.bounds.worker_crashes && who == BOB {
                turns.push(Turn::WorkerCrashes(who));
            }
        }
        if world.used[2] < self.bounds.chief_crashes {
            turns.push(Turn::ChiefCrashes);
        }
        if !world.cancelled {
            turns.push(Turn::Cancel);
        }
        turns.push(Turn::ChiefTicks);
    }

    fn next_state(&self, world: &World, turn: Turn) -> Option<World> {
        let mut next = world.clone();
        match turn {
            Turn::Deliver(Letter::ToWorker(who, message)) => {
                let event = ParticipantEvent::Received { message, log: position() };
                next.tell_worker(self.bug, who, event);
            }
            Turn::Deliver(Letter::ToChief(from, reply)) => next.hear(self.bug, from, reply),
            Turn::Publishes(who, txn) => {
                next.sites[who].work.remove(&txn);
                next.sites[who].visible = true;
                next.tell_worker(self.bug, who, ParticipantEvent::Published { txn });
            }
            Turn::Force(who, outcome) => {
                next.used[0] += 1;
                next.sites[who].forced = Some(outcome);
                next.tell_worker(self.bug, who, force(outcome));
            }
            Turn::AsksPeer(who) => next.ask_peer(self.bug, who),
            Turn::Tick(who) => next.tell_worker(self.bug, who, ParticipantEvent::Tick),
            Turn::ChiefTicks => next.tell_chief(CoordinatorEvent::Tick),
            Turn::Cancel => {
                next.cancelled = true;
                next.tell_chief(cancel());
            }
            Turn::WorkerCrashes(who) => next.crash_worker(self.bug, who),
            Turn::ChiefCrashes => next.crash_chief(self.bug),
        }
        next.look();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(OBEYS, |_, world: &World| world.broken != Some(OBEYS)),
            Property::always(RECORDED, |_, world: &World| world.broken != Some(RECORDED)),
            Property::always(NOTED, |_, world: &World| world.broken != Some(NOTED)),
            Property::always(
                "a commit ends when everybody has published, or says why not",
                |_, world: &World| !world.ended_with_commit() || world.accounts_for_everybody(),
            ),
            Property::sometimes("a commit is mixed", |_, world: &World| {
                world.decision() == Some(Decision::Commit) && world.noted(Decision::Abort)
            }),
            Property::sometimes("an abort is mixed", |_, world: &World| {
                world.decision() == Some(Decision::Abort) && world.noted(Decision::Commit)
            }),
            Property::sometimes("what was forced agrees with a commit", |_, world: &World| {
                world.ended_with_commit() && world.noted(Decision::Commit)
            }),
            Property::sometimes("an abort that was forced in time is obeyed", |_, world| {
                let World { log, .. } = world;
                log.iter().any(|record| {
                    matches!(record, CoordinatorRecord::Aborting { cause, .. } if cause.by == "ben")
                })
            }),
        ]
    }
}

impl Site {
    fn new(who: usize, log: Vec<ParticipantRecord>) -> Self {
        let machine = Participants::replay(installation(who).uid, log.iter().cloned());
        let machine = machine.expect("the log is sound");
        let (lazy, work) = (Vec::new(), BTreeSet::new());
        let (visible, discarded, forced) = (false, false, None);
        Self { machine, log, lazy, work, visible, discarded, forced }
    }

    fn records(&self) -> impl Iterator<Item = &ParticipantRecord> {
        self.log.iter().chain(&self.lazy)
    }
}

impl World {
    fn decision(&self) -> Option<Decision> {
        self.log.iter().find_map(|record| match record {
            CoordinatorRecord::CommitDecided { .. } => Some(Decision::Commit),
            CoordinatorRecord::Aborting { .. } => Some(Decision::Abort),
            CoordinatorRecord::Replaced { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Heuristic { .. }
            | CoordinatorRecord::Ended { .. } => None,
        })
    }

    fn has_ended(&self) -> bool {
        let ended = |record: &CoordinatorRecord| matches!(record, CoordinatorRecord::Ended { .. });
        self.log.iter().chain(&self.lazy).any(ended)
    }

    fn ended_with_commit(&self) -> bool {
        self.has_ended() && self.decision() == Some(Decision::Commit)
    }

    fn heuristics(&self) -> impl Iterator<Item = (&Installation, &Heuristic)> {
        self.log.iter().filter_map(|record| match record {
            CoordinatorRecord::Heuristic { holder, heuristic } => Some((holder, heuristic)),
            CoordinatorRecord::CommitDecided { .. }
            | CoordinatorRecord::Aborting { .. }
            | CoordinatorRecord::Replaced { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Ended { .. } => None,
        })
    }

    fn noted(&self, outcome: Decision) -> bool {
        self.heuristics().any(|(_, heuristic)| heuristic.outcome == outcome)
    }

    fn has_noted(&self, who: usize) -> bool {
        self.heuristics().any(|(holder, _)| *holder == installation(who))
    }

    fn accounts_for_everybody(&self) -> bool {
        self.sites.iter().enumerate().all(|(who, site)| {
            site.visible || (site.forced == Some(Decision::Abort) && self.has_noted(who))
        })
    }

    /// Compares what everybody has done with what was decided and forced.
    fn look(&mut self) {
        let decision = self.decision();
        for who in 0..self.sites.len() {
            let site = &self.sites[who];
            let has = |kind: fn(&ParticipantRecord) -> bool| site.records().any(kind);
            let committed = has(|record| matches!(record, ParticipantRecord::Committed { .. }));
            let aborted = has(|record| matches!(record, ParticipantRecord::Aborted { .. }));
            let forced = has(|record| matches!(record, ParticipantRecord::Forced(_)));
            let released = has(|record| matches!(record, ParticipantRecord::Released { .. }));
            let strays = (committed && decision != Some(Decision::Commit))
                || (aborted && decision != Some(Decision::Abort))
                || (site.discarded && !site.visible && decision == Some(Decision::Commit));
            if strays && site.forced.is_none() {
                self.broken = Some(OBEYS);
            } else if site.visible && !committed && !forced {
                self.broken = Some(RECORDED);
            } else if site.forced.is_some() && released && !self.has_noted(who) {
                self.broken = Some(NOTED);
            }
        }
    }

    fn open_round(&mut self, bug: Option<Bug>) {
        for who in 0..NAMES.len() {
            let met = CoordinatorEvent::Met { from: installation(who), seen: None };
            self.tell_chief(met);
        }
        self.tell_chief(CoordinatorEvent::Opened { job: job(), deadline: None });
        let shares = vec![share(0), share(1)];
        let prepare_timeout = Duration::MAX;
        let staged = CoordinatorEvent::AllStaged { job: job(), shares, prepare_timeout };
        self.tell_chief(staged);
        for who in 0..NAMES.len() {
            self.tell_worker(bug, who, ParticipantEvent::Connected);
        }
    }

    fn hear(&mut self, bug: Option<Bug>, from: usize, reply: Reply) {
        let decided = self.decision() == Some(Decision::Commit);
        let untold = bug == Some(Bug::NotTold) && decided;
        let reply = if let (true, Reply::Forced(heuristic)) = (untold, &reply) {
            Reply::Acked { txn: heuristic.txn.clone() }
        } else {
            reply
        };
        // Stands for whoever keeps the histories of jobs that are over: only what never committed
        // is presumed to have aborted.
        if let Reply::Inquired { txn, .. } = &reply
            && self.ended_with_commit()
            && self.chief.phase(&job()).is_none()
        {
            self.net.insert(Letter::ToWorker(from, Message::Undecided { txn: txn.clone() }));
            return;
        }
        if let Reply::Forced(heuristic) = &reply
            && self.chief.phase(&job()).is_none()
        {
            let (holder, heuristic) = (installation(from), heuristic.clone());
            let txn = heuristic.txn.clone();
            if !self.has_noted(from) {
                self.record(CoordinatorRecord::Heuristic { holder, heuristic });
            }
            self.net.insert(Letter::ToWorker(from, Message::Noted { txn }));
            self.net.insert(Letter::ToWorker(from, Message::Release { job: job() }));
            return;
        }
        let from = installation(from);
        self.tell_chief(CoordinatorEvent::Received { from, reply });
    }

    /// Lets the other one answer at once; an answer that is late is none.
    fn ask_peer(&mut self, bug: Option<Bug>, who: usize) {
        let Some(txn) = self.sites[who].machine.in_doubt().next().cloned() else { return };
        let other = 1 - who;
        let asked = installation(other).uid;
        let event = ParticipantEvent::PeerAsked {
            txn: txn.clone(),
            asked,
            updates: true,
            by: installation(who),
        };
        let before = self.net.clone();
        let told = self.step_worker(bug, other, event);
        let mut knowledge = told.into_iter().find_map(|action| {
            let ParticipantAction::AnswerPeer { knowledge, .. } = action else { return None };
            Some(knowledge)
        });
        if bug == Some(Bug::Spreads) {
            knowledge = match self.sites[other].forced {
                Some(Decision::Commit) => Some(Knowledge::Commit),
                Some(Decision::Abort) => Some(Knowledge::Refused),
                None => knowledge,
            };
        }
        let Some(knowledge) = knowledge else {
            self.net = before;
            return;
        };
        self.tell_worker(bug, who, ParticipantEvent::PeerAnswered { txn, knowledge });
    }

    fn crash_worker(&mut self, bug: Option<Bug>, who: usize) {
        self.used[1] += 1;
        let old = self.sites[who].clone();
        let site = Site::new(who, old.log);
        self.sites[who] =
            Site { visible: old.visible, discarded: old.discarded, forced: old.forced, ..site };
        if !old.discarded {
            self.tell_worker(bug, who, ParticipantEvent::Sealed { job: job() });
        }
        let machine = &self.sites[who].machine;
        let committed: Vec<_> =
            machine.committed().map(|(txn, pledges)| (txn.clone(), pledges.to_vec())).collect();
        self.tell_chief(CoordinatorEvent::Met { from: installation(who), seen: None });
        for (txn, pledges) in committed {
            let from = installation(who);
            let share = Share { holder: from.clone(), address: String::new(), pledges };
            self.tell_chief(CoordinatorEvent::FoundCommitted { from, txn, share });
        }
        self.tell_worker(bug, who, ParticipantEvent::Connected);
    }

    fn crash_chief(&mut self, bug: Option<Bug>) {
        self.used[2] += 1;
        self.epoch += 1;
        self.lazy.clear();
        let records = self.log.iter().cloned();
        self.chief = Coordinator::replay(start(self.epoch), records).expect("the log is sound");
        if !self.has_ended() {
            self.open_round(bug);
        }
    }

    fn tell_chief(&mut self, event: CoordinatorEvent) {
        let reaction = self.chief.step(NOW, event);
        let over = matches!(reaction.record, Some(CoordinatorRecord::Ended { .. }));
        if let Some(record) = reaction.record {
            self.record(record);
        }
        for action in reaction.actions {
            match action {
                CoordinatorAction::Send { to, message } => {
                    self.net.insert(Letter::ToWorker(place(&to), message));
                }
                // Stands for the engine: nothing of an aborted job runs.
                CoordinatorAction::Aborting { job, .. } => {
                    return self.tell_chief(CoordinatorEvent::Stopped { job });
                }
                CoordinatorAction::Raise(_) => self.broken = Some(OBEYS),
                CoordinatorAction::Preparing { .. }
                | CoordinatorAction::ShareLost { .. }
                | CoordinatorAction::Committing { .. }
                | CoordinatorAction::Committed { .. }
                | CoordinatorAction::Replaced { .. }
                | CoordinatorAction::Declined { .. }
                | CoordinatorAction::TooLate { .. } => {}
            }
        }
        if over {
            for who in 0..NAMES.len() {
                self.net.insert(Letter::ToWorker(who, Message::Release { job: job() }));
            }
        }
    }

    fn record(&mut self, record: CoordinatorRecord) {
        let forced = record.forced();
        self.lazy.push(record);
        if forced {
            self.log.append(&mut self.lazy);
        }
    }

    fn tell_worker(&mut self, bug: Option<Bug>, who: usize, event: ParticipantEvent) {
        for action in self.step_worker(bug, who, event) {
            match action {
                ParticipantAction::Send(reply) => {
                    self.net.insert(Letter::ToChief(who, reply));
                }
                ParticipantAction::Check { txn, .. } => {
                    let event = ParticipantEvent::Checked { txn, result: Vote::Yes };
                    self.tell_worker(bug, who, event);
                }
                ParticipantAction::Publish { txn, .. } => {
                    self.sites[who].work.insert(txn);
                }
                ParticipantAction::Discard { .. } => self.sites[who].discarded = true,
                ParticipantAction::Raise(_) => self.broken = Some(OBEYS),
                // A question to a peer is a turn of its own.
                ParticipantAction::AskPeer { .. }
                | ParticipantAction::AnswerPeer { .. }
                | ParticipantAction::TakeOver { .. }
                | ParticipantAction::Withdraw { .. } => {}
            }
        }
    }

    fn step_worker(
        &mut self,
        bug: Option<Bug>,
        who: usize,
        event: ParticipantEvent,
    ) -> Vec<ParticipantAction> {
        let releases =
            matches!(&event, ParticipantEvent::Received { message: Message::Release { .. }, .. });
        let site = &mut self.sites[who];
        if bug == Some(Bug::ForgottenEarly) && releases && site.forced.is_some() {
            let txn = site.machine.forced().map(|forced| forced.txn.clone()).next();
            if let Some(txn) = txn {
                let message = Message::Noted { txn };
                let noted = ParticipantEvent::Received { message, log: position() };
                let _nothing = site.machine.step(NOW, noted);
            }
        }
        let reaction = site.machine.step(NOW, event);
        if let Some(record) = reaction.record {
            let late =
                bug == Some(Bug::BeforeTheRecord) && matches!(record, ParticipantRecord::Forced(_));
            let forced = record.forced() && !late;
            site.lazy.push(record);
            if forced {
                site.log.append(&mut site.lazy);
            }
        }
        reaction.actions
    }
}

fn force(outcome: Decision) -> ParticipantEvent {
    let (by, reason) = ("ben".to_owned(), "C is gone".to_owned());
    let forced = Forced { by, reason, evidence: Vec::new() };
    ParticipantEvent::ForceAsked { job: job(), outcome, forced, at: WallTime(7) }
}

fn cancel() -> CoordinatorEvent {
    let word = || "CANCELLED".to_owned();
    let cause = Cause { reason: word(), message: word(), by: "dora".to_owned() };
    CoordinatorEvent::AbortAsked { job: job(), cause }
}

fn share(who: usize) -> Share {
    let target = Target {
        path: format!("{}/rows", NAMES[who]),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    let pledge = Pledge {
        task: TaskId::new(NAMES[who]).expect("roles are names"),
        output: OutputName::new("rows").expect("it is a name"),
        token: FencingToken { epoch: Epoch(1), counter: 1 },
        digest: Digest([7; 32]),
        replaceable: false,
        target: Some(target),
    };
    Share { holder: installation(who), address: String::new(), pledges: vec![pledge] }
}

fn place(worker: &WorkerId) -> usize {
    NAMES.iter().position(|name| *name == worker.as_str()).expect("it is a role")
}

fn installation(who: usize) -> Installation {
    let uid: WorkerUid = format!("00000000-0000-0000-0000-{:012}", who + 1).parse().expect("a uid");
    Installation { worker: WorkerId::new(NAMES[who]).expect("roles are names"), uid }
}

fn job() -> JobId {
    JobId::new("sales").expect("it is a name")
}

fn position() -> LogPosition {
    LogPosition { cluster: cluster(), epoch: Epoch(1), start: incarnation(1), lsn: 1 }
}

fn start(epoch: u64) -> Start {
    Start {
        cluster: cluster(),
        epoch: Epoch(epoch),
        incarnation: incarnation(epoch),
        held: position(),
        log: LogState::Whole,
    }
}

fn cluster() -> ClusterId {
    "00000000-0000-0000-0000-00000000c1c1".parse().expect("it has the form of a UUID")
}

fn incarnation(epoch: u64) -> Incarnation {
    format!("00000000-0000-0000-0000-{epoch:0>12}").parse().expect("it has the form of a UUID")
}

/// Everything happens at once: whoever may ask or deliver again does so at any moment.
const NOW: Moment = Moment::since_start(Duration::from_secs(100_000));
