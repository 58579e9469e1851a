//! Makes what was found in an output read-only and the worker's own, and hands it to be synced.
//!
//! Files are taken by several lanes at once. A large one is synced while it is
//! hashed; small ones are handed on, to be synced when nothing of the attempt is left to write.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::{
    fs::{self, FileType, Mode, Stat},
    io::Errno,
    process::{getegid, geteuid},
};
use votum_ids::Digest;

use crate::{
    beneath::{kind, open_dir, open_file},
    content::read_through,
    fault::{SYNC, StorageError, fault},
    manifest::{DIRECTORY_MODE, FILE_MODE_MASK},
    path::{Form, TreePath},
    syncs::Syncs,
    walk::{FileIdentity, Found, Refusal, Thing, WalkError, plain_file},
};

/// A file that is read-only and hashed.
#[derive(Debug)]
pub(crate) struct Hardened {
    pub(crate) mode: u32,
    pub(crate) digest: Digest,
    pub(crate) identity: FileIdentity,
}

/// Hardens the files among what was found; returns them in the order found.
///
/// They are durable when `syncs` has finished.
pub(crate) fn harden_files(
    base: &OwnedFd,
    shown: &Path,
    found: &[Found],
    syncs: &mut Syncs,
) -> Result<Vec<Hardened>, WalkError> {
    let files: Vec<(&TreePath, &FileIdentity)> = found
        .iter()
        .filter_map(|found| match &found.thing {
            Thing::File { identity, .. } => Some((&found.path, identity)),
            Thing::Directory | Thing::Link { .. } => None,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let syncs = Mutex::new(syncs);
    let lane = || {
        let mut buffer = Vec::new();
        let mut done = Vec::new();
        while let Some((at, (path, identity))) = take(&next, &files) {
            match harden(base, shown, path, identity, &mut buffer, &syncs) {
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
    syncs: &Mutex<&mut Syncs>,
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
    let mut read = || {
        read_through(&file, buffer).map_err(|source| StorageError {
            doing: "read",
            path: shown.clone(),
            source,
        })
    };
    let is_large = seen.size >= LARGE_BYTES;
    let (digest, length) = if is_large {
        // Nobody writes to it any more, so the disk need not wait for the hash.
        thread::scope(|scope| {
            let synced = scope.spawn(|| fs::fsync(&file).map_err(fault(SYNC, &shown)));
            let read = read();
            synced.join().expect("a sync does not panic").and(read)
        })?
    } else {
        read()?
    };
    let stat = fs::fstat(&file).map_err(fault("look at", &shown))?;
    let identity = FileIdentity::of(&stat);
    if identity.size != length || identity.modified != seen.modified {
        return Err(refused(Refusal::Changed));
    }
    if !is_large {
        syncs.lock().unwrap_or_else(PoisonError::into_inner).add(file, &shown)?;
    }
    Ok(Hardened { mode, digest, identity })
}

/// Hardens directories, and the tree's own.
pub(crate) fn harden_directories<'a>(
    base: &OwnedFd,
    form: Form,
    directories: impl Iterator<Item = &'a TreePath>,
    syncs: &mut Syncs,
) -> Result<(), StorageError> {
    for path in directories {
        let dir = open_dir(base, path.as_str()).map_err(fault("open", path.as_str()))?;
        harden_directory(dir, path.as_str(), syncs)?;
    }
    match form {
        Form::Tree => {
            let dir = open_dir(base, ".").map_err(fault("open", WHOLE_TREE))?;
            harden_directory(dir, WHOLE_TREE, syncs)
        }
        Form::File => Ok(()),
    }
}

/// Makes a directory the worker's own to write to; it is durable when `syncs` has finished.
pub(crate) fn harden_directory(
    dir: OwnedFd,
    shown: &str,
    syncs: &mut Syncs,
) -> Result<(), StorageError> {
    let stat = fs::fstat(&dir).map_err(fault("look at", shown))?;
    own(&dir, &stat).map_err(fault("own", shown))?;
    // Only the worker may write to it, and it must be able to: a directory
    // that moves to another parent has its own `..` rewritten.
    if stat.st_mode & 0o7777 != DIRECTORY_MODE {
        let mode = Mode::from_raw_mode(DIRECTORY_MODE);
        fs::fchmod(&dir, mode).map_err(fault("restrict", shown))?;
    }
    syncs.add(dir, shown)
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

/// How many files of an output are hashed at a time.
const LANES: usize = 8;
/// A file of this many bytes is worth a thread of its own for its sync.
const LARGE_BYTES: u64 = 4 << 20;
/// What an output's own directory is called when something is wrong with it.
const WHOLE_TREE: &str = "the output's directory";
