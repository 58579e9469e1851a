//! What a worker has to serve; the worker implements it.

use std::{fs::File, io, sync::Arc};

use thiserror::Error;
use votum_ids::AttemptId;
use votum_machine::WallTime;
use votum_shadow::{Manifest, TreePath};
use votum_wire::{ArtifactId, LogStream, output::TargetStanding, revert::EarlierContent};

/// What a worker holds for others. Every method may block and is called on a thread for that.
pub trait Holdings: Send + Sync + 'static {
    /// Returns the manifest of a sealed output, if the token allows reading it.
    ///
    /// # Errors
    /// [`Denied`], and never before the token was looked at.
    fn manifest(&self, artifact: &ArtifactId, read_token: &str) -> Result<Arc<Manifest>, Denied>;

    /// Returns what stands at the target of a sealed output, if the token allows reading it; none
    /// if it has no target, or if that cannot be told.
    ///
    /// # Errors
    /// [`Denied`], and never before the token was looked at.
    fn target(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
    ) -> Result<Option<TargetStanding>, Denied> {
        let _no_target = (artifact, read_token);
        Ok(None)
    }

    /// Returns what stood at that target before the output was published, as [`Holdings::target`]
    /// does.
    ///
    /// # Errors
    /// [`Denied`], and never before the token was looked at.
    fn before(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
    ) -> Result<Option<EarlierContent>, Denied> {
        let _no_target = (artifact, read_token);
        Ok(None)
    }

    /// Opens one file of a sealed output, if the token allows reading it.
    ///
    /// # Errors
    /// [`Denied`], and never before the token was looked at.
    fn open(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
        path: &TreePath,
    ) -> Result<File, Denied>;

    /// Notes that a reader was sent bytes of an artifact, for those who count; must not wait.
    fn sent(&self, bytes: u64) {
        let _uncounted = bytes;
    }

    /// Reads at most `bytes_max` bytes of a log from `offset` on.
    ///
    /// What it returns may have been written over any time; see [`Holdings::log_written`].
    ///
    /// # Errors
    /// [`Denied::NotHeld`] if no log of the attempt is kept.
    fn read_log(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        offset: u64,
        bytes_max: usize,
    ) -> Result<LogPart, Denied>;

    /// Returns when the byte at `offset` was written, to the second, and where what was written
    /// later begins; none if that is not known.
    ///
    /// # Errors
    /// [`Denied::NotHeld`] if no log of the attempt is kept.
    fn log_written(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        offset: u64,
    ) -> Result<Option<LogWritten>, Denied>;

    /// Returns the first offset of a log that was written at `since` or later, as far as that is
    /// known; none if nothing was.
    ///
    /// # Errors
    /// [`Denied::NotHeld`] if no log of the attempt is kept.
    fn log_since(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        since: WallTime,
    ) -> Result<Option<u64>, Denied>;
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Where it begins; later than asked for if bytes were dropped.
    pub offset: u64,
    /// The bytes; none at the end of the log.
    pub data: Vec<u8>,
    /// The length of the log when it was read.
    pub end: u64,
    /// Whether the attempt had ended before the log was read, so that it does not grow.
    pub complete: bool,
}

/// When a part of a log was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogWritten {
    /// To the second.
    pub at: WallTime,
    /// Where what was written later begins, if anything was.
    pub until: Option<u64>,
}

/// Why something is not served.
#[derive(Debug, Error)]
pub enum Denied {
    /// It is not held here, or no longer.
    #[error("it is not held here")]
    NotHeld,
    /// The token does not allow it.
    #[error("the read token does not allow it")]
    NotAllowed,
    /// The disk failed.
    #[error("the disk failed")]
    Storage(#[from] io::Error),
}
