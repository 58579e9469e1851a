//! The world of a replacement: three workers, a coordinator, what is on its way and what is visible.

use std::{collections::BTreeSet, time::Duration};

use stateright::{Model, Property};
use votum_commit::{
    Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Decision, Forced,
    Installation, Knowledge, LogPosition, LogState, Message, ParticipantAction, ParticipantEvent,
    ParticipantRecord, Participants, Pledge, Reply, Share, Start, Vote,
};
use votum_ids::{
    ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_machine::{Machine, Moment, WallTime};

/// How far histories go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) replacements: u8,
    /// How many outcomes people force at Alice or Bob while they are in doubt.
    pub(crate) forced: u8,
    pub(crate) worker_crashes: u8,
    pub(crate) chief_crashes: u8,
}

/// One mistake, planted between a machine and its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// What the replaced one acknowledges counts for its successor.
    OldAcknowledgementCounted,
    /// The successor is told, and the record is not there.
    ToldBeforeTheRecord,
    /// The word of a peer is taken for the coordinator's.
    PublishedOnPeerCommit,
    /// What was to be taken back stays.
    NotTakenBack,
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
    /// A line of an inventory.
    Found(usize, Vec<Pledge>),
}

/// What a worker's daemon has begun; lost with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Work {
    Show(u64),
    Withdraw(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    machine: Participants,
    log: Vec<ParticipantRecord>,
    work: BTreeSet<Work>,
    /// Publisher numbers under which something is visible.
    visible: BTreeSet<u64>,
    /// The coordinator itself has said Commit since the daemon began.
    heard: bool,
    /// What a person has forced here.
    forced: Option<Decision>,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    chief: Coordinator,
    log: Vec<CoordinatorRecord>,
    sites: Vec<Site>,
    net: BTreeSet<Letter>,
    used: [u8; 4],
    epoch: u64,
    /// A promise that the last step has broken.
    broken: Option<&'static str>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    Deliver(Letter),
    Work(usize, Work),
    Replace { from: usize, by: usize },
    PeerTells(usize),
    Force(usize, Decision),
    Tick(usize),
    ChiefTicks,
    WorkerCrashes(usize),
    ChiefCrashes,
}

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const ALICE: usize = 0;
const TOLD: &str = "nobody is told before the record";
const PEER: &str = "a replaceable share is published on the coordinator's word";

