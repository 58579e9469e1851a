//! How far the log is durable and indexed, for everyone who waits for it.

use std::sync::{
    Condvar, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::Lsn;

/// Rises only.
#[derive(Debug)]
pub(crate) struct Watermark {
    durable: AtomicU64,
    waiting: Mutex<()>,
    risen: Condvar,
}

impl Watermark {
    pub(crate) fn new(durable: Lsn) -> Self {
        Self { durable: AtomicU64::new(durable.0), waiting: Mutex::new(()), risen: Condvar::new() }
    }

    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, durable: Lsn) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.durable.store(durable.0, Ordering::Release);
        drop(waiting);
        self.risen.notify_all();
    }

    pub(crate) fn wait_for(&self, lsn: Lsn) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // The mutex guards nothing but the moment between the look and the wait.
        drop(self.risen.wait_while(waiting, |()| self.durable() < lsn));
    }
}
