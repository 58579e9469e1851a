//! Checkpoints that programs save, and workers copy and lose.

use std::collections::BTreeSet;

use votum_ids::{CheckpointId, Digest, JobId, WorkerId};
use votum_job::{HeldCheckpoint, ResumePoint};
use votum_schedule::Event;

use super::{Chaos, SimAttempt};

impl Chaos {
    /// Lets a program save its state.
    pub(super) fn save(&mut self, name: &WorkerId) {
        let runs = |attempt: &SimAttempt| attempt.end.is_none() && attempt.copies.is_none();
        let Some(attempt) = self.any_attempt(name, runs) else { return };
        let sim = self.workers.get_mut(name).unwrap();
        let consumed = sim.attempts[&attempt].consumed.clone();
        let earlier = self.saved.keys().filter(|id| id.attempt == attempt).count();
        let sequence = u64::try_from(earlier).unwrap() + 1;
        let id = CheckpointId { attempt, sequence };
        self.saved.insert(id.clone(), consumed);
        let held = held(id, name);
        sim.checkpoints.insert(held.id.clone(), held.clone());
        if sim.connected {
            self.world.step(Event::CheckpointHeld { worker: name.clone(), held });
        }
    }

    /// Lets a worker lose a checkpoint, of which it tells at once or with its next inventory.
    pub(super) fn lose_checkpoint(&mut self, name: &WorkerId) {
        let sim = self.workers.get_mut(name).unwrap();
        let count = sim.checkpoints.len() as u64;
        if count == 0 {
            return;
        }
        let at = usize::try_from(self.random.below(count)).unwrap();
        let id = sim.checkpoints.keys().nth(at).unwrap().clone();
        sim.checkpoints.remove(&id);
        if sim.connected {
            self.world.step(Event::CheckpointGone { worker: name.clone(), id });
        }
    }

    /// Lists what a worker has saved; what is of a job that is over goes.
    pub(super) fn list_checkpoints(&mut self, name: &WorkerId) {
        let open: BTreeSet<JobId> = self.world.scheduler.jobs().cloned().collect();
        let sim = self.workers.get_mut(name).unwrap();
        sim.checkpoints.retain(|id, _| open.contains(&id.attempt.job));
        for held in sim.checkpoints.values().cloned().collect::<Vec<_>>() {
            self.world.step(Event::CheckpointHeld { worker: name.clone(), held });
            if self.random.below(3) == 0 {
                self.world.settle();
            }
            self.serve();
        }
    }

    /// Lets a worker copy a checkpoint, if somebody still has it and both are there.
    pub(super) fn copy(&mut self, name: &WorkerId, point: &ResumePoint) {
        assert!(point.holders.iter().all(|holder| holder.worker != *name), "seed {}", self.seed);
        let has = |name: &WorkerId| {
            let sim = &self.workers[name];
            sim.connected && sim.checkpoints.contains_key(&point.id)
        };
        let reached = point.holders.iter().any(|holder| has(&holder.worker));
        let sim = self.workers.get_mut(name).unwrap();
        if !sim.connected || !reached || self.random.below(4) == 0 {
            return;
        }
        let held = held(point.id.clone(), name);
        sim.checkpoints.insert(held.id.clone(), held.clone());
        self.world.step(Event::CheckpointHeld { worker: name.clone(), held });
    }
}

/// Describes the copy of a checkpoint that a worker has.
fn held(id: CheckpointId, worker: &WorkerId) -> HeldCheckpoint {
    let content = id.attempt.task.as_str().bytes().fold(3_u8, u8::wrapping_add);
    let digest = Digest([content.wrapping_add(u8::try_from(id.sequence % 251).unwrap()); 32]);
    HeldCheckpoint { id, digest, bytes: 100, steps: 0, read_token: format!("of {worker}") }
}
