//! A worker's half of one transaction.
//!
//! Whoever has said Yes obeys: only the coordinator, or a peer that knows,
//! ends the doubt. Nothing is discarded because of a silence (C5, C9).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use votum_ids::{JobId, TxnId};
use votum_machine::Moment;

use crate::{
    Alarm, Installation, Knowledge, LogPosition, Message, Objection, ParticipantAction,
    ParticipantEvent, ParticipantRecord, Peer, Pledge, Reply, Vote,
    heuristic::{Publication, Report, prepared},
    patience::Patience,
    takeover::Takeover,
};

pub(crate) type Reaction = votum_machine::Reaction<ParticipantRecord, ParticipantAction>;

/// One job of which something was sealed at this worker (RM, the literature says).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Participant {
    pub(crate) job: JobId,
    pub(crate) phase: Phase,
    /// Rounds in which this participant never votes Yes; durable (C7).
    pub(crate) refused: BTreeSet<TxnId>,
    /// The latest round that it was asked to vote in.
    pub(crate) newest: Option<TxnId>,
    /// Up to here it may have voted in every round, and none of them needs its vote any more.
    pub(crate) past: Option<TxnId>,
    /// Its last No: the same question has the same answer.
    pub(crate) objected: Option<(TxnId, Objection)>,
    /// What it publishes in the place of others, by publisher number.
    pub(crate) takeovers: BTreeMap<u64, Takeover>,
    /// Whether what it promised itself is to be taken back: another one publishes it.
    pub(crate) gives_way: bool,
    /// What a person has forced here; outlives the decision, so that it is told (H2).
    pub(crate) report: Option<Report>,
}

/// What a round asks this participant to promise; never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Promise {
    pub(crate) txn: TxnId,
    pub(crate) holder: Installation,
    pub(crate) pledges: Vec<Pledge>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) log: LogPosition,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Sealed outputs are kept. Nothing is promised, and there is no timer.
    Staged,
    /// Looks whether it can promise. Still free to refuse.
    Checking(Arc<Promise>),
    /// In doubt: has voted Yes and does not know the decision.
    Prepared(Doubt),
    /// A person has ended the doubt; the decision is not known here.
    Forced { promise: Arc<Promise>, publication: Publication },
    /// Knows Commit, and makes its outputs visible; unless permitted it asks first whether it was
    /// replaced.
    Finishing { promise: Arc<Promise>, due: Option<Moment>, permitted: bool },
    /// Everything promised is visible. Kept for peers that ask, until Release.
    Ended(Arc<Promise>),
    /// Knows Abort, and has let go of its outputs. Kept for peers that ask, until Release.
    Aborted { due: Option<Moment> },
    /// The job is over for everyone. Kept for a while, so that a message that comes very late
    /// does not begin it anew.
    Released { due: Moment, swept: bool },
    /// Nothing of it needs to be known.
    Forgotten,
}

/// The time between the vote and the decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Doubt {
    pub(crate) promise: Arc<Promise>,
    pub(crate) since: Moment,
    pub(crate) due: Moment,
    /// Whether the coordinator has left a question unanswered.
    pub(crate) unanswered: bool,
}

impl Participant {
    /// Begins with the first sealed output.
    pub(crate) fn new(job: JobId) -> Self {
        Self {
            job,
            phase: Phase::Staged,
            refused: BTreeSet::new(),
            newest: None,
            past: None,
            objected: None,
            takeovers: BTreeMap::new(),
            gives_way: false,
            report: None,
        }
    }

