//! A task's own opinion of whether it is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command that the worker runs beside a task, at an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// An argument vector, no shell; exit 0 means well.
    pub command: Vec<String>,
    /// From the end of one run to the start of the next, and before the first.
    pub interval: Duration,
    /// A run that takes longer has failed.
    pub timeout: Duration,
    /// So many failures in a row end the attempt.
    pub failures: u32,
}

/// Default of [`HealthCheck::interval`].
pub const HEALTH_INTERVAL_DEFAULT: Duration = Duration::from_secs(30);
/// Default of [`HealthCheck::timeout`].
pub const HEALTH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Default of [`HealthCheck::failures`].
pub const HEALTH_FAILURES_DEFAULT: u32 = 3;
