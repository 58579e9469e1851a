//! Removes what is not wanted, whatever an untrusted program made of it.
//!
//! Nothing of a job that is published is removed with its staging: a generation
//! outlives its attempt. Nothing is synced either: bytes that come back after a power
//! cut belong to nobody, and [`Shadow::sweep`] takes them again.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{self, AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};
use thiserror::Error;
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow,
    beneath::{names, open_dir},
    fault::{StorageError, fault},
    layout,
    manifest::ENTRIES_MAX,
    path::{Relation, TreePath},
};

impl Shadow {
    /// Removes everything staged for an attempt; published outputs stay.
    ///
    /// # Errors
    /// [`DiscardError`] when something cannot be removed; try again.
    pub fn discard_attempt(&self, attempt: &AttemptId) -> Result<(), DiscardError> {
        let job = attempt.job.as_str();
        let dir = match open_dir(&self.staging().dir, job) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(fault("open", job)(errno).into()),
        };
        remove_tree(&dir, &c_name(&layout::attempt_name(attempt)))?;
        crash_point!("shadow.discard.after_attempt");
        match fs::unlinkat(&self.staging().dir, job, AtFlags::REMOVEDIR) {
            // Other attempts of the job are there.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(fault("remove", job)(errno).into()),
        }
    }

    /// Removes everything staged for a job; published outputs stay.
    ///
    /// # Errors
    /// [`DiscardError`] when something cannot be removed; try again.
    pub fn discard_job(&self, job: &JobId) -> Result<(), DiscardError> {
        let failed = |doing| fault(doing, job.as_str());
        match open_dir(&self.staging().dir, job.as_str()) {
            Ok(dir) => {
                for name in names(&dir, ENTRIES_MAX).map_err(failed("list"))? {
                    remove_tree(&dir, &name)?;
                }
                crash_point!("shadow.discard.before_job");
            }
            Err(Errno::NOENT) => return Ok(()),
            // What is no folder goes like one.
            Err(_) => {}
        }
        Ok(remove_tree(&self.staging().dir, &c_name(job.as_str()))?)
    }
}

/// Why something staged is still there.
#[derive(Debug, Error)]
pub enum DiscardError {
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Removes `name` and all that is in it; nothing at all is fine.
pub(crate) fn remove_tree(base: impl AsFd, name: &CStr) -> Result<(), StorageError> {
    let base = base.as_fd();
    let failed = |doing| fault(doing, name.to_string_lossy().into_owned());
    match fs::unlinkat(base, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(failed("remove")(errno)),
    }
    let top = match open_to_remove(base, name) {
        // Somebody else removes it as well, and was faster.
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(failed("open"))?,
    };
    let mut emptying = Emptying { top: top.as_fd(), moved_up: 0 };
    emptying.empty(top.as_fd(), 0).map_err(failed("empty"))?;
    match fs::unlinkat(base, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed("remove")(errno)),
    }
}

/// Removes below `dir` whatever is neither in `kept` nor on the way to it.
pub(crate) fn prune(
    dir: &OwnedFd,
    below: Option<&TreePath>,
    kept: &[&TreePath],
) -> Result<(), StorageError> {
    let failed = |doing| fault(doing, below.map_or(".", |path| path.as_str()));
    for name in names(dir, ENTRIES_MAX).map_err(failed("list"))? {
        let path = name.to_str().ok().and_then(|name| TreePath::child(below, name).ok());
        let relations = |path: &TreePath| kept.iter().map(|kept| kept.relation(path)).collect();
        let relations: Vec<Relation> = path.as_ref().map(relations).unwrap_or_default();
        if relations.contains(&Relation::Same) {
            continue;
        }
        if relations.contains(&Relation::Below) {
            let text = path.as_ref().map_or(".", |path| path.name());
            let inner = open_dir(dir, text).map_err(failed("open"))?;
            prune(&inner, path.as_ref(), kept)?;
        } else {
            remove_tree(dir, &name)?;
        }
    }
    Ok(())
}

/// A directory that is being emptied, however deep it is.
struct Emptying<'a> {
    top: BorrowedFd<'a>,
    moved_up: u64,
}

impl Emptying<'_> {
    /// Removes what is in `dir`; what lies too deep is moved up to the top,
    /// where the next batch of names has it.
    fn empty(&mut self, dir: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        loop {
            let batch = names(dir, NAMES_AT_ONCE)?;
            if batch.is_empty() {
                return Ok(());
            }
            for name in batch {
                match fs::unlinkat(dir, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    Err(Errno::ISDIR | Errno::PERM) => {}
                    Err(errno) => return Err(errno),
                }
                match self.remove_dir(dir, &name, depth) {
                    // Two removals of one tree may meet: gone is gone.
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
    }

    fn remove_dir(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
        let inner = open_to_remove(dir, name)?;
        if depth >= DESCENT_MAX {
            return self.move_up(dir, name);
        }
        self.empty(inner.as_fd(), depth + 1)?;
        fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
    }

    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved_up += 1;
            let up = format!("deep.{}", self.moved_up);
            match fs::renameat_with(dir, name, self.top, up.as_str(), RenameFlags::NOREPLACE) {
                // The program happened to use the name.
                Err(Errno::EXIST) => {}
                moved => return moved,
            }
        }
    }
}

/// Opens a directory and makes it one whose entries can be removed.
fn open_to_remove(base: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = match fs::openat(base, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Without the right to read it, it can be had as a mere place, and
            // its mode be changed through that.
            let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let place = fs::openat(base, name, place, Mode::empty())?;
            fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU)?;
            fs::openat(base, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    if fs::fstat(&dir)?.st_mode & 0o700 != 0o700 {
        fs::fchmod(&dir, Mode::RWXU)?;
    }
    Ok(dir)
}

fn c_name(name: &str) -> CString {
    CString::new(name).expect("a checked name has no NUL")
}

/// How deep one turn goes; each level holds a descriptor open.
const DESCENT_MAX: usize = 32;
const NAMES_AT_ONCE: usize = 1024;
