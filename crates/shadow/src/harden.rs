//! Makes what was found in an output read-only, the worker's own, and durable.
//!
//! Files are taken by several lanes at once: each lane waits for the disk most
//! of the time, and syncs that overlap share one commit of the filesystem.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rustix::{
    fs::{self, FileType, Mode, Stat},
    io::Errno,
    process::{getegid, geteuid},
};
use votum_ids::Digest;

use crate::{
    beneath::{kind, open_dir, open_file, sync_dir},
    content::read_through,
    fault::{SYNC, StorageError, fault},
    manifest::{DIRECTORY_MODE, FILE_MODE_MASK},
    path::{Form, TreePath},
    walk::{FileIdentity, Found, Refusal, Thing, WalkError, plain_file},
};

/// A file that is read-only, hashed and durable.
#[derive(Debug)]
pub(crate) struct Hardened {
    pub(crate) mode: u32,
    pub(crate) digest: Digest,
    pub(crate) identity: FileIdentity,
}

/// Hardens the files among what was found; returns them in the order found.
pub(crate) fn harden_files(
    base: &OwnedFd,
    shown: &Path,
    found: &[Found],
) -> Result<Vec<Hardened>, WalkError> {
    let files: Vec<(&TreePath, &FileIdentity)> = found
        .iter()
        .filter_map(|found| match &found.thing {
            Thing::File { identity, .. } => Some((&found.path, identity)),
            Thing::Directory | Thing::Link { .. } => None,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut buffer = Vec::new();
        let mut done = Vec::new();
        while let Some((at, (path, identity))) = take(&next, &files) {
            match harden(base, shown, path, identity, &mut buffer) {
                Ok(hardened) => done.push((at, hardened)),
                Err(error) => {
                    // The other lanes need not begin anything either.
                    next.store(files.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let lanes = LANES.min(files.len());
    let done: Result<Vec<_>, WalkError> = match lanes {
        0 | 1 => lane(),
        lanes => thread::scope(|scope| {
            let started: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
            started.into_iter().try_fold(Vec::new(), |mut all, lane| {
                all.extend(lane.join().expect("a lane does not panic")?);
                Ok(all)
            })
        }),
    };
    let mut done = done?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, hardened)| hardened).collect())
}

fn take<'a, T>(next: &AtomicUsize, of: &'a [T]) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    of.get(at).map(|item| (at, item))
}

fn harden(
    base: &OwnedFd,
    shown: &Path,
    path: &TreePath,
    seen: &FileIdentity,
    buffer: &mut Vec<u8>,
) -> Result<Hardened, WalkError> {
    let shown = shown.join(path.as_str());
    let refused = |refusal| WalkError::Refused { path: shown.clone(), refusal };
    let file = open_file(base, path.as_str()).map_err(|errno| match errno {
        Errno::ACCESS => refused(Refusal::Unreadable),
        Errno::LOOP | Errno::NOENT | Errno::NOTDIR => refused(Refusal::Changed),
        errno => fault("open", &shown)(errno).into(),
    })?;
    let stat = fs::fstat(&file).map_err(fault("look at", &shown))?;
    if kind(&stat) != FileType::RegularFile || FileIdentity::of(&stat) != *seen {
        return Err(refused(Refusal::Changed));
    }
    plain_file(&stat).map_err(refused)?;
    if has_capabilities(&file).map_err(fault("look at", &shown))? {
        return Err(refused(Refusal::Privileged));
    }
    own(&file, &stat).map_err(fault("own", &shown))?;
    let mode = stat.st_mode & FILE_MODE_MASK;
    if stat.st_mode & 0o7777 != mode {
        fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(fault("restrict", &shown))?;
    }
    let file = File::from(file);
    let (digest, length) = read_through(&file, buffer).map_err(|source| StorageError {
        doing: "read",
        path: shown.clone(),
        source,
    })?;
    fs::fsync(&file).map_err(fault(SYNC, &shown))?;
    let stat = fs::fstat(&file).map_err(fault("look at", &shown))?;
    let identity = FileIdentity::of(&stat);
    if identity.size != length || identity.modified != seen.modified {
        return Err(refused(Refusal::Changed));
    }
    Ok(Hardened { mode, digest, identity })
}

/// Hardens directories, those deep inside first, and the tree's own at last.
pub(crate) fn harden_directories<'a>(
    base: &OwnedFd,
    form: Form,
    directories: impl DoubleEndedIterator<Item = &'a TreePath>,
) -> Result<(), StorageError> {
    // The walk finds a directory before what is in it.
    for path in directories.rev() {
        let dir = open_dir(base, path.as_str()).map_err(fault("open", path.as_str()))?;
        harden_directory(&dir, path.as_str())?;
    }
    match form {
        Form::Tree => harden_directory(base, "the output's directory"),
        Form::File => Ok(()),
    }
}

/// Makes a directory the worker's own to write to, and durable.
pub(crate) fn harden_directory(dir: &OwnedFd, shown: &str) -> Result<(), StorageError> {
    let stat = fs::fstat(dir).map_err(fault("look at", shown))?;
    own(dir, &stat).map_err(fault("own", shown))?;
    // Only the worker may write to it, and it must be able to: a directory
    // that moves to another parent has its own `..` rewritten.
    if stat.st_mode & 0o7777 != DIRECTORY_MODE {
        let mode = Mode::from_raw_mode(DIRECTORY_MODE);
        fs::fchmod(dir, mode).map_err(fault("restrict", shown))?;
    }
    sync_dir(dir).map_err(fault(SYNC, shown))
}

/// Makes the worker the owner, so that no later program of the same user as
/// this one can make it writable again.
fn own(what: impl AsFd, stat: &Stat) -> Result<(), Errno> {
    if stat.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    fs::fchown(what, Some(geteuid()), Some(getegid()))
}

fn has_capabilities(file: &OwnedFd) -> Result<bool, Errno> {
    match fs::fgetxattr_query(file, "security.capability") {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// How many files of an output are hashed and synced at a time.
const LANES: usize = 8;
