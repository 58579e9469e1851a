//! Epochs only grow.

use std::collections::BTreeMap;

use votum_commit::Installation;
use votum_ids::{Epoch, WorkerId};
use votum_wire::{FromCoordinator, FromWorker};
use votum_worker::Record as WorkerRecord;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers the largest ones.
#[derive(Default)]
pub(super) struct Epochs {
    chief: Option<Epoch>,
    workers: BTreeMap<Installation, Epoch>,
    /// Of the coordinator that has last welcomed each worker.
    welcomed: BTreeMap<WorkerId, Epoch>,
    /// What each worker has to know durably before it says anything.
    due: BTreeMap<Installation, Epoch>,
}

impl Invariant for Epochs {
    fn name(&self) -> &'static str {
        "epochs"
    }

    fn rule(&self) -> &'static str {
        "the epoch is raised at every start; a worker's largest one is durable and never falls"
    }

    fn source(&self) -> &'static str {
        "Lamport 1998, ballots; Burrows 2006, sequencers"
    }

    fn see(&mut self, fact: &Fact<'_>, _known: &Known) -> Held {
        match fact {
            Fact::ChiefStarted { epoch } => {
                let before = self.chief.replace(*epoch);
                hold(before.is_none_or(|before| before < *epoch), || {
                    format!("epoch {epoch} begins after {before:?}")
                })
            }
            Fact::Noted { at, record: WorkerRecord::EpochSeen { log } } => {
                let before = self.workers.insert((*at).clone(), log.epoch);
                hold(before.is_none_or(|before| before <= log.epoch), || {
                    format!("{} falls back from {before:?} to {}", at.worker, log.epoch)
                })
            }
            Fact::Sent { to, frame: FromCoordinator::Welcome { .. } } => {
                self.welcomed.extend(self.chief.map(|epoch| ((*to).clone(), epoch)));
                Ok(())
            }
            Fact::Heard { at, frame: FromCoordinator::Welcome { .. } } => {
                let epoch = self.welcomed.get(&at.worker).copied();
                self.due.extend(epoch.map(|epoch| ((*at).clone(), epoch)));
                Ok(())
            }
            Fact::Said { from, frame: FromWorker::InventoryEnded } => {
                let (due, durable) = (self.due.get(*from), self.workers.get(*from));
                hold(due <= durable, || {
                    format!("{} obeys epoch {due:?}, and {durable:?} is durable", from.worker)
                })
            }
            _ => Ok(()),
        }
    }
}
