//! The one place that reads time: machines are told.

use std::future;

use tokio::time::Instant;
use votum_machine::{Moment, WallTime};

/// Counts moments from its start, and knows the wall time of that start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    anchor: WallTime,
}

impl Clock {
    /// Starts counting; reads the wall clock for the only time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock is where time enters")]
    pub fn start() -> Self {
        let since_1970 =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), anchor: WallTime::default().after(since_1970) }
    }

    /// Returns the moment that it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::since_start(self.start.elapsed())
    }

    /// Returns the wall time of the start: what turns moments into wall times and back.
    #[must_use]
    pub fn anchor(&self) -> WallTime {
        self.anchor
    }

    /// Returns the wall time that it is, counted from the start by the monotonic clock.
    #[must_use]
    pub fn wall(&self) -> WallTime {
        self.anchor.at(self.now())
    }

    /// Waits until `moment`; for ever if there is none.
    pub async fn sleep_until(&self, moment: Option<Moment>) {
        match moment.and_then(|moment| self.start.checked_add(moment.elapsed())) {
            Some(instant) => tokio::time::sleep_until(instant).await,
            None => future::pending().await,
        }
    }
}
