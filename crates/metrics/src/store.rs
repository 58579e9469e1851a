//! What a journal has counted by the time somebody looks: both daemons have one.

use std::sync::atomic::Ordering;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use votum_journal::Counters;

/// The metrics of one journal; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Store {
    bytes: Gauge,
    records: Family<[(&'static str, &'static str); 1], Counter>,
    written: Counter,
}

impl Store {
    /// Registers them, with how long each sync takes.
    #[must_use]
    pub fn registered(registry: &mut Registry, flushes: Histogram) -> Self {
        let store = Self::default();
        registry.register_with_unit(
            "votum_store_flush_duration",
            "One fdatasync of the journal: what every promise waits for",
            Unit::Seconds,
            flushes,
        );
        registry.register(
            "votum_store_records",
            "Records that became durable: forced, lazy, or copied to free old segments",
            store.records.clone(),
        );
        registry.register_with_unit(
            "votum_store_written",
            "Bytes of all frames written to the journal",
            Unit::Bytes,
            store.written.clone(),
        );
        registry.register_with_unit(
            "votum_store",
            "Bytes of the journal's segments; 0 before the first write",
            Unit::Bytes,
            store.bytes.clone(),
        );
        store
    }

    /// Takes over what the journal has counted.
    pub fn show(&self, counters: &Counters) {
        self.bytes.set(i64::try_from(counters.log_bytes).unwrap_or(i64::MAX));
        self.written.inner().store(counters.bytes, Ordering::Relaxed);
        for (urgency, count) in [
            ("forced", counters.forced_records),
            ("lazy", counters.lazy_records),
            ("copied", counters.copied_records),
        ] {
            let counter = self.records.get_or_create(&[("urgency", urgency)]);
            counter.inner().store(count, Ordering::Relaxed);
        }
    }
}
