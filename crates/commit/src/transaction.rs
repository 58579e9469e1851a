//! The coordinator's half of one transaction.
//!
//! Nothing is recorded before the decision: a round that was open when the
//! coordinator died is answered "ended without commit", and a new one begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use votum_ids::{Epoch, JobId, TxnId};
use votum_machine::Moment;

use crate::{
    Alarm, Cause, CoordinatorAction, CoordinatorRecord, Decision, Forced, Heuristic, Installation,
    Message, Share, Stage, Standing, Vote,
    delivery::{Delivery, Progress},
    patience::Patience,
    round::{Round, Shares, Tally},
};

type Reaction = votum_machine::Reaction<CoordinatorRecord, CoordinatorAction>;

/// One job on its way to one decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Transaction {
    job: JobId,
    epoch: Epoch,
    /// Of this epoch; the next round takes the next number.
    rounds: u64,
    deadline: Option<Moment>,
    since: Moment,
    /// What becomes of the staged outputs when the job aborts.
    on_abort: OnAbort,
    /// Who has told what was forced there, and in which round; recorded.
    heard: BTreeSet<(Installation, TxnId)>,
    phase: Phase,
}

/// What becomes of the staged outputs of a job that aborts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum OnAbort {
    /// Whoever may have voted Yes, or asks, is told to discard them.
    Discard,
    /// They stay, invisible, until the job is released: its rounds just end without commit.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// The job runs, or waits for what a round has lost. Nobody is asked.
    Working,
    /// Prepare is out. Nothing is durable, so every way is open.
    Preparing(Round),
    /// The decision is Commit. Everybody who promised must hear it.
    Delivering(Delivery),
    /// It is visible wherever it is waited for. Whoever was given up is told when it comes back.
    Owing(Delivery),
    /// The decision is Abort. Whoever asks hears it; nobody acknowledges it.
    Aborting { cause: Cause },
    /// Nothing is owed to anybody: the transaction may be forgotten.
    Ended,
}

/// What happens to one transaction.
#[derive(Debug)]
pub(crate) enum Event {
    AllStaged { shares: Vec<Share>, prepare_timeout: Duration },
    Withdrawn,
    Voted { txn: TxnId, by: Installation, vote: Vote },
    Acked { txn: TxnId, by: Installation },
    TookOver { txn: TxnId, number: u64, by: Installation },
    Declined { txn: TxnId, number: u64, by: Installation },
    StoodDown { txn: TxnId, number: u64, by: Installation },
    Replace { from: Installation, to: Vec<Share> },
    Inquired { txn: TxnId, by: Installation },
    FoundCommitted { txn: TxnId, by: Installation, share: Share },
    AbortAsked { cause: Cause },
    GiveUpAsked { holder: Installation, forced: Forced },
    Forced { heuristic: Heuristic, by: Installation },
    Removed { holder: Installation },
    Stopped,
    Tick,
}

impl Event {
    /// Says whether it may change who is waited for once the decision is Commit.
    fn is_about_a_publisher(&self) -> bool {
        match self {
            Self::Acked { .. }
            | Self::TookOver { .. }
            | Self::Declined { .. }
            | Self::StoodDown { .. }
            | Self::Replace { .. }
            | Self::GiveUpAsked { .. }
            | Self::Forced { .. }
            | Self::Removed { .. } => true,
            Self::AllStaged { .. }
            | Self::Withdrawn
            | Self::Voted { .. }
            | Self::Inquired { .. }
            | Self::FoundCommitted { .. }
            | Self::AbortAsked { .. }
            | Self::Stopped
            | Self::Tick => false,
        }
    }
}

impl Transaction {
    /// Begins with the job: questions about it have an answer from here on.
    pub(crate) fn new(now: Moment, job: JobId, epoch: Epoch, deadline: Option<Moment>) -> Self {
        let (on_abort, phase) = (OnAbort::Discard, Phase::Working);
        let heard = BTreeSet::new();
        Self { job, epoch, rounds: 0, deadline, since: now, on_abort, heard, phase }
    }

