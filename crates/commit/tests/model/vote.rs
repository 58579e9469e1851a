//! The state space: which steps a history can take, within bounds, and what must always hold.

use std::sync::Arc;

use stateright::{Model, Property};
use votum_commit::{
    CoordinatorEvent, CoordinatorRecord, Installation, Message, ParticipantEvent,
    ParticipantRecord, Stage, Vote,
};

use crate::{
    bug::Bug,
    cast::{cancel, give_up, job, position, role},
    fact::{Broken, Fact},
    healing::Healing,
    history::{Crashes, History, Possible, World},
    interner::Memory,
    tables::{Letter, Step},
};

/// How far histories go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Participants: alice, bob, carol.
    pub(crate) workers: usize,
    /// Rounds in all epochs.
    pub(crate) rounds: u8,
    /// Crashes of the coordinator.
    pub(crate) chief_crashes: u8,
    /// Crashes of workers.
    pub(crate) worker_crashes: u8,
    /// Disks that are lost.
    pub(crate) wipes: u8,
    /// Older logs of the coordinator that are put back, and marked.
    pub(crate) restores: u8,
    /// Whether an operator may give up whoever a commit waits for.
    pub(crate) gives_up: bool,
    /// This worker has nothing to publish.
    pub(crate) reads: Option<usize>,
    /// The checks of this worker may fail.
    pub(crate) objects: Option<usize>,
}

/// The smallest world: two participants, one round, no fault.
pub(crate) const CALM: Bounds = Bounds {
    workers: 2,
    rounds: 1,
    chief_crashes: 0,
    worker_crashes: 0,
    wipes: 0,
    restores: 0,
    gives_up: false,
    reads: None,
    objects: None,
};

/// The model.
#[derive(Debug)]
pub(crate) struct Ballot {
    pub(crate) world: World,
    pub(crate) bounds: Bounds,
    pub(crate) healing: Option<Healing>,
    /// What the engine may do with a coordinator.
    engine: Memory<u16, Vec<Cause>>,
    steps: Memory<(u16, Cause, [u8; 3]), Step<CoordinatorRecord>>,
}

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something reaches a machine, and everything that follows from it is done.
    Whole(Cause),
    /// The same, but the daemon dies after the record and this many acts.
    Cut { cause: Cause, acts: u8, kept: u8 },
    /// The coordinator dies between two steps; this many of its lazy records survive.
    ChiefCrashes { kept: u8 },
    /// A worker dies between two steps.
    WorkerCrashes { worker: u8, kept: u8 },
    /// A worker loses its disk.
    Wiped { worker: u8 },
    /// An older log of the coordinator is put back.
    Restored { kept: u8 },
}

/// What reaches a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// A letter from the net.
    Letter(u16),
    /// The engine has everything staged.
    Staged,
    /// The engine takes the round back.
    Withdrawn,
    /// A client cancels.
    Cancelled,
    /// Nothing of an aborted job runs any more.
    Stopped,
    /// A round has waited long enough.
    TimedOut,
    /// An operator gives a worker up, which may be alive all the same.
    GivenUp { worker: u8 },
    /// A worker in doubt loses its patience; only as a bug.
    GivesUp { worker: u8 },
}

/// Whoever takes a step, and the step.
enum Taken {
    Chief(Arc<Step<CoordinatorRecord>>),
    Worker(usize, Arc<Step<ParticipantRecord>>),
}

