//! The real machines behind numbers: every step of every machine is taken once.
//!
//! The machines are pure, so a step is a function of the machine and the
//! event, and its result can be kept. What a state of the model holds are the
//! numbers of machines, logs, letters and facts.

use std::sync::Arc;

use votum_commit::{
    Alarm, Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Installation,
    Knowledge, LogState, Message, Objection, ParticipantAction, ParticipantEvent,
    ParticipantRecord, Participants, Peer, Reply, Stage, Vote,
};
use votum_ids::{TxnId, WorkerUid};
use votum_machine::Machine;

use crate::{
    bits::Bits,
    bug::Bug,
    cast::{END_OF_TIME, NOON, job, position, role, start, worker_id},
    interner::{Interner, Memory},
};

/// All messages that are on their way, for ever: twice, late, in any order, or never.
pub(crate) type Net = Bits<8>;

/// Something that a machine can receive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Letter {
    /// From a worker.
    ToChief(CoordinatorEvent),
    /// From the coordinator, a peer, or the worker's own slow work.
    ToWorker {
        worker: usize,
        /// Only this installation can receive it.
        only: Option<WorkerUid>,
        event: ParticipantEvent,
    },
}

/// What one step asks for, as far as the model looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A letter is on its way from here on.
    Post(u16),
    /// A participant says that its outputs are visible.
    Ack { letter: u16, txn: TxnId },
    /// A peer is told that this round is refused.
    Refuse { letter: u16, txn: TxnId },
    /// Outputs become visible; the letter says when that is done.
    Publish { letter: u16, txn: TxnId },
    /// Outputs are removed.
    Discard,
    /// The machine says that this cannot happen.
    Alarm,
    /// A round has been opened.
    Open,
    /// The engine hears that the job is committed, and releases everybody.
    Release,
}

/// The result of one step.
#[derive(Debug, Clone)]
pub(crate) struct Step<R> {
    pub(crate) machine: u16,
    pub(crate) record: Option<R>,
    pub(crate) acts: Vec<Act>,
}

/// What a machine would do with each letter.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// How many letters there were when this was written.
    letters: u16,
    /// These change something.
    pub(crate) matters: Net,
    /// These are answered with others, and nothing else happens.
    answers: Vec<(u16, Net)>,
    /// Says this without being asked: the questions of one who is in doubt.
    says: Net,
    /// These can make no difference any more, whatever happens.
    ///
    /// A vote counts only in the round that is open, and a round is opened once. Slow work
    /// that nobody waits for is asked for again by whoever waits for it.
    pub(crate) dead: Net,
    /// Nor can these, if the machine does not crash any more.
    pub(crate) spent: Net,
}

/// Everything that has a number.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) bug: Option<Bug>,
    pub(crate) objects: Option<usize>,
    pub(crate) workers: usize,
    pub(crate) chiefs: Interner<Coordinator>,
    pub(crate) participants: Interner<Participants>,
    pub(crate) chief_logs: Interner<Vec<CoordinatorRecord>>,
    pub(crate) worker_logs: Interner<Vec<ParticipantRecord>>,
    pub(crate) letters: Interner<Letter>,
    chief_steps: Memory<(u16, u16), Step<CoordinatorRecord>>,
    chief_events: Memory<(u16, CoordinatorEvent), Step<CoordinatorRecord>>,
    worker_steps: Memory<(usize, u16, u16), Step<ParticipantRecord>>,
    worker_events: Memory<(usize, u16, ParticipantEvent), Step<ParticipantRecord>>,
    /// One log of each that a restart cannot tell apart.
    likenesses: Memory<u16, u16>,
    chief_replays: Memory<(u8, u16, LogState), Option<u16>>,
    worker_replays: Memory<(WorkerUid, u16), Option<u16>>,
    chief_rows: Memory<u16, Row>,
    worker_rows: Memory<(usize, u16), Row>,
}

