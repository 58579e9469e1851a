//! A job is decided once, and for ever.

use votum_commit::CoordinatorRecord;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Looks at the decisions in the log.
pub(super) struct OneDecision;

impl Invariant for OneDecision {
    fn name(&self) -> &'static str {
        "one_decision"
    }

    fn rule(&self) -> &'static str {
        "the decision: the first record wins and excludes the other"
    }

    fn source(&self) -> &'static str {
        "Bernstein, Hadzilacos, Goodman 1987, AC2: a process cannot reverse its decision"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Logged(Record::Job(record)) = fact else { return Ok(()) };
        match &record.commit {
            Some(
                decided @ (CoordinatorRecord::CommitDecided { .. }
                | CoordinatorRecord::Aborting { .. }),
            ) => hold(known.decision.is_none(), || {
                format!("{:?} was decided, and then {decided:?}", known.decision)
            }),
            _ => Ok(()),
        }
    }
}