    /// Continues a commit whose decision the log holds; delivers it again at once.
    pub(crate) fn delivering(epoch: Epoch, delivery: Delivery) -> Self {
        Self::resumed(epoch, delivery.txn.job.clone(), Phase::Delivering(delivery))
    }

    /// Continues a commit that only participants that were given up have not acknowledged.
    pub(crate) fn owing(epoch: Epoch, delivery: Delivery) -> Self {
        Self::resumed(epoch, delivery.txn.job.clone(), Phase::Owing(delivery))
    }

    /// Continues an abort whose decision the log holds.
    pub(crate) fn aborting(epoch: Epoch, job: JobId, cause: Cause) -> Self {
        Self::resumed(epoch, job, Phase::Aborting { cause })
    }

    fn resumed(epoch: Epoch, job: JobId, phase: Phase) -> Self {
        let (since, on_abort) = (Moment::START, OnAbort::Discard);
        let heard = BTreeSet::new();
        Self { job, epoch, rounds: 0, deadline: None, since, on_abort, heard, phase }
    }

    /// Remembers who has told what was forced there, as the log has it.
    pub(crate) fn having_heard(self, heard: BTreeSet<(Installation, TxnId)>) -> Self {
        Self { heard, ..self }
    }

    /// Lets a silent participant cost the job after this moment.
    pub(crate) fn begin_time(&mut self, deadline: Moment) {
        self.deadline = Some(deadline);
    }

    /// Lets whatever is staged stay when the job aborts, until it is released.
    pub(crate) fn keep_staged(&mut self) {
        self.on_abort = OnAbort::Keep;
    }

    /// Applies one event, whatever its order and however often it comes.
    pub(crate) fn step(&mut self, now: Moment, event: Event) -> Reaction {
        match (&mut self.phase, event) {
            (Phase::Working, Event::AllStaged { shares, prepare_timeout }) => {
                self.open(now, gather(shares), prepare_timeout)
            }
            (Phase::Preparing(round), Event::AllStaged { shares, prepare_timeout }) => {
                let shares = gather(shares);
                if round.shares == shares {
                    return Reaction::none(); // A duplicate: this round asks just that.
                }
                self.open(now, shares, prepare_timeout)
            }
            (Phase::Preparing(round), Event::Voted { txn, by, vote }) if txn == round.txn => {
                match round.count(by, vote) {
                    Tally::Open => Reaction::none(),
                    Tally::Complete => self.commit(now),
                    Tally::Refused => self.renew(now),
                    Tally::Lost(holder) => self.lose(now, holder),
                    Tally::Failed(cause) => self.abort(now, cause),
                    Tally::Strange(alarm) => raise(alarm),
                }
            }
            (Phase::Preparing(_), Event::Tick) => self.press(now),
            (Phase::Preparing(_), Event::Withdrawn) => self.withdraw(now),
            (Phase::Working | Phase::Preparing(_), Event::AbortAsked { cause }) => {
                self.abort(now, cause)
            }
            (Phase::Delivering(_) | Phase::Owing(_), Event::AbortAsked { .. }) => {
                self.refuse_abort()
            }
            (Phase::Delivering(_) | Phase::Owing(_), event) if event.is_about_a_publisher() => {
                self.settle_with(now, event)
            }
            (Phase::Delivering(delivery), Event::Tick)
                if delivery.progress() == Progress::Ended =>
            {
                self.end_delivery()
            }
            (Phase::Delivering(_) | Phase::Owing(_), Event::Tick) => self.deliver(now),
            (_, Event::Forced { heuristic, by }) => self.hear_forced(now, heuristic, by),
            (Phase::Aborting { .. }, Event::Stopped) => self.end(),
            (_, Event::Inquired { txn, by }) => self.answer(&by, txn),
            (_, Event::FoundCommitted { txn, by, share }) => self.find(now, txn, by, share),
            // A vote or acknowledgement of another round, or one that came late (C10).
            (
                _,
                Event::Voted { .. }
                | Event::Acked { .. }
                | Event::TookOver { .. }
                | Event::Declined { .. }
                | Event::StoodDown { .. }
                // Nobody is replaced but who owes a commit.
                | Event::Replace { .. },
            )
            // Only a round that is open can lose what it names.
            | (
                Phase::Working | Phase::Delivering(_) | Phase::Owing(_) | Phase::Aborting { .. },
                Event::Withdrawn,
            )
            // The job is decided; the first decision, and the first cause, stand.
            | (
                Phase::Delivering(_) | Phase::Owing(_) | Phase::Aborting { .. },
                Event::AllStaged { .. },
            )
            | (Phase::Aborting { .. }, Event::AbortAsked { .. })
            // A person cannot decide, only stop waiting for whoever owes an acknowledgement (H1).
            | (_, Event::GiveUpAsked { .. } | Event::Removed { .. })
            // Only an aborted job ends by standing still.
            | (
                Phase::Working | Phase::Preparing(_) | Phase::Delivering(_) | Phase::Owing(_),
                Event::Stopped,
            )
            // Nothing is waited for.
            | (Phase::Working | Phase::Aborting { .. }, Event::Tick)
            | (Phase::Ended, _) => Reaction::none(),
        }
    }

