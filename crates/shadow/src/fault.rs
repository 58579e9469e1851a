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

/// Makes a [`StorageError`] of what a system call returned.
pub(crate) fn fault<P>(doing: &'static str, path: &P) -> impl FnOnce(Errno) -> StorageError
where
    P: AsRef<Path> + ?Sized,
{
    move |errno| StorageError { doing, path: path.as_ref().to_owned(), source: errno.into() }
}
