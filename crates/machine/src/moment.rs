//! The two clocks, as plain values: a moment decides, a wall time is shown.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Monotonic time since the daemon started; the only clock that decides anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The start of the daemon.
    pub const START: Self = Self(Duration::ZERO);

    /// Returns the moment that lies `elapsed` after the start.
    #[must_use]
    pub const fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the moment that lies `wait` later; the end of time if there is none.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// Returns how long ago `earlier` was; zero if it has not come yet.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the time since the start.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }
}

/// A time of day in milliseconds since 1970, UTC: recorded and shown, never trusted (V5).
///
/// A daemon reads the wall clock once, at its start, and counts on from there
/// by its monotonic clock.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Returns the wall time at `moment`, if this one was read at the start.
    #[must_use]
    pub fn at(self, moment: Moment) -> Self {
        self.after(moment.elapsed())
    }

    /// Returns the wall time that lies `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns how long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_is_not_passed() {
        let late = Moment::since_start(Duration::MAX);
        assert_eq!(late.after(Duration::from_secs(1)), late);
        assert_eq!(Moment::START.since(late), Duration::ZERO);
    }

    #[test]
    fn wall_time_counts_on_from_the_start_of_the_daemon() {
        let anchor = WallTime(1_000);
        assert_eq!(anchor.at(Moment::since_start(Duration::from_millis(250))), WallTime(1_250));
    }
}
