//! Wakes whoever watches a job; says nothing about what changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use votum_ids::JobId;

/// The jobs that are watched; clones share one list.
///
/// A watcher that is slow sees the latest state and misses those in between,
/// so that it costs one number and no queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<BTreeMap<JobId, watch::Sender<u64>>>>);

impl Changes {
    /// Watches a job: the receiver changes whenever the job may have.
    pub(crate) fn watch(&self, job: &JobId) -> watch::Receiver<u64> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, watched| watched.receiver_count() > 0);
        jobs.entry(job.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Wakes the watchers of a job.
    pub(crate) fn wake(&self, job: &JobId) {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = jobs.get(job) {
            watched.send_modify(|changes| *changes += 1);
        }
    }
}
