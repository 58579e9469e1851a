//! The checkpoints that this worker has, by job: the last few of each task.

use std::collections::BTreeMap;

use votum_ids::{AttemptId, CheckpointId, JobId};
use votum_job::{CHECKPOINTS_KEPT, HeldCheckpoint};

/// The checkpoints that this worker has.
#[derive(Debug, Default)]
pub(crate) struct Saved(BTreeMap<JobId, BTreeMap<CheckpointId, HeldCheckpoint>>);

impl Saved {
    /// Adds one; returns those that it makes superfluous, perhaps itself.
    pub(crate) fn hold(&mut self, held: HeldCheckpoint) -> Vec<CheckpointId> {
        let id = held.id.clone();
        let job = self.0.entry(id.attempt.job.clone()).or_default();
        job.insert(id.clone(), held);
        let task = job.keys().filter(|one| one.attempt.task == id.attempt.task);
        let superfluous: Vec<CheckpointId> = task.rev().skip(CHECKPOINTS_KEPT).cloned().collect();
        for one in &superfluous {
            job.remove(one);
        }
        superfluous
    }

    /// Forgets one; says whether it was there.
    pub(crate) fn forget(&mut self, id: &CheckpointId) -> bool {
        let Some(job) = self.0.get_mut(&id.attempt.job) else { return false };
        let was_there = job.remove(id).is_some();
        if job.is_empty() {
            self.0.remove(&id.attempt.job);
        }
        was_there
    }

    /// Forgets all of a job; says whether there were any.
    pub(crate) fn forget_job(&mut self, job: &JobId) -> bool {
        self.0.remove(job).is_some()
    }

    /// Returns one.
    pub(crate) fn find(&self, id: &CheckpointId) -> Option<&HeldCheckpoint> {
        self.0.get(&id.attempt.job)?.get(id)
    }

    /// Returns the last one that an attempt has sealed.
    pub(crate) fn last_of(&self, attempt: &AttemptId) -> Option<&HeldCheckpoint> {
        self.0.get(&attempt.job)?.values().rfind(|held| held.id.attempt == *attempt)
    }

    /// Says whether there are any of a job.
    pub(crate) fn has_any_of(&self, job: &JobId) -> bool {
        self.0.contains_key(job)
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &HeldCheckpoint> {
        self.0.values().flat_map(BTreeMap::values)
    }
}
