//! A daemon's half of the fake world: a real machine, and a journal that can lose its tail.

use std::time::Duration;

use votum_commit::{Coordinator, CoordinatorRecord, ParticipantRecord, Participants};
use votum_ids::WorkerUid;
use votum_machine::Moment;

/// Records in order; what is lazy becomes durable with the next forced one.
#[derive(Debug)]
pub(crate) struct Journal<R> {
    pub(crate) durable: Vec<R>,
    pub(crate) lazy: Vec<R>,
    pub(crate) forced: usize,
}

impl<R> Journal<R> {
    pub(crate) fn empty() -> Self {
        Self { durable: Vec::new(), lazy: Vec::new(), forced: 0 }
    }

    pub(crate) fn append(&mut self, record: R, forced: bool) {
        self.lazy.push(record);
        if forced {
            self.forced += 1;
            self.sync();
        }
    }

    /// Makes everything durable, as it happens 100 ms after a lazy record at the latest.
    pub(crate) fn sync(&mut self) {
        self.durable.append(&mut self.lazy);
    }

    /// Loses what no sync has covered.
    pub(crate) fn crash(&mut self) {
        self.lazy.clear();
    }
}

/// The coordinator's daemon.
#[derive(Debug)]
pub(crate) struct Chief {
    pub(crate) machine: Option<Coordinator>,
    pub(crate) journal: Journal<CoordinatorRecord>,
    pub(crate) epoch: u64,
    pub(crate) started: Duration,
    pub(crate) crash: Option<CrashPoint>,
}

/// A worker's daemon.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) machine: Option<Participants>,
    pub(crate) journal: Journal<ParticipantRecord>,
    pub(crate) uid: WorkerUid,
    pub(crate) installation: u32,
    pub(crate) started: Duration,
    pub(crate) crash: Option<CrashPoint>,
    pub(crate) updates: bool,
    /// Whether another may publish what it promises.
    pub(crate) replaceable: bool,
    pub(crate) holds: bool,
    pub(crate) fails: Option<String>,
    pub(crate) busy: bool,
    pub(crate) work: Vec<votum_commit::ParticipantEvent>,
}

/// Where the next step with a record ends in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    BeforeRecord,
    AfterRecord,
}

/// Returns the moment on the clock of a daemon.
pub(crate) fn moment(time: Duration, started: Duration) -> Moment {
    Moment::since_start(time.saturating_sub(started))
}
