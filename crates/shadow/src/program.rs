//! The user that programs run as, where that is not the worker's own.
//!
//! What a program writes belongs to its user until it is sealed, and what it
//! passes on the way there can be passed by its user's group and not listed.
//! Everything else stays the worker's, who must be root for that.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{
    fs::{self, AtFlags, Gid, Mode, Uid},
    io::Errno,
};
use votum_ids::AttemptId;

use crate::{
    Shadow,
    beneath::open_dir,
    fault::{StorageError, fault},
    layout,
    manifest::{Content, Manifest},
};

/// A user and its primary group, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramUser {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl ProgramUser {
    /// Makes it the owner of what is open.
    pub(crate) fn own(self, what: impl AsFd) -> Result<(), Errno> {
        fs::fchown(what, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }

    /// Makes it the owner of a link, not of what the link leads to.
    pub(crate) fn own_link(self, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl Shadow {
    /// Lets programs of this user work in the staging directory.
    ///
    /// # Errors
    /// [`StorageError`] when the staging directory cannot be opened for it.
    pub fn for_programs_of(mut self, user: ProgramUser) -> Result<Self, StorageError> {
        let staging = self.staging();
        fs::fchmod(&staging.dir, Mode::from_raw_mode(PASSABLE_MODE))
            .map_err(fault("open to programs", &staging.path))?;
        self.program_user = Some(user);
        Ok(self)
    }

    /// Lets the user of programs pass the folders of an attempt, if it is not the worker's own.
    pub(crate) fn open_way(&self, attempt: &AttemptId) -> Result<(), StorageError> {
        let Some(user) = self.program_user else { return Ok(()) };
        let open = || {
            let job = open_dir(&self.staging().dir, attempt.job.as_str())?;
            fs::fchmod(&job, Mode::from_raw_mode(PASSABLE_MODE))?;
            let dir = open_dir(&job, &layout::attempt_name(attempt))?;
            fs::fchown(&dir, None, Some(Gid::from_raw(user.gid)))?;
            fs::fchmod(&dir, Mode::from_raw_mode(PASSABLE_BY_GROUP_MODE))
        };
        open().map_err(fault("open to programs", layout::attempt_path(attempt)))
    }
}

/// Says whether every file can be read and run by all whom its mode lets the owner.
///
/// Once it is sealed the worker owns it, so the mode for others is what counts for programs.
pub(crate) fn is_for_all(manifest: &Manifest) -> bool {
    manifest.entries().iter().all(|entry| match entry.content {
        Content::File { .. } => entry.mode & 0o5 == (entry.mode >> 6) & 0o5,
        Content::Directory | Content::Link { .. } => true,
    })
}

/// Whoever knows what lies in the directory may go on to it; nobody may look what does.
pub(crate) const PASSABLE_MODE: u32 = 0o711;
/// The same for one group alone.
const PASSABLE_BY_GROUP_MODE: u32 = 0o710;
