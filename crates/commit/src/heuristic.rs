//! What a person forces at a participant in doubt: its own outcome, and no word about the round.
//!
//! Bytes are discarded on proof alone, here as everywhere (C9): whoever was forced to abort shows
//! nothing and keeps what it has staged until the coordinator's word. Whoever was forced to commit
//! publishes, and nothing takes that back. Both tell the coordinator until it has noted it (H2), and peers
//! that nothing is known here (C1).

use std::sync::Arc;

use votum_ids::TxnId;
use votum_machine::{Moment, WallTime};

use crate::{
    Decision, Forced, Heuristic, LogPosition, Message, Objection, ParticipantAction,
    ParticipantRecord, Pledge, Reply, Vote,
    participant::{ASK_AGAIN, Participant, Phase, Promise, Reaction, object, reply, vote},
};

/// What was forced, and how far the coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Report {
    pub(crate) heuristic: Arc<Heuristic>,
    due: Moment,
    since: Moment,
    /// The coordinator holds it durably.
    pub(crate) noted: bool,
}

/// How far the publication is that was forced; over where an abort was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Publication {
    /// The daemon began again before its end was recorded.
    Due(Moment),
    /// It is being made visible.
    UnderWay,
    /// Nothing is to be made visible, or all of it is.
    Over,
}

impl Report {
    /// Goes on telling it after a restart, at once.
    pub(crate) fn resumed(heuristic: Heuristic) -> Self {
        let (due, since) = (Moment::START, Moment::START);
        Self { heuristic: Arc::new(heuristic), due, since, noted: false }
    }

    fn say(&self) -> Reaction {
        reply(Reply::Forced((*self.heuristic).clone()))
    }
}

impl Participant {
    /// Ends the doubt as a person wishes.
    pub(crate) fn force(
        &mut self,
        now: Moment,
        outcome: Decision,
        forced: Forced,
        at: WallTime,
    ) -> Reaction {
        let Phase::Prepared(doubt) = &self.phase else { return Reaction::none() };
        let promise = Arc::clone(&doubt.promise);
        let heuristic = Heuristic { txn: promise.txn.clone(), outcome, forced, at };
        let record = ParticipantRecord::Forced(heuristic.clone());
        let report = Report {
            heuristic: Arc::new(heuristic),
            due: ASK_AGAIN.next(now, now),
            since: now,
            noted: false,
        };
        let say = report.say();
        self.report = Some(report);
        let reaction = match outcome {
            Decision::Commit => {
                self.phase = Phase::Forced { promise, publication: Publication::UnderWay };
                say.actions.into_iter().fold(self.publish_forced(), Reaction::then)
            }
            Decision::Abort => {
                self.phase = Phase::Forced { promise, publication: Publication::Over };
                say
            }
        };
        reaction.durably(record)
    }

    /// Publishes under the round in which it was forced, whatever was voted since.
    pub(crate) fn publish_forced(&mut self) -> Reaction {
        let Phase::Forced { promise, publication } = &mut self.phase else {
            return Reaction::none();
        };
        let Some(report) = &self.report else { return Reaction::none() };
        *publication = Publication::UnderWay;
        let (txn, pledges) = (report.heuristic.txn.clone(), promise.pledges.clone());
        Reaction::perform([ParticipantAction::Publish { txn, pledges }])
    }

    /// Notes that what was forced to be published is visible.
    pub(crate) fn published_by_force(&mut self, txn: &TxnId) -> Reaction {
        let Phase::Forced { publication, .. } = &mut self.phase else { return Reaction::none() };
        let Some(report) = &self.report else { return Reaction::none() };
        if report.heuristic.txn != *txn || *publication == Publication::Over {
            return Reaction::none();
        }
        *publication = Publication::Over;
        report.say()
    }

    /// Takes the coordinator's word after an outcome was forced.
    pub(crate) fn hear_by_force(
        &mut self,
        now: Moment,
        message: Message,
        log: LogPosition,
    ) -> Reaction {
        let over = matches!(self.phase, Phase::Forced { publication: Publication::Over, .. });
        match message {
            Message::TakeOver { txn, number, pledges, .. } => self.take_over(txn, number, pledges),
            Message::Replaced { txn, number, .. } => self.give_way(txn, number),
            Message::Prepare { txn, holder, pledges, peers } => {
                self.consider_forced(Promise { txn, holder, pledges, peers, log })
            }
            Message::Commit { txn, pledges, .. } => self.hear_commit_by_force(txn, &pledges),
            Message::Noted { txn } => {
                self.noted(&txn);
                Reaction::none()
            }
            Message::Abort { job } if over => self.abort(job),
            // The coordinator knows what was forced, and has nothing to ask of it.
            Message::Release { job } if over && self.is_reported() && self.is_settled() => {
                self.release(now, job)
            }
            // What is being published is finished first; then it is told again.
            Message::Abort { .. }
            | Message::Release { .. }
            // It is not in doubt any more, and waits for the decision on the job.
            | Message::Undecided { .. }
            | Message::RoundEnded { .. } => Reaction::none(),
        }
    }

