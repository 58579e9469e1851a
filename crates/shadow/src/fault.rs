//! What the filesystem refused to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use thiserror::Error;

/// An operation of the filesystem that failed for a reason of its own.
#[derive(Debug, Error)]
#[error("cannot {doing} {path:?}")]
pub struct StorageError {
    /// What was tried, such as `open`.
    pub doing: &'static str,
    /// On what; relative to the staging directory or the publish root.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl StorageError {
    /// Tells whether a sync failed.
    ///
    /// What it should have made durable may be lost, and the next sync of the
    /// same file may succeed all the same: only reading again can tell.
    #[must_use]
    pub fn is_failed_sync(&self) -> bool {
        self.doing == SYNC
    }
}

/// Makes a [`StorageError`] of what a system call returned.
pub(crate) fn fault(
    doing: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(Errno) -> StorageError {
    move |errno| StorageError { doing, path: path.as_ref().to_owned(), source: errno.into() }
}

/// What every sync is called, and nothing else.
pub(crate) const SYNC: &str = "sync";
