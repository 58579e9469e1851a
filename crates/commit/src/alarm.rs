//! Observations that the protocol says cannot happen: raised, never swallowed.

use std::fmt;

use votum_ids::{ClusterId, JobId, TxnId};

use crate::Installation;

/// Something that no sequence of faults explains: a bug, a foreign log, or a forged message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// Commit reached a named installation that is not in doubt (C1).
    CommitOutOfDoubt {
        /// The round.
        txn: TxnId,
    },
    /// A participant of the round voted both ways.
    ContradictoryVote {
        /// The round.
        txn: TxnId,
        /// Who.
        by: Installation,
    },
    /// A worker was told Commit for a job whose abort is recorded here.
    CommitOfAbortedJob {
        /// The job.
        job: JobId,
        /// Who says so.
        by: Installation,
    },
    /// A worker was told Commit for another round of a job than the one that was decided here.
    CommitOfAnotherRound {
        /// The round that it was told.
        txn: TxnId,
        /// Who says so.
        by: Installation,
    },
    /// A worker has seen the log further than it reaches here: decisions may be missing (C6).
    StaleLog {
        /// Who says so.
        by: Installation,
    },
    /// A worker has seen the log of another cluster: its session must be refused.
    ForeignLog {
        /// Who says so.
        by: Installation,
        /// Whose log it has seen.
        cluster: ClusterId,
    },
    /// A vote of somebody whom the round does not name.
    StrangeVote {
        /// The round.
        txn: TxnId,
        /// Who.
        by: Installation,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommitOutOfDoubt { txn } => {
                write!(f, "commit of {txn} came while nobody here was in doubt")
            }
            Self::ContradictoryVote { txn, by } => {
                write!(f, "{} voted both ways in {txn}", by.worker)
            }
            Self::CommitOfAbortedJob { job, by } => {
                write!(f, "{} was told to commit {job}, whose abort is recorded", by.worker)
            }
            Self::CommitOfAnotherRound { txn, by } => {
                write!(f, "{} was told to commit {txn}, which is not the round decided", by.worker)
            }
            Self::StaleLog { by } => {
                write!(f, "{} has seen decisions that this log does not hold", by.worker)
            }
            Self::ForeignLog { by, cluster } => {
                write!(f, "{} belongs to the cluster {cluster}", by.worker)
            }
            Self::StrangeVote { txn, by } => {
                write!(f, "{} voted in {txn}, which does not name it", by.worker)
            }
        }
    }
}
