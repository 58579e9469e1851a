//! Numbers that outlive a lease: who is older loses, whatever the clocks say.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{JobId, TaskId};

/// Counts the starts of the coordinator; raised and forced before any session.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the epoch of the next start.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Orders the attempts of a task: a larger token fences every smaller one.
///
/// Ordered by epoch, then by counter, so that two coordinators never give out
/// the same token. The textual form is `<epoch>.<counter>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    /// Of the coordinator that gave it out.
    pub epoch: Epoch,
    /// Counts within the epoch, from 1.
    pub counter: u64,
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.counter)
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One execution of one task on one worker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// The task in it.
    pub task: TaskId,
    /// What tells this attempt from every other of the task.
    pub token: FencingToken,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.job, self.task, self.token)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One round of votes on one job; every message of the round carries it.
///
/// The textual form, on the wire and in logs, is `<job>:<epoch>.<counter>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TxnId {
    /// The job voted on.
    pub job: JobId,
    /// Of the coordinator that opened the round.
    pub epoch: Epoch,
    /// Counts the rounds of the job within the epoch, from 1.
    pub counter: u64,
}

/// A text that is no round.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a transaction id of the form <job>:<epoch>.<counter>")]
pub struct MalformedTxnId {
    /// What was given, cut to 120 characters.
    pub text: String,
}

impl FromStr for TxnId {
    type Err = MalformedTxnId;

    fn from_str(text: &str) -> Result<Self, MalformedTxnId> {
        let parse = || {
            let (job, round) = text.rsplit_once(':')?;
            let (epoch, counter) = round.split_once('.')?;
            Some(Self {
                job: JobId::new(job).ok()?,
                epoch: Epoch(epoch.parse().ok()?),
                counter: counter.parse().ok()?,
            })
        };
        parse().ok_or_else(|| MalformedTxnId { text: text.chars().take(120).collect() })
    }
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.job, self.epoch, self.counter)
    }
}

impl fmt::Debug for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(epoch: u64, counter: u64) -> FencingToken {
        FencingToken { epoch: Epoch(epoch), counter }
    }

    #[test]
    fn a_later_epoch_fences_every_earlier_counter() {
        assert!(token(1, 900) < token(2, 1));
        assert!(token(2, 1) < token(2, 2));
    }

    #[test]
    fn a_round_survives_its_textual_form() {
        let txn = TxnId { job: JobId::new("sales-7").unwrap(), epoch: Epoch(3), counter: 2 };
        assert_eq!(txn.to_string().parse(), Ok(txn));
        assert!("sales-7".parse::<TxnId>().is_err());
    }
}
