//! What happens when faults stop: a schedule without any, from an arbitrary state.

use std::collections::VecDeque;

use votum_commit::{
    Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Message, Objection,
    ParticipantAction, ParticipantEvent, Participants, Reply, Stage, Vote,
};
use votum_ids::TxnId;
use votum_machine::Machine;

use crate::{
    cast::{END_OF_TIME, NOON, job, position, role},
    fact::Fact,
    history::{History, World, living},
    interner::Memory,
};

/// Remembers which states have settled: they differ in what they are, not in how they came.
#[derive(Debug)]
pub(crate) struct Healing(Memory<Patient, bool>);

/// What the future depends on once everything in flight is lost.
type Patient = (u16, [(u16, u8, bool); 3]);

/// A history that goes on without faults.
struct Course<'a> {
    world: &'a World,
    history: &'a History,
    chief: Coordinator,
    workers: Vec<Participants>,
    flight: VecDeque<Flying>,
}

enum Flying {
    ToChief(CoordinatorEvent),
    ToWorker(usize, ParticipantEvent),
}

impl Healing {
    pub(crate) fn new() -> Self {
        Self(Memory::new())
    }

    /// Says whether the job is over for everybody after a while without faults.
    pub(crate) fn settles(&self, world: &World, history: &History) -> bool {
        if history.broken != 0 {
            return true; // Another property has more to say about it.
        }
        let workers = std::array::from_fn(|worker| {
            let site = &history.workers[worker];
            let bare = worker < world.tables.workers
                && world.is(history, Fact::Discarded(world.own(history, worker)));
            (site.machine, site.start, bare)
        });
        let patient = (history.chief.machine, workers);
        *self.0.recall(patient, || Course::new(world, history).runs())
    }
}

impl<'a> Course<'a> {
    /// Begins with everything in flight lost, but no daemon's own work.
    fn new(world: &'a World, history: &'a History) -> Self {
        let tables = &world.tables;
        let machine =
            |worker: usize| (*tables.participants.value(history.workers[worker].machine)).clone();
        let mut course = Self {
            world,
            history,
            chief: (*tables.chiefs.value(history.chief.machine)).clone(),
            workers: (0..tables.workers).map(machine).collect(),
            flight: VecDeque::new(),
        };
        for letter in history.net.iter() {
            let letter = tables.letters.value(letter);
            if let crate::tables::Letter::ToWorker { worker, only: Some(only), event } = &*letter
                && *only == world.own(history, *worker)
                && matches!(
                    event,
                    ParticipantEvent::Checked { .. } | ParticipantEvent::Published { .. }
                )
            {
                course.flight.push_back(Flying::ToWorker(*worker, event.clone()));
            }
        }
        course
    }

    fn runs(mut self) -> bool {
        for _ in 0..PASSES {
            let mut steps = 0;
            while let Some(flying) = self.flight.pop_front() {
                steps += 1;
                if steps > STEPS {
                    return false; // They talk without end.
                }
                match flying {
                    Flying::ToChief(event) => self.tell_chief(event),
                    Flying::ToWorker(worker, event) => self.tell_worker(worker, event),
                }
            }
            if self.is_settled() {
                return true;
            }
            self.press_on();
        }
        false
    }

    fn is_settled(&self) -> bool {
        match self.stage() {
            None => self.workers.iter().all(|machine| machine.jobs().next().is_none()),
            // What a lost disk has promised can only be settled by a person.
            Some(
                Stage::Delivering { unacked: waited, .. } | Stage::Owing { given_up: waited, .. },
            ) => {
                let lives = |named: &votum_commit::Installation| {
                    (0..self.workers.len()).any(|worker| living(self.history, worker) == *named)
                };
                !waited.iter().any(lives)
                    && self.workers.iter().all(|machine| machine.in_doubt().next().is_none())
            }
            Some(Stage::Working | Stage::Preparing { .. } | Stage::Aborting { .. }) => false,
            Some(Stage::Quarantined) => false,
        }
    }

    /// Does what the engine, the sessions and the timers do when nothing is in flight.
    fn press_on(&mut self) {
        match self.stage() {
            None => self.release(),
            Some(Stage::Working) => {
                let shares = self.world.shares(self.history);
                let prepare_timeout = std::time::Duration::from_secs(30);
                let job = job();
                self.tell_chief(CoordinatorEvent::AllStaged { job, shares, prepare_timeout });
            }
            Some(Stage::Preparing { .. } | Stage::Delivering { .. }) => {
                self.tell_chief(CoordinatorEvent::Tick);
            }
            Some(Stage::Aborting { .. }) => {
                self.tell_chief(CoordinatorEvent::Stopped { job: job() });
            }
            Some(Stage::Owing { .. }) => {}
            Some(Stage::Quarantined) => {}
        }
        self.tell_owed();
        for worker in 0..self.workers.len() {
            self.tell_worker(worker, ParticipantEvent::Connected);
            if self.workers[worker].next_deadline().is_some() {
                self.tell_worker(worker, ParticipantEvent::Tick);
            }
        }
    }

