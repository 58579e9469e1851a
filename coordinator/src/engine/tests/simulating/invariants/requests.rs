//! Every try of a hook is the same request, byte for byte, and none is repeated unasked that may
//! have taken effect.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::Decision;
use votum_ids::TaskId;
use votum_job::Role;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers the first request of each hook, and what nobody knows of.
#[derive(Default)]
pub(super) struct Requests {
    first: BTreeMap<TaskId, (String, String)>,
    unseen: BTreeSet<TaskId>,
}

impl Invariant for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn rule(&self) -> &'static str {
        "section 2: stable idempotency key, byte-identical request; what may have happened waits for a person"
    }

    fn source(&self) -> &'static str {
        "Helland 2007, idempotence by naming the work; Gray, Reuter 1993, testable actions"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Began { order, .. } => match &order.role {
                Role::Task => Ok(()),
                Role::Hook(hook) => {
                    let told = match known.decision {
                        Some(Decision::Commit) => "commit",
                        Some(Decision::Abort) => "abort",
                        None => "nothing",
                    };
                    hold(hook.verdict == told, || {
                        format!("{} is told {}, and {told} is decided", order.attempt, hook.verdict)
                    })?;
                    self.same(&order.attempt.task, &hook.key, &hook.announcement)
                }
            },
            Fact::Posted { hook, key, body } => {
                hold(!self.unseen.contains(*hook), || {
                    format!("{hook} is sent again without being asked about")
                })?;
                self.same(hook, key, body)
            }
            Fact::LostSight { hook } => {
                self.unseen.insert((*hook).clone());
                Ok(())
            }
            Fact::Looked { hook } => {
                self.unseen.remove(*hook);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Requests {
    fn same(&mut self, hook: &TaskId, key: &str, body: &str) -> Held {
        let request = (key.to_owned(), body.to_owned());
        let first = self.first.entry(hook.clone()).or_insert_with(|| request.clone());
        hold(*first == request, || format!("{hook} was {first:?} first, and is {request:?}"))
    }
}
