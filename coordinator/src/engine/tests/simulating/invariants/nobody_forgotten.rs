//! A commit is forgotten only when everybody who voted Yes is done with it.

use std::collections::BTreeSet;

use votum_commit::{Decision, Installation, Message, Reply};
use votum_wire::{FromCoordinator, FromWorker};

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Remembers who has said that it is done.
#[derive(Default)]
pub(super) struct NobodyForgotten {
    done: BTreeSet<Installation>,
}

impl NobodyForgotten {
    fn missing<'a>(&self, known: &'a Known) -> Option<&'a Installation> {
        let named = known.shares.iter().filter(|share| share.updates());
        named.map(|share| &share.holder).chain(known.owners.values()).find(|holder| {
            let replaced = known.replaced.contains(*holder) && known.gone.contains(*holder);
            let excused = known.heuristics.contains(*holder) || known.removed.contains(*holder);
            !(self.done.contains(*holder) || excused || replaced)
        })
    }
}

impl Invariant for NobodyForgotten {
    fn name(&self) -> &'static str {
        "nobody_forgotten"
    }

    fn rule(&self) -> &'static str {
        "C8, C14: COMMIT is forgotten only when every YES voter has acknowledged, was replaced, or was removed"
    }

    fn source(&self) -> &'static str {
        "Mohan, Lindsay, Obermarck 1986, section 3: the end record follows the last ack"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Said {
                from,
                frame:
                    FromWorker::Commit(
                        Reply::Acked { .. } | Reply::TookOver { .. } | Reply::StoodDown { .. },
                    ),
            } => {
                self.done.insert((*from).clone());
                Ok(())
            }
            Fact::Logged(Record::Job(record)) if record.closing.is_some() => {
                // The record that ends the last wait may be this one.
                let last = matches!(
                    record.commit,
                    Some(
                        votum_commit::CoordinatorRecord::Heuristic { .. }
                            | votum_commit::CoordinatorRecord::Removed { .. }
                    )
                );
                if known.decision != Some(Decision::Commit) || last {
                    return Ok(());
                }
                let missing = self.missing(known);
                hold(missing.is_none(), || {
                    format!("the commit is forgotten, and {missing:?} is not done with it")
                })
            }
            Fact::Sent { to, frame: FromCoordinator::Commit(Message::Release { .. }) } => {
                let waits = known.owners.values().find(|owner| owner.worker == **to);
                let done = waits.is_none_or(|owner| {
                    self.done.contains(owner)
                        || known.heuristics.contains(owner)
                        || known.given_up.contains(owner)
                        || known.gone.contains(owner)
                });
                hold(done, || format!("{to} is released before it has acknowledged"))
            }
            _ => Ok(()),
        }
    }
}
