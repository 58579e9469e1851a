//! The journal on a disk, from the outside: what it promises while it runs and when it starts again.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod backup;
mod commit;
mod fuzzing;
mod index;
mod model;
mod reclaim;
mod recovery;
#[path = "../workload/mod.rs"]
#[allow(dead_code, reason = "the example and the other tests use the rest")]
mod workload;

use votum_journal::{Bearing, Entry, KeyChange, Stream, Urgency};

/// Names a stream.
fn stream(name: &str) -> Stream {
    Stream::new(name).unwrap()
}

/// Makes a forced record that continues a stream.
fn entry(name: &str, payload: &[u8]) -> Entry {
    Entry {
        stream: stream(name),
        urgency: Urgency::Forced,
        version: 1,
        bearing: Bearing::Continues,
        keys: Vec::new(),
        payload: payload.to_vec(),
    }
}

fn put(key: &str, value: &str) -> KeyChange {
    KeyChange::Put { key: key.into(), value: value.into() }
}