impl Ballot {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self::with_bug(bounds, None)
    }

    pub(crate) fn with_bug(bounds: Bounds, bug: Option<Bug>) -> Self {
        let world = World::new(bounds.workers, bounds.reads, bounds.objects, bug);
        Self { world, bounds, healing: None, engine: Memory::new(), steps: Memory::new() }
    }

    /// Also lets every history heal, and looks whether it settles.
    pub(crate) fn healing(self) -> Self {
        Self { healing: Some(Healing::new()), ..self }
    }

    fn causes(&self, history: &History, causes: &mut Vec<Cause>) {
        let tables = &self.world.tables;
        let mut letters = tables.chief_row(history.chief.machine).matters;
        for worker in 0..self.bounds.workers {
            let own = self.world.own(history, worker);
            let machine = history.workers[worker].machine;
            letters.add(&tables.worker_row(worker, own, machine).matters);
            let in_doubt = || tables.participants.value(machine).in_doubt().next().is_some();
            if Bug::UnilateralAbort.is(tables.bug) && in_doubt() {
                causes.push(Cause::GivesUp { worker: worker as u8 });
            }
        }
        causes.extend(letters.both(&history.net).iter().map(Cause::Letter));
        causes.extend_from_slice(&self.engine.recall(history.chief.machine, || {
            let stage = tables.chiefs.value(history.chief.machine).phase(&job());
            let stage = stage.map(|standing| standing.stage);
            let given_up = stage.iter().flat_map(|stage| self.may_be_given_up(stage));
            let given_up: Vec<Cause> = given_up.map(|worker| Cause::GivenUp { worker }).collect();
            let others = match stage {
                Some(Stage::Working) => vec![Cause::Staged, Cause::Cancelled],
                Some(Stage::Preparing { .. }) => {
                    vec![Cause::Staged, Cause::Withdrawn, Cause::Cancelled, Cause::TimedOut]
                }
                // Everybody else has acknowledged: the next tick ends it.
                Some(Stage::Delivering { unacked, .. }) if unacked.is_empty() => {
                    vec![Cause::Cancelled, Cause::TimedOut]
                }
                Some(Stage::Delivering { .. }) => vec![Cause::Cancelled],
                Some(Stage::Aborting { .. }) => vec![Cause::Stopped],
                Some(Stage::Owing { .. } | Stage::Quarantined) | None => Vec::new(),
            };
            others.into_iter().chain(given_up).collect()
        }));
    }

    fn take(&self, history: &History, cause: Cause) -> Option<Taken> {
        let tables = &self.world.tables;
        let starts = std::array::from_fn(|worker| history.workers[worker].start);
        let chief = |event: &dyn Fn() -> CoordinatorEvent| {
            let key = (history.chief.machine, cause, starts);
            let step = || (*tables.chief_does(history.chief.machine, event())).clone();
            Some(Taken::Chief(self.steps.recall(key, step)))
        };
        match cause {
            Cause::Letter(letter) => {
                if let Letter::ToWorker { worker, .. } = *tables.letters.value(letter) {
                    let own = self.world.own(history, worker);
                    let machine = history.workers[worker].machine;
                    let step = tables.worker_receives(worker, own, machine, letter)?;
                    return Some(Taken::Worker(worker, step));
                }
                tables.chief_receives(history.chief.machine, letter).map(Taken::Chief)
            }
            Cause::Staged => chief(&|| {
                let shares = self.world.shares(history);
                let prepare_timeout = std::time::Duration::from_secs(30);
                CoordinatorEvent::AllStaged { job: job(), shares, prepare_timeout }
            }),
            Cause::Withdrawn => chief(&|| CoordinatorEvent::Withdrawn { job: job() }),
            Cause::Cancelled => chief(&cancel),
            Cause::Stopped => chief(&|| CoordinatorEvent::Stopped { job: job() }),
            Cause::TimedOut => chief(&|| CoordinatorEvent::Tick),
            Cause::GivenUp { worker } => {
                let machine = tables.chiefs.value(history.chief.machine);
                let stage = machine.phase(&job())?.stage;
                let named = |holder: &Installation| role(holder.worker.as_str());
                let mut asked = asked_of(&stage).into_iter();
                let holder = asked.find(|holder| named(holder) == usize::from(worker))?;
                chief(&|| give_up(holder.clone()))
            }
            Cause::GivesUp { worker } => {
                let worker = usize::from(worker);
                let message = Message::Abort { job: job() };
                let event = ParticipantEvent::Received { message, log: position() };
                let own = self.world.own(history, worker);
                let machine = history.workers[worker].machine;
                Some(Taken::Worker(worker, tables.worker_does(worker, own, machine, event)))
            }
        }
    }

    /// Returns who may be given up: whoever a commit waits for, and as a bug who is asked to vote.
    fn may_be_given_up(&self, stage: &Stage) -> Vec<u8> {
        let undecided = matches!(stage, Stage::Preparing { .. });
        if !self.bounds.gives_up
            || (undecided && !Bug::GivenUpLeavesTheRound.is(self.world.tables.bug))
        {
            return Vec::new();
        }
        asked_of(stage).iter().map(|holder| role(holder.worker.as_str()) as u8).collect()
    }

    /// Adds the ways in which a step can be cut short by a crash, after its record.
    ///
    /// Before its record, or without one, it is as if the event had not come.
    fn cuts(&self, history: &History, cause: Cause, turns: &mut Vec<Turn>) {
        let may_crash = |limit: u8, so_far: u8| so_far < limit;
        if !may_crash(self.bounds.chief_crashes, history.chief_crashes)
            && !may_crash(self.bounds.worker_crashes, history.worker_crashes)
        {
            return;
        }
        let (acts, lazy) = match self.take(history, cause) {
            Some(Taken::Chief(step))
                if may_crash(self.bounds.chief_crashes, history.chief_crashes) =>
            {
                let Some(record) = &step.record else { return };
                let forced = record.forced() && !Bug::neglects_chief(self.world.tables.bug, record);
                let before = self.world.tables.chief_logs.value(history.chief.lazy).len();
                (step.acts.len(), if forced { 0 } else { before + 1 })
            }
            Some(Taken::Worker(worker, step))
                if may_crash(self.bounds.worker_crashes, history.worker_crashes) =>
            {
                let Some(record) = &step.record else { return };
                let forced =
                    record.forced() && !Bug::neglects_worker(self.world.tables.bug, record);
                let lazy = history.workers[worker].lazy;
                let before = self.world.tables.worker_logs.value(lazy).len();
                (step.acts.len(), if forced { 0 } else { before + 1 })
            }
            Some(Taken::Chief(_) | Taken::Worker(..)) | None => return,
        };
        for acts in 0..acts {
            for kept in 0..=lazy {
                turns.push(Turn::Cut { cause, acts: acts as u8, kept: kept as u8 });
            }
        }
    }

    fn perform(&self, history: &mut History, cause: Cause, acts: usize) -> Option<Taken> {
        if let Cause::Letter(letter) = cause {
            self.remember_check(history, letter)?;
        }
        let taken = self.take(history, cause)?;
        match &taken {
            Taken::Chief(step) => self.world.chief_takes(history, step, acts),
            Taken::Worker(worker, step) => {
                self.world.worker_takes(history, *worker, step, acts);
            }
        }
        Some(taken)
    }

    /// A check of one round at one installation has one result, however often it is made.
    fn remember_check(&self, history: &mut History, letter: u16) -> Option<()> {
        let content = self.world.tables.letters.value(letter);
        let Letter::ToWorker { event: ParticipantEvent::Checked { txn, result }, worker, .. } =
            &*content
        else {
            return Some(());
        };
        if self.bounds.objects.is_none() {
            return Some(()); // Every check passes.
        }
        let own = self.world.own(history, *worker);
        let (passed, failed) = (Fact::Passed(own, txn.clone()), Fact::Failed(own, txn.clone()));
        let (fact, other) = match result {
            Vote::Yes => (passed, failed),
            Vote::No(_) | Vote::ReadOnly => (failed, passed),
        };
        if self.world.is(history, other) {
            return None;
        }
        self.world.happens(history, fact);
        Some(())
    }

    fn crashes(&self, history: &History) -> Crashes {
        let possible = |so_far, limit| if so_far < limit { Possible::Yes } else { Possible::No };
        let restore = possible(history.restores, self.bounds.restores);
        let crash = possible(history.chief_crashes, self.bounds.chief_crashes);
        Crashes {
            chief: if restore == Possible::Yes { restore } else { crash },
            workers: possible(history.worker_crashes, self.bounds.worker_crashes),
        }
    }

    fn crash_chief(&self, history: &mut History, kept: usize) {
        history.chief_crashes += 1;
        if Bug::LogWithoutItsDecision.is(self.world.tables.bug) {
            self.world.restore(history, 0);
        } else {
            self.world.crash_chief(history, kept);
        }
    }

    fn crash_worker(&self, history: &mut History, worker: usize, kept: usize) {
        history.worker_crashes += 1;
        self.world.crash_worker(history, worker, kept);
    }
}

