//! How long this worker has been in doubt about each job: measured and told, never decided by.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{JobId, TxnId};
use votum_machine::Moment;

/// The rounds that are in doubt here, and since when.
#[derive(Debug, Default)]
pub(crate) struct Doubts(BTreeMap<JobId, Since>);

#[derive(Debug)]
struct Since {
    txn: TxnId,
    at: Moment,
    /// Spent before this start of the daemon, by the wall clock.
    before: Duration,
}

/// What is told about a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtNews {
    /// The round.
    pub txn: TxnId,
    /// How long ago its Prepared was recorded.
    pub age: Duration,
    /// What there is to tell.
    pub kind: DoubtKind,
}

/// How a doubt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtKind {
    /// The decision is not known: the coordinator is asked, and so many peers (C5).
    Lasts {
        /// None while the coordinator may still answer.
        peers: usize,
    },
    /// The doubt has ended.
    Ended {
        /// By which word.
        learned: Learned,
        /// Whose word it was.
        from: Teller,
    },
}

/// What ended a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The round committed.
    Commit,
    /// The job aborts.
    Abort,
    /// The round ended without commit; the job goes on, and nothing is discarded (C10).
    RoundEnded,
    /// No decision: a person has forced an outcome here (H2).
    Nothing,
}

/// Who ended a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// The coordinator.
    Coordinator,
    /// Another participant of the round (C7).
    Peer,
    /// A person on this machine.
    Person,
}

impl Doubts {
    /// Notes that a promise was recorded.
    pub(crate) fn begin(&mut self, now: Moment, txn: TxnId) {
        self.0.insert(txn.job.clone(), Since { txn, at: now, before: Duration::ZERO });
    }

    /// Notes a promise that an earlier start of the daemon has recorded so long ago.
    pub(crate) fn resume(&mut self, txn: TxnId, before: Duration) {
        self.0.insert(txn.job.clone(), Since { txn, at: Moment::START, before });
    }

    /// Returns how long a round has been in doubt; none if it is not.
    pub(crate) fn age(&self, now: Moment, txn: &TxnId) -> Option<Duration> {
        let since = self.0.get(&txn.job).filter(|since| since.txn == *txn)?;
        Some(since.before.saturating_add(now.since(since.at)))
    }

    /// Returns how many rounds are in doubt, and how long the oldest has been.
    pub(crate) fn sum(&self, now: Moment) -> (usize, Option<Duration>) {
        let ages = self.0.values().map(|since| since.before.saturating_add(now.since(since.at)));
        (self.0.len(), ages.max())
    }

    /// Notes that a round is not in doubt any more; returns how long it was.
    pub(crate) fn end(&mut self, now: Moment, txn: &TxnId) -> Option<Duration> {
        let age = self.age(now, txn)?;
        self.0.remove(&txn.job);
        Some(age)
    }
}

impl DoubtNews {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let Self { txn, age, kind } = self;
        match kind {
            DoubtKind::Lasts { peers: 0 } => {
                tracing::info!(%txn, ?age, "in doubt: asks the coordinator for the decision");
            }
            DoubtKind::Lasts { peers } => tracing::info!(
                %txn, ?age, peers,
                "in doubt: the coordinator gives no answer; asks it again, and the peers"
            ),
            DoubtKind::Ended { learned, from } => {
                let learned = match learned {
                    Learned::Commit => "COMMIT",
                    Learned::Abort => "ABORT",
                    Learned::RoundEnded => "the round ended without commit",
                    Learned::Nothing => "nothing: an outcome was forced",
                };
                let from = match from {
                    Teller::Coordinator => "coordinator",
                    Teller::Peer => "peer",
                    Teller::Person => "person",
                };
                tracing::info!(%txn, ?age, learned, from, "left doubt");
            }
        }
    }
}