    /// Answers Prepare after an outcome was forced.
    ///
    /// Whoever has published can promise to publish the same: it may yet agree with the decision.
    pub(crate) fn consider_forced(&mut self, promise: Promise) -> Reaction {
        let Phase::Forced { promise: current, .. } = &self.phase else { return Reaction::none() };
        let Some(report) = &self.report else { return Reaction::none() };
        let Heuristic { outcome, forced: Forced { by, reason, .. }, .. } = &*report.heuristic;
        let txn = promise.txn.clone();
        let older = Some(&txn) < self.newest.as_ref() || Some(&txn) <= self.past.as_ref();
        if txn != current.txn && (older || self.refused.contains(&txn)) {
            return object(txn, Objection::Refused);
        }
        match outcome {
            Decision::Commit if txn == current.txn => vote(txn, Vote::Yes),
            // Its Yes may count already: the coordinator decides what this is worth.
            Decision::Abort if txn == current.txn => report.say(),
            Decision::Commit if promise.pledges == current.pledges => {
                let record = prepared(&promise);
                self.past = self.past.take().max(Some(current.txn.clone()));
                self.newest = Some(txn.clone());
                if let Phase::Forced { promise: current, .. } = &mut self.phase {
                    *current = Arc::new(promise);
                }
                vote(txn, Vote::Yes).durably(record)
            }
            Decision::Commit => {
                let message = format!("{by} has forced other outputs of the job here: {reason}");
                object(txn, Objection::Failed { reason: FORCED_COMMIT.to_owned(), message })
            }
            Decision::Abort => {
                let message = format!("{by} has forced an abort here: {reason}");
                object(txn, Objection::Failed { reason: FORCED_ABORT.to_owned(), message })
            }
        }
    }

    /// Hears that the round committed: agrees where that was forced, and else says what was.
    pub(crate) fn hear_commit_by_force(&mut self, txn: TxnId, pledges: &[Pledge]) -> Reaction {
        let Phase::Forced { promise, publication } = &self.phase else { return Reaction::none() };
        let Some(report) = &self.report else { return Reaction::none() };
        if promise.txn != txn || promise.pledges != pledges {
            // Nothing was promised in that round, or it was not this.
            let alarm = crate::Alarm::CommitOutOfDoubt { txn };
            return Reaction::perform([ParticipantAction::Raise(alarm)]);
        }
        match (report.heuristic.outcome, publication) {
            (Decision::Abort, _) => report.say(),
            // It is told again, after the publication (C8).
            (Decision::Commit, Publication::Due(_) | Publication::UnderWay) => Reaction::none(),
            (Decision::Commit, Publication::Over) => {
                let promise = Arc::clone(promise);
                let record = ParticipantRecord::Committed {
                    txn: txn.clone(),
                    pledges: promise.pledges.clone(),
                };
                self.conclude_job(Phase::Ended(promise));
                reply(Reply::Acked { txn }).durably(record)
            }
        }
    }

    /// Notes that the coordinator holds durably what was forced here.
    pub(crate) fn noted(&mut self, txn: &TxnId) {
        if let Some(report) = self.report.as_mut().filter(|it| it.heuristic.txn == *txn) {
            report.noted = true;
        }
    }

    /// Says what was forced, and again after a while.
    pub(crate) fn report_again(&mut self, now: Moment) -> Option<Reaction> {
        self.reports_at().filter(|due| *due <= now)?;
        let report = self.report.as_mut()?;
        report.due = ASK_AGAIN.next(report.since, now);
        Some(report.say())
    }

    /// Returns when it next says what was forced.
    pub(crate) fn reports_at(&self) -> Option<Moment> {
        let asks = matches!(self.phase, Phase::Forced { .. });
        self.report.as_ref().filter(|report| asks || !report.noted).map(|report| report.due)
    }

    /// Lets the next tick say what was forced.
    pub(crate) fn hasten_report(&mut self, now: Moment) {
        if let Some(report) = &mut self.report {
            report.due = now;
            report.since = now;
        }
    }

    /// Says whether the coordinator knows whatever was forced here.
    pub(crate) fn is_reported(&self) -> bool {
        self.report.as_ref().is_none_or(|report| report.noted)
    }

    pub(crate) fn has_forced_commit(&self) -> bool {
        self.report.as_ref().is_some_and(|it| it.heuristic.outcome == Decision::Commit)
    }
}

pub(crate) fn prepared(promise: &Promise) -> ParticipantRecord {
    ParticipantRecord::Prepared {
        txn: promise.txn.clone(),
        holder: promise.holder.clone(),
        pledges: promise.pledges.clone(),
        peers: promise.peers.clone(),
        log: promise.log,
    }
}

/// Why a later round gets a No that costs the job, for programs.
const FORCED_ABORT: &str = "FORCED_ABORT";
/// The same, where other outputs of the job were published by force.
const FORCED_COMMIT: &str = "FORCED_COMMIT";