impl Model for Ballot {
    type State = History;
    type Action = Turn;

    fn init_states(&self) -> Vec<History> {
        vec![self.world.dawn()]
    }

    fn actions(&self, history: &History, turns: &mut Vec<Turn>) {
        if history.broken != 0 {
            return; // One broken promise is enough.
        }
        let mut causes = Vec::new();
        self.causes(history, &mut causes);
        for cause in causes {
            turns.push(Turn::Whole(cause));
            self.cuts(history, cause, turns);
        }
        let tables = &self.world.tables;
        if history.chief_crashes < self.bounds.chief_crashes {
            let lazy = tables.chief_logs.value(history.chief.lazy).len();
            turns.extend((0..=lazy).map(|kept| Turn::ChiefCrashes { kept: kept as u8 }));
        }
        for worker in 0..self.bounds.workers {
            if history.worker_crashes < self.bounds.worker_crashes {
                let lazy = tables.worker_logs.value(history.workers[worker].lazy).len();
                let worker = worker as u8;
                let crash = |kept| Turn::WorkerCrashes { worker, kept: kept as u8 };
                turns.extend((0..=lazy).map(crash));
            }
            if history.wipes < self.bounds.wipes {
                turns.push(Turn::Wiped { worker: worker as u8 });
            }
        }
        if history.restores < self.bounds.restores {
            let log = tables.chief_logs.value(history.chief.log).len();
            turns.extend((0..log).map(|kept| Turn::Restored { kept: kept as u8 }));
        }
    }

