//! How patient a client is.

use std::time::Duration;

/// How patient a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// One call may take this long.
    pub timeout: Duration,
    /// A call is repeated for this long while the coordinator is unavailable; zero: tried once.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), patience: Duration::from_secs(30) }
    }
}
