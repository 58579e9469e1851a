//! Where the engine meets the commit protocol: what a participant asks for, in terms of attempts.

use votum_commit::{
    Heuristic, Knowledge, Message, Objection, ParticipantAction, ParticipantEvent,
    ParticipantRecord, Pledge, Reply, Vote,
};
use votum_ids::{AttemptId, JobId, TxnId};
use votum_machine::{Machine, Moment};
use votum_wire::FromWorker;

use crate::{
    action::Action,
    attempt::Attempt,
    engine::{Engine, Pending, Promise, Reaction, StopWish},
    record::Record,
};

impl Engine {
    /// Steps the participants, and says what they ask for in terms of attempts.
    pub(super) fn participate(&mut self, now: Moment, event: ParticipantEvent) -> Reaction {
        if job_of(&event).is_some_and(|job| self.quarantined.contains_key(job)) {
            return answer_of_quarantined(event);
        }
        if let Some(declined) = self.decline(&event) {
            return declined;
        }
        let released =
            matches!(event, ParticipantEvent::Received { message: Message::Release { .. }, .. });
        let published =
            if let ParticipantEvent::Published { txn } = &event { Some(txn.clone()) } else { None };
        let of = job_of(&event).cloned();
        let doubt = self.doubt_before(&event, of.as_ref());
        let votum_machine::Reaction { record, actions } = self.participants.step(now, event);
        let told = self.doubt_after(now, doubt, record.as_ref(), &actions);
        let mut reaction = Reaction::none();
        // It is acknowledged once; a repeated word about it changes nothing.
        if let Some(txn) = published.filter(|_| !actions.is_empty()) {
            reaction = reaction.durably(Record::Published { txn });
        }
        let end = match (&record, released) {
            (Some(_), true) => JobEnd::Released,
            (None, true) => JobEnd::ReleasedUnknown,
            (_, false) => JobEnd::Aborted,
        };
        if let Some(record) = record {
            self.note(&record);
            reaction = reaction.durably(Record::Participant(record));
        }
        for action in actions {
            reaction.actions.extend(self.translate(action, end));
        }
        reaction.actions.extend(told);
        if let Some(job) = of.filter(|_| released) {
            self.release_checkpoints(&job, &mut reaction);
        }
        reaction
    }

    /// Answers the order to publish what another promised, where it is not held here.
    ///
    /// Where nothing of the job is known any more it was published and released.
    fn decline(&self, event: &ParticipantEvent) -> Option<Reaction> {
        let ParticipantEvent::Received { message, .. } = event else { return None };
        let Message::TakeOver { txn, holder, number, pledges } = message else { return None };
        let known = self.attempts.of_job(&txn.job).next().is_some();
        let held = pledges.iter().all(|pledge| self.attempts.holds(&txn.job, pledge));
        if !known || held || holder.uid != self.me.uid {
            return None;
        }
        let reply = Reply::Declined { txn: txn.clone(), number: *number };
        Some(Reaction::perform([Action::Send(FromWorker::Commit(reply))]))
    }

    /// Follows what the commit protocol has made of a job.
    pub(crate) fn note(&mut self, record: &ParticipantRecord) {
        match record {
            ParticipantRecord::Prepared { txn, .. }
            // What is staged is kept until the decision is known, whatever was forced (C9).
            | ParticipantRecord::Forced(Heuristic { txn, .. }) => {
                self.promises.insert(txn.job.clone(), Promise::Prepared);
            }
            ParticipantRecord::Committed { txn, .. }
            | ParticipantRecord::TakenOver { txn, .. }
            | ParticipantRecord::StoodDown { txn, .. } => {
                self.promises.insert(txn.job.clone(), Promise::Committed);
            }
            ParticipantRecord::Aborted { job } => {
                self.promises.insert(job.clone(), Promise::Aborted);
            }
            ParticipantRecord::RoundEnded { txn } => {
                self.promises.remove(&txn.job);
            }
            ParticipantRecord::Released { job } => {
                self.promises.remove(job);
            }
            // It promises nothing but No.
            ParticipantRecord::Refused { .. } => {}
        }
    }

    fn translate(&mut self, action: ParticipantAction, end: JobEnd) -> Vec<Action> {
        match action {
            ParticipantAction::Send(reply) => vec![Action::Send(FromWorker::Commit(reply))],
            ParticipantAction::Check { txn, pledges } => {
                self.check(txn, pledges).into_iter().collect()
            }
            ParticipantAction::Publish { txn, pledges } => vec![Action::Publish { txn, pledges }],
            ParticipantAction::TakeOver { txn, number, pledges } => {
                vec![Action::TakeOver { txn, number, pledges }]
            }
            ParticipantAction::Withdraw { txn, number, pledges } => {
                vec![Action::Withdraw { txn, number, pledges }]
            }
            ParticipantAction::Discard { job } => self.discard_job(&job, end),
            ParticipantAction::AskPeer { peer, txn } => vec![Action::AskPeer { peer, txn }],
            ParticipantAction::AnswerPeer { to, txn, knowledge } => {
                vec![Action::AnswerPeer { to, txn, knowledge }]
            }
            ParticipantAction::Raise(alarm) => vec![Action::Raise(alarm)],
        }
    }

