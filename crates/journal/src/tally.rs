//! What the journal has done so far, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of what a journal has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Forced records that became durable.
    pub forced_records: u64,
    /// Lazy records that became durable.
    pub lazy_records: u64,
    /// Records copied forward to free old segments.
    pub copied_records: u64,
    /// Syncs of groups: what records waited for.
    pub fdatasyncs: u64,
    /// Bytes of all frames written.
    pub bytes: u64,
    /// Segments made.
    pub segments_made: u64,
    /// Segments removed.
    pub segments_removed: u64,
    /// Bytes of all segments, headers and frames, as of the last group; 0 before the first.
    pub log_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) forced_records: Counter,
    pub(crate) lazy_records: Counter,
    pub(crate) copied_records: Counter,
    pub(crate) fdatasyncs: Counter,
    pub(crate) bytes: Counter,
    pub(crate) segments_made: Counter,
    pub(crate) segments_removed: Counter,
    pub(crate) log_bytes: Counter,
}

impl Tally {
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            forced_records: self.forced_records.count(),
            lazy_records: self.lazy_records.count(),
            copied_records: self.copied_records.count(),
            fdatasyncs: self.fdatasyncs.count(),
            bytes: self.bytes.count(),
            segments_made: self.segments_made.count(),
            segments_removed: self.segments_removed.count(),
            log_bytes: self.log_bytes.count(),
        }
    }
}

/// Counts up or is set, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
