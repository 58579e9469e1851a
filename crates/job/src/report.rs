//! What a worker reports about an attempt: it runs, it is sealed, or it failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use votum_ids::{Digest, OutputName};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// Exit 0, and every output sealed; durable at the worker.
    Sealed {
        /// What was sealed.
        outputs: Vec<StagedOutput>,
        /// What the attempt used.
        usage: Usage,
    },
    /// Anything else.
    Failed {
        /// Why.
        failure: Failure,
        /// What the attempt used.
        usage: Usage,
    },
}

/// One sealed output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedOutput {
    /// Its name in the task.
    pub name: OutputName,
    /// Of its manifest.
    pub digest: Digest,
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Lets the bearer read this artifact and no other.
    pub read_token: String,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure; decides whether another attempt follows.
    pub kind: FailureKind,
    /// One sentence for people.
    pub message: String,
    /// The last lines of standard error, cut to 2 KiB.
    pub stderr_tail: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Exit code other than 0.
    ExitCode(i32),
    /// Ended by a signal.
    Signal(i32),
    /// Ran longer than its limit.
    TimedOut,
    /// Its program did not run in time.
    StartTimedOut,
    /// Said nothing of itself for longer than it may.
    Stuck,
    /// Its health command failed too often in a row.
    Unhealthy,
    /// The program cannot be run or was not found; another attempt would not help.
    SpawnFailed,
    /// Its worker has not the secret that it names; another attempt would not help.
    SecretUnknown,
    /// A required output is missing.
    OutputMissing,
    /// An output cannot be sealed: its tree is not allowed, or it is too large.
    OutputRefused,
    /// An input could not be fetched, or its digest differs.
    InputUnavailable,
    /// No space or another failure of the worker's disk.
    StorageFailed,
    /// The kernel ended it because it reached its memory limit.
    OutOfMemory,
    /// It reached its disk limit.
    DiskFull,
    /// The process vanished: the machine rebooted, or the worker ended it at its restart.
    Interrupted,
    /// Stopped on request.
    Stopped,
    /// Lost with its worker; said by the coordinator, never by a worker.
    WorkerLost,
    /// Stopped because an operator drains its worker; said by the coordinator, never by a worker.
    Drained,
}

impl FailureKind {
    /// Returns the stable word for programs.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ExitCode(_) => "EXIT_CODE",
            Self::Signal(_) => "SIGNAL",
            Self::TimedOut => "TIMED_OUT",
            Self::StartTimedOut => "START_TIMED_OUT",
            Self::Stuck => "STUCK",
            Self::Unhealthy => "UNHEALTHY",
            Self::SpawnFailed => "SPAWN_FAILED",
            Self::SecretUnknown => "SECRET_UNKNOWN",
            Self::OutputMissing => "OUTPUT_MISSING",
            Self::OutputRefused => "OUTPUT_REFUSED",
            Self::InputUnavailable => "INPUT_UNAVAILABLE",
            Self::StorageFailed => "STORAGE_FAILED",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::DiskFull => "DISK_FULL",
            Self::Interrupted => "INTERRUPTED",
            Self::Stopped => "STOPPED",
            Self::WorkerLost => "WORKER_LOST",
            Self::Drained => "DRAINED",
        }
    }
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time.
    pub cpu_time: Duration,
    /// From start to end.
    pub run_time: Duration,
    /// Peak resident memory in bytes; 0 if unknown.
    pub rss_bytes_max: u64,
}
