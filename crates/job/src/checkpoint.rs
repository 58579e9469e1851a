//! How the progress of a task survives its attempts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::TaskSignal;

/// When the state of a task is sealed while it runs, and where it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPolicy {
    /// Longest wait between two checkpoints; absent: only when the task asks for one.
    pub every: Option<Duration>,
    /// What asks the task to write its state at each interval; absent: what lies there is sealed.
    pub signal: Option<TaskSignal>,
    /// Whether a second worker keeps a copy, so that the task can go on there.
    pub replicate: bool,
    /// A checkpoint above this size is not sealed; absent: the worker's limit.
    pub bytes_max: Option<u64>,
}
