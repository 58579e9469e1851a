//! What a participant publishes in the place of others, and how it gives back what another
//! publishes in its own (C13).
//!
//! Nothing is published twice by a word that came late: a number that was taken away is
//! remembered until the job is released. Whoever cannot know whether it was replaced
//! meanwhile, because a peer told it Commit or because its daemon began again, asks first.

use std::sync::Arc;

use votum_ids::TxnId;
use votum_machine::Moment;

use crate::{
    ParticipantAction, ParticipantRecord, Pledge, Reply,
    heuristic::Publication,
    participant::{ASK_AGAIN, Participant, Phase, Promise, Reaction, inquire, reply},
};

/// Something that is published, or was, under a publisher number that is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Takeover {
    pub(crate) txn: TxnId,
    pub(crate) pledges: Vec<Pledge>,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// It may have been replaced since its daemon ended: the coordinator is asked first.
    Asking { due: Moment },
    /// It is being made visible.
    Publishing,
    /// The same, and it will be taken back at once.
    Leaving,
    /// It is visible.
    Published,
    /// It is being taken back.
    Withdrawing,
    /// It was taken away for good.
    Gone,
}

impl Takeover {
    /// Says whether anything of it may be visible, or become so.
    pub(crate) fn is_current(&self) -> bool {
        self.state != State::Gone
    }

    fn is_settled(&self) -> bool {
        match self.state {
            // Whoever releases it has heard that it is visible.
            State::Asking { .. } | State::Published | State::Gone => true,
            State::Publishing | State::Leaving | State::Withdrawing => false,
        }
    }
}

impl Promise {
    /// Says whether another worker may publish any of it.
    pub(crate) fn is_replaceable(&self) -> bool {
        self.pledges.iter().any(|pledge| pledge.replaceable)
    }

    /// Returns the same round with nothing left to publish.
    pub(crate) fn emptied(&self) -> Self {
        Self { pledges: Vec::new(), ..self.clone() }
    }
}

impl Participant {
    /// Obeys the order to publish in the place of another.
    pub(crate) fn take_over(&mut self, txn: TxnId, number: u64, pledges: Vec<Pledge>) -> Reaction {
        if let Some(known) = self.takeovers.get_mut(&number) {
            return match known.state {
                State::Asking { .. } => {
                    known.state = State::Publishing;
                    known.publish(number)
                }
                State::Published => reply(Reply::TookOver { txn, number }),
                State::Publishing | State::Leaving | State::Withdrawing | State::Gone => {
                    Reaction::none()
                }
            };
        }
        match &self.phase {
            // Commit is on its way to it as well, and comes first.
            Phase::Prepared(doubt) if doubt.promise.txn == txn => return Reaction::none(),
            // Another round has committed, so that one has not.
            Phase::Prepared(_) => return self.leave_doubt(),
            Phase::Finishing { promise, .. } | Phase::Ended(promise) if promise.txn != txn => {
                return Reaction::none();
            }
            Phase::Staged | Phase::Finishing { .. } | Phase::Ended(_) => {}
            Phase::Checking(_) => self.phase = Phase::Staged,
            // Commit is on its way to it as well, and ends what was forced; an abort stays forced.
            Phase::Forced { promise, .. } if promise.txn == txn && self.has_forced_commit() => {
                return Reaction::none();
            }
            Phase::Aborted { .. } | Phase::Forced { .. } => {
                return reply(Reply::Declined { txn, number });
            }
            // Only what was published is released.
            Phase::Released { .. } | Phase::Forgotten => {
                return reply(Reply::TookOver { txn, number });
            }
        }
        let taken = Takeover { txn: txn.clone(), pledges, state: State::Publishing };
        let (publish, pledges) = (taken.publish(number), taken.pledges.clone());
        self.takeovers.insert(number, taken);
        publish.durably(ParticipantRecord::TakenOver { txn, number, pledges })
    }

    /// Notes that what is published in the place of another is visible.
    pub(crate) fn took_over(&mut self, txn: TxnId, number: u64) -> Reaction {
        let Some(known) = self.takeovers.get_mut(&number) else { return Reaction::none() };
        match known.state {
            State::Publishing | State::Asking { .. } => {
                known.state = State::Published;
                reply(Reply::TookOver { txn, number })
            }
            State::Leaving => {
                known.state = State::Withdrawing;
                withdraw(&known.txn, number, &known.pledges)
            }
            State::Published | State::Withdrawing | State::Gone => Reaction::none(),
        }
    }

    /// Obeys the word that another publishes in its place.
    pub(crate) fn give_way(&mut self, txn: TxnId, number: u64) -> Reaction {
        if number == 0 {
            return self.give_way_with_its_own(txn);
        }
        let Some(known) = self.takeovers.get_mut(&number) else {
            // The order to take over may still be on its way.
            let state = State::Gone;
            let gone = Takeover { txn: txn.clone(), pledges: Vec::new(), state };
            self.takeovers.insert(number, gone);
            return stood_down(txn, number);
        };
        match known.state {
            State::Publishing | State::Leaving => {
                known.state = State::Leaving;
                Reaction::none()
            }
            State::Asking { .. } | State::Published | State::Withdrawing => {
                known.state = State::Withdrawing;
                withdraw(&txn, number, &known.pledges)
            }
            State::Gone => reply(Reply::StoodDown { txn, number }),
        }
    }

