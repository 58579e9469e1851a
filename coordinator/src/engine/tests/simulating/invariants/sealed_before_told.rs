//! Staged is said of what is sealed durably.

use votum_ids::AttemptId;
use votum_job::{AttemptEnd, AttemptState};
use votum_wire::FromWorker;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at reports and inventories.
pub(super) struct SealedBeforeTold;

impl Invariant for SealedBeforeTold {
    fn name(&self) -> &'static str {
        "sealed_before_told"
    }

    fn rule(&self) -> &'static str {
        "RUNNING: the worker's Sealed record is forced, then the attempt is reported STAGED"
    }

    fn source(&self) -> &'static str {
        "Gray, Reuter 1993, 10.3: the log record precedes the message that depends on it"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Said { from, frame } = fact else { return Ok(()) };
        let durable = |attempt: &AttemptId| {
            hold(known.sealed.contains(&((*from).clone(), attempt.clone())), || {
                format!("{} says that {attempt} is sealed, which is not durable", from.worker)
            })
        };
        match frame {
            FromWorker::Ended { attempt, end: AttemptEnd::Sealed { .. } } => durable(attempt),
            FromWorker::Inventory(page) => {
                let mut sealed = page.attempts.iter().filter(|listed| {
                    matches!(listed.state, AttemptState::Ended(AttemptEnd::Sealed { .. }))
                });
                sealed.try_for_each(|listed| durable(&listed.attempt))
            }
            _ => Ok(()),
        }
    }
}