    /// Lets the disk be looked at only for what the records say is sealed here.
    fn check(&mut self, txn: TxnId, pledges: Vec<Pledge>) -> Option<Action> {
        if pledges.iter().all(|pledge| self.attempts.holds(&txn.job, pledge)) {
            return Some(Action::Check { txn, pledges });
        }
        let result = Vote::No(Objection::NotHeld);
        self.pending.push_back(Pending::Participant(ParticipantEvent::Checked { txn, result }));
        None
    }

    /// Removes what an ended job staged here, as far as nothing of it is under way.
    fn discard_job(&mut self, job: &JobId, end: JobEnd) -> Vec<Action> {
        let ids: Vec<AttemptId> = self.attempts.of_job(job).map(|(id, _)| id).collect();
        let mut actions = Vec::new();
        for id in ids {
            // What is tried after the decision is no part of what was decided about.
            if end == JobEnd::Aborted && self.attempts.find(&id).is_some_and(Attempt::is_hook) {
                continue;
            }
            // How one that is live ends is still to be reported.
            if end == JobEnd::Aborted && self.attempts.find(&id).is_some_and(Attempt::is_live) {
                self.pending.push_back(Pending::Stop(id, StopWish::Aborted));
                continue;
            }
            let change = |attempt: &mut Attempt| match end {
                JobEnd::Released => attempt.forget(),
                JobEnd::Aborted if attempt.is_sealed() => attempt.forget(),
                JobEnd::Aborted | JobEnd::ReleasedUnknown => None,
            };
            actions.extend(self.attempts.alter(&id, change).flatten());
            if end == JobEnd::ReleasedUnknown {
                self.pending.push_back(Pending::Discard(id));
            }
        }
        if self.attempts.of_job(job).all(|(_, attempt)| !attempt.is_live()) {
            actions = vec![Action::DiscardJob(job.clone())];
        }
        actions
    }
}

/// Obeys nothing about a job whose records make no sense, but lets nobody wait for it: a round
/// gets its No, and a peer hears that nothing is known here.
fn answer_of_quarantined(event: ParticipantEvent) -> Reaction {
    match event {
        ParticipantEvent::Received { message: Message::Prepare { txn, .. }, .. } => {
            let vote = Vote::No(Objection::NotHeld);
            Reaction::perform([Action::Send(FromWorker::Commit(Reply::Voted { txn, vote }))])
        }
        ParticipantEvent::PeerAsked { txn, by: to, .. } => {
            let knowledge = Knowledge::Unknown;
            Reaction::perform([Action::AnswerPeer { to, txn, knowledge }])
        }
        ParticipantEvent::Received { .. }
        | ParticipantEvent::Sealed { .. }
        | ParticipantEvent::Checked { .. }
        | ParticipantEvent::Published { .. }
        | ParticipantEvent::TookOver { .. }
        | ParticipantEvent::Withdrawn { .. }
        | ParticipantEvent::PeerAnswered { .. }
        | ParticipantEvent::ForceAsked { .. }
        | ParticipantEvent::Connected
        | ParticipantEvent::Tick => Reaction::none(),
    }
}

/// Why everything of a job is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobEnd {
    /// Its abort is known, and recorded if anything was sealed for it.
    Aborted,
    /// It is over for everyone, and that is recorded.
    Released,
    /// It is over for everyone, and the commit protocol never knew of it here.
    ReleasedUnknown,
}

fn job_of(event: &ParticipantEvent) -> Option<&JobId> {
    match event {
        ParticipantEvent::Sealed { job } | ParticipantEvent::ForceAsked { job, .. } => Some(job),
        ParticipantEvent::Received { message, .. } => Some(match message {
            Message::Prepare { txn, .. }
            | Message::Commit { txn, .. }
            | Message::TakeOver { txn, .. }
            | Message::Replaced { txn, .. }
            | Message::Undecided { txn }
            | Message::RoundEnded { txn }
            | Message::Noted { txn } => &txn.job,
            Message::Abort { job } | Message::Release { job } => job,
        }),
        ParticipantEvent::Checked { txn, .. }
        | ParticipantEvent::Published { txn }
        | ParticipantEvent::TookOver { txn, .. }
        | ParticipantEvent::Withdrawn { txn, .. }
        | ParticipantEvent::PeerAsked { txn, .. }
        | ParticipantEvent::PeerAnswered { txn, .. } => Some(&txn.job),
        ParticipantEvent::Connected | ParticipantEvent::Tick => None,
    }
}
