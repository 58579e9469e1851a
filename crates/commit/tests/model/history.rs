//! One state of the model: what is durable, what is remembered, what is on its way.

use std::sync::Arc;

use votum_commit::{
    CoordinatorEvent, CoordinatorRecord, Installation, LogState, Message, ParticipantEvent,
    ParticipantRecord, Reply, Share, Vote,
};
use votum_ids::{Epoch, TxnId, WorkerUid};
use votum_machine::{Machine, Moment};

use crate::{
    bug::Bug,
    cast::{NOON, installation, job, position, share, uid, worker_id},
    fact::{Broken, Fact, Facts},
    interner::{Interner, Memory},
    tables::{Act, Letter, Net, Step, Tables},
};

/// A state; equal states have equal futures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct History {
    pub(crate) chief: Site,
    pub(crate) workers: [Site; 3],
    pub(crate) net: Net,
    pub(crate) facts: Facts,
    pub(crate) broken: u16,
    pub(crate) rounds: u8,
    pub(crate) chief_crashes: u8,
    pub(crate) worker_crashes: u8,
    pub(crate) wipes: u8,
    pub(crate) restores: u8,
}

/// One daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Site {
    pub(crate) machine: u16,
    /// The durable log.
    pub(crate) log: u16,
    /// What no sync has covered.
    pub(crate) lazy: u16,
    /// The epoch of the coordinator, or the installation of the worker.
    pub(crate) start: u8,
}

/// What may still be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crashes {
    pub(crate) chief: Possible,
    pub(crate) workers: Possible,
}

/// Whether something may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Possible {
    Yes,
    No,
}

/// The rules of the world in which a history unfolds.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tables: Tables,
    pub(crate) facts: Interner<Fact>,
    /// The worker that only reads.
    pub(crate) reads: Option<usize>,
    relevant: Memory<(Facts, u16), Facts>,
    unpublished: Memory<Facts, bool>,
}

