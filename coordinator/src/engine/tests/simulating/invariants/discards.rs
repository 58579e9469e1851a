//! Bytes go on proof alone.

use std::collections::BTreeSet;

use votum_commit::{Decision, Installation, Message};
use votum_ids::AttemptId;
use votum_wire::FromCoordinator;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers what the coordinator has told each worker.
#[derive(Default)]
pub(super) struct Discards {
    /// Its job is over, or undecided no more.
    told: BTreeSet<Installation>,
    /// Nobody wants this attempt.
    unwanted: BTreeSet<(Installation, AttemptId)>,
    /// A later attempt takes its place.
    started: BTreeSet<(Installation, AttemptId)>,
}

impl Invariant for Discards {
    fn name(&self) -> &'static str {
        "discards"
    }

    fn rule(&self) -> &'static str {
        "C9: a worker discards only on proof; a lost answer and a crash prove nothing"
    }

    fn source(&self) -> &'static str {
        "Gray 1978: undo follows the recorded abort; Lampson, Sturgis 1979: intentions outlive crashes"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Heard { at, frame } => {
                let at = (*at).clone();
                match frame {
                    FromCoordinator::Commit(
                        Message::Abort { .. }
                        | Message::Release { .. }
                        | Message::Commit { .. }
                        | Message::Replaced { .. },
                    ) => drop(self.told.insert(at)),
                    FromCoordinator::Discard { attempt } => {
                        self.unwanted.insert((at, attempt.clone()));
                    }
                    FromCoordinator::Start(order) => {
                        self.started.insert((at, order.attempt.clone()));
                    }
                    _ => {}
                }
                Ok(())
            }
            Fact::Dropped { at, attempt } => {
                let (at, attempt) = ((*at).clone(), (*attempt).clone());
                let place = (at.clone(), attempt.clone());
                if !known.sealed.contains(&place) {
                    return Ok(());
                }
                let later = self.started.iter().any(|(there, order)| {
                    *there == at && order.task == attempt.task && order.token > attempt.token
                });
                let proven = self.told.contains(&at) || self.unwanted.contains(&place) || later;
                hold(proven, || format!("{} removes {attempt} without a proof", at.worker))?;
                self.keeps_what_it_owes(&at, &attempt, known)
            }
            _ => Ok(()),
        }
    }
}

impl Discards {
    fn keeps_what_it_owes(&self, at: &Installation, attempt: &AttemptId, known: &Known) -> Held {
        if known.has_forced(at, Decision::Abort) {
            return Ok(());
        }
        let mut owed = known.owners.iter().filter(|(output, owner)| {
            let named = known.shares.iter().flat_map(|share| &share.pledges).any(|pledge| {
                pledge.task == attempt.task
                    && pledge.token == attempt.token
                    && pledge.output == output.1
            });
            *owner == at && output.0 == attempt.task && named
        });
        let missing = owed.find(|(output, owner)| {
            !known.ever_shown.contains(&((*owner).clone(), (*output).clone()))
        });
        hold(missing.is_none(), || format!("{} removes {attempt}, and owes {missing:?}", at.worker))
    }
}