impl Tables {
    pub(crate) fn new(workers: usize, objects: Option<usize>, bug: Option<Bug>) -> Self {
        Self {
            bug,
            objects,
            workers,
            chiefs: Interner::new(),
            participants: Interner::new(),
            chief_logs: Interner::new(),
            worker_logs: Interner::new(),
            letters: Interner::new(),
            chief_steps: Memory::new(),
            chief_events: Memory::new(),
            worker_steps: Memory::new(),
            worker_events: Memory::new(),
            likenesses: Memory::new(),
            chief_replays: Memory::new(),
            worker_replays: Memory::new(),
            chief_rows: Memory::new(),
            worker_rows: Memory::new(),
        }
    }

    /// Delivers a letter to the coordinator; none if it is not addressed to it.
    pub(crate) fn chief_receives(
        &self,
        chief: u16,
        letter: u16,
    ) -> Option<Arc<Step<CoordinatorRecord>>> {
        let content = self.letters.value(letter);
        let Letter::ToChief(event) = &*content else { return None };
        let step = || (*self.chief_does(chief, event.clone())).clone();
        Some(self.chief_steps.recall((chief, letter), step))
    }

    /// Delivers a letter to a worker; none if it is not addressed to it.
    pub(crate) fn worker_receives(
        &self,
        worker: usize,
        own: WorkerUid,
        machine: u16,
        letter: u16,
    ) -> Option<Arc<Step<ParticipantRecord>>> {
        let content = self.letters.value(letter);
        let Letter::ToWorker { worker: to, only, event } = &*content else { return None };
        if *to != worker || only.is_some_and(|only| only != own) {
            return None;
        }
        let step = || (*self.worker_does(worker, own, machine, event.clone())).clone();
        Some(self.worker_steps.recall((worker, machine, letter), step))
    }

    /// Steps the coordinator.
    pub(crate) fn chief_does(
        &self,
        chief: u16,
        event: CoordinatorEvent,
    ) -> Arc<Step<CoordinatorRecord>> {
        self.chief_events.recall((chief, event.clone()), || {
            let mut machine = (*self.chiefs.value(chief)).clone();
            let event = Bug::twist_chief_event(self.bug, &machine, event);
            let mut reaction = machine.step(END_OF_TIME, event);
            Bug::twist_chief_reaction(self.bug, &mut machine, &mut reaction);
            let record = reaction.record;
            let acts =
                reaction.actions.into_iter().flat_map(|action| self.chief_acts(action)).collect();
            Step { machine: self.chiefs.number(machine), record, acts }
        })
    }

    /// Steps a worker.
    pub(crate) fn worker_does(
        &self,
        worker: usize,
        own: WorkerUid,
        machine: u16,
        event: ParticipantEvent,
    ) -> Arc<Step<ParticipantRecord>> {
        self.worker_events.recall((worker, machine, event.clone()), || {
            let mut machine = (*self.participants.value(machine)).clone();
            let event = Bug::twist_worker_event(self.bug, own, event);
            let mut reaction = machine.step(NOON, event);
            Bug::twist_worker_reaction(self.bug, &mut reaction);
            let acts = reaction.actions.into_iter();
            let acts = acts.flat_map(|action| self.worker_acts(worker, own, action)).collect();
            let record = reaction.record;
            Step { machine: self.participants.number(machine), record, acts }
        })
    }

    /// Starts the coordinator from what its log holds; none if that is contradictory.
    pub(crate) fn chief_replays(&self, epoch: u8, log: u16, state: LogState) -> Option<u16> {
        *self.chief_replays.recall((epoch, log, state), || {
            let records = (*self.chief_logs.value(log)).clone();
            let machine = Coordinator::replay(start(epoch, state), records).ok()?;
            Some(self.chiefs.number(machine))
        })
    }

    /// Starts a worker from what its log holds; none if that is contradictory.
    pub(crate) fn worker_replays(&self, own: WorkerUid, log: u16) -> Option<u16> {
        *self.worker_replays.recall((own, log), || {
            let records = (*self.worker_logs.value(log)).clone();
            let machine = Participants::replay(own, records).ok()?;
            Some(self.participants.number(machine))
        })
    }

    /// Returns the number of a worker's log, or of another that comes to the same.
    ///
    /// Replay is a fold, so logs that come to the same state go on to the same states.
    pub(crate) fn worker_log(&self, own: WorkerUid, log: Vec<ParticipantRecord>) -> u16 {
        let log = self.worker_logs.number(log);
        match self.worker_replays(own, log) {
            Some(machine) => *self.likenesses.recall(machine, || log),
            None => log,
        }
    }