    fn next_state(&self, last: &History, turn: Turn) -> Option<History> {
        let mut history = *last;
        match turn {
            Turn::Whole(cause) => drop(self.perform(&mut history, cause, usize::MAX)?),
            Turn::Cut { cause, acts, kept } => {
                match self.perform(&mut history, cause, usize::from(acts))? {
                    Taken::Chief(_) => self.crash_chief(&mut history, usize::from(kept)),
                    Taken::Worker(worker, _) => {
                        self.crash_worker(&mut history, worker, usize::from(kept));
                    }
                }
            }
            Turn::ChiefCrashes { kept } => self.crash_chief(&mut history, usize::from(kept)),
            Turn::WorkerCrashes { worker, kept } => {
                self.crash_worker(&mut history, usize::from(worker), usize::from(kept));
            }
            Turn::Wiped { worker } => {
                history.wipes += 1;
                self.world.wipe(&mut history, usize::from(worker));
            }
            Turn::Restored { kept } => {
                history.restores += 1;
                self.world.restore(&mut history, usize::from(kept));
            }
        }
        if history.rounds > self.bounds.rounds {
            return None;
        }
        self.world.settle(&mut history);
        let crashes = self.crashes(&history);
        self.world.forget(&mut history, crashes);
        (history != *last).then_some(history)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no two participants finish differently", |_, it| {
                holds(it, Broken::Agreement)
            }),
            Property::always("a commit has every vote of its own round", |_, it| {
                holds(it, Broken::Validity)
            }),
            Property::always("a refused round never commits", |_, it| holds(it, Broken::Refusal)),
            Property::always("only what a durable commit names is published", |_, it| {
                holds(it, Broken::Publication)
            }),
            Property::always("a job has one decision", |_, it| holds(it, Broken::OneDecision)),
            Property::always("what the protocol excludes is not observed", |_, it| {
                holds(it, Broken::Impossible)
            }),
            Property::always("what a crash leaves can be replayed", |_, it| {
                holds(it, Broken::SoundLog)
            }),
            Property::always("an acknowledgement follows the publication", |_, it| {
                holds(it, Broken::Acknowledgement)
            }),
            Property::always("a commit ends when everybody has published", |_, it| {
                holds(it, Broken::End)
            }),
            Property::always("a history that heals settles", |model: &Self, it: &History| {
                model.healing.as_ref().is_none_or(|healing| healing.settles(&model.world, it))
            }),
            Property::sometimes("everybody commits", |model: &Self, it| model.has_committed(it)),
            Property::sometimes("everybody aborts", |model: &Self, it| model.has_aborted(it)),
        ];
        if self.bounds.chief_crashes > 0 {
            let claim = "everybody commits after a crash of the coordinator";
            properties.push(Property::sometimes(claim, |model: &Self, it: &History| {
                it.chief_crashes > 0 && model.has_committed(it)
            }));
        }
        if self.bounds.worker_crashes > 0 {
            let claim = "everybody commits after a crash of a worker";
            properties.push(Property::sometimes(claim, |model: &Self, it: &History| {
                it.worker_crashes > 0 && model.has_committed(it)
            }));
        }
        if self.bounds.gives_up {
            let claim = "somebody who was given up publishes after all";
            properties.push(Property::sometimes(claim, |model: &Self, it: &History| {
                model.world.facts(it).iter().any(|fact| {
                    matches!(&**fact, Fact::GivenUp(uid, txn)
                        if model.world.is(it, Fact::Published(*uid, txn.clone())))
                })
            }));
        }
        if self.bounds.rounds > 1 && self.bounds.workers > 1 && self.bounds.reads.is_none() {
            let claim = "a commit is decided after a round was refused";
            properties.push(Property::sometimes(claim, |model: &Self, it: &History| {
                model.has_decided(it) && model.has_refused(it)
            }));
        }
        properties
    }
}