    /// Tells whoever was given up what it is owed, as the engine does when it has come back.
    fn tell_owed(&mut self) {
        let (Some(Stage::Delivering { txn, given_up, .. }) | Some(Stage::Owing { txn, given_up })) =
            self.stage()
        else {
            return;
        };
        for worker in 0..self.workers.len() {
            let from = living(self.history, worker);
            if given_up.contains(&from) {
                let reply = Reply::Inquired { txn: txn.clone(), committed: false };
                self.tell_chief(CoordinatorEvent::Met { from: from.clone(), seen: None });
                self.tell_chief(CoordinatorEvent::Received { from, reply });
            }
        }
    }

    fn release(&mut self) {
        for worker in 0..self.workers.len() {
            let message = Message::Release { job: job() };
            let event = ParticipantEvent::Received { message, log: position() };
            self.flight.push_back(Flying::ToWorker(worker, event));
        }
    }

    fn tell_chief(&mut self, event: CoordinatorEvent) {
        let reaction = self.chief.step(END_OF_TIME, event);
        let ended = matches!(reaction.record, Some(CoordinatorRecord::Ended { .. }));
        for action in reaction.actions {
            match action {
                CoordinatorAction::Send { to, message } => {
                    let event = ParticipantEvent::Received { message, log: position() };
                    self.flight.push_back(Flying::ToWorker(role(to.as_str()), event));
                }
                CoordinatorAction::Preparing { .. }
                | CoordinatorAction::ShareLost { .. }
                | CoordinatorAction::Committing { .. }
                | CoordinatorAction::Committed { .. }
                | CoordinatorAction::Aborting { .. }
                | CoordinatorAction::TooLate { .. }
                // Nobody is lost for good here; see `tests/replacement.rs`.
                | CoordinatorAction::Replaced { .. }
                | CoordinatorAction::Declined { .. }
                | CoordinatorAction::Raise(_) => {}
            }
        }
        if ended {
            self.release();
        }
    }

    fn tell_worker(&mut self, worker: usize, event: ParticipantEvent) {
        let now = match event {
            ParticipantEvent::Tick => END_OF_TIME,
            ParticipantEvent::Sealed { .. }
            | ParticipantEvent::Received { .. }
            | ParticipantEvent::Checked { .. }
            | ParticipantEvent::Published { .. }
            | ParticipantEvent::TookOver { .. }
            | ParticipantEvent::Withdrawn { .. }
            | ParticipantEvent::PeerAsked { .. }
            | ParticipantEvent::PeerAnswered { .. }
            | ParticipantEvent::ForceAsked { .. }
            | ParticipantEvent::Connected => NOON,
        };
        let from = living(self.history, worker);
        for action in self.workers[worker].step(now, event).actions {
            match action {
                ParticipantAction::Send(reply) => {
                    let from = from.clone();
                    let event = CoordinatorEvent::Received { from, reply };
                    self.flight.push_back(Flying::ToChief(event));
                }
                ParticipantAction::Check { txn, .. } => {
                    let result = self.check(worker, &txn);
                    let event = ParticipantEvent::Checked { txn, result };
                    self.flight.push_back(Flying::ToWorker(worker, event));
                }
                ParticipantAction::Publish { txn, .. } => {
                    let event = ParticipantEvent::Published { txn };
                    self.flight.push_back(Flying::ToWorker(worker, event));
                }
                ParticipantAction::AskPeer { peer, txn } => {
                    let to = role(peer.installation.worker.as_str());
                    let (asked, updates) = (peer.installation.uid, peer.updates);
                    let by = from.clone();
                    let event = ParticipantEvent::PeerAsked { txn, asked, updates, by };
                    self.flight.push_back(Flying::ToWorker(to, event));
                }
                ParticipantAction::AnswerPeer { to, txn, knowledge } => {
                    let to = role(to.worker.as_str());
                    let event = ParticipantEvent::PeerAnswered { txn, knowledge };
                    self.flight.push_back(Flying::ToWorker(to, event));
                }
                ParticipantAction::TakeOver { .. }
                | ParticipantAction::Withdraw { .. }
                | ParticipantAction::Discard { .. }
                | ParticipantAction::Raise(_) => {}
            }
        }
    }

    fn check(&self, worker: usize, txn: &TxnId) -> Vote {
        let own = self.world.own(self.history, worker);
        if self.world.is(self.history, Fact::Discarded(own)) {
            Vote::No(Objection::NotHeld)
        } else if self.world.is(self.history, Fact::Failed(own, txn.clone())) {
            let word = || "TARGET_EXISTS".to_owned();
            Vote::No(Objection::Failed { reason: word(), message: word() })
        } else {
            Vote::Yes
        }
    }

    fn stage(&self) -> Option<Stage> {
        self.chief.phase(&job()).map(|standing| standing.stage)
    }
}

/// Rounds of timers and engines that a job may need to come to its end.
const PASSES: usize = 12;

/// Messages that may follow from one of them.
const STEPS: usize = 400;
