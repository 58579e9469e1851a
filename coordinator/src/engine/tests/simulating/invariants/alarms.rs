//! No machine sees what the protocol excludes.

use super::{Held, Invariant};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at alarms.
pub(super) struct Alarms;

impl Invariant for Alarms {
    fn name(&self) -> &'static str {
        "alarms"
    }

    fn rule(&self) -> &'static str {
        "C1: COMMIT never finds a living, named installation out of doubt; no log is found stale"
    }

    fn source(&self) -> &'static str {
        "Bernstein, Hadzilacos, Goodman 1987, AC1, as a participant sees it"
    }

    fn see(&mut self, fact: &Fact<'_>, _known: &Known) -> Held {
        match fact {
            Fact::Alarmed { who, alarm } => Err(format!("{who}: {alarm}")),
            _ => Ok(()),
        }
    }
}
