//! Wakes whoever watches a job; says nothing about what changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{broadcast, watch};
use votum_ids::JobId;

/// The jobs that are watched; clones share one list.
///
/// A watcher that is slow sees the latest state and misses those in between,
/// so that it costs one number and no queue.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    jobs: Arc<Mutex<BTreeMap<JobId, watch::Sender<u64>>>>,
    /// Names every job that may have changed; who reads too slowly is told that it missed some.
    every: broadcast::Sender<JobId>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { jobs: Arc::default(), every: broadcast::Sender::new(NAMES_MAX) }
    }
}

impl Changes {
    /// Watches a job: the receiver changes whenever the job may have.
    pub(crate) fn watch(&self, job: &JobId) -> watch::Receiver<u64> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, watched| watched.receiver_count() > 0);
        jobs.entry(job.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Watches every job: receives the names of those that may have changed.
    pub(crate) fn watch_every(&self) -> broadcast::Receiver<JobId> {
        self.every.subscribe()
    }

    /// Wakes the watchers of a job.
    pub(crate) fn wake(&self, job: &JobId) {
        // Nobody may be watching.
        let _ = self.every.send(job.clone());
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = jobs.get(job) {
            watched.send_modify(|changes| *changes += 1);
        }
    }
}

/// So many names wait for whoever watches every job.
const NAMES_MAX: usize = 4096;