    /// Applies one event of this job, whatever its order and however often it comes.
    ///
    /// Prepare names this installation and something to publish; PeerAsked as well.
    pub(crate) fn step(&mut self, now: Moment, event: ParticipantEvent) -> Reaction {
        use ParticipantEvent as Event;
        match (&mut self.phase, event) {
            (_, Event::Received { message, log }) => self.hear(now, message, log),
            (Phase::Checking(promise), Event::Checked { txn, result }) if promise.txn == txn => {
                let promise = promise.clone();
                self.conclude_check(now, promise, result)
            }
            (Phase::Prepared(_), Event::ForceAsked { outcome, forced, at, .. }) => {
                self.force(now, outcome, forced, at)
            }
            (Phase::Forced { .. }, Event::Published { txn }) => self.published_by_force(&txn),
            (_, Event::PeerAsked { txn, by, .. }) => self.tell(by, txn),
            (Phase::Prepared(doubt), Event::PeerAnswered { txn, knowledge })
                if doubt.promise.txn == txn =>
            {
                match knowledge {
                    Knowledge::Commit => self.finish_unless_replaced(now),
                    Knowledge::Refused => self.leave_doubt(),
                    // It knows no more than this one does.
                    Knowledge::InDoubt | Knowledge::Unknown => Reaction::none(),
                }
            }
            (Phase::Finishing { promise, .. }, Event::Published { txn }) if promise.txn == txn => {
                let promise = promise.clone();
                self.phase = Phase::Ended(promise.clone());
                if self.gives_way {
                    let pledges = promise.pledges.clone();
                    let withdraw = ParticipantAction::Withdraw { txn, number: 0, pledges };
                    return Reaction::perform([withdraw]);
                }
                reply(Reply::Acked { txn })
            }
            (_, Event::TookOver { txn, number }) => self.took_over(txn, number),
            (_, Event::Withdrawn { txn, number }) => self.withdrawn(txn, number),
            (Phase::Finishing { due, permitted: false, .. }, Event::Connected) => {
                *due = Some(now);
                self.hasten(now);
                self.hasten_report(now);
                Reaction::none()
            }
            (Phase::Prepared(doubt), Event::Connected) => {
                // The next tick asks; the coordinator gets its chance before the peers.
                doubt.due = now;
                doubt.unanswered = false;
                Reaction::none()
            }
            (_, Event::Tick) => self.tick(now),
            (_, Event::Connected) => {
                self.hasten(now);
                self.hasten_report(now);
                Reaction::none()
            }
            // A task that ended after the job has sealed what nobody wants.
            (Phase::Aborted { .. } | Phase::Released { .. }, Event::Sealed { .. }) => {
                self.discard()
            }
            // Other outputs of the job are sealed already.
            (_, Event::Sealed { .. })
            // The check of a round that has ended, or an answer about one.
            | (_, Event::Checked { .. } | Event::PeerAnswered { .. })
            // The decision is known, or nothing was promised: nobody may force anything (H1).
            | (_, Event::ForceAsked { .. })
            // The work of an earlier start of this worker, or a duplicate.
            | (_, Event::Published { .. }) => Reaction::none(),
        }
    }

    /// Does what is due.
    fn tick(&mut self, now: Moment) -> Reaction {
        match &mut self.phase {
            Phase::Prepared(doubt) if doubt.due <= now => doubt.ask(now),
            Phase::Finishing { promise, due: due @ Some(_), permitted: true } => {
                *due = None;
                publish(promise)
            }
            Phase::Forced { publication: Publication::Due(due), .. } if *due <= now => {
                self.publish_forced()
            }
            Phase::Finishing { promise, due: Some(due), permitted: false } if *due <= now => {
                *due = ASK_AGAIN.next(now, now);
                inquire(&promise.txn, true)
            }
            Phase::Aborted { due: due @ Some(_) } => {
                *due = None;
                self.discard()
            }
            Phase::Released { due, swept: swept @ false } => {
                *swept = true;
                *due = now.after(TOMBSTONE);
                self.discard()
            }
            Phase::Released { due, .. } if *due <= now => {
                self.phase = Phase::Forgotten;
                Reaction::none()
            }
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { due: None }
            | Phase::Released { .. }
            | Phase::Forgotten => {
                if let Some(report) = self.report_again(now) {
                    return report;
                }
                let asks = self.asks_at().is_some_and(|due| due <= now);
                if asks { self.ask_whether_replaced(now) } else { Reaction::none() }
            }
        }
    }

    /// Returns when it next wants a tick.
    pub(crate) fn due(&self) -> Option<Moment> {
        let due = match &self.phase {
            Phase::Prepared(doubt) => Some(doubt.due),
            Phase::Finishing { due, .. } | Phase::Aborted { due } => *due,
            Phase::Released { due, .. } => Some(*due),
            Phase::Forced { publication: Publication::Due(due), .. } => Some(*due),
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Forced { .. }
            | Phase::Ended(_)
            | Phase::Forgotten => None,
        };
        due.into_iter().chain(self.asks_at()).chain(self.reports_at()).min()
    }

    /// Remembers a vote ReadOnly: it is a vote, so this round is never refused.
    pub(crate) fn abstain(&mut self, txn: TxnId) {
        self.newest = self.newest.take().max(Some(txn.clone()));
        self.past = self.past.take().max(Some(txn));
    }