impl Stage {
    /// Begins with a decided commit of which nobody has heard.
    pub(crate) fn new(bounds: Bounds, bug: Option<Bug>) -> Self {
        let mut world = World {
            chief: Coordinator::new(start(1)),
            log: Vec::new(),
            sites: (0..NAMES.len()).map(|who| Site::new(who, Vec::new())).collect(),
            net: BTreeSet::new(),
            used: [0; 4],
            epoch: 1,
            broken: None,
        };
        for who in 0..NAMES.len() {
            world.tell_worker(who, ParticipantEvent::Sealed { job: job() });
            let met = CoordinatorEvent::Met { from: installation(who), seen: None };
            world.tell_chief(None, met);
        }
        world.tell_chief(None, CoordinatorEvent::Opened { job: job(), deadline: None });
        let shares = vec![share(0), share(1)];
        let prepare_timeout = Duration::from_secs(30);
        let staged = CoordinatorEvent::AllStaged { job: job(), shares, prepare_timeout };
        world.tell_chief(None, staged);
        for letter in std::mem::take(&mut world.net) {
            let Letter::ToWorker(who, message) = letter else { continue };
            world.hand_over(who, message);
        }
        for letter in std::mem::take(&mut world.net) {
            let Letter::ToChief(from, reply) = letter else { continue };
            let from = installation(from);
            world.tell_chief(None, CoordinatorEvent::Received { from, reply });
        }
        assert!(matches!(world.log.as_slice(), [CoordinatorRecord::CommitDecided { .. }]));
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
            turns.extend(site.work.iter().cloned().map(|work| Turn::Work(who, work)));
            turns.push(Turn::Tick(who));
            // Where something is forced as well, whoever may be replaced is enough.
            let concerned = self.bounds.forced == 0 || who == ALICE;
            if world.used[1] < self.bounds.worker_crashes && concerned {
                turns.push(Turn::WorkerCrashes(who));
            }
            let knows = |other: &Site| other.machine.committed().next().is_some();
            if site.machine.in_doubt().next().is_some() && world.sites.iter().any(knows) {
                turns.push(Turn::PeerTells(who));
            }
            let concerned = self.bounds.worker_crashes == 0 || who == ALICE;
            let in_doubt = site.machine.in_doubt().next().is_some();
            if in_doubt && world.used[3] < self.bounds.forced && concerned {
                turns.push(Turn::Force(who, Decision::Commit));
                turns.push(Turn::Force(who, Decision::Abort));
            }
        }
        if world.used[0] < self.bounds.replacements {
            for (from, by) in [(0, 1), (0, 2), (2, 1)] {
                turns.push(Turn::Replace { from, by });
            }
        }
        if world.used[2] < self.bounds.chief_crashes {
            turns.push(Turn::ChiefCrashes);
        }
        turns.push(Turn::ChiefTicks);
    }

    fn next_state(&self, world: &World, turn: Turn) -> Option<World> {
        let mut next = world.clone();
        match turn {
            Turn::Deliver(Letter::ToWorker(who, message)) => {
                next.hand_over(who, message);
            }
            Turn::Deliver(Letter::ToChief(from, reply)) => next.hear(self.bug, from, reply),
            Turn::Deliver(Letter::Found(from, pledges)) => {
                let (from, txn) = (installation(from), txn());
                let share = Share { holder: from.clone(), address: String::new(), pledges };
                let event = CoordinatorEvent::FoundCommitted { from, txn, share };
                next.tell_chief(self.bug, event);
            }
            Turn::Work(who, work) => next.work(self.bug, who, work),
            Turn::Replace { from, by } => next.replace(self.bug, from, by)?,
            Turn::PeerTells(who) => {
                let knowledge = Knowledge::Commit;
                let event = if self.bug == Some(Bug::PublishedOnPeerCommit) {
                    commit_for(who)
                } else {
                    ParticipantEvent::PeerAnswered { txn: txn(), knowledge }
                };
                next.tell_worker(who, event);
            }
            Turn::Force(who, outcome) => {
                next.used[3] += 1;
                next.sites[who].forced = Some(outcome);
                next.tell_worker(who, force(outcome));
            }
            Turn::Tick(who) => next.tell_worker(who, ParticipantEvent::Tick),
            Turn::ChiefTicks => next.tell_chief(self.bug, CoordinatorEvent::Tick),
            Turn::WorkerCrashes(who) => next.crash_worker(who),
            Turn::ChiefCrashes => next.crash_chief(self.bug),
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TOLD, |_, world: &World| world.broken != Some(TOLD)),
            Property::always(PEER, |_, world: &World| world.broken != Some(PEER)),
            Property::always(
                "everything committed is visible at its publisher",
                |_, world: &World| !world.is_over() || world.shows_everything(),
            ),
            Property::always(
                "whoever was forced is noted before it is forgotten",
                |_, world: &World| !world.is_forgotten() || world.notes_what_was_forced(),
            ),
            Property::always(
                "one publisher is visible once the commit is forgotten",
                |_, world: &World| !world.is_forgotten() || world.shows_once(),
            ),
            Property::sometimes("a replaced commit is forgotten", |_, world: &World| {
                world.is_forgotten() && world.publisher() != (ALICE, 0)
            }),
            Property::sometimes("what was shown is taken back", |_, world: &World| {
                world.sites[ALICE].log.iter().any(stood_down) && world.sites[ALICE].heard
            }),
        ]
        .into_iter()
        .chain((self.bounds.forced > 0).then(|| {
            let claim = "what was shown by force is taken back where another shows it";
            Property::sometimes(claim, |_, world: &World| {
                let alice = &world.sites[ALICE];
                let forced = alice.forced == Some(Decision::Commit) && !alice.heard;
                forced && alice.log.iter().any(stood_down) && world.is_forgotten()
            })
        }))
        .chain((self.bounds.forced > 0 && self.bounds.worker_crashes == 0).then(|| {
            let claim = "whoever was forced to abort declines to take over";
            Property::sometimes(claim, |_, world: &World| {
                let declines =
                    |letter: &Letter| matches!(letter, Letter::ToChief(1, Reply::Declined { .. }));
                world.sites[1].forced == Some(Decision::Abort) && world.net.iter().any(declines)
            })
        }))
        .collect()
    }
}

impl Site {
    fn new(who: usize, log: Vec<ParticipantRecord>) -> Self {
        let machine = Participants::replay(installation(who).uid, log.iter().cloned());
        let machine = machine.expect("the log is sound");
        let (work, visible) = (BTreeSet::new(), BTreeSet::new());
        Self { machine, log, work, visible, heard: false, forced: None }
    }
}