    /// Returns what the coordinator would do with the letters that exist.
    pub(crate) fn chief_row(&self, chief: u16) -> Arc<Row> {
        let letters = self.count_letters();
        let old = self.chief_rows.get(&chief);
        if let Some(row) = old.as_ref().filter(|row| row.letters >= letters) {
            return row.clone();
        }
        let mut row = old.map_or_else(Row::empty, |row| (*row).clone());
        let current = self.current(chief);
        let ended = self.chiefs.value(chief).phase(&job()).is_none();
        for letter in row.letters..letters {
            let Some(step) = self.chief_receives(chief, letter) else { continue };
            row.enter(letter, step.machine != chief || step.record.is_some(), &step.acts);
            let content = self.letters.value(letter);
            let Letter::ToChief(CoordinatorEvent::Received { reply, .. }) = &*content else {
                continue;
            };
            match reply {
                Reply::Voted { txn, .. }
                    if current.as_ref() != Some(txn) && !row.matters.contains(letter) =>
                {
                    row.dead.insert(letter);
                }
                // An acknowledgement of what has ended.
                Reply::Acked { .. } if ended => row.spent.insert(letter),
                Reply::Voted { .. }
                | Reply::Acked { .. }
                | Reply::TookOver { .. }
                | Reply::Declined { .. }
                | Reply::StoodDown { .. }
                | Reply::Forced(_)
                | Reply::Inquired { .. } => {}
            }
        }
        row.letters = letters;
        self.chief_rows.replace(chief, row)
    }

    /// Returns what a worker would do with the letters that exist.
    pub(crate) fn worker_row(&self, worker: usize, own: WorkerUid, machine: u16) -> Arc<Row> {
        let letters = self.count_letters();
        let old = self.worker_rows.get(&(worker, machine));
        if let Some(row) = old.as_ref().filter(|row| row.letters >= letters) {
            return row.clone();
        }
        let mut row = match old {
            Some(row) => (*row).clone(),
            None => Row { says: self.questions(worker, own, machine), ..Row::empty() },
        };
        let known = self.participants.value(machine);
        let decided = known.jobs().next().is_none()
            || known.committed().next().is_some()
            || known.aborted().next().is_some();
        for letter in row.letters..letters {
            if let Some(step) = self.worker_receives(worker, own, machine, letter) {
                let changes = step.machine != machine || step.record.is_some();
                let inert = !changes && step.acts.is_empty();
                assert!(inert || !self.is_inert(letter), "an inert letter moves {machine}");
                row.enter(letter, changes, &step.acts);
            }
            let content = self.letters.value(letter);
            match &*content {
                Letter::ToWorker {
                    worker: to,
                    event: ParticipantEvent::Checked { .. } | ParticipantEvent::Published { .. },
                    ..
                } if *to == worker && !row.matters.contains(letter) => row.dead.insert(letter),
                // A job that is decided here does not begin again.
                Letter::ToWorker { worker: to, .. }
                    if *to == worker && decided && !row.is_answered(letter) =>
                {
                    row.spent.insert(letter);
                }
                Letter::ToWorker { .. } | Letter::ToChief(_) => {}
            }
        }
        row.letters = letters;
        self.worker_rows.replace((worker, machine), row)
    }

    /// Adds to the net what would be said about it without anything else happening.
    pub(crate) fn answer(row: &Row, net: &mut Net) {
        net.add(&row.says);
        for (letter, answers) in &row.answers {
            if net.contains(*letter) {
                net.add(answers);
            }
        }
    }

    /// Returns what one who is in doubt asks in the long run: the coordinator, then its peers.
    fn questions(&self, worker: usize, own: WorkerUid, machine: u16) -> Net {
        let mut net = Net::EMPTY;
        let mut machine = (*self.participants.value(machine)).clone();
        if machine.in_doubt().next().is_none() {
            return net;
        }
        for _ in 0..2 {
            let reaction = machine.step(END_OF_TIME, ParticipantEvent::Tick);
            assert_eq!(reaction.record, None, "a question is not recorded");
            for act in reaction.actions.into_iter().flat_map(|it| self.worker_acts(worker, own, it))
            {
                let Act::Post(letter) = act else { panic!("a tick in doubt only asks: {act:?}") };
                net.insert(letter);
            }
        }
        net
    }

