//! Tells how long a promise has waited for its decision; nothing is decided by it.

use std::time::Duration;

use votum_commit::{ParticipantAction, ParticipantEvent, ParticipantRecord, Reply};
use votum_ids::{JobId, TxnId};
use votum_machine::Moment;

use crate::{
    action::Action,
    doubts::{DoubtKind, DoubtNews, Learned, Teller},
    engine::Engine,
};

/// What is looked at around one step of the participants.
pub(super) struct Before {
    job: Option<JobId>,
    txn: Option<TxnId>,
    teller: Teller,
}

impl Engine {
    /// Returns how many rounds are in doubt here, and how long the oldest has been.
    pub(crate) fn doubt(&self, now: Moment) -> (usize, Option<Duration>) {
        self.doubts.sum(now)
    }

    /// Looks before a step of the participants; `job` is the one that its event names.
    pub(super) fn doubt_before(&self, event: &ParticipantEvent, job: Option<&JobId>) -> Before {
        let told_by_peer = matches!(event, ParticipantEvent::PeerAnswered { .. });
        let by_force = matches!(event, ParticipantEvent::ForceAsked { .. });
        Before {
            job: job.cloned(),
            txn: job.and_then(|job| self.participants.doubt(job)).cloned(),
            teller: match (told_by_peer, by_force) {
                (true, _) => Teller::Peer,
                (_, true) => Teller::Person,
                (false, false) => Teller::Coordinator,
            },
        }
    }

    /// Looks after the step, and returns what there is to tell.
    pub(super) fn doubt_after(
        &mut self,
        now: Moment,
        before: Before,
        record: Option<&ParticipantRecord>,
        asked: &[ParticipantAction],
    ) -> Vec<Action> {
        let mut news: Vec<DoubtNews> = self.still_in_doubt(now, asked).into_iter().collect();
        let after = before.job.as_ref().and_then(|job| self.participants.doubt(job)).cloned();
        if after != before.txn {
            if let Some(txn) = before.txn
                && let Some(age) = self.doubts.end(now, &txn)
            {
                let kind = DoubtKind::Ended { learned: learned(record), from: before.teller };
                news.push(DoubtNews { txn, age, kind });
            }
            if let Some(txn) = after {
                self.doubts.begin(now, txn);
            }
        }
        news.into_iter().map(Action::TellDoubt).collect()
    }

    /// Goes on measuring a doubt that an earlier start of the daemon has recorded so long ago.
    pub(crate) fn resume_doubt(&mut self, job: &JobId, age: Duration) {
        if let Some(txn) = self.participants.doubt(job) {
            self.doubts.resume(txn.clone(), age);
        }
    }

    fn still_in_doubt(&self, now: Moment, asked: &[ParticipantAction]) -> Option<DoubtNews> {
        let txn = asked.iter().find_map(|action| match action {
            ParticipantAction::Send(Reply::Inquired { txn, committed: false }) => Some(txn),
            ParticipantAction::Send(_)
            | ParticipantAction::Check { .. }
            | ParticipantAction::Publish { .. }
            | ParticipantAction::TakeOver { .. }
            | ParticipantAction::Withdraw { .. }
            | ParticipantAction::Discard { .. }
            | ParticipantAction::AskPeer { .. }
            | ParticipantAction::AnswerPeer { .. }
            | ParticipantAction::Raise(_) => None,
        })?;
        let peers = asked.iter().filter(|one| matches!(one, ParticipantAction::AskPeer { .. }));
        let kind = DoubtKind::Lasts { peers: peers.count() };
        Some(DoubtNews { txn: txn.clone(), age: self.doubts.age(now, txn)?, kind })
    }
}

fn learned(record: Option<&ParticipantRecord>) -> Learned {
    match record {
        Some(
            ParticipantRecord::Committed { .. }
            | ParticipantRecord::TakenOver { .. }
            | ParticipantRecord::StoodDown { .. },
        ) => Learned::Commit,
        Some(ParticipantRecord::Aborted { .. }) => Learned::Abort,
        Some(ParticipantRecord::Forced(_)) => Learned::Nothing,
        // A later Prepare ends the earlier round without a record.
        Some(
            ParticipantRecord::RoundEnded { .. }
            | ParticipantRecord::Prepared { .. }
            | ParticipantRecord::Refused { .. }
            | ParticipantRecord::Released { .. },
        )
        | None => Learned::RoundEnded,
    }
}