    fn hear(&mut self, now: Moment, message: Message, log: LogPosition) -> Reaction {
        // Its job has committed, whatever this participant itself was asked before.
        let taken = self.takeovers.values().any(Takeover::is_current);
        let settled = self.is_settled() && self.is_reported();
        if let Phase::Forced { .. } = &self.phase {
            return self.hear_by_force(now, message, log);
        }
        match (&mut self.phase, message) {
            (_, Message::TakeOver { txn, number, pledges, .. }) => {
                self.take_over(txn, number, pledges)
            }
            (_, Message::Replaced { txn, number, .. }) => self.give_way(txn, number),
            (Phase::Staged, Message::Prepare { txn, .. }) if taken => {
                object(txn, Objection::NotHeld)
            }
            (Phase::Staged, Message::Abort { .. }) if taken => Reaction::none(),
            (
                Phase::Staged | Phase::Checking(_) | Phase::Prepared(_),
                Message::Prepare { txn, holder, pledges, peers },
            ) => self.consider(Promise { txn, holder, pledges, peers, log }),
            (
                Phase::Finishing { .. }
                | Phase::Ended(_)
                | Phase::Aborted { .. }
                | Phase::Released { .. },
                Message::Prepare { txn, .. },
            ) => object(txn, Objection::NotHeld),
            (_, Message::Commit { txn, pledges, .. }) => self.obey_commit(txn, &pledges),
            (Phase::Staged | Phase::Checking(_) | Phase::Prepared(_), Message::Abort { job }) => {
                self.abort(job)
            }
            (Phase::Aborted { .. }, Message::Abort { .. })
            | (Phase::Released { .. }, Message::Abort { .. } | Message::Release { .. }) => {
                self.discard()
            }
            (_, Message::Noted { txn }) => {
                self.noted(&txn);
                Reaction::none()
            }
            (Phase::Prepared(doubt), Message::Undecided { txn }) if doubt.promise.txn == txn => {
                doubt.unanswered = false;
                Reaction::none()
            }
            (Phase::Prepared(doubt), Message::RoundEnded { txn }) if doubt.promise.txn == txn => {
                self.leave_doubt()
            }
            (Phase::Checking(promise), Message::RoundEnded { txn }) if promise.txn == txn => {
                self.phase = Phase::Staged;
                self.past = self.past.take().max(Some(txn));
                Reaction::none()
            }
            (
                Phase::Staged
                | Phase::Checking(_)
                // What it would ask was answered before: only what is visible is released.
                | Phase::Finishing { permitted: false, .. }
                | Phase::Ended(_)
                | Phase::Aborted { .. },
                Message::Release { job },
            ) if settled => self.release(now, job),
            // A question asked before the job ended is answered by presumption after it.
            (Phase::Finishing { .. } | Phase::Ended(_), Message::Abort { .. })
            // Of another round, or the doubt has ended (C10).
            | (_, Message::Undecided { .. } | Message::RoundEnded { .. })
            // Whoever is in doubt asks until it is told; whoever publishes finishes first
            // and is released again.
            | (_, Message::Release { .. })
            // What was forced was heard above.
            | (Phase::Forced { .. }, _)
            | (Phase::Forgotten, _) => Reaction::none(),
        }
    }

    /// Obeys the end of the job, whose outputs become visible nowhere.
    pub(crate) fn abort(&mut self, job: JobId) -> Reaction {
        self.conclude_job(Phase::Aborted { due: None });
        self.discard().durably(ParticipantRecord::Aborted { job })
    }

    /// Forgets a job that is over for everyone.
    pub(crate) fn release(&mut self, now: Moment, job: JobId) -> Reaction {
        self.takeovers.clear();
        self.conclude_job(Phase::Released { due: now.after(TOMBSTONE), swept: true });
        self.discard().durably(ParticipantRecord::Released { job })
    }

