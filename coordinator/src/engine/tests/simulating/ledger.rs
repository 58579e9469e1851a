//! Where every fact is written down, and held against every invariant.

use std::{sync::Arc, time::Duration};

use votum_job::JobSpec;

use super::{
    fact::{End, Fact},
    invariants::{self, Invariant},
    known::Known,
};

/// The facts of one world so far.
pub(super) struct Ledger {
    pub(super) known: Known,
    invariants: Vec<Box<dyn Invariant>>,
    /// The first thing that must not have happened.
    pub(super) violation: Option<Violation>,
    /// The last facts in words, or all of them.
    pub(super) lines: Option<Vec<String>>,
    /// Of everything that happened, in order.
    pub(super) trace: u64,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The name of the invariant, which is that of its file.
    pub(super) invariant: &'static str,
    pub(super) rule: &'static str,
    pub(super) source: &'static str,
    pub(super) said: String,
    pub(super) time: Duration,
}

impl Ledger {
    pub(super) fn new(spec: &JobSpec, tells: bool) -> Self {
        Self {
            known: Known { spec: Some(Arc::new(spec.clone())), ..Known::default() },
            invariants: invariants::all(),
            violation: None,
            lines: tells.then(Vec::new),
            trace: 0,
        }
    }

    /// Takes a fact.
    pub(super) fn see(&mut self, time: Duration, fact: &Fact<'_>) {
        self.mix(u64::try_from(time.as_nanos()).unwrap());
        if let Some(lines) = &mut self.lines {
            let line = format!("{:>9.3}s {fact}", time.as_secs_f64());
            line.bytes().for_each(|byte| self.trace = mixed(self.trace, u64::from(byte)));
            lines.push(line);
        }
        for invariant in &mut self.invariants {
            if let Err(said) = invariant.see(fact, &self.known)
                && self.violation.is_none()
            {
                self.violation = Some(Violation::of(invariant.as_ref(), time, said));
            }
        }
        self.known.learn(fact);
    }

    /// Notes something that a reader of a transcript wants to know.
    pub(super) fn remark(&mut self, time: Duration, text: &dyn Fn() -> String) {
        if self.lines.is_some() {
            self.see(time, &Fact::Remark(&text()));
        }
    }

    /// Notes a promise that another part of the world has seen broken.
    pub(super) fn break_promise(&mut self, violation: Violation) {
        if self.violation.is_none() {
            self.violation = Some(violation);
        }
    }

    /// Holds the end against everything that happened.
    pub(super) fn judge(&mut self, time: Duration, end: &End<'_>) {
        for invariant in &mut self.invariants {
            if let Err(said) = invariant.judge(end, &self.known)
                && self.violation.is_none()
            {
                self.violation = Some(Violation::of(invariant.as_ref(), time, said));
            }
        }
    }

    /// Mixes a number into the trace.
    pub(super) fn mix(&mut self, number: u64) {
        self.trace = mixed(self.trace, number);
    }
}

impl Violation {
    fn of(invariant: &dyn Invariant, time: Duration, said: String) -> Self {
        Self {
            invariant: invariant.name(),
            rule: invariant.rule(),
            source: invariant.source(),
            said,
            time,
        }
    }
}

/// One round of FNV-1a, a number at a time.
fn mixed(trace: u64, number: u64) -> u64 {
    (trace ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5)
}
