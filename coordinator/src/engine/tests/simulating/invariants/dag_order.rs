//! A task begins after its predecessors, with what they have made.

use std::collections::BTreeSet;

use votum_ids::{AttemptId, Digest, OutputName};
use votum_job::{InputSource, Role};

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers what was ever made.
#[derive(Default)]
pub(super) struct DagOrder {
    made: BTreeSet<(AttemptId, OutputName, Digest)>,
}

impl Invariant for DagOrder {
    fn name(&self) -> &'static str {
        "dag_order"
    }

    fn rule(&self) -> &'static str {
        "RUNNING: tasks whose predecessors are STAGED are placed and run, with the digests reported"
    }

    fn source(&self) -> &'static str {
        "Garcia-Molina, Salem 1987: a step begins after those that it depends on"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        if let Fact::Kept { attempt, output, digest, .. } = fact {
            self.made.insert(((*attempt).clone(), (*output).clone(), *digest));
        }
        let Fact::Began { order, .. } = fact else { return Ok(()) };
        if !matches!(order.role, Role::Task) {
            return Ok(());
        }
        for before in order.spec.predecessors() {
            let sealed = known.sealed.iter().any(|(_, attempt)| attempt.task == *before);
            hold(sealed, || format!("{} begins before {before} is sealed", order.attempt))?;
        }
        for input in &order.inputs {
            let InputSource::Staged { attempt, output, digest, .. } = &input.source else {
                continue;
            };
            let same = self.made.contains(&(attempt.clone(), output.clone(), *digest));
            hold(same, || format!("{} reads {output}, which is not there", order.attempt))?;
        }
        Ok(())
    }
}