    /// Obeys Commit as often as it comes; the acknowledgement follows the publication (C8).
    fn obey_commit(&mut self, txn: TxnId, pledges: &[Pledge]) -> Reaction {
        match &mut self.phase {
            Phase::Prepared(doubt)
                if doubt.promise.txn == txn && doubt.promise.pledges == pledges =>
            {
                self.finish()
            }
            Phase::Ended(promise) if promise.txn == txn => reply(Reply::Acked { txn }),
            // Only what was published or aborted is released; Commit says which.
            Phase::Released { .. } => reply(Reply::Acked { txn }),
            Phase::Finishing { promise, due, permitted: permitted @ false }
                if promise.txn == txn && promise.pledges == pledges =>
            {
                *permitted = true;
                *due = None;
                publish(promise)
            }
            Phase::Finishing { promise, .. } if promise.txn == txn => Reaction::none(),
            Phase::Forgotten => Reaction::none(),
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. } => {
                Reaction::perform([ParticipantAction::Raise(Alarm::CommitOutOfDoubt { txn })])
            }
        }
    }

    /// Answers Prepare while no decision is known.
    fn consider(&mut self, promise: Promise) -> Reaction {
        let txn = &promise.txn;
        let asked = match &self.phase {
            Phase::Checking(current) => Some(&current.txn),
            Phase::Prepared(doubt) => Some(&doubt.promise.txn),
            Phase::Staged
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        };
        if asked == Some(txn) {
            return if matches!(self.phase, Phase::Prepared(_)) {
                vote(promise.txn, Vote::Yes)
            } else {
                Reaction::none() // The check is running; its end is the answer.
            };
        }
        if let Some((_, objection)) = self.objected.as_ref().filter(|(round, _)| round == txn) {
            return object(promise.txn, objection.clone());
        }
        let txn = Some(txn);
        if self.is_refused(&promise.txn) || txn < self.newest.as_ref() || txn <= self.past.as_ref()
        {
            return object(promise.txn, Objection::Refused);
        }
        // A later round proves that the earlier one ended without commit: its
        // promise binds nobody, whether or not the check succeeds.
        if let Phase::Prepared(doubt) = &self.phase {
            self.past = self.past.take().max(Some(doubt.promise.txn.clone()));
        }
        self.newest = Some(promise.txn.clone());
        let check =
            ParticipantAction::Check { txn: promise.txn.clone(), pledges: promise.pledges.clone() };
        self.phase = Phase::Checking(Arc::new(promise));
        Reaction::perform([check])
    }

    fn conclude_check(&mut self, now: Moment, promise: Arc<Promise>, result: Vote) -> Reaction {
        let txn = promise.txn.clone();
        match result {
            Vote::Yes => {
                let record = prepared(&promise);
                self.phase = Phase::Prepared(Doubt::new(now, promise));
                vote(txn, Vote::Yes).durably(record)
            }
            Vote::No(objection) => {
                self.phase = Phase::Staged;
                self.objected = Some((txn.clone(), objection.clone()));
                object(txn, objection)
            }
            // Of a round that names something to publish, it would be a broken promise.
            Vote::ReadOnly => {
                self.phase = Phase::Staged;
                object(txn, Objection::NotHeld)
            }
        }
    }

    fn finish(&mut self) -> Reaction {
        let Phase::Prepared(doubt) = &self.phase else { return Reaction::none() };
        let promise = doubt.promise.clone();
        let reaction = publish(&promise).durably(committed(&promise));
        self.conclude_job(Phase::Finishing { promise, due: None, permitted: true });
        reaction
    }

    /// Leaves doubt on the word of a peer; what another may publish by now is not published
    /// before the coordinator has said whose it is (C13).
    fn finish_unless_replaced(&mut self, now: Moment) -> Reaction {
        let Phase::Prepared(doubt) = &self.phase else { return Reaction::none() };
        let promise = doubt.promise.clone();
        if !promise.is_replaceable() {
            return self.finish();
        }
        let ask = inquire(&promise.txn, true);
        let reaction = ask.durably(committed(&promise));
        let due = Some(ASK_AGAIN.next(now, now));
        self.conclude_job(Phase::Finishing { promise, due, permitted: false });
        reaction
    }

    /// Enters a phase that answers every question, whatever round it is about.
    pub(crate) fn conclude_job(&mut self, phase: Phase) {
        let takeovers = std::mem::take(&mut self.takeovers);
        // Once it is released everybody knows it who has to.
        let released = matches!(phase, Phase::Released { .. });
        let report = self.report.take().filter(|_| !released);
        *self = Self { phase, takeovers, report, ..Self::new(self.job.clone()) };
    }

    pub(crate) fn leave_doubt(&mut self) -> Reaction {
        let Phase::Prepared(doubt) = &self.phase else { return Reaction::none() };
        let txn = doubt.promise.txn.clone();
        self.past = self.past.take().max(Some(txn.clone()));
        self.phase = Phase::Staged;
        Reaction::none().durably(ParticipantRecord::RoundEnded { txn })
    }

    /// Tells a peer what is known about a round; an open one that needs this vote is refused.
    fn tell(&mut self, to: Installation, txn: TxnId) -> Reaction {
        let known = match &self.phase {
            Phase::Prepared(doubt) if doubt.promise.txn == txn => Some(Knowledge::InDoubt),
            Phase::Finishing { promise, .. } | Phase::Ended(promise) => {
                let same = promise.txn == txn;
                // One round of a job commits at most, so any other has not.
                Some(if same { Knowledge::Commit } else { Knowledge::Refused })
            }
            Phase::Aborted { .. } => Some(Knowledge::Refused),
            // What was forced here says nothing about the round (C1).
            Phase::Forced { .. } | Phase::Released { .. } | Phase::Forgotten => {
                Some(Knowledge::Unknown)
            }
            Phase::Staged | Phase::Checking(_) | Phase::Prepared(_)
                if self.knows_commit_of(&txn) =>
            {
                Some(Knowledge::Commit)
            }
            Phase::Staged | Phase::Checking(_) | Phase::Prepared(_) => {
                if self.is_refused(&txn) {
                    Some(Knowledge::Refused)
                } else if Some(&txn) <= self.past.as_ref() {
                    Some(Knowledge::Unknown)
                } else {
                    None
                }
            }
        };
        if let Some(knowledge) = known {
            return answer(to, txn, knowledge);
        }
        self.refused.insert(txn.clone());
        let mut reaction = answer(to, txn.clone(), Knowledge::Refused);
        if matches!(&self.phase, Phase::Checking(promise) if promise.txn == txn) {
            self.phase = Phase::Staged;
            let vote = Vote::No(Objection::Refused);
            let reply = Reply::Voted { txn: txn.clone(), vote };
            reaction = reaction.then(ParticipantAction::Send(reply));
        }
        reaction.durably(ParticipantRecord::Refused { txn })
    }

    fn is_refused(&self, txn: &TxnId) -> bool {
        self.refused.contains(txn)
    }

    fn discard(&self) -> Reaction {
        Reaction::perform([ParticipantAction::Discard { job: self.job.clone() }])
    }
}

