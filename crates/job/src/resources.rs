//! What an attempt may use of its machine.

use serde::{Deserialize, Serialize};

/// The limits of one attempt; what is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time: 1000 is one core.
    pub cpu_millis: Option<u32>,
    /// Memory of all its processes together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u32>,
    /// Bytes that its working directory and its outputs may take on the disk.
    pub disk_bytes: Option<u64>,
}

impl Resources {
    /// Says whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}