impl World {
    pub(crate) fn new(
        workers: usize,
        reads: Option<usize>,
        objects: Option<usize>,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            tables: Tables::new(workers, objects, bug),
            facts: Interner::new(),
            reads,
            relevant: Memory::new(),
            unpublished: Memory::new(),
        }
    }

    /// Returns the world with everything staged and nobody asked.
    pub(crate) fn dawn(&self) -> History {
        let mut history = History {
            chief: Site { start: 1, ..Site::default() },
            workers: [Site { start: 1, ..Site::default() }; 3],
            net: Net::EMPTY,
            facts: Facts::EMPTY,
            broken: 0,
            rounds: 0,
            chief_crashes: 0,
            worker_crashes: 0,
            wipes: 0,
            restores: 0,
        };
        let empty = self.tables.chief_logs.number(Vec::new());
        (history.chief.log, history.chief.lazy) = (empty, empty);
        let empty = self.tables.worker_logs.number(Vec::new());
        for worker in 0..self.tables.workers {
            let site = &mut history.workers[worker];
            (site.log, site.lazy) = (empty, empty);
        }
        for worker in 0..self.tables.workers {
            self.start_worker(&mut history, worker);
        }
        self.start_chief(&mut history);
        self.settle(&mut history);
        history
    }

    pub(crate) fn own(&self, history: &History, worker: usize) -> WorkerUid {
        uid(worker, history.workers[worker].start)
    }

    /// Returns what would be asked for if the vote began.
    pub(crate) fn shares(&self, history: &History) -> Vec<Share> {
        (0..self.tables.workers)
            .map(|it| share(it, history.workers[it].start, self.reads != Some(it)))
            .collect()
    }

    /// Performs a step of the coordinator, or only the record and a few acts of it.
    pub(crate) fn chief_takes(
        &self,
        history: &mut History,
        step: &Step<CoordinatorRecord>,
        acts: usize,
    ) {
        history.chief.machine = step.machine;
        if let Some(record) = &step.record {
            self.chief_records(history, record.clone());
        }
        for act in step.acts.iter().take(acts) {
            match act {
                Act::Post(letter) => history.net.insert(*letter),
                Act::Open => history.rounds += 1,
                Act::Release => history.net.add(&self.tables.release()),
                Act::Alarm => history.broken |= Broken::Impossible as u16,
                Act::Ack { .. } | Act::Refuse { .. } | Act::Publish { .. } | Act::Discard => {
                    unreachable!("only a worker does this")
                }
            }
        }
        // The engine hears that an aborted job is over, and tells everybody.
        if acts > 0 && matches!(step.record, Some(CoordinatorRecord::Ended { .. })) {
            history.net.add(&self.tables.release());
        }
    }

    /// Performs a step of a worker, or only the record and a few acts of it.
    pub(crate) fn worker_takes(
        &self,
        history: &mut History,
        worker: usize,
        step: &Step<ParticipantRecord>,
        acts: usize,
    ) {
        history.workers[worker].machine = step.machine;
        let own = self.own(history, worker);
        if let Some(record) = &step.record {
            self.worker_records(history, worker, record.clone());
        }
        for act in step.acts.iter().take(acts) {
            match act {
                Act::Post(letter) => history.net.insert(*letter),
                Act::Ack { letter, txn } => {
                    history.net.insert(*letter);
                    if !self.is(history, Fact::Published(own, txn.clone())) {
                        history.broken |= Broken::Acknowledgement as u16;
                    }
                }
                Act::Refuse { letter, txn } => {
                    history.net.insert(*letter);
                    self.happens(history, Fact::Refused(txn.clone()));
                    if self.is(history, Fact::Decided(txn.clone())) {
                        history.broken |= Broken::Refusal as u16;
                    }
                }
                Act::Publish { letter, txn } => {
                    history.net.insert(*letter);
                    self.publish(history, own, txn);
                }
                Act::Discard => self.discard(history, own),
                Act::Alarm => history.broken |= Broken::Impossible as u16,
                Act::Open | Act::Release => unreachable!("only the coordinator does this"),
            }
        }
    }

    /// Ends the coordinator with the first few of its lazy records kept, and starts it again.
    pub(crate) fn crash_chief(&self, history: &mut History, kept: usize) {
        let lazy = self.tables.chief_logs.value(history.chief.lazy);
        self.chief_syncs(history, &lazy[..kept]);
        history.chief.start += 1;
        self.start_chief(history);
    }

    /// Puts back an older log of the coordinator.
    pub(crate) fn restore(&self, history: &mut History, kept: usize) {
        let log = self.tables.chief_logs.value(history.chief.log);
        history.chief.log = self.tables.chief_logs.number(log[..kept].to_vec());
        history.chief.lazy = self.tables.chief_logs.number(Vec::new());
        history.chief.start += 1;
        self.start_chief(history);
    }

    /// Ends a worker with the first few of its lazy records kept, and starts it again.
    pub(crate) fn crash_worker(&self, history: &mut History, worker: usize, kept: usize) {
        let lazy = self.tables.worker_logs.value(history.workers[worker].lazy);
        self.worker_syncs(history, worker, &lazy[..kept]);
        self.start_worker(history, worker);
        self.meet(history, worker);
    }

    /// Gives a worker an empty disk; its tasks run again.
    pub(crate) fn wipe(&self, history: &mut History, worker: usize) {
        let empty = self.tables.worker_logs.number(Vec::new());
        let site = &mut history.workers[worker];
        (site.log, site.lazy) = (empty, empty);
        site.start += 1;
        self.start_worker(history, worker);
        self.meet(history, worker);
    }

    /// Says everything that is said without anything else happening.
    ///
    /// A message exists from the moment it may be sent: this loses no history,
    /// since nobody has to receive it, and leaves fewer states to look at.
    pub(crate) fn settle(&self, history: &mut History) {
        loop {
            let before = history.net;
            let row = self.tables.chief_row(history.chief.machine);
            Tables::answer(&row, &mut history.net);
            for worker in 0..self.tables.workers {
                let own = self.own(history, worker);
                let row = self.tables.worker_row(worker, own, history.workers[worker].machine);
                Tables::answer(&row, &mut history.net);
            }
            if history.net == before {
                return;
            }
        }
    }

    /// Forgets what can make no difference any more, so that equal futures are equal states.
    ///
    /// Of letters, see [`Row::dead`](crate::tables::Row). Promises and refusals bear on the
    /// round that is being decided. A log is read after a crash.
    pub(crate) fn forget(&self, history: &mut History, crashes: Crashes) {
        let row = self.tables.chief_row(history.chief.machine);
        let mut dead = row.dead;
        if crashes.chief == Possible::No {
            dead.add(&row.spent);
        }
        for worker in 0..self.tables.workers {
            let own = self.own(history, worker);
            let row = self.tables.worker_row(worker, own, history.workers[worker].machine);
            dead.add(&row.dead);
            if crashes.workers == Possible::No {
                dead.add(&row.spent);
            }
        }
        history.net = history.net.without(&dead);
        let key = (history.facts, history.chief.machine);
        history.facts = *self.relevant.recall(key, || self.relevant_facts(history));
        if crashes.chief == Possible::No {
            (history.chief.log, history.chief.lazy) = (0, 0);
        }
        if crashes.workers == Possible::No {
            for site in &mut history.workers {
                (site.log, site.lazy) = (0, 0);
            }
        }
    }

    fn relevant_facts(&self, history: &History) -> Facts {
        let current = self.tables.current(history.chief.machine);
        let mut relevant = Facts::EMPTY;
        for number in history.facts.iter() {
            let bears = match &*self.facts.value(number) {
                Fact::Promised(_, txn) | Fact::Refused(txn) => {
                    current.as_ref() == Some(txn) && !self.is(history, Fact::Decided(txn.clone()))
                }
                Fact::Decided(_)
                | Fact::Named(..)
                | Fact::Aborting
                | Fact::GivenUp(..)
                | Fact::Published(..)
                | Fact::Discarded(_)
                | Fact::Passed(..)
                | Fact::Failed(..) => true,
            };
            if bears {
                relevant.insert(number);
            }
        }
        relevant
    }

    pub(crate) fn is(&self, history: &History, fact: Fact) -> bool {
        history.facts.contains(self.facts.number(fact))
    }

    pub(crate) fn happens(&self, history: &mut History, fact: Fact) {
        history.facts.insert(self.facts.number(fact));
    }

    /// Returns the facts that have happened.
    pub(crate) fn facts(&self, history: &History) -> Vec<Arc<Fact>> {
        history.facts.iter().map(|fact| self.facts.value(fact)).collect()
    }

    fn start_chief(&self, history: &mut History) {
        let (epoch, log) = (history.chief.start, history.chief.log);
        let state = if history.restores > 0 { LogState::Stale } else { LogState::Whole };
        let Some(machine) = self.tables.chief_replays(epoch, log, state) else {
            history.broken |= Broken::SoundLog as u16;
            return;
        };
        history.chief.machine = machine;
        history.chief.lazy = self.tables.chief_logs.number(Vec::new());
        if self.tables.chief_logs.value(log).is_empty() {
            let event = CoordinatorEvent::Opened { job: job(), deadline: None };
            self.chief_hears(history, event);
        }
        for worker in 0..self.tables.workers {
            self.meet(history, worker);
        }
        if self.tables.chiefs.value(history.chief.machine).next_deadline() == Some(Moment::START) {
            self.chief_hears(history, CoordinatorEvent::Tick);
        }
    }

    fn start_worker(&self, history: &mut History, worker: usize) {
        let own = self.own(history, worker);
        let Some(machine) = self.tables.worker_replays(own, history.workers[worker].log) else {
            history.broken |= Broken::SoundLog as u16;
            return;
        };
        history.workers[worker].machine = machine;
        history.workers[worker].lazy = self.tables.worker_logs.number(Vec::new());
        // One word of the coordinator, so that every start has seen the same log position.
        let txn = TxnId { job: job(), epoch: Epoch(0), counter: 0 };
        let message = Message::Undecided { txn };
        let event = ParticipantEvent::Received { message, log: position() };
        self.worker_hears(history, worker, event);
        if !self.is(history, Fact::Discarded(own)) {
            self.worker_hears(history, worker, ParticipantEvent::Sealed { job: job() });
        }
        let due = |history: &History| {
            let machine = self.tables.participants.value(history.workers[worker].machine);
            machine.next_deadline().is_some_and(|due| due <= NOON)
        };
        while due(history) {
            self.worker_hears(history, worker, ParticipantEvent::Tick);
        }
        // Whoever has asked has been told to ask again: what differs is only how patient it is.
        let machine = self.tables.participants.value(history.workers[worker].machine);
        for txn in machine.in_doubt() {
            let message = Message::Undecided { txn: txn.clone() };
            let event = ParticipantEvent::Received { message, log: position() };
            self.worker_hears(history, worker, event);
        }
    }

    /// Opens a session: Hello and inventory.
    fn meet(&self, history: &mut History, worker: usize) {
        let from = installation(worker, history.workers[worker].start);
        let machine = self.tables.participants.value(history.workers[worker].machine);
        self.chief_hears(history, CoordinatorEvent::Met { from: from.clone(), seen: None });
        for (txn, pledges) in machine.committed() {
            let (txn, pledges) = (txn.clone(), pledges.to_vec());
            let share = Share { holder: from.clone(), address: String::new(), pledges };
            let from = from.clone();
            self.chief_hears(history, CoordinatorEvent::FoundCommitted { from, txn, share });
        }
    }

    fn chief_hears(&self, history: &mut History, event: CoordinatorEvent) {
        let step = self.tables.chief_does(history.chief.machine, event);
        self.chief_takes(history, &step, usize::MAX);
    }

    fn worker_hears(&self, history: &mut History, worker: usize, event: ParticipantEvent) {
        let own = self.own(history, worker);
        let machine = history.workers[worker].machine;
        let step = self.tables.worker_does(worker, own, machine, event);
        self.worker_takes(history, worker, &step, usize::MAX);
    }

    fn chief_records(&self, history: &mut History, record: CoordinatorRecord) {
        let bug = self.tables.bug;
        let forced = record.forced() && !Bug::neglects_chief(bug, &record);
        if matches!(record, CoordinatorRecord::Ended { .. }) && self.somebody_is_waited_for(history)
        {
            history.broken |= Broken::End as u16;
        }
        let mut lazy = (*self.tables.chief_logs.value(history.chief.lazy)).clone();
        lazy.push(record);
        if forced {
            self.chief_syncs(history, &lazy);
            lazy.clear();
        }
        history.chief.lazy = self.tables.chief_logs.number(lazy);
    }

    fn chief_syncs(&self, history: &mut History, records: &[CoordinatorRecord]) {
        let mut log = (*self.tables.chief_logs.value(history.chief.log)).clone();
        log.extend_from_slice(records);
        history.chief.log = self.tables.chief_logs.number(log);
        for record in records {
            match record {
                CoordinatorRecord::CommitDecided { txn, shares } => {
                    self.decide(history, txn, shares);
                }
                CoordinatorRecord::Aborting { .. } => {
                    let decided = |fact: &Arc<Fact>| matches!(**fact, Fact::Decided(_));
                    if self.facts(history).iter().any(decided) {
                        history.broken |= Broken::OneDecision as u16;
                    }
                    self.happens(history, Fact::Aborting);
                }
                CoordinatorRecord::GivenUp { txn, holder, .. } => {
                    self.happens(history, Fact::GivenUp(holder.uid, txn.clone()));
                }
                CoordinatorRecord::Replaced { .. }
                | CoordinatorRecord::Ended { .. }
                | CoordinatorRecord::CaughtUp { .. }
                | CoordinatorRecord::Removed { .. }
                // Nobody forces anything at a worker here; `heuristics.rs` does.
                | CoordinatorRecord::Heuristic { .. } => {}
            }
        }
    }

    fn worker_records(&self, history: &mut History, worker: usize, record: ParticipantRecord) {
        let bug = self.tables.bug;
        let forced = record.forced() && !Bug::neglects_worker(bug, &record);
        let own = self.own(history, worker);
        if matches!(record, ParticipantRecord::Aborted { .. }) && self.is_named(history, own) {
            history.broken |= Broken::Agreement as u16;
        }
        let mut lazy = (*self.tables.worker_logs.value(history.workers[worker].lazy)).clone();
        lazy.push(record);
        if forced {
            self.worker_syncs(history, worker, &lazy);
            lazy.clear();
        }
        history.workers[worker].lazy = self.tables.worker_logs.number(lazy);
    }

    fn worker_syncs(&self, history: &mut History, worker: usize, records: &[ParticipantRecord]) {
        let own = self.own(history, worker);
        let mut log = (*self.tables.worker_logs.value(history.workers[worker].log)).clone();
        log.extend_from_slice(records);
        history.workers[worker].log = self.tables.worker_log(own, log);
        for record in records {
            if let ParticipantRecord::Prepared { txn, .. } = record {
                self.happens(history, Fact::Promised(own, txn.clone()));
            }
        }
    }

    /// A commit has become durable: everything that it rests on must have happened before.
    fn decide(&self, history: &mut History, txn: &TxnId, shares: &[Share]) {
        if self.is(history, Fact::Decided(txn.clone())) {
            return; // Adopted from a participant after its log was lost.
        }
        if !self.everybody_agreed(history, txn) {
            history.broken |= Broken::Validity as u16;
        }
        for fact in self.facts(history) {
            match &*fact {
                Fact::Aborting | Fact::Decided(_) => history.broken |= Broken::OneDecision as u16,
                Fact::Refused(refused) if refused == txn => {
                    history.broken |= Broken::Refusal as u16;
                }
                Fact::Discarded(uid) if shares.iter().any(|share| share.holder.uid == *uid) => {
                    history.broken |= Broken::Agreement as u16;
                }
                Fact::Promised(..)
                | Fact::Named(..)
                | Fact::Refused(_)
                | Fact::GivenUp(..)
                | Fact::Published(..)
                | Fact::Discarded(_)
                | Fact::Passed(..)
                | Fact::Failed(..) => {}
            }
        }
        self.happens(history, Fact::Decided(txn.clone()));
        for share in shares {
            self.happens(history, Fact::Named(share.holder.uid, txn.clone()));
        }
    }

    /// Whoever was asked in the round has promised durably, or has voted ReadOnly.
    fn everybody_agreed(&self, history: &History, txn: &TxnId) -> bool {
        history.net.iter().all(|letter| {
            let letter = self.tables.letters.value(letter);
            let Letter::ToWorker { event: ParticipantEvent::Received { message, .. }, .. } =
                &*letter
            else {
                return true;
            };
            let Message::Prepare { txn: asked, holder, pledges, .. } = message else {
                return true;
            };
            if asked != txn {
                true
            } else if pledges.iter().any(|pledge| pledge.target.is_some()) {
                self.is(history, Fact::Promised(holder.uid, txn.clone()))
            } else {
                let reply = Reply::Voted { txn: txn.clone(), vote: Vote::ReadOnly };
                let event = CoordinatorEvent::Received { from: holder.clone(), reply };
                history.net.contains(self.tables.letters.number(Letter::ToChief(event)))
            }
        })
    }

    fn publish(&self, history: &mut History, own: WorkerUid, txn: &TxnId) {
        let published = Fact::Published(own, txn.clone());
        let held = self.is(history, published.clone()) || !self.is(history, Fact::Discarded(own));
        let named = self.is(history, Fact::Named(own, txn.clone()));
        if !held || !named {
            history.broken |= Broken::Publication as u16;
        }
        self.happens(history, published);
    }

    fn discard(&self, history: &mut History, own: WorkerUid) {
        let unpublished = self.facts(history).iter().any(|fact| match &**fact {
            Fact::Named(uid, txn) => {
                *uid == own && !self.is(history, Fact::Published(own, txn.clone()))
            }
            Fact::Promised(..)
            | Fact::Decided(_)
            | Fact::Aborting
            | Fact::Refused(_)
            | Fact::GivenUp(..)
            | Fact::Published(..)
            | Fact::Discarded(_)
            | Fact::Passed(..)
            | Fact::Failed(..) => false,
        });
        if unpublished {
            history.broken |= Broken::Agreement as u16;
        }
        self.happens(history, Fact::Discarded(own));
    }

    fn is_named(&self, history: &History, own: WorkerUid) -> bool {
        let named = |fact: &Arc<Fact>| matches!(&**fact, Fact::Named(uid, _) if *uid == own);
        self.facts(history).iter().any(named)
    }

    /// Says whether a commit has left out somebody whom it names.
    /// Says whether somebody whom a durable commit names has neither published nor was given up.
    fn somebody_is_waited_for(&self, history: &History) -> bool {
        self.facts(history).iter().any(|fact| {
            matches!(&**fact, Fact::Named(uid, txn)
                if !self.is(history, Fact::Published(*uid, txn.clone()))
                    && !self.is(history, Fact::GivenUp(*uid, txn.clone())))
        })
    }

    pub(crate) fn somebody_unpublished(&self, history: &History) -> bool {
        *self.unpublished.recall(history.facts, || {
            self.facts(history).iter().any(|fact| {
                matches!(&**fact, Fact::Named(uid, txn)
                    if !self.is(history, Fact::Published(*uid, txn.clone())))
            })
        })
    }
}

/// Returns the installation that a worker runs.
pub(crate) fn living(history: &History, worker: usize) -> Installation {
    Installation { worker: worker_id(worker), uid: uid(worker, history.workers[worker].start) }
}
