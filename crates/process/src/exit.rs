//! How an attempt ended, and what it used.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use votum_ids::AttemptId;

use crate::{
    record::{self, RecordError},
    supervised::SupervisionError,
};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// The task ended with this code.
    Code(i32),
    /// This signal ended the task.
    Signal(i32),
    /// The task was never run.
    SpawnFailed {
        /// The kind.
        failure: SpawnFailure,
        /// For people.
        reason: String,
    },
    /// Its lease had ended, so the supervisor killed it, or never ran it.
    LeaseEnded,
    /// Nobody knows: the machine was booted, or the supervisor was killed.
    Vanished,
}

impl Exit {
    /// Returns the code that a shell would report; none if nobody knows how it ended.
    ///
    /// 127 stands for a command that was not found, 126 for one that cannot be
    /// run, 128 + n for the signal n.
    #[must_use]
    pub fn shell_code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(signal) => Some(128 + signal),
            Self::SpawnFailed { failure: SpawnFailure::NotFound, .. } => Some(127),
            Self::SpawnFailed { failure: SpawnFailure::NotExecutable, .. } => Some(126),
            Self::SpawnFailed { failure: SpawnFailure::System, .. }
            | Self::LeaseEnded
            | Self::Vanished => None,
        }
    }
}

/// Why a task was never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnFailure {
    /// There is no such command; trying again changes nothing.
    NotFound,
    /// The command is there, but it cannot be run; trying again changes nothing.
    NotExecutable,
    /// The machine lacks something, such as memory or the working directory.
    System,
}

/// An attempt that is over: none of its processes is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// From the start of the task until its last process was gone, to a hundredth of a second.
    pub elapsed: Duration,
    /// User and system time of all its processes.
    pub cpu: Duration,
    /// The most memory that it had at once, in bytes; 0 if unknown.
    ///
    /// With a control group that of all its processes and of the files they
    /// cached; otherwise the resident memory of the task's own process, looked
    /// at a few times a second.
    #[serde(default)]
    pub memory_peak: u64,
    /// How many of its processes the kernel killed for its memory limit.
    #[serde(default)]
    pub oom_kills: u64,
    /// How often one of its processes could not fork for its limit of processes.
    #[serde(default)]
    pub forks_refused: u64,
    /// What it wrote to its standard output, kept or dropped.
    pub stdout_bytes: u64,
    /// What it wrote to its standard error, kept or dropped.
    pub stderr_bytes: u64,
    /// When the exit was recorded, by the file system's clock; unknown if it vanished.
    #[serde(skip)]
    pub recorded_at: Option<SystemTime>,
}

impl Ended {
    pub(crate) fn without_usage(exit: Exit) -> Self {
        Self {
            exit,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            memory_peak: 0,
            oom_kills: 0,
            forks_refused: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            recorded_at: None,
        }
    }

    /// Reads what the supervisor recorded, if it has.
    pub(crate) fn read(dir: &Path, attempt: &AttemptId) -> Result<Option<Self>, SupervisionError> {
        let path = dir.join(EXIT);
        let Some(record) = record::read::<ExitRecord>(&path)? else { return Ok(None) };
        SupervisionError::unless_same(dir, attempt, &record.attempt)?;
        let recorded_at = fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .map_err(|source| RecordError::Read { path, source })?;
        Ok(Some(Self { recorded_at: Some(recorded_at), ..record.ended }))
    }
}

/// The content of `exit.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    pub(crate) attempt: AttemptId,
    pub(crate) ended: Ended,
}

/// How it ended.
pub(crate) const EXIT: &str = "exit.json";
