//! What an attempt may use of its machine, and which machines can see to it.
//!
//! A limit that a worker cannot enforce must not be dropped silently. So a
//! worker says by labels of its own which it can, and a task that asks for one
//! is placed where that label is.

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

/// A limit that a worker enforces only if its machine lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforced {
    /// [`Resources::cpu_millis`].
    Cpu,
    /// [`Resources::memory_bytes`].
    Memory,
    /// [`Resources::processes`].
    Processes,
}

impl Enforced {
    /// Returns the label of a worker that can.
    #[must_use]
    pub fn label(self) -> (String, String) {
        let kind = match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "processes",
        };
        (format!("{RESERVED_LABELS}limit.{kind}"), "enforced".to_owned())
    }
}

/// Labels that begin like this are a worker's own words about itself.
pub const RESERVED_LABELS: &str = "votum.";

/// The label that says how a worker limits its attempts.
pub const BACKEND_LABEL: &str = "votum.limits";

/// The label by which a worker names the user that its tasks run as, if that is not its own.
pub const TASK_USER_LABEL: &str = "votum.task-user";

impl Resources {
    /// Returns the labels of the workers that can keep all these limits.
    pub fn required_labels(&self) -> impl Iterator<Item = (String, String)> {
        [
            self.cpu_millis.map(|_| Enforced::Cpu),
            self.memory_bytes.map(|_| Enforced::Memory),
            self.processes.map(|_| Enforced::Processes),
        ]
        .into_iter()
        .flatten()
        .map(Enforced::label)
    }

    /// Says whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}
