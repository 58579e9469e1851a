//! The one place where tests wait: for a state, by looking again, and never for ever.

use std::{thread, time::Duration};

use votum_driver::Clock;

/// Measures how long something takes.
#[derive(Debug)]
pub struct Stopwatch(Clock);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    pub fn start() -> Self {
        Self(Clock::start())
    }

    /// Returns how long it has been.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.now().elapsed()
    }
}

/// Looks until `probe` finds something, or `limit` is over.
pub fn within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if watch.elapsed() > limit {
            return None;
        }
        pause(BETWEEN_LOOKS);
    }
}

/// Looks until `probe` finds something.
///
/// # Panics
/// When `limit` is over, with `what` was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match within(limit, probe) {
        Some(found) => found,
        None => panic!("not within {limit:?}: {what}"),
    }
}

/// Lets time pass that is itself what is tested, such as that of a lease.
pub fn let_pass(time: Duration) {
    pause(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the state waited for is another process's, and it sends no event about it"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

/// Short against what is measured, long against a process switch.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
