//! What the coordinator says of a decision is durable in its log.

use votum_commit::{Decision, Message};
use votum_wire::FromCoordinator;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at what the coordinator says.
pub(super) struct LogBeforeSend;

impl Invariant for LogBeforeSend {
    fn name(&self) -> &'static str {
        "log_before_send"
    }

    fn rule(&self) -> &'static str {
        "C3, C6, C11: a decision is durable before any message that tells it; ABORT is presumed of unknown jobs alone"
    }

    fn source(&self) -> &'static str {
        "Gray 1978, write-ahead log; Mohan, Lindsay, Obermarck 1986, presumed abort"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Sent { to, frame: FromCoordinator::Commit(message) } = fact else {
            return Ok(());
        };
        match message {
            Message::Commit { txn, .. }
            | Message::TakeOver { txn, .. }
            | Message::Replaced { txn, .. } => {
                let logged = known.decision == Some(Decision::Commit);
                hold(logged && known.round.as_ref() == Some(txn), || {
                    format!("{to} is told of the commit of {txn}, which no durable record decides")
                })
            }
            Message::Abort { job } => hold(!known.excludes_abort(), || {
                format!("{to} is told that {job} aborts, which no durable record says")
            }),
            Message::RoundEnded { txn } => hold(known.round.as_ref() != Some(txn), || {
                format!("{to} is told that {txn} ended without commit, and it has committed")
            }),
            Message::Prepare { .. }
            | Message::Undecided { .. }
            | Message::Noted { .. }
            | Message::Release { .. } => Ok(()),
        }
    }
}
