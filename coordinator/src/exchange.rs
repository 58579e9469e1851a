//! What was exchanged with the participants of a round: shown to people, and nothing rests on it.

use std::collections::BTreeMap;

use votum_commit::{Installation, Reply, Vote};
use votum_ids::TxnId;
use votum_machine::WallTime;

/// The words of one round, as far as this start of the coordinator has heard and said them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    txn: Option<TxnId>,
    talks: BTreeMap<Installation, Talk>,
}

/// What was exchanged with one participant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talk {
    /// Its vote and when it came; the first stands.
    pub(crate) vote: Option<(Vote, WallTime)>,
    /// How often COMMIT was sent to it.
    pub(crate) commits_sent: u32,
    /// When it was sent last.
    pub(crate) commit_sent: Option<WallTime>,
    /// When it first acknowledged.
    pub(crate) acknowledged: Option<WallTime>,
}

impl Exchange {
    /// Begins with a round: what was said in the one before does not count.
    pub(crate) fn open(&mut self, txn: TxnId) {
        *self = Self { txn: Some(txn), talks: BTreeMap::new() };
    }

    /// Notes what a participant says; of another round it does not count.
    pub(crate) fn hear(&mut self, at: WallTime, from: &Installation, reply: &Reply) {
        match reply {
            Reply::Voted { txn, vote } if self.txn.as_ref() == Some(txn) => {
                self.talk(from).vote.get_or_insert_with(|| (vote.clone(), at));
            }
            Reply::Acked { txn } if self.txn.as_ref() == Some(txn) => {
                self.talk(from).acknowledged.get_or_insert(at);
            }
            Reply::TookOver { txn, .. } if self.txn.as_ref() == Some(txn) => {
                self.talk(from).acknowledged.get_or_insert(at);
            }
            Reply::Voted { .. }
            | Reply::Acked { .. }
            | Reply::TookOver { .. }
            | Reply::Declined { .. }
            | Reply::StoodDown { .. }
            | Reply::Forced(_)
            | Reply::Inquired { .. } => {}
        }
    }

    /// Notes that a participant is sent the commit of a round.
    pub(crate) fn send_commit(&mut self, at: WallTime, txn: &TxnId, to: &Installation) {
        if self.txn.as_ref() != Some(txn) {
            self.open(txn.clone()); // Decided at an earlier start of the coordinator.
        }
        let talk = self.talk(to);
        talk.commits_sent = talk.commits_sent.saturating_add(1);
        talk.commit_sent = Some(at);
    }

    /// Returns the round.
    pub(crate) fn txn(&self) -> Option<&TxnId> {
        self.txn.as_ref()
    }

    /// Returns everybody with whom words were exchanged.
    pub(crate) fn installations(&self) -> impl Iterator<Item = &Installation> {
        self.talks.keys()
    }

    /// Returns what was exchanged with a participant.
    pub(crate) fn with(&self, participant: &Installation) -> Talk {
        self.talks.get(participant).cloned().unwrap_or_default()
    }

    fn talk(&mut self, with: &Installation) -> &mut Talk {
        self.talks.entry(with.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use votum_ids::{Epoch, JobId, WorkerId, WorkerUid};

    use super::*;

    fn installation() -> Installation {
        Installation { worker: WorkerId::new("s1").unwrap(), uid: WorkerUid(Uuid::nil()) }
    }

    fn txn(counter: u64) -> TxnId {
        TxnId { job: JobId::new("sales-7").unwrap(), epoch: Epoch(1), counter }
    }

    #[test]
    fn a_round_begins_with_nothing_said() {
        let mut exchange = Exchange::default();
        exchange.open(txn(1));
        let voted = Reply::Voted { txn: txn(1), vote: Vote::Yes };
        exchange.hear(WallTime(5), &installation(), &voted);
        assert_eq!(exchange.with(&installation()).vote, Some((Vote::Yes, WallTime(5))));

        exchange.open(txn(2));
        exchange.hear(WallTime(6), &installation(), &voted);
        assert_eq!(exchange.with(&installation()).vote, None);
    }

    #[test]
    fn every_commit_that_is_sent_counts() {
        let mut exchange = Exchange::default();
        for at in [7, 8] {
            exchange.send_commit(WallTime(at), &txn(1), &installation());
        }
        let acked = Reply::Acked { txn: txn(1) };
        for at in [9, 10] {
            exchange.hear(WallTime(at), &installation(), &acked);
        }
        let talk = exchange.with(&installation());
        assert_eq!((talk.commits_sent, talk.commit_sent), (2, Some(WallTime(8))));
        assert_eq!(talk.acknowledged, Some(WallTime(9)));
    }
}