impl Doubt {
    /// Begins with the vote.
    pub(crate) fn new(now: Moment, promise: Arc<Promise>) -> Self {
        Self { promise, since: now, due: ASK_AGAIN.next(now, now), unanswered: false }
    }

    /// Asks the coordinator; if it owes an answer already, the peers as well (C5).
    fn ask(&mut self, now: Moment) -> Reaction {
        let txn = &self.promise.txn;
        let mut reaction = inquire(txn, false);
        if self.unanswered {
            let peers = self.promise.peers.iter().cloned();
            let ask = |peer| ParticipantAction::AskPeer { peer, txn: txn.clone() };
            reaction.actions.extend(peers.map(ask));
        }
        self.unanswered = true;
        self.due = ASK_AGAIN.next(self.since, now);
        reaction
    }
}

/// Votes No.
pub(crate) fn object(txn: TxnId, objection: Objection) -> Reaction {
    vote(txn, Vote::No(objection))
}

/// Votes.
pub(crate) fn vote(txn: TxnId, vote: Vote) -> Reaction {
    reply(Reply::Voted { txn, vote })
}

/// Says something to the coordinator.
pub(crate) fn reply(reply: Reply) -> Reaction {
    Reaction::perform([ParticipantAction::Send(reply)])
}

/// Asks the coordinator about a round, which is known to have committed or is in doubt.
pub(crate) fn inquire(txn: &TxnId, committed: bool) -> Reaction {
    reply(Reply::Inquired { txn: txn.clone(), committed })
}

/// Says something to a peer.
pub(crate) fn answer(to: Installation, txn: TxnId, knowledge: Knowledge) -> Reaction {
    Reaction::perform([ParticipantAction::AnswerPeer { to, txn, knowledge }])
}

fn committed(promise: &Promise) -> ParticipantRecord {
    ParticipantRecord::Committed { txn: promise.txn.clone(), pledges: promise.pledges.clone() }
}

fn publish(promise: &Promise) -> Reaction {
    Reaction::perform([ParticipantAction::Publish {
        txn: promise.txn.clone(),
        pledges: promise.pledges.clone(),
    }])
}

/// No message is on its way for longer than this.
const TOMBSTONE: Duration = Duration::from_secs(3600);

/// A round takes two forced writes; only a decision that got lost takes longer.
pub(crate) const ASK_AGAIN: Patience =
    Patience { least: Duration::from_secs(2), most: Duration::from_secs(30) };