    fn give_way_with_its_own(&mut self, txn: TxnId) -> Reaction {
        let promise = match &self.phase {
            Phase::Prepared(doubt) if doubt.promise.txn == txn => {
                // Nothing of it was ever visible.
                let emptied = Arc::new(doubt.promise.emptied());
                self.conclude_job(Phase::Ended(emptied));
                return stood_down(txn, 0);
            }
            Phase::Forced { promise, .. } if promise.txn == txn && !self.has_forced_commit() => {
                // Nothing of it was ever visible here either.
                let emptied = Arc::new(promise.emptied());
                self.conclude_job(Phase::Ended(emptied));
                return stood_down(txn, 0);
            }
            // It is told again, after the publication.
            Phase::Forced { promise, publication: Publication::Due(_) | Publication::UnderWay }
                if promise.txn == txn =>
            {
                return Reaction::none();
            }
            Phase::Finishing { promise, .. }
            | Phase::Ended(promise)
            | Phase::Forced { promise, publication: Publication::Over }
                if promise.txn == txn =>
            {
                promise.clone()
            }
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => return reply(Reply::StoodDown { txn, number: 0 }),
        };
        if promise.pledges.is_empty() {
            return reply(Reply::StoodDown { txn, number: 0 });
        }
        self.gives_way = true;
        if matches!(self.phase, Phase::Finishing { permitted: true, .. }) {
            return Reaction::none(); // The end of the publication is waited for.
        }
        // What an earlier start of the daemon made visible may have no record.
        self.phase = Phase::Ended(promise.clone());
        withdraw(&txn, 0, &promise.pledges)
    }

    /// Notes that nothing is visible of what was published under a number that was lost.
    pub(crate) fn withdrawn(&mut self, txn: TxnId, number: u64) -> Reaction {
        if number == 0 {
            let Phase::Ended(promise) = &self.phase else { return Reaction::none() };
            if !self.gives_way || promise.txn != txn || promise.pledges.is_empty() {
                return Reaction::none();
            }
            self.gives_way = false;
            self.phase = Phase::Ended(Arc::new(promise.emptied()));
            return stood_down(txn, 0);
        }
        match self.takeovers.get_mut(&number) {
            Some(known) if known.state == State::Withdrawing => {
                known.state = State::Gone;
                stood_down(txn, number)
            }
            Some(_) | None => Reaction::none(),
        }
    }

    /// Returns when it next asks whether it was replaced.
    pub(crate) fn asks_at(&self) -> Option<Moment> {
        let due = |taken: &Takeover| match taken.state {
            State::Asking { due } => Some(due),
            State::Publishing
            | State::Leaving
            | State::Published
            | State::Withdrawing
            | State::Gone => None,
        };
        self.takeovers.values().filter_map(due).min()
    }

    /// Asks whether it was replaced, and again after a while.
    pub(crate) fn ask_whether_replaced(&mut self, now: Moment) -> Reaction {
        let mut asked = None;
        for taken in self.takeovers.values_mut() {
            if let State::Asking { due } = &mut taken.state {
                *due = ASK_AGAIN.next(now, now);
                asked = Some(taken.txn.clone());
            }
        }
        asked.map_or_else(Reaction::none, |txn| inquire(&txn, true))
    }

    /// Lets the next tick ask.
    pub(crate) fn hasten(&mut self, now: Moment) {
        for taken in self.takeovers.values_mut() {
            if let State::Asking { due } = &mut taken.state {
                *due = now;
            }
        }
    }

    /// Says whether a round committed of which it publishes something in the place of another.
    pub(crate) fn knows_commit_of(&self, txn: &TxnId) -> bool {
        self.takeovers.values().any(|taken| taken.txn == *txn)
    }

    /// Says whether nothing is under way of what it publishes in the place of others.
    pub(crate) fn is_settled(&self) -> bool {
        !self.gives_way && self.takeovers.values().all(Takeover::is_settled)
    }
}

impl Takeover {
    fn publish(&self, number: u64) -> Reaction {
        Reaction::perform([ParticipantAction::TakeOver {
            txn: self.txn.clone(),
            number,
            pledges: self.pledges.clone(),
        }])
    }
}

fn withdraw(txn: &TxnId, number: u64, pledges: &[Pledge]) -> Reaction {
    let (txn, pledges) = (txn.clone(), pledges.to_vec());
    Reaction::perform([ParticipantAction::Withdraw { txn, number, pledges }])
}

fn stood_down(txn: TxnId, number: u64) -> Reaction {
    let record = ParticipantRecord::StoodDown { txn: txn.clone(), number };
    reply(Reply::StoodDown { txn, number }).durably(record)
}
