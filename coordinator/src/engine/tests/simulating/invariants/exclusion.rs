//! What acts outside of its staging never does so twice at a time.

use std::collections::BTreeMap;

use votum_ids::{AttemptId, TaskId};
use votum_job::Role;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers what runs and acts outside.
#[derive(Default)]
pub(super) struct Exclusion {
    acting: BTreeMap<TaskId, AttemptId>,
}

impl Invariant for Exclusion {
    fn name(&self) -> &'static str {
        "exclusion"
    }

    fn rule(&self) -> &'static str {
        "R1, R3: a successor or compensation of what acts outside begins after its end"
    }

    fn source(&self) -> &'static str {
        "Gray, Cheriton 1989: a lease ends at its holder before it ends at its grantor"
    }

    fn see(&mut self, fact: &Fact<'_>, _known: &Known) -> Held {
        match fact {
            Fact::Began { order, .. } => {
                let undoes = match &order.role {
                    Role::Task => order.spec.acts_outside(),
                    Role::Hook(hook) => !hook.undoes.is_empty(),
                };
                if !undoes {
                    return Ok(());
                }
                let attempt = order.attempt.clone();
                let other = self.acting.insert(attempt.task.clone(), attempt.clone());
                hold(other.is_none(), || format!("{attempt} begins while {other:?} acts outside"))
            }
            Fact::Ended { order, .. } => {
                if self.acting.get(&order.attempt.task) == Some(&order.attempt) {
                    self.acting.remove(&order.attempt.task);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
