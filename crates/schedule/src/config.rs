//! The numbers that govern the scheduler; everything else about it is fixed.

use std::time::Duration;

/// How patient the scheduler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Without a frame for this long a worker takes no further attempts; for half of it, it is
    /// suspect.
    pub lease: Duration,
    /// After the lease, until a silent worker is lost.
    pub stop_grace: Duration,
    /// Without a frame for this long a worker is given up with everything that is pinned to it.
    pub lost_after: Duration,
    /// How often a worker is asked to send a sign of life.
    pub heartbeat_interval: Duration,
    /// A step that comes this much too late tells that the coordinator itself stood still;
    /// half of `stop_grace` if that is less.
    pub stall: Duration,
    /// How often the outputs of a job may come out differently when they are made again.
    pub digest_changes_max: u32,
}

impl Config {
    /// Returns how long a worker may be silent before it is shown as suspect.
    pub(crate) fn suspicion(&self) -> Duration {
        self.lease / 2
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            stop_grace: Duration::from_secs(10),
            lost_after: Duration::from_hours(1),
            heartbeat_interval: Duration::from_secs(3),
            stall: Duration::from_secs(5),
            digest_changes_max: 3,
        }
    }
}