impl Ballot {
    fn has_committed(&self, history: &History) -> bool {
        self.has_decided(history) && !self.world.somebody_unpublished(history)
    }

    fn has_decided(&self, history: &History) -> bool {
        let decided = |fact: &Arc<Fact>| matches!(**fact, Fact::Decided(_));
        self.world.facts(history).iter().any(decided)
    }

    fn has_aborted(&self, history: &History) -> bool {
        let own = |worker| self.world.own(history, worker);
        self.world.is(history, Fact::Aborting)
            && (0..self.bounds.workers)
                .all(|worker| self.world.is(history, Fact::Discarded(own(worker))))
    }

    fn has_refused(&self, history: &History) -> bool {
        (0..self.bounds.workers).any(|worker| {
            let machine = self.world.tables.participants.value(history.workers[worker].machine);
            machine.refusals().next().is_some()
        })
    }

    /// Tells a counterexample in words.
    pub(crate) fn tell(&self, turn: &Turn) -> String {
        let say = |cause: &Cause| {
            if let Cause::Letter(letter) = cause {
                format!("{:?}", self.world.tables.letters.value(*letter))
            } else {
                format!("{cause:?}")
            }
        };
        if let Turn::Whole(cause) = turn {
            say(cause)
        } else if let Turn::Cut { cause, acts, kept } = turn {
            format!("{}, but dies after {acts} acts and keeps {kept} lazy records", say(cause))
        } else {
            format!("{turn:?}")
        }
    }
}

/// Returns who owes a stage an answer.
fn asked_of(stage: &Stage) -> Vec<Installation> {
    match stage {
        Stage::Preparing { votes, .. } => {
            votes.iter().filter(|(_, vote)| vote.is_none()).map(|(who, _)| who.clone()).collect()
        }
        Stage::Delivering { unacked, .. } => unacked.iter().cloned().collect(),
        Stage::Working | Stage::Owing { .. } | Stage::Aborting { .. } | Stage::Quarantined => {
            Vec::new()
        }
    }
}

fn holds(history: &History, promise: Broken) -> bool {
    history.broken & promise as u16 == 0
}
