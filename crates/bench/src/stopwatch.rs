//! Time as the measurements see it.

use std::time::Duration;

use votum_driver::Clock;
use votum_machine::Moment;

/// Runs from its start on; copies run with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    clock: Clock,
    start: Moment,
}

impl Stopwatch {
    /// Starts.
    pub(crate) fn start() -> Self {
        let clock = Clock::start();
        Self { clock, start: clock.now() }
    }

    /// Returns how long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since(self.start)
    }
}

/// Waits; for states that can only be polled, and for rates that are counted over a time.
pub(crate) async fn pause(time: Duration) {
    let clock = Clock::start();
    clock.sleep_until(Some(clock.now().after(time))).await;
}
