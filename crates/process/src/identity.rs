//! Who supervises an attempt, in numbers that cannot mean another process.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};
use votum_ids::AttemptId;

use crate::record::{Aside, RecordError, Taken};

/// Tells one process from every other since the machine was booted.
///
/// A process id is used again; together with the start time it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The process id.
    pub pid: i32,
    /// When the kernel started it, in clock ticks since boot.
    pub start: u64,
}

/// What a supervisor says of itself before it starts the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The attempt, with its fencing token.
    pub attempt: AttemptId,
    /// The boot during which the stamp means anything.
    pub boot: BootId,
    /// The supervisor.
    pub supervisor: Stamp,
}

/// Names one boot of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    pub(crate) fn of_this_boot() -> io::Result<Self> {
        Ok(Self(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned()))
    }
}

/// The content of `identity.json`, which is written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Claim {
    /// This supervisor runs the attempt; nobody else ever will.
    Supervised(Identity),
    /// Nobody will ever run the attempt here.
    Void,
}

impl Claim {
    /// Takes the attempt; says whether anybody had taken it before.
    pub(crate) fn take(&self, dir: &Path) -> Result<Taken, RecordError> {
        Aside::new(&dir.join(IDENTITY))?.write(self)?.publish_first()
    }
}

/// Who supervises.
pub(crate) const IDENTITY: &str = "identity.json";

/// Who runs: the [`Stamp`] of the task.
pub(crate) const TASK: &str = "task.json";
