//! Holds actions back until what they could reveal is durable.

use std::collections::VecDeque;

use votum_journal::Lsn;

use crate::Awaits;

/// Two queues in step order: actions that wait for forced records, and those that wait for all.
///
/// Two, because a lazy record may take 100 ms and must not delay a message
/// that promises nothing. Order is kept within each queue only.
#[derive(Debug)]
pub struct Gate<A> {
    forced: VecDeque<(Lsn, A)>,
    every: VecDeque<(Lsn, A)>,
    last_forced: Lsn,
    last: Lsn,
    durable: Lsn,
}

impl<A: Awaits> Gate<A> {
    /// Makes a gate for a journal that is durable up to `durable`.
    #[must_use]
    pub fn new(durable: Lsn) -> Self {
        Self {
            forced: VecDeque::new(),
            every: VecDeque::new(),
            last_forced: durable,
            last: durable,
            durable,
        }
    }

    /// Notes an appended record; actions pushed later wait for it.
    pub fn appended(&mut self, lsn: Lsn, forced: bool) {
        self.last = lsn;
        if forced {
            self.last_forced = lsn;
        }
    }

    /// Notes how far the journal is durable.
    pub fn open(&mut self, durable: Lsn) {
        self.durable = self.durable.max(durable);
    }

    /// Takes an action of the latest step.
    pub fn push(&mut self, action: A) {
        if action.awaits_lazy_records() {
            self.every.push_back((self.last, action));
        } else {
            self.forced.push_back((self.last_forced, action));
        }
    }

    /// Returns the next action that waits for nothing.
    pub fn pop(&mut self) -> Option<A> {
        for queue in [&mut self.forced, &mut self.every] {
            if queue.front().is_some_and(|(lsn, _)| *lsn <= self.durable) {
                return queue.pop_front().map(|(_, action)| action);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Awaits for &str {
        fn awaits_lazy_records(&self) -> bool {
            self.starts_with("reply")
        }
    }

    fn drain(gate: &mut Gate<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| gate.pop()).collect()
    }

    #[test]
    fn an_action_waits_for_an_earlier_forced_record() {
        let mut gate = Gate::new(Lsn(0));
        gate.appended(Lsn(1), true);
        gate.push("send commit");
        gate.push("answer inquiry of a later step");
        assert_eq!(drain(&mut gate), Vec::<&str>::new());
        gate.open(Lsn(1));
        assert_eq!(drain(&mut gate), ["send commit", "answer inquiry of a later step"]);
    }

    #[test]
    fn a_lazy_record_delays_promises_and_nothing_else() {
        let mut gate = Gate::new(Lsn(0));
        gate.appended(Lsn(1), false);
        gate.push("reply");
        gate.push("send start");
        assert_eq!(drain(&mut gate), ["send start"]);
        gate.open(Lsn(1));
        assert_eq!(drain(&mut gate), ["reply"]);
    }
}
