//! Records to state: what a crash leaves is what the log says, and nothing else.
//!
//! Each half is a fold of one pure function over the records of one job. A
//! record that cannot follow the one before it is never skipped: the job is
//! corrupt, and the machine quarantines it so that the others recover (V1, V3).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use thiserror::Error;
use votum_ids::{JobId, TxnId, WorkerUid};
use votum_machine::Moment;

use crate::{
    Cause, Coordinator, CoordinatorRecord, Decision, Heuristic, Installation, ParticipantRecord,
    Participants, Share, Start,
    delivery::Delivery,
    heuristic::{Publication, Report},
    participant::{Doubt, Participant, Phase, Promise},
    takeover::{State, Takeover},
    transaction::{Transaction, gather},
};

/// The records of a job contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found} of {job} cannot follow {after}")]
pub struct CorruptTransaction {
    /// The job.
    pub job: JobId,
    /// Which of the records handed in it is, counted from 0.
    pub at: usize,
    /// What the records before it come to.
    pub after: Recorded,
    /// The record that contradicts them.
    pub found: Recorded,
}

/// The kinds of records, and the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recorded {
    /// No record.
    Nothing,
    /// [`CoordinatorRecord::CommitDecided`].
    CommitDecided,
    /// [`CoordinatorRecord::Aborting`].
    Aborting,
    /// [`CoordinatorRecord::Replaced`].
    Replaced,
    /// [`CoordinatorRecord::Ended`].
    Ended,
    /// [`CoordinatorRecord::GivenUp`].
    GivenUp,
    /// [`CoordinatorRecord::CaughtUp`].
    CaughtUp,
    /// [`CoordinatorRecord::Removed`].
    Removed,
    /// [`CoordinatorRecord::Heuristic`].
    Heuristic,
    /// [`ParticipantRecord::Prepared`].
    Prepared,
    /// [`ParticipantRecord::Refused`].
    Refused,
    /// [`ParticipantRecord::RoundEnded`].
    RoundEnded,
    /// [`ParticipantRecord::Committed`].
    Committed,
    /// [`ParticipantRecord::TakenOver`].
    TakenOver,
    /// [`ParticipantRecord::StoodDown`].
    StoodDown,
    /// [`ParticipantRecord::Forced`].
    Forced,
    /// [`ParticipantRecord::Aborted`].
    Aborted,
    /// [`ParticipantRecord::Released`].
    Released,
}

impl Coordinator {
    /// Continues what a log holds, in the order in which it was recorded.
    ///
    /// # Errors
    /// [`CorruptTransaction`] at the first job whose records contradict each other. To
    /// recover the others, replay job by job with [`Coordinator::resume`].
    pub fn replay(
        start: Start,
        records: impl IntoIterator<Item = CoordinatorRecord>,
    ) -> Result<Self, CorruptTransaction> {
        let mut coordinator = Self::new(start);
        for (job, records) in by_job(records, CoordinatorRecord::job) {
            coordinator.resume(job, records)?;
        }
        Ok(coordinator)
    }

    /// Continues one job from all its records, in order.
    ///
    /// # Errors
    /// [`CorruptTransaction`] when they contradict each other; the job is then set aside as
    /// by [`Coordinator::set_aside`].
    pub fn resume(
        &mut self,
        job: JobId,
        records: impl IntoIterator<Item = CoordinatorRecord>,
    ) -> Result<(), CorruptTransaction> {
        let records: Vec<CoordinatorRecord> = records.into_iter().collect();
        let heard = records.iter().filter_map(heuristic);
        let heard: BTreeSet<_> = heard.collect();
        let mut numbered = records.iter().cloned().enumerate();
        let decided = numbered.try_fold(Decided::Nothing, |decided, (at, record)| {
            next_decided(decided, record).map_err(|corrupt| CorruptTransaction { at, ..corrupt })
        });
        let decided = decided.inspect_err(|_| self.set_aside(job.clone(), records))?;
        let transaction = match decided {
            Decided::Commit(delivery) => Transaction::delivering(self.epoch(), delivery),
            Decided::Owing(delivery) => Transaction::owing(self.epoch(), delivery),
            Decided::Abort { cause } => Transaction::aborting(self.epoch(), job.clone(), cause),
            // Undecided jobs are opened by whoever knows them; ended ones are forgotten.
            Decided::Nothing | Decided::Ended => return Ok(()),
        };
        self.resume_with(job, transaction.having_heard(heard));
        Ok(())
    }

