//! How the progress of a task survives its attempts: what is asked for, held where, and gone on from.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use votum_ids::{CheckpointId, Digest, WorkerId};

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

/// A whole checkpoint as a worker that has it tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCheckpoint {
    /// Which.
    pub id: CheckpointId,
    /// Of its manifest.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
    /// How many steps of the task are done in it; 0 for a task without steps.
    pub steps: u32,
    /// Lets the bearer read this checkpoint and no other.
    pub read_token: String,
}

/// A checkpoint that an attempt may go on from, or that shall be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Which.
    pub id: CheckpointId,
    /// What must be found.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
    /// How many steps of the task are done in it.
    pub steps: u32,
    /// Who has it and can be reached.
    pub holders: Vec<CheckpointHolder>,
}

/// A worker that has a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHolder {
    /// Who.
    pub worker: WorkerId,
    /// Where it serves artifacts, as `host:port`.
    pub address: String,
    /// Lets the bearer read this checkpoint and no other.
    pub read_token: String,
}

/// So many checkpoints of a task a worker keeps: the last, and one to fall back to.
pub const CHECKPOINTS_KEPT: usize = 2;
/// Most bytes of a checkpoint, unless the task allows another size.
pub const CHECKPOINT_BYTES_DEFAULT: u64 = 64 << 30;