    /// Takes the word of a publisher of a decided commit, or a word about one.
    fn settle_with(&mut self, now: Moment, event: Event) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &mut self.phase else {
            return Reaction::none();
        };
        match event {
            Event::Acked { txn, by } if txn == delivery.txn => {
                let progress = delivery.acknowledge(&by);
                self.go_on(progress, by)
            }
            Event::TookOver { txn, number, by } if txn == delivery.txn => {
                let progress = delivery.take(&by, number);
                self.go_on(progress, by)
            }
            Event::StoodDown { txn, number, by } if txn == delivery.txn => {
                let knows = delivery.stand_down(&by, number);
                let owes = delivery.given_up.contains(&by) && !delivery.is_done(&by);
                if knows && !owes { self.catch_up(by) } else { Reaction::none() }
            }
            Event::Declined { txn, number, by }
                if txn == delivery.txn && delivery.owed_by(&by).contains_key(&number) =>
            {
                if delivery.given_up.contains(&by) {
                    delivery.decline(number);
                    return if delivery.is_done(&by) { self.forget(by) } else { Reaction::none() };
                }
                let (job, holder) = (self.job.clone(), by);
                Reaction::perform([CoordinatorAction::Declined { job, holder }])
            }
            Event::Replace { from, to } => self.replace(now, &from, &to),
            Event::Removed { holder } if delivery.left_out().contains(&holder) => {
                self.forget(holder)
            }
            Event::Forced { heuristic, by } => self.hear_forced(now, heuristic, by),
            Event::GiveUpAsked { holder, forced } if delivery.owing().contains(&holder) => {
                Reaction::none().durably(delivery.give_up(now, holder, forced))
            }
            // Of another round, or about somebody who is not owed anything.
            Event::Acked { .. }
            | Event::TookOver { .. }
            | Event::Declined { .. }
            | Event::StoodDown { .. }
            | Event::Removed { .. }
            | Event::GiveUpAsked { .. }
            | Event::AllStaged { .. }
            | Event::Withdrawn
            | Event::Voted { .. }
            | Event::Inquired { .. }
            | Event::FoundCommitted { .. }
            | Event::AbortAsked { .. }
            | Event::Stopped
            | Event::Tick => Reaction::none(),
        }
    }

    /// Ends the round in which somebody who was asked has been forced to abort: whether it had
    /// voted Yes or not, nothing is decided, and it will never publish.
    fn obey_forced_abort(
        &mut self,
        now: Moment,
        heuristic: Heuristic,
        by: &Installation,
    ) -> Reaction {
        let Heuristic { outcome, forced, .. } = heuristic;
        match outcome {
            // It may agree with the decision yet.
            Decision::Commit => Reaction::none(),
            Decision::Abort => {
                let message = format!("an abort was forced at {}: {}", by.worker, forced.reason);
                let cause = Cause { reason: FORCED_ABORT.to_owned(), message, by: forced.by };
                self.abort(now, cause)
            }
        }
    }

    /// Takes the word of what was forced at a participant.
    fn hear_forced(&mut self, now: Moment, heuristic: Heuristic, by: Installation) -> Reaction {
        match &self.phase {
            Phase::Preparing(round)
                if heuristic.txn == round.txn && round.shares.contains_key(&by) =>
            {
                self.obey_forced_abort(now, heuristic, &by)
            }
            Phase::Aborting { .. } => {
                let told = self.answer(&by, heuristic.txn.clone());
                self.note(heuristic, by, told.actions)
            }
            Phase::Delivering(_) | Phase::Owing(_) => self.settle_forced(now, heuristic, by),
            // Whether it contradicts anything is not known yet; it is told again.
            Phase::Working | Phase::Preparing(_) | Phase::Ended => Reaction::none(),
        }
    }

    /// Notes what was forced at a participant of a decided commit, and tells it what it is owed.
    fn settle_forced(&mut self, now: Moment, heuristic: Heuristic, by: Installation) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &mut self.phase else {
            return Reaction::none();
        };
        delivery.hear_forced(&by, &heuristic);
        if delivery.owing().is_empty() {
            delivery.due = Some(now); // The next tick ends the delivery.
        }
        let told = delivery.orders_for(&by);
        if matches!(&self.phase, Phase::Owing(delivery) if delivery.left_out().is_empty()) {
            self.phase = Phase::Ended;
        }
        self.note(heuristic, by, told)
    }

    /// Records what was forced, once, and says so with whatever else there is to tell.
    fn note(
        &mut self,
        heuristic: Heuristic,
        by: Installation,
        told: Vec<CoordinatorAction>,
    ) -> Reaction {
        let txn = heuristic.txn.clone();
        let reaction = send(&by, Message::Noted { txn: txn.clone() });
        let reaction = told.into_iter().fold(reaction, Reaction::then);
        if self.heard.insert((by.clone(), txn)) {
            reaction.durably(CoordinatorRecord::Heuristic { holder: by, heuristic })
        } else {
            reaction
        }
    }

    /// Goes on after an acknowledgement; whoever was replaced learns it in answer to its own.
    fn go_on(&mut self, progress: Progress, by: Installation) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &self.phase else {
            return Reaction::none();
        };
        // Nobody waits for it, so nothing ends with it but what it was owed itself.
        if delivery.given_up.contains(&by) && delivery.is_done(&by) {
            return self.catch_up(by);
        }
        match progress {
            Progress::Ended if !delivery.given_up.contains(&by) => self.end_delivery(),
            Progress::Open | Progress::Ended => {
                let replaced = delivery.untold().any(|untold| *untold == by);
                let orders = if replaced { delivery.orders_for(&by) } else { Vec::new() };
                Reaction::perform(orders)
            }
        }
    }

    /// Lets others publish what a lost one owes: the record comes before anybody is told (C13).
    fn replace(&mut self, now: Moment, from: &Installation, to: &[Share]) -> Reaction {
        let Phase::Delivering(delivery) = &mut self.phase else { return Reaction::none() };
        let Some(record) = delivery.replacement(from, to) else { return Reaction::none() };
        if let CoordinatorRecord::Replaced { numbers, first, .. } = &record {
            delivery.replace(from, numbers, *first, to);
        }
        delivery.due = Some(COMMIT_AGAIN.next(now, now));
        self.since = now;
        let holders = to.iter().map(|share| &share.holder).collect::<BTreeSet<_>>();
        let orders = holders.into_iter().flat_map(|holder| delivery.orders_for(holder));
        let report = CoordinatorAction::Replaced { txn: delivery.txn.clone(), from: from.clone() };
        Reaction::perform(orders.chain([report])).durably(record)
    }

    /// Returns what is on its way, once the decision is Commit.
    pub(crate) fn delivery(&self) -> Option<&Delivery> {
        match &self.phase {
            Phase::Delivering(delivery) | Phase::Owing(delivery) => Some(delivery),
            Phase::Working | Phase::Preparing(_) | Phase::Aborting { .. } | Phase::Ended => None,
        }
    }

    /// Applies one event while the log is stale, the asker was not compared with it (C6), or
    /// records of this job cannot be understood (V3).
    ///
    /// What the log is missing may be the decision on this very job. So
    /// nothing is decided, ended or denied here: a commit that is known is
    /// delivered, one that is found is adopted, and everybody else asks again.
    pub(crate) fn step_in_doubt_of_the_log(&mut self, now: Moment, event: Event) -> Reaction {
        match (&mut self.phase, event) {
            (Phase::Delivering(_) | Phase::Owing(_), Event::Inquired { txn, by }) => {
                self.answer(&by, txn)
            }
            (_, Event::Inquired { txn, by }) => send(&by, Message::Undecided { txn }),
            (_, Event::FoundCommitted { txn, by, share }) => self.find(now, txn, by, share),
            (Phase::Delivering(delivery), Event::Acked { txn, by }) if txn == delivery.txn => {
                // Kept even when the last one has come: an adopted commit may
                // be owed to participants that have not been heard of yet.
                delivery.unacked.remove(&by);
                Reaction::none()
            }
            (Phase::Delivering(delivery), Event::TookOver { txn, number, by })
                if txn == delivery.txn =>
            {
                let _kept = delivery.take(&by, number);
                Reaction::none()
            }
            (Phase::Delivering(_), Event::Tick) => self.deliver(now),
            (Phase::Delivering(_) | Phase::Owing(_), Event::AbortAsked { .. }) => {
                self.refuse_abort()
            }
            (Phase::Preparing(_), Event::Tick) => {
                // No vote counts any more, so no round needs to be kept open.
                self.enter(now, Phase::Working);
                Reaction::none()
            }
            (
                Phase::Working
                | Phase::Preparing(_)
                | Phase::Delivering(_)
                | Phase::Owing(_)
                | Phase::Aborting { .. }
                | Phase::Ended,
                Event::AllStaged { .. }
                | Event::Withdrawn
                | Event::Voted { .. }
                | Event::Acked { .. }
                | Event::TookOver { .. }
                | Event::Declined { .. }
                | Event::StoodDown { .. }
                | Event::Replace { .. }
                | Event::AbortAsked { .. }
                | Event::GiveUpAsked { .. }
                | Event::Forced { .. }
                | Event::Removed { .. }
                | Event::Stopped
                | Event::Tick,
            ) => Reaction::none(),
        }
    }

    /// Aborts at a person's word, whatever the log may lack; ignored once it is decided.
    pub(crate) fn settle_abort(&mut self, now: Moment, cause: Cause) -> Reaction {
        if self.is_undecided() { self.abort(now, cause) } else { Reaction::none() }
    }

    /// Returns when it next wants a tick.
    pub(crate) fn due(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Preparing(round) => Some(round.due()),
            Phase::Delivering(delivery) => delivery.due,
            // Whoever was given up asks when it returns; whoever was replaced may be there.
            Phase::Owing(delivery) => delivery.due.filter(|_| delivery.untold().next().is_some()),
            Phase::Working | Phase::Aborting { .. } | Phase::Ended => None,
        }
    }

    /// Says whether it may be forgotten.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Says whether either decision is still open.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Working | Phase::Preparing(_))
    }

    /// Returns what a participant of a decided commit has promised.
    pub(crate) fn promised(&self, holder: &Installation) -> Option<&Share> {
        match &self.phase {
            Phase::Delivering(delivery) | Phase::Owing(delivery) => delivery.shares.get(holder),
            Phase::Working | Phase::Preparing(_) | Phase::Aborting { .. } | Phase::Ended => None,
        }
    }

    /// Returns a picture of it; none once it has ended.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let stage = match &self.phase {
            Phase::Working => Stage::Working,
            Phase::Preparing(round) => {
                Stage::Preparing { txn: round.txn.clone(), votes: round.votes() }
            }
            Phase::Delivering(delivery) => Stage::Delivering {
                txn: delivery.txn.clone(),
                unacked: delivery.owing(),
                given_up: delivery.left_out(),
            },
            Phase::Owing(delivery) => {
                Stage::Owing { txn: delivery.txn.clone(), given_up: delivery.left_out() }
            }
            Phase::Aborting { cause } => Stage::Aborting { cause: cause.clone() },
            Phase::Ended => return None,
        };
        Some(Standing { since: self.since, stage })
    }

    fn open(&mut self, now: Moment, shares: Shares, timeout: Duration) -> Reaction {
        self.rounds += 1;
        let txn = TxnId { job: self.job.clone(), epoch: self.epoch, counter: self.rounds };
        let mut round = Round::open(now, txn.clone(), shares, timeout);
        let questions = round.ask(now);
        let nobody = questions.is_empty();
        self.enter(now, Phase::Preparing(round));
        if nobody {
            return self.commit(now); // Everybody who was asked has agreed.
        }
        Reaction::perform(questions).then(CoordinatorAction::Preparing { txn })
    }

    fn renew(&mut self, now: Moment) -> Reaction {
        let Phase::Preparing(round) = &self.phase else { return Reaction::none() };
        let (shares, timeout) = (round.shares.clone(), round.timeout);
        self.open(now, shares, timeout)
    }

    fn press(&mut self, now: Moment) -> Reaction {
        let Phase::Preparing(round) = &mut self.phase else { return Reaction::none() };
        if !round.has_timed_out(now) {
            return if round.due() <= now {
                Reaction::perform(round.ask(now))
            } else {
                Reaction::none()
            };
        }
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return self.renew(now);
        }
        let silent: Vec<&str> = round.silent().map(|share| share.holder.worker.as_str()).collect();
        let cause = Cause {
            reason: "DEADLINE_EXCEEDED".to_owned(),
            message: format!("the deadline passed without a vote of {}", silent.join(", ")),
            by: "votum".to_owned(),
        };
        self.abort(now, cause)
    }

    fn commit(&mut self, now: Moment) -> Reaction {
        let Phase::Preparing(round) = &self.phase else { return Reaction::none() };
        let (txn, promised) = (round.txn.clone(), round.promised());
        let record = CoordinatorRecord::CommitDecided {
            txn: txn.clone(),
            shares: promised.values().cloned().collect(),
        };
        if promised.is_empty() {
            // Nobody publishes, so nobody has to hear it: the decision is also the end.
            self.enter(now, Phase::Ended);
            let report = CoordinatorAction::Committed { job: self.job.clone() };
            return Reaction::perform([report]).durably(record);
        }
        self.enter_delivering(now, txn.clone(), promised);
        self.deliver(now).then(CoordinatorAction::Committing { txn }).durably(record)
    }

    fn abort(&mut self, now: Moment, cause: Cause) -> Reaction {
        let message = match &self.phase {
            // They leave doubt and return to Staged, which discards nothing (C9, C10).
            Phase::Preparing(round) if self.on_abort == OnAbort::Keep => {
                Message::RoundEnded { txn: round.txn.clone() }
            }
            Phase::Working
            | Phase::Preparing(_)
            | Phase::Delivering(_)
            | Phase::Owing(_)
            | Phase::Aborting { .. }
            | Phase::Ended => Message::Abort { job: self.job.clone() },
        };
        let tell = self.tell_maybe_prepared(&message);
        self.enter(now, Phase::Aborting { cause: cause.clone() });
        Reaction::perform(tell)
            .then(CoordinatorAction::Aborting { job: self.job.clone(), cause: cause.clone() })
            .durably(CoordinatorRecord::Aborting { job: self.job.clone(), cause })
    }

    fn withdraw(&mut self, now: Moment) -> Reaction {
        let Phase::Preparing(round) = &self.phase else { return Reaction::none() };
        // A courtesy that ends their doubt early; whoever misses it asks.
        let tell = self.tell_maybe_prepared(&Message::RoundEnded { txn: round.txn.clone() });
        self.enter(now, Phase::Working);
        Reaction::perform(tell)
    }

    fn lose(&mut self, now: Moment, holder: Installation) -> Reaction {
        let report = CoordinatorAction::ShareLost { job: self.job.clone(), holder };
        self.withdraw(now).then(report)
    }

    fn deliver(&mut self, now: Moment) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &mut self.phase else {
            return Reaction::none();
        };
        if delivery.due.is_none_or(|due| now < due) {
            return Reaction::none();
        }
        delivery.due = delivery.is_open().then(|| COMMIT_AGAIN.next(self.since, now));
        Reaction::perform(match &self.phase {
            Phase::Owing(delivery) => delivery.words_to_untold(),
            Phase::Delivering(delivery) => delivery.orders(),
            Phase::Working | Phase::Preparing(_) | Phase::Aborting { .. } | Phase::Ended => {
                Vec::new()
            }
        })
    }

    fn refuse_abort(&self) -> Reaction {
        Reaction::perform([CoordinatorAction::TooLate { job: self.job.clone() }])
    }

    fn answer(&self, by: &Installation, txn: TxnId) -> Reaction {
        match &self.phase {
            Phase::Preparing(round) if round.txn == txn => send(by, Message::Undecided { txn }),
            // Whom an adopted commit left out is not told "ask again": silence sends it to
            // its peers, and they know.
            Phase::Delivering(delivery) | Phase::Owing(delivery)
                if delivery.txn == txn && delivery.concerns(by) =>
            {
                Reaction::perform(delivery.orders_for(by))
            }
            Phase::Delivering(delivery) | Phase::Owing(delivery) if delivery.txn == txn => {
                Reaction::perform(delivery.word_for(by))
            }
            Phase::Working | Phase::Preparing(_) | Phase::Delivering(_) | Phase::Owing(_) => {
                send(by, Message::RoundEnded { txn })
            }
            Phase::Aborting { .. } => match self.on_abort {
                OnAbort::Discard => send(by, Message::Abort { job: self.job.clone() }),
                OnAbort::Keep => send(by, Message::RoundEnded { txn }),
            },
            Phase::Ended => Reaction::none(),
        }
    }

    /// Takes the word of a participant that was told to commit: only a decision tells it so.
    fn find(&mut self, now: Moment, txn: TxnId, by: Installation, share: Share) -> Reaction {
        match &mut self.phase {
            Phase::Working | Phase::Preparing(_) => {
                let shares = BTreeMap::from([(by, share)]);
                let record = CoordinatorRecord::CommitDecided {
                    txn: txn.clone(),
                    shares: shares.values().cloned().collect(),
                };
                self.enter_delivering(now, txn.clone(), shares);
                self.deliver(now).then(CoordinatorAction::Committing { txn }).durably(record)
            }
            Phase::Delivering(delivery) | Phase::Owing(delivery)
                if delivery.txn == txn && delivery.concerns(&by) =>
            {
                Reaction::perform(delivery.orders_for(&by))
            }
            Phase::Delivering(delivery) if delivery.txn == txn => {
                let found = !delivery.shares.contains_key(&by);
                if found {
                    delivery.add(by.clone(), share);
                } else if !delivery.unacked.contains(&by) {
                    return Reaction::none(); // It has acknowledged and waits for Release.
                }
                delivery.due.get_or_insert(COMMIT_AGAIN.next(self.since, now));
                let reaction = Reaction::perform(delivery.word_for(&by));
                if found { reaction.durably(delivery.record()) } else { reaction }
            }
            // It has acknowledged, and waits for Release.
            Phase::Owing(delivery) if delivery.txn == txn => Reaction::none(),
            Phase::Delivering(_) | Phase::Owing(_) => {
                raise(Alarm::CommitOfAnotherRound { txn, by })
            }
            Phase::Aborting { .. } => {
                raise(Alarm::CommitOfAbortedJob { job: self.job.clone(), by })
            }
            Phase::Ended => Reaction::none(),
        }
    }

    /// Ends the waiting: everybody has acknowledged, or was given up.
    fn end_delivery(&mut self) -> Reaction {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        self.phase = match phase {
            Phase::Delivering(delivery) if !delivery.left_out().is_empty() => {
                Phase::Owing(delivery)
            }
            Phase::Working
            | Phase::Preparing(_)
            | Phase::Delivering(_)
            | Phase::Owing(_)
            | Phase::Aborting { .. }
            | Phase::Ended => Phase::Ended,
        };
        Reaction::perform([CoordinatorAction::Committed { job: self.job.clone() }])
            .durably(CoordinatorRecord::Ended { job: self.job.clone() })
    }

    /// Owes nothing any more to one that has done what is left of the commit.
    fn catch_up(&mut self, holder: Installation) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &mut self.phase else {
            return Reaction::none();
        };
        delivery.part(&holder);
        let record = CoordinatorRecord::CaughtUp { txn: delivery.txn.clone(), holder };
        self.owe_less(record)
    }

    /// Owes nothing any more to one that had been given up or replaced, and never publishes.
    fn forget(&mut self, holder: Installation) -> Reaction {
        let (Phase::Delivering(delivery) | Phase::Owing(delivery)) = &mut self.phase else {
            return Reaction::none();
        };
        delivery.forget(&holder);
        let record = CoordinatorRecord::Removed { txn: delivery.txn.clone(), holder };
        self.owe_less(record)
    }

    fn owe_less(&mut self, record: CoordinatorRecord) -> Reaction {
        if matches!(&self.phase, Phase::Owing(delivery) if delivery.left_out().is_empty()) {
            self.phase = Phase::Ended;
        }
        Reaction::none().durably(record)
    }

    fn end(&mut self) -> Reaction {
        self.phase = Phase::Ended;
        Reaction::none().durably(CoordinatorRecord::Ended { job: self.job.clone() })
    }

    fn enter(&mut self, now: Moment, phase: Phase) {
        self.phase = phase;
        self.since = now;
    }

    fn enter_delivering(&mut self, now: Moment, txn: TxnId, shares: BTreeMap<Installation, Share>) {
        self.enter(now, Phase::Delivering(Delivery::begin(now, txn, Arc::new(shares))));
    }

    fn tell_maybe_prepared(&self, message: &Message) -> Vec<CoordinatorAction> {
        let Phase::Preparing(round) = &self.phase else { return Vec::new() };
        round
            .maybe_prepared()
            .map(|share| CoordinatorAction::Send {
                to: share.holder.worker.clone(),
                message: message.clone(),
            })
            .collect()
    }
}

/// Sorts what participants hold by their installations.
pub(crate) fn gather(shares: Vec<Share>) -> Shares {
    Arc::new(shares.into_iter().map(|share| (share.holder.clone(), share)).collect())
}

fn send(to: &Installation, message: Message) -> Reaction {
    Reaction::perform([CoordinatorAction::Send { to: to.worker.clone(), message }])
}

fn raise(alarm: Alarm) -> Reaction {
    Reaction::perform([CoordinatorAction::Raise(alarm)])
}

/// Publishing takes a few renames and a sync; a worker that is gone for long is asked rarely.
const COMMIT_AGAIN: Patience =
    Patience { least: Duration::from_secs(1), most: Duration::from_secs(30) };

/// Why a round in which somebody was forced to abort costs the job, for programs.
const FORCED_ABORT: &str = "FORCED_ABORT";