    /// Sets a job aside whose records cannot all be understood, with those that can (V3).
    ///
    /// From here on nothing is decided, ended or denied about it: whoever asks is told to
    /// ask again. A commit that can be read is delivered all the same. It was durable before
    /// anybody heard of it, nothing can follow it that takes it back, and to deliver it
    /// discards nothing. An abort that can be read is told to nobody: what is discarded
    /// cannot be had back, and waiting costs only space.
    pub fn set_aside(&mut self, job: JobId, readable: impl IntoIterator<Item = CoordinatorRecord>) {
        let transaction = match readable_commit(&job, readable) {
            Some((txn, shares)) => {
                let delivery = Delivery::begin(Moment::START, txn, gather(shares));
                Transaction::delivering(self.epoch(), delivery)
            }
            None => Transaction::new(Moment::START, job.clone(), self.epoch(), None),
        };
        self.quarantine(job.clone());
        self.resume_with(job, transaction);
    }
}

/// Returns the commit that records of a quarantined job tell of, and who publishes what.
///
/// There is none if a record speaks against it: an abort, another round, another job, or
/// two opinions about what one participant publishes.
pub fn readable_commit(
    job: &JobId,
    readable: impl IntoIterator<Item = CoordinatorRecord>,
) -> Option<(TxnId, Vec<Share>)> {
    let mut round = None;
    let mut shares = BTreeMap::new();
    for record in readable {
        match record {
            CoordinatorRecord::CommitDecided { txn, shares: told } => {
                if txn.job != *job || *round.get_or_insert_with(|| txn.clone()) != txn {
                    return None;
                }
                for share in told {
                    let known = shares.entry(share.holder.clone()).or_insert_with(|| share.clone());
                    if *known != share {
                        return None;
                    }
                }
            }
            // Who publishes what is not known where a record about it may be missing.
            CoordinatorRecord::Aborting { .. } | CoordinatorRecord::Replaced { .. } => return None,
            // Whoever was given up is told all the same.
            CoordinatorRecord::Ended { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            // What was forced somewhere is no decision.
            | CoordinatorRecord::Heuristic { .. } => {}
        }
    }
    Some((round?, shares.into_values().collect()))
}

impl Participants {
    /// Continues what a log holds, in the order in which it was recorded.
    ///
    /// # Errors
    /// [`CorruptTransaction`] at the first job whose records contradict each other. To
    /// recover the others, replay job by job with [`Participants::resume`].
    pub fn replay(
        own: WorkerUid,
        records: impl IntoIterator<Item = ParticipantRecord>,
    ) -> Result<Self, CorruptTransaction> {
        let mut participants = Self::new(own);
        for (job, records) in by_job(records, ParticipantRecord::job) {
            participants.resume(job, records)?;
        }
        Ok(participants)
    }

    /// Continues one job from all its records, in order.
    ///
    /// # Errors
    /// [`CorruptTransaction`] when they contradict each other; the job is then quarantined:
    /// its data is kept, nothing is promised, published or discarded.
    pub fn resume(
        &mut self,
        job: JobId,
        records: impl IntoIterator<Item = ParticipantRecord>,
    ) -> Result<(), CorruptTransaction> {
        let fresh = Participant::new(job.clone());
        let mut records = records.into_iter().enumerate();
        let fold = records.try_fold((fresh, Recorded::Nothing), |state, (at, record)| {
            next_participant(state, record).map_err(|corrupt| CorruptTransaction { at, ..corrupt })
        });
        let (participant, last) = fold.inspect_err(|_| self.quarantine(job))?;
        if last == Recorded::Nothing {
            return Ok(());
        }
        if let Phase::Prepared(doubt) = &participant.phase {
            self.see(doubt.promise.log);
        }
        self.resume_with(participant);
        Ok(())
    }
}

/// What the coordinator's records of one job come to.
enum Decided {
    Nothing,
    Commit(Delivery),
    /// Somebody was given up or replaced, and nobody else is waited for.
    Owing(Delivery),
    Abort {
        cause: Cause,
    },
    Ended,
}

/// Returns what one more record makes of a job at the coordinator.
fn next_decided(
    decided: Decided,
    record: CoordinatorRecord,
) -> Result<Decided, CorruptTransaction> {
    use CoordinatorRecord as Record;
    let after = decided.recorded();
    match (decided, record) {
        // With nobody to publish, the decision is also the end.
        (Decided::Nothing, Record::CommitDecided { shares, .. }) if shares.is_empty() => {
            Ok(Decided::Ended)
        }
        (Decided::Nothing, Record::CommitDecided { txn, shares }) => {
            Ok(Decided::Commit(Delivery::begin(Moment::START, txn, gather(shares))))
        }
        // A stale log adopts a commit piece by piece; each record holds all before it.
        (Decided::Commit(mut delivery), Record::CommitDecided { txn, shares: more })
            if delivery.txn == txn
                && delivery.shares.values().all(|share| more.contains(share)) =>
        {
            for share in more {
                if !delivery.shares.contains_key(&share.holder) {
                    delivery.add(share.holder.clone(), share);
                }
            }
            Ok(Decided::Commit(delivery))
        }
        (Decided::Commit(mut delivery), Record::GivenUp { txn, holder, .. })
            if delivery.txn == txn && delivery.owing().contains(&holder) =>
        {
            delivery.forgo(holder);
            Ok(Decided::Commit(delivery))
        }
        (Decided::Commit(mut delivery), Record::Replaced { txn, from, numbers, first, to }) => {
            let follows = delivery.txn == txn && delivery.replace(&from, &numbers, first, &to);
            follows.then_some(Decided::Commit(delivery)).ok_or(CorruptTransaction {
                job: txn.job,
                at: 0,
                after,
                found: Recorded::Replaced,
            })
        }
        (decided, Record::CaughtUp { txn, holder }) => {
            next_parted(decided, &txn, &holder, Delivery::part, Recorded::CaughtUp)
        }
        (decided, Record::Removed { txn, holder }) => {
            next_parted(decided, &txn, &holder, Delivery::forget, Recorded::Removed)
        }
        (decided, Record::Heuristic { holder, heuristic }) => {
            next_forced(decided, holder, heuristic)
        }
        (Decided::Commit(mut delivery), Record::Ended { .. })
            if !delivery.left_out().is_empty() =>
        {
            delivery.finish();
            Ok(Decided::Owing(delivery))
        }
        (Decided::Nothing, Record::Aborting { cause, .. }) => Ok(Decided::Abort { cause }),
        (Decided::Commit(_) | Decided::Abort { .. }, Record::Ended { .. }) => Ok(Decided::Ended),
        (_, record) => Err(CorruptTransaction {
            job: record.job().clone(),
            at: 0,
            after,
            found: Recorded::from(&record),
        }),
    }
}

/// Returns what it makes of a committed job that somebody left out is to be told nothing any more.
fn next_parted(
    decided: Decided,
    txn: &TxnId,
    holder: &Installation,
    part: impl Fn(&mut Delivery, &Installation),
    found: Recorded,
) -> Result<Decided, CorruptTransaction> {
    let after = decided.recorded();
    let follows =
        |delivery: &Delivery| delivery.txn == *txn && delivery.left_out().contains(holder);
    match decided {
        Decided::Commit(mut delivery) if follows(&delivery) => {
            part(&mut delivery, holder);
            Ok(Decided::Commit(delivery))
        }
        Decided::Owing(mut delivery) if follows(&delivery) => {
            part(&mut delivery, holder);
            let over = delivery.left_out().is_empty();
            Ok(if over { Decided::Ended } else { Decided::Owing(delivery) })
        }
        Decided::Commit(_)
        | Decided::Owing(_)
        | Decided::Abort { .. }
        | Decided::Ended
        | Decided::Nothing => Err(CorruptTransaction { job: txn.job.clone(), at: 0, after, found }),
    }
}

/// Returns what the word of something that was forced makes of a job that is decided.
fn next_forced(
    decided: Decided,
    holder: Installation,
    heuristic: Heuristic,
) -> Result<Decided, CorruptTransaction> {
    let after = decided.recorded();
    match decided {
        Decided::Commit(mut delivery) => {
            delivery.hear_forced(&holder, &heuristic);
            Ok(Decided::Commit(delivery))
        }
        Decided::Owing(mut delivery) => {
            delivery.hear_forced(&holder, &heuristic);
            let over = delivery.left_out().is_empty();
            Ok(if over { Decided::Ended } else { Decided::Owing(delivery) })
        }
        // It was told when nothing was left to decide or to wait for.
        decided @ (Decided::Abort { .. } | Decided::Ended) => Ok(decided),
        Decided::Nothing => {
            let found = Recorded::Heuristic;
            Err(CorruptTransaction { job: heuristic.txn.job, at: 0, after, found })
        }
    }
}

/// Returns what one more record makes of a job at a participant.
fn next_participant(
    (mut participant, after): (Participant, Recorded),
    record: ParticipantRecord,
) -> Result<(Participant, Recorded), CorruptTransaction> {
    use ParticipantRecord as Record;
    let found = Recorded::from(&record);
    let corrupt = CorruptTransaction { job: record.job().clone(), at: 0, after, found };
    if participant.replay_force(&record) {
        return Ok((participant, found));
    }
    match (&participant.phase, record) {
        // Of the refusal and the promise of one round, the first excludes the other (C7).
        (
            Phase::Staged | Phase::Prepared(_),
            Record::Prepared { txn, holder, pledges, peers, log },
        ) if participant.may_prepare(&txn) => {
            if let Phase::Prepared(doubt) = &participant.phase {
                participant.past = Some(doubt.promise.txn.clone());
            }
            participant.newest = Some(txn.clone());
            let promise = Promise { txn, holder, pledges, peers, log };
            participant.phase = Phase::Prepared(Doubt::resumed(promise));
        }
        (Phase::Staged | Phase::Prepared(_), Record::Refused { txn })
            if participant.may_refuse(&txn) =>
        {
            participant.refused.insert(txn);
        }
        (Phase::Prepared(doubt), Record::RoundEnded { txn }) if doubt.promise.txn == txn => {
            participant.past = Some(txn);
            participant.phase = Phase::Staged;
        }
        (Phase::Prepared(doubt), Record::Committed { txn, pledges })
            if doubt.promise.txn == txn && doubt.promise.pledges == pledges =>
        {
            let promise = doubt.promise.clone();
            // Another may have taken its place since: then it asks before it publishes (C13).
            let permitted = !promise.is_replaceable();
            let due = Some(Moment::START);
            participant.conclude_job(Phase::Finishing { promise, due, permitted });
        }
        (_, Record::TakenOver { txn, number, pledges }) if participant.may_take_over(&txn) => {
            let taken = Takeover { txn, pledges, state: State::Asking { due: Moment::START } };
            participant.takeovers.insert(number, taken);
        }
        (_, Record::StoodDown { txn, number }) if participant.may_stand_down(&txn, number) => {
            participant.replay_stood_down(txn, number);
        }
        (Phase::Staged | Phase::Prepared(_) | Phase::Forced { .. }, Record::Aborted { .. }) => {
            participant.conclude_job(Phase::Aborted { due: Some(Moment::START) });
        }
        // What a task seals long after the release begins anew, until it is told so.
        (Phase::Released { .. }, record) => {
            let fresh = Participant::new(participant.job.clone());
            return next_participant((fresh, Recorded::Nothing), record);
        }
        // A later round may have ended the doubt without a record before the release came.
        (_, Record::Released { .. }) => {
            participant.takeovers.clear();
            participant.conclude_job(Phase::Released { due: Moment::START, swept: false });
        }
        (_, _) => return Err(corrupt),
    }
    Ok((participant, found))
}

impl Participant {
    /// Applies a record that a person's force has led to; says whether it is one.
    fn replay_force(&mut self, record: &ParticipantRecord) -> bool {
        use ParticipantRecord as Record;
        match (&self.phase, record) {
            (Phase::Prepared(doubt), Record::Forced(heuristic))
                if doubt.promise.txn == heuristic.txn =>
            {
                let promise = doubt.promise.clone();
                let publication = match heuristic.outcome {
                    Decision::Commit => Publication::Due(Moment::START),
                    Decision::Abort => Publication::Over,
                };
                self.phase = Phase::Forced { promise, publication };
                self.report = Some(Report::resumed(heuristic.clone()));
            }
            // A later round asked for what was published by force already.
            (
                Phase::Forced { promise: earlier, publication },
                Record::Prepared { txn, holder, pledges, peers, log },
            ) if self.has_forced_commit()
                && self.may_prepare(txn)
                && earlier.pledges == *pledges =>
            {
                let (publication, past) = (*publication, earlier.txn.clone());
                let (pledges, peers) = (pledges.clone(), peers.clone());
                let (txn, holder, log) = (txn.clone(), holder.clone(), *log);
                self.past = Some(past);
                self.newest = Some(txn.clone());
                let promise = Arc::new(Promise { txn, holder, pledges, peers, log });
                self.phase = Phase::Forced { promise, publication };
            }
            // Its publication was over before this was recorded.
            (Phase::Forced { promise, .. }, Record::Committed { txn, pledges })
                if self.has_forced_commit()
                    && promise.txn == *txn
                    && promise.pledges == *pledges =>
            {
                let promise = promise.clone();
                self.conclude_job(Phase::Ended(promise));
            }
            (_, _) => return false,
        }
        true
    }

    fn may_prepare(&self, txn: &TxnId) -> bool {
        !self.refused.contains(txn) && Some(txn) > self.newest.as_ref().max(self.past.as_ref())
    }

    fn may_take_over(&self, txn: &TxnId) -> bool {
        match &self.phase {
            Phase::Finishing { promise, .. } | Phase::Ended(promise) => promise.txn == *txn,
            Phase::Staged => self.takeovers.values().all(|taken| taken.txn == *txn),
            Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => false,
        }
    }

    fn may_stand_down(&self, txn: &TxnId, number: u64) -> bool {
        match &self.phase {
            Phase::Prepared(doubt) => number > 0 || doubt.promise.txn == *txn,
            Phase::Forced { promise, .. } => number > 0 || promise.txn == *txn,
            Phase::Finishing { promise, .. } | Phase::Ended(promise) => promise.txn == *txn,
            Phase::Staged => number > 0,
            Phase::Checking(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => false,
        }
    }

    fn replay_stood_down(&mut self, txn: TxnId, number: u64) {
        let promise = match &self.phase {
            Phase::Prepared(doubt) if number == 0 => Some(doubt.promise.clone()),
            Phase::Finishing { promise, .. }
            | Phase::Ended(promise)
            | Phase::Forced { promise, .. }
                if number == 0 =>
            {
                Some(promise.clone())
            }
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        };
        match promise {
            Some(promise) => self.conclude_job(Phase::Ended(Arc::new(promise.emptied()))),
            None => {
                let gone = Takeover { txn, pledges: Vec::new(), state: State::Gone };
                self.takeovers.insert(number, gone);
            }
        }
    }

    fn may_refuse(&self, txn: &TxnId) -> bool {
        let promised = match &self.phase {
            Phase::Prepared(doubt) => doubt.promise.txn == *txn,
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => false,
        };
        !promised && !self.refused.contains(txn) && Some(txn) > self.past.as_ref()
    }
}

impl Doubt {
    /// Goes on asking after a restart, at once.
    fn resumed(promise: Promise) -> Self {
        let promise = Arc::new(promise);
        Self { promise, since: Moment::START, due: Moment::START, unanswered: false }
    }
}

impl Decided {
    fn recorded(&self) -> Recorded {
        match self {
            Self::Nothing => Recorded::Nothing,
            Self::Commit(told) if told.given_up.is_empty() => Recorded::CommitDecided,
            Self::Commit(_) => Recorded::GivenUp,
            Self::Owing(_) => Recorded::Ended,
            Self::Abort { .. } => Recorded::Aborting,
            Self::Ended => Recorded::Ended,
        }
    }
}

impl From<&CoordinatorRecord> for Recorded {
    fn from(record: &CoordinatorRecord) -> Self {
        match record {
            CoordinatorRecord::CommitDecided { .. } => Self::CommitDecided,
            CoordinatorRecord::Aborting { .. } => Self::Aborting,
            CoordinatorRecord::Replaced { .. } => Self::Replaced,
            CoordinatorRecord::Ended { .. } => Self::Ended,
            CoordinatorRecord::GivenUp { .. } => Self::GivenUp,
            CoordinatorRecord::CaughtUp { .. } => Self::CaughtUp,
            CoordinatorRecord::Removed { .. } => Self::Removed,
            CoordinatorRecord::Heuristic { .. } => Self::Heuristic,
        }
    }
}

impl From<&ParticipantRecord> for Recorded {
    fn from(record: &ParticipantRecord) -> Self {
        match record {
            ParticipantRecord::Prepared { .. } => Self::Prepared,
            ParticipantRecord::Refused { .. } => Self::Refused,
            ParticipantRecord::RoundEnded { .. } => Self::RoundEnded,
            ParticipantRecord::Committed { .. } => Self::Committed,
            ParticipantRecord::TakenOver { .. } => Self::TakenOver,
            ParticipantRecord::StoodDown { .. } => Self::StoodDown,
            ParticipantRecord::Forced(_) => Self::Forced,
            ParticipantRecord::Aborted { .. } => Self::Aborted,
            ParticipantRecord::Released { .. } => Self::Released,
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::CommitDecided => "CommitDecided",
            Self::Aborting => "Aborting",
            Self::Replaced => "Replaced",
            Self::Ended => "Ended",
            Self::GivenUp => "GivenUp",
            Self::CaughtUp => "CaughtUp",
            Self::Removed => "Removed",
            Self::Heuristic => "Heuristic",
            Self::Forced => "Forced",
            Self::Prepared => "Prepared",
            Self::Refused => "Refused",
            Self::RoundEnded => "RoundEnded",
            Self::Committed => "Committed",
            Self::TakenOver => "TakenOver",
            Self::StoodDown => "StoodDown",
            Self::Aborted => "Aborted",
            Self::Released => "Released",
        })
    }
}

/// Returns who has told of what was forced there, and in which round.
fn heuristic(record: &CoordinatorRecord) -> Option<(Installation, TxnId)> {
    match record {
        CoordinatorRecord::Heuristic { holder, heuristic } => {
            Some((holder.clone(), heuristic.txn.clone()))
        }
        CoordinatorRecord::CommitDecided { .. }
        | CoordinatorRecord::Aborting { .. }
        | CoordinatorRecord::Replaced { .. }
        | CoordinatorRecord::Ended { .. }
        | CoordinatorRecord::GivenUp { .. }
        | CoordinatorRecord::CaughtUp { .. }
        | CoordinatorRecord::Removed { .. } => None,
    }
}

/// Splits a log into the streams of its jobs, each in order.
fn by_job<R>(
    records: impl IntoIterator<Item = R>,
    job: impl Fn(&R) -> &JobId,
) -> BTreeMap<JobId, Vec<R>> {
    let mut streams: BTreeMap<JobId, Vec<R>> = BTreeMap::new();
    for record in records {
        streams.entry(job(&record).clone()).or_default().push(record);
    }
    streams
}
