//! Opens sealed files for those who may send them to another worker.

use std::{fs::File, os::fd::OwnedFd};

use rustix::io::Errno;
use thiserror::Error;
use votum_ids::{AttemptId, OutputName};

use crate::{
    Shadow,
    beneath::{open_dir, open_file},
    fault::{StorageError, fault},
    manifest::Content,
    path::{Form, TreePath},
    put_back::Stood,
    seal::SealedOutput,
};

impl Shadow {
    /// Opens one file of a sealed output, be it staged or published.
    ///
    /// # Errors
    /// [`ReadError`] when the manifest has no such file or the bytes are gone.
    pub fn open_sealed(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        path: &TreePath,
    ) -> Result<File, ReadError> {
        let entry = output.manifest.entry(path).map(|entry| &entry.content);
        if !matches!(entry, Some(Content::File { .. })) {
            return Err(ReadError::NoSuchFile { path: path.clone() });
        }
        let opened = match self.open_staged(attempt, output, path) {
            Err(Errno::NOENT) => self.open_published(attempt, output, path),
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(file.into()),
            Err(Errno::NOENT) => {
                Err(ReadError::Gone { attempt: attempt.clone(), output: output.name.clone() })
            }
            Err(errno) => Err(fault("open", path.as_str())(errno).into()),
        }
    }

    fn open_staged(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        path: &TreePath,
    ) -> Result<OwnedFd, Errno> {
        let parent = self.open_staged_parent(attempt, output)?;
        match output.path.form() {
            Form::File => open_file(parent, path.as_str()),
            Form::Tree => open_file(open_dir(parent, output.path.path().name())?, path.as_str()),
        }
    }

    fn open_published(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        path: &TreePath,
    ) -> Result<OwnedFd, Errno> {
        let target = output.publishes.as_ref().ok_or(Errno::NOENT)?;
        let site = self.site(target.path()).map_err(|_| Errno::NOENT)?;
        let Stood::Generation(generation) = output.shows(attempt) else {
            return Err(Errno::NOENT);
        };
        let generation = generation.path();
        match output.manifest.form() {
            Form::File => open_file(&site.root.dir, &generation),
            Form::Tree => open_file(open_dir(&site.root.dir, &generation)?, path.as_str()),
        }
    }
}

/// Why a sealed file cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The manifest has no such file.
    #[error("the manifest has no file {path:?}")]
    NoSuchFile {
        /// The file.
        path: TreePath,
    },
    /// The bytes are neither staged nor published on this worker.
    #[error("the output {output} of attempt {attempt} is gone")]
    Gone {
        /// The attempt.
        attempt: AttemptId,
        /// The output.
        output: OutputName,
    },
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
