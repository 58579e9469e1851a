//! What workers say of their clocks and limits: shown to people, forgotten with the daemon.

use std::collections::BTreeMap;

use votum_ids::WorkerId;
use votum_machine::{Moment, WallTime};
use votum_wire::{LimitUse, Vitals, view::WorkerView};

use super::Engine;

/// What each worker has said last; no more of them than the coordinator knows.
#[derive(Debug, Default)]
pub(super) struct AllVitals(BTreeMap<WorkerId, Said>);

#[derive(Debug)]
struct Said {
    limits: Vec<LimitUse>,
    clock_ahead_ms: Option<i64>,
}

impl Engine {
    /// Takes note of a sign of life.
    pub(super) fn heartbeat(&mut self, now: Moment, worker: &WorkerId, vitals: Vitals) {
        self.look_at_hosts(now);
        self.vitals.heard(worker, self.anchor.at(now), vitals);
    }
}

impl AllVitals {
    /// Notes what a worker says, and compares its clock with the time that it is here.
    fn heard(&mut self, worker: &WorkerId, now: WallTime, vitals: Vitals) {
        let clock_ahead_ms = vitals.sent.map(|sent| ahead(sent, now));
        self.0.insert(worker.clone(), Said { limits: vitals.limits, clock_ahead_ms });
    }

    /// Drops what a worker that was removed has said.
    pub(super) fn forget(&mut self, worker: &WorkerId) {
        self.0.remove(worker);
    }

    /// Adds what a worker has said to what is shown of it.
    pub(super) fn shown(&self, view: &mut WorkerView) {
        if let Some(said) = self.0.get(&view.worker) {
            view.limits.clone_from(&said.limits);
            view.clock_ahead_ms = said.clock_ahead_ms;
        }
    }
}

fn ahead(sent: WallTime, now: WallTime) -> i64 {
    let ahead = i128::from(sent.0) - i128::from(now.0);
    i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind_by_the_difference() {
        assert_eq!(ahead(WallTime(1_005), WallTime(1_000)), 5);
        assert_eq!(ahead(WallTime(1_000), WallTime(1_005)), -5);
        assert_eq!(ahead(WallTime(u64::MAX), WallTime(0)), i64::MAX);
    }
}