    fn chief_acts(&self, action: CoordinatorAction) -> Vec<Act> {
        match action {
            CoordinatorAction::Send { to, message } => {
                let worker = role(to.as_str());
                let event =
                    ParticipantEvent::Received { message: message.clone(), log: position() };
                let letter = self.letter(Letter::ToWorker { worker, only: None, event });
                match message {
                    Message::Prepare { txn, holder, peers, .. } => {
                        let mut acts = vec![Act::Post(letter)];
                        acts.extend(self.questions_about(&txn, &holder, peers));
                        acts
                    }
                    Message::Undecided { .. } => Vec::new(), // Inert.
                    Message::Commit { .. }
                    | Message::TakeOver { .. }
                    | Message::Replaced { .. }
                    | Message::Abort { .. }
                    | Message::RoundEnded { .. }
                    | Message::Noted { .. }
                    | Message::Release { .. } => vec![Act::Post(letter)],
                }
            }
            CoordinatorAction::Preparing { .. } => vec![Act::Open],
            CoordinatorAction::Committed { .. } => vec![Act::Release],
            // Only a bug, or a log that was put back, makes a machine say this.
            CoordinatorAction::Raise(Alarm::StaleLog { .. }) => Vec::new(),
            CoordinatorAction::Raise(_) => vec![Act::Alarm],
            CoordinatorAction::ShareLost { .. }
            | CoordinatorAction::Committing { .. }
            | CoordinatorAction::Aborting { .. }
            | CoordinatorAction::Replaced { .. }
            | CoordinatorAction::Declined { .. }
            | CoordinatorAction::TooLate { .. } => Vec::new(),
        }
    }

    /// Returns every question about a round that its participant may ask once it is in doubt.
    ///
    /// They exist as soon as the round does: to be asked too early harms nobody who is
    /// asked, and a question that does not depend on the vote leaves fewer states.
    fn questions_about(&self, txn: &TxnId, by: &Installation, peers: Vec<Peer>) -> Vec<Act> {
        let reply = Reply::Inquired { txn: txn.clone(), committed: false };
        let inquiry = Letter::ToChief(CoordinatorEvent::Received { from: by.clone(), reply });
        let mut acts = vec![Act::Post(self.letter(inquiry))];
        acts.extend(peers.into_iter().map(|peer| self.ask(txn, by, peer)));
        acts
    }

    fn ask(&self, txn: &TxnId, by: &Installation, peer: Peer) -> Act {
        let worker = role(peer.installation.worker.as_str());
        let event = ParticipantEvent::PeerAsked {
            txn: txn.clone(),
            asked: peer.installation.uid,
            updates: peer.updates,
            by: by.clone(),
        };
        Act::Post(self.letter(Letter::ToWorker { worker, only: None, event }))
    }