impl World {
    /// Returns who publishes what Alice promised, by the coordinator's log, and its number.
    fn publisher(&self) -> (usize, u64) {
        let replaced = self.log.iter().rev().find_map(|record| match record {
            CoordinatorRecord::Replaced { first, to, .. } => {
                Some((place(&to[0].holder.worker), *first))
            }
            CoordinatorRecord::CommitDecided { .. }
            | CoordinatorRecord::Aborting { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Heuristic { .. }
            | CoordinatorRecord::Ended { .. } => None,
        });
        replaced.unwrap_or((ALICE, 0))
    }

    fn is_forgotten(&self) -> bool {
        self.is_over() && self.chief.phase(&job()).is_none()
    }

    fn is_over(&self) -> bool {
        self.log.iter().any(|record| matches!(record, CoordinatorRecord::Ended { .. }))
    }

    fn shows_everything(&self) -> bool {
        let (who, number) = self.publisher();
        let bob = &self.sites[1];
        (self.sites[who].visible.contains(&number) || self.was_forced_to_abort(who, number))
            && (bob.visible.contains(&0) || bob.forced == Some(Decision::Abort))
    }

    /// Says whether a person has made somebody break the promise that it publishes under a number.
    fn was_forced_to_abort(&self, who: usize, number: u64) -> bool {
        number == 0 && self.sites[who].forced == Some(Decision::Abort)
    }

    fn notes_what_was_forced(&self) -> bool {
        let noted = |who: usize| {
            self.log.iter().any(|record| match record {
                CoordinatorRecord::Heuristic { holder, .. } => *holder == installation(who),
                CoordinatorRecord::CommitDecided { .. }
                | CoordinatorRecord::Replaced { .. }
                | CoordinatorRecord::Aborting { .. }
                | CoordinatorRecord::GivenUp { .. }
                | CoordinatorRecord::CaughtUp { .. }
                | CoordinatorRecord::Removed { .. }
                | CoordinatorRecord::Ended { .. } => false,
            })
        };
        let broke = |who: &usize| self.sites[*who].forced == Some(Decision::Abort);
        // Whoever was replaced has broken nothing: another one publishes.
        let broke = (0..NAMES.len()).filter(broke);
        broke.filter(|who| *who != ALICE || self.publisher() == (ALICE, 0)).all(noted)
    }

    fn shows_once(&self) -> bool {
        let (who, number) = self.publisher();
        let mut shown = BTreeSet::new();
        for (at, site) in self.sites.iter().enumerate() {
            // Bob's own share is his alone.
            let of_alice = site.visible.iter().filter(|number| at != 1 || **number > 0);
            shown.extend(of_alice.map(|number| (at, *number)));
        }
        let nobody = shown.is_empty() && self.was_forced_to_abort(who, number);
        nobody || shown == BTreeSet::from([(who, number)])
    }

    fn hand_over(&mut self, who: usize, message: Message) {
        if matches!(message, Message::Commit { .. }) {
            self.sites[who].heard = true;
        }
        self.tell_worker(who, ParticipantEvent::Received { message, log: position() });
    }

    fn hear(&mut self, bug: Option<Bug>, from: usize, reply: Reply) {
        if let (true, Reply::Inquired { txn, committed }) = (self.is_forgotten(), &reply) {
            // The engine looks a closed job up: it presumes nothing of one that has committed. Who
            // knows that it has is released, which is not played here.
            if !committed {
                let message = Message::Undecided { txn: txn.clone() };
                self.net.insert(Letter::ToWorker(from, message));
            }
            return;
        }
        let (publisher, number) = self.publisher();
        let counted = bug == Some(Bug::OldAcknowledgementCounted) && from == ALICE && number > 0;
        let (from, reply) = if let (true, Reply::Acked { txn }) = (counted, &reply) {
            (publisher, Reply::TookOver { txn: txn.clone(), number })
        } else {
            (from, reply)
        };
        let from = installation(from);
        self.tell_chief(bug, CoordinatorEvent::Received { from, reply });
    }

    fn replace(&mut self, bug: Option<Bug>, from: usize, by: usize) -> Option<()> {
        let owed = self.chief.owed(&job(), &installation(from));
        // What Bob promised lies nowhere else.
        let pledges: Vec<Pledge> = owed.into_iter().flat_map(|share| share.pledges).collect();
        if pledges.is_empty() {
            return None;
        }
        self.used[0] += 1;
        let (from, holder) = (installation(from), installation(by));
        let to = vec![Share { holder, address: String::new(), pledges }];
        self.tell_chief(bug, CoordinatorEvent::Replace { job: job(), from, to });
        Some(())
    }

    fn work(&mut self, bug: Option<Bug>, who: usize, work: Work) {
        let site = &mut self.sites[who];
        site.work.remove(&work);
        let event = match work {
            Work::Show(number) => {
                let by_force = site.forced == Some(Decision::Commit);
                if who == ALICE && number == 0 && !site.heard && !by_force {
                    self.broken = Some(PEER);
                }
                site.visible.insert(number);
                match number {
                    0 => ParticipantEvent::Published { txn: txn() },
                    number => ParticipantEvent::TookOver { txn: txn(), number },
                }
            }
            Work::Withdraw(number) => {
                if bug != Some(Bug::NotTakenBack) {
                    site.visible.remove(&number);
                }
                ParticipantEvent::Withdrawn { txn: txn(), number }
            }
        };
        self.tell_worker(who, event);
    }

    fn crash_worker(&mut self, who: usize) {
        self.used[1] += 1;
        let visible = std::mem::take(&mut self.sites[who].visible);
        let log = std::mem::take(&mut self.sites[who].log);
        let forced = self.sites[who].forced;
        self.sites[who] = Site { visible, forced, ..Site::new(who, log) };
        self.tell_worker(who, ParticipantEvent::Sealed { job: job() });
        self.list(who);
    }

    fn list(&mut self, who: usize) {
        let committed = self.sites[who].machine.committed();
        let lines: Vec<Letter> =
            committed.map(|(_, pledges)| Letter::Found(who, pledges.to_vec())).collect();
        self.net.extend(lines);
    }

    fn crash_chief(&mut self, bug: Option<Bug>) {
        self.used[2] += 1;
        self.epoch += 1;
        let chief = Coordinator::replay(start(self.epoch), self.log.iter().cloned());
        self.chief = chief.expect("the log is sound");
        for who in 0..NAMES.len() {
            let met = CoordinatorEvent::Met { from: installation(who), seen: None };
            self.tell_chief(bug, met);
            self.list(who);
        }
    }

    fn tell_chief(&mut self, bug: Option<Bug>, event: CoordinatorEvent) {
        let reaction = self.chief.step(NOW, event);
        if let Some(record) = reaction.record {
            let early = bug == Some(Bug::ToldBeforeTheRecord)
                && matches!(record, CoordinatorRecord::Replaced { .. });
            if !early {
                self.log.push(record);
            }
        }
        for action in reaction.actions {
            let CoordinatorAction::Send { to, message } = action else { continue };
            if let Message::TakeOver { number, .. } = &message
                && !self.is_recorded(*number)
            {
                self.broken = Some(TOLD);
            }
            self.net.insert(Letter::ToWorker(place(&to), message));
        }
    }

    fn is_recorded(&self, number: u64) -> bool {
        self.log.iter().any(|record| match record {
            CoordinatorRecord::Replaced { first, to, .. } => {
                (*first..*first + to.len() as u64).contains(&number)
            }
            CoordinatorRecord::CommitDecided { .. }
            | CoordinatorRecord::Aborting { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Heuristic { .. }
            | CoordinatorRecord::Ended { .. } => false,
        })
    }

    fn tell_worker(&mut self, who: usize, event: ParticipantEvent) {
        let reaction = self.sites[who].machine.step(NOW, event);
        self.sites[who].log.extend(reaction.record);
        for action in reaction.actions {
            match action {
                ParticipantAction::Send(reply) => {
                    self.net.insert(Letter::ToChief(who, reply));
                }
                ParticipantAction::Publish { .. } => {
                    self.sites[who].work.insert(Work::Show(0));
                }
                ParticipantAction::TakeOver { number, .. } => {
                    self.sites[who].work.insert(Work::Show(number));
                }
                ParticipantAction::Withdraw { number, .. } => {
                    self.sites[who].work.insert(Work::Withdraw(number));
                }
                ParticipantAction::Check { txn, .. } => {
                    let event = ParticipantEvent::Checked { txn, result: Vote::Yes };
                    self.tell_worker(who, event);
                }
                // What a peer answers is a turn of its own.
                ParticipantAction::AskPeer { .. } | ParticipantAction::AnswerPeer { .. } => {}
                ParticipantAction::Discard { .. } => {
                    panic!("{} discards: {:?}\n{:?}", NAMES[who], self.sites[who].log, self.log)
                }
                ParticipantAction::Raise(alarm) => panic!("{alarm}"),
            }
        }
    }
}

fn stood_down(record: &ParticipantRecord) -> bool {
    matches!(record, ParticipantRecord::StoodDown { .. })
}

fn force(outcome: Decision) -> ParticipantEvent {
    let (by, reason, evidence) = ("ana".to_owned(), "tired of it".to_owned(), Vec::new());
    let (forced, at) = (Forced { by, reason, evidence }, WallTime(1));
    ParticipantEvent::ForceAsked { job: job(), outcome, forced, at }
}

fn commit_for(who: usize) -> ParticipantEvent {
    let Share { holder, pledges, .. } = share(who);
    let message = Message::Commit { txn: txn(), holder, pledges };
    ParticipantEvent::Received { message, log: position() }
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
        replaceable: who == ALICE,
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

fn txn() -> TxnId {
    TxnId { job: job(), epoch: Epoch(1), counter: 1 }
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
