//! Puts a checkpoint in place for the attempt that goes on from it, every byte verified.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{self, Mode},
    io::Errno,
};
use thiserror::Error;
use votum_ids::{CheckpointId, Digest};

use crate::{
    Checkpoints, ProgramUser, Staging,
    beneath::{make_dir, open_dir, open_file},
    checkpoint::open_copy,
    copy::copy_through,
    discard::remove_tree,
    fault::{StorageError, fault},
    layout,
    manifest::{Content, Entry, Manifest},
    path::TreePath,
};

impl Checkpoints {
    /// Copies a checkpoint into the folders of an attempt that has not begun.
    ///
    /// The program may change what it finds. After an error the folders are as
    /// empty as before, so that another checkpoint can be tried.
    ///
    /// # Errors
    /// [`RestoreError::Damaged`] when a byte is not as it was sealed.
    pub fn restore(
        &self,
        id: &CheckpointId,
        digest: Digest,
        staging: &Staging,
    ) -> Result<(), RestoreError> {
        let folder = staging.shadow.open_attempt(&staging.attempt);
        let folder = folder.map_err(fault("open", layout::attempt_path(&staging.attempt)))?;
        let restored = self.restore_into(id, digest, &folder, staging.shadow.program_user);
        if restored.is_err() {
            for (part, name) in PARTS {
                remove_tree(&folder, name)?;
                let (dir, _) =
                    make_dir(&folder, part, DIRECTORY_MODE).map_err(fault("make", part))?;
                if let Some(user) = staging.shadow.program_user {
                    user.own(&dir).map_err(fault("hand over", part))?;
                }
            }
        }
        restored
    }

    fn restore_into(
        &self,
        id: &CheckpointId,
        digest: Digest,
        folder: &OwnedFd,
        user: Option<ProgramUser>,
    ) -> Result<(), RestoreError> {
        let damaged = |path: &str| RestoreError::Damaged { path: path.to_owned() };
        let manifest = match self.manifest(id) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Err(RestoreError::Absent),
            // What cannot be read as a manifest was not written as one.
            Err(error) if error.source.kind() == std::io::ErrorKind::InvalidData => {
                return Err(damaged(layout::MANIFEST));
            }
            Err(error) => return Err(error.into()),
        };
        if manifest.digest() != digest {
            return Err(damaged(layout::MANIFEST));
        }
        let state = self.open_checkpoint(id).and_then(|dir| open_dir(dir, layout::STATE));
        let state = match state {
            Ok(state) => state,
            Err(Errno::NOENT) => return Err(damaged(layout::STATE)),
            Err(errno) => return Err(fault("open", layout::STATE)(errno).into()),
        };
        put_in_place(&state, folder, &manifest, user)
    }
}

fn put_in_place(
    state: &OwnedFd,
    folder: &OwnedFd,
    manifest: &Manifest,
    user: Option<ProgramUser>,
) -> Result<(), RestoreError> {
    let mut buffer = Vec::new();
    for Entry { path, mode, content } in manifest.entries() {
        let failed = |doing| fault(doing, path.as_str());
        let top = path.components().next().unwrap_or_default();
        if !PARTS.iter().any(|(part, _)| *part == top) {
            return Err(RestoreError::Damaged { path: path.as_str().to_owned() });
        }
        let parent = path.parent();
        let into = open_dir(folder, parent.as_ref().map_or(".", |parent| parent.as_str()))
            .map_err(failed("open"))?;
        match content {
            Content::Directory => {
                let made = make_dir(&into, path.name(), DIRECTORY_MODE);
                let (dir, _) = made.map_err(failed("make"))?;
                if let Some(user) = user {
                    user.own(&dir).map_err(failed("hand over"))?;
                }
            }
            Content::Link { text } => {
                fs::symlinkat(text.as_str(), &into, path.name()).map_err(failed("link"))?;
                if let Some(user) = user {
                    user.own_link(into.as_fd(), path.name()).map_err(failed("hand over"))?;
                }
            }
            Content::File { digest, .. } => {
                let copy = put_file(state, path, *digest, &into, &mut buffer)?;
                fs::fchmod(&copy, Mode::from_raw_mode(mode | OWNER_WRITES))
                    .map_err(failed("open"))?;
                if let Some(user) = user {
                    user.own(&copy).map_err(failed("hand over"))?;
                }
            }
        }
    }
    Ok(())
}

fn put_file(
    state: &OwnedFd,
    path: &TreePath,
    digest: Digest,
    into: &OwnedFd,
    buffer: &mut Vec<u8>,
) -> Result<File, RestoreError> {
    let damaged = || RestoreError::Damaged { path: path.as_str().to_owned() };
    let source = match open_file(state, path.as_str()) {
        Ok(source) => File::from(source),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Err(damaged()),
        Err(errno) => return Err(fault("open", path.as_str())(errno).into()),
    };
    let copy = open_copy(into, path.name()).map_err(fault("make", path.as_str()))?;
    match copy_through(&source, &copy, buffer) {
        Ok((found, _)) if found == digest => Ok(copy),
        Ok(_) => Err(damaged()),
        // Only the medium of what is read says so: another copy may be sound.
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Err(damaged()),
        Err(source) => {
            Err(StorageError { doing: "copy", path: path.as_str().into(), source }.into())
        }
    }
}

/// Why an attempt cannot go on from a checkpoint.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// It is not on this worker.
    #[error("the checkpoint is not here")]
    Absent,
    /// It is not what was sealed: an earlier one has to do.
    #[error("the checkpoint is damaged at {path:?}")]
    Damaged {
        /// Where.
        path: String,
    },
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a checkpoint can hold of an attempt.
const PARTS: [(&str, &std::ffi::CStr); 3] =
    [(layout::CHECKPOINT, c"checkpoint"), (layout::OUT, c"out"), (layout::WORK, c"work")];
const DIRECTORY_MODE: u32 = 0o755;
const OWNER_WRITES: u32 = 0o200;