    fn worker_acts(&self, worker: usize, own: WorkerUid, action: ParticipantAction) -> Vec<Act> {
        let by = Installation { worker: worker_id(worker), uid: own };
        let own_work = |event| self.letter(Letter::ToWorker { worker, only: Some(own), event });
        match action {
            ParticipantAction::Send(reply) => {
                let acked = match &reply {
                    Reply::Acked { txn } => Some(txn.clone()),
                    Reply::Voted { .. }
                    | Reply::TookOver { .. }
                    | Reply::Declined { .. }
                    | Reply::StoodDown { .. }
                    | Reply::Forced(_)
                    | Reply::Inquired { .. } => None,
                };
                let event = CoordinatorEvent::Received { from: by, reply };
                let letter = self.letter(Letter::ToChief(event));
                vec![acked.map_or(Act::Post(letter), |txn| Act::Ack { letter, txn })]
            }
            ParticipantAction::Check { txn, .. } => {
                let mut results = vec![Vote::Yes];
                if self.objects == Some(worker) {
                    let word = || "TARGET_EXISTS".to_owned();
                    let (reason, message) = (word(), word());
                    results.push(Vote::No(Objection::Failed { reason, message }));
                }
                let checked = |result| ParticipantEvent::Checked { txn: txn.clone(), result };
                results.into_iter().map(|it| Act::Post(own_work(checked(it)))).collect()
            }
            ParticipantAction::Publish { txn, .. } => {
                let letter = own_work(ParticipantEvent::Published { txn: txn.clone() });
                vec![Act::Publish { letter, txn }]
            }
            // Nobody is replaced here; see `tests/replacement.rs`.
            ParticipantAction::TakeOver { .. } | ParticipantAction::Withdraw { .. } => Vec::new(),
            ParticipantAction::Discard { .. } => vec![Act::Discard],
            ParticipantAction::AskPeer { peer, txn } => vec![self.ask(&txn, &by, peer)],
            ParticipantAction::AnswerPeer { to, txn, knowledge } => {
                let worker = role(to.worker.as_str());
                let only = Some(to.uid);
                let event = ParticipantEvent::PeerAnswered { txn: txn.clone(), knowledge };
                let letter = self.letter(Letter::ToWorker { worker, only, event });
                match knowledge {
                    Knowledge::Refused => vec![Act::Refuse { letter, txn }],
                    Knowledge::Commit => vec![Act::Post(letter)],
                    Knowledge::Unknown | Knowledge::InDoubt => Vec::new(), // Inert.
                }
            }
            ParticipantAction::Raise(_) => vec![Act::Alarm],
        }
    }

    /// Returns the round that a coordinator is deciding or has decided.
    pub(crate) fn current(&self, chief: u16) -> Option<TxnId> {
        match self.chiefs.value(chief).phase(&job())?.stage {
            Stage::Preparing { txn, .. }
            | Stage::Delivering { txn, .. }
            | Stage::Owing { txn, .. } => Some(txn),
            Stage::Working | Stage::Aborting { .. } | Stage::Quarantined => None,
        }
    }

    /// Returns the letters that tell everybody that the job is over.
    pub(crate) fn release(&self) -> Net {
        let mut net = Net::EMPTY;
        for worker in 0..self.workers {
            let message = Message::Release { job: job() };
            let event = ParticipantEvent::Received { message, log: position() };
            net.insert(self.letter(Letter::ToWorker { worker, only: None, event }));
        }
        net
    }

    /// Says whether a letter does nothing at all, to anybody; such letters are not posted.
    fn is_inert(&self, letter: u16) -> bool {
        let Letter::ToWorker { event, .. } = &*self.letters.value(letter) else { return false };
        matches!(
            event,
            ParticipantEvent::Received { message: Message::Undecided { .. }, .. }
                | ParticipantEvent::PeerAnswered {
                    knowledge: Knowledge::Unknown | Knowledge::InDoubt,
                    ..
                }
        )
    }

    fn letter(&self, letter: Letter) -> u16 {
        self.letters.number(letter)
    }

    fn count_letters(&self) -> u16 {
        u16::try_from(self.letters.len()).expect("the model is small")
    }
}

impl Row {
    fn empty() -> Self {
        Self {
            letters: 0,
            matters: Net::EMPTY,
            answers: Vec::new(),
            says: Net::EMPTY,
            dead: Net::EMPTY,
            spent: Net::EMPTY,
        }
    }

    fn is_answered(&self, letter: u16) -> bool {
        self.matters.contains(letter) || self.answers.iter().any(|(number, _)| *number == letter)
    }

    fn enter(&mut self, letter: u16, changes: bool, acts: &[Act]) {
        let said: Option<Vec<u16>> = acts
            .iter()
            .map(|act| match act {
                Act::Post(letter) => Some(*letter),
                Act::Ack { .. }
                | Act::Refuse { .. }
                | Act::Publish { .. }
                | Act::Discard
                | Act::Alarm
                | Act::Open
                | Act::Release => None,
            })
            .collect();
        match said {
            Some(said) if !changes => {
                let mut answers = Net::EMPTY;
                said.iter().for_each(|letter| answers.insert(*letter));
                if !answers.is_empty() {
                    self.answers.push((letter, answers));
                }
            }
            Some(_) | None => self.matters.insert(letter),
        }
    }
}
