//! Opens by directory descriptor only, so that no link swapped in can lead astray.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use crate::fault::{SYNC, StorageError, fault};

/// An open directory, and what it is called in messages and to programs.
#[derive(Debug)]
pub(crate) struct Anchor {
    /// As the configuration has it.
    pub(crate) named: PathBuf,
    /// Absolute and without a link in it, at the time it was opened.
    pub(crate) path: PathBuf,
    pub(crate) dir: OwnedFd,
    pub(crate) device: u64,
}

impl Anchor {
    /// Opens a directory that the configuration names; links on the way are the operator's.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let canonical = std::fs::canonicalize(path).map_err(|source| StorageError {
            doing: "resolve",
            path: path.to_owned(),
            source,
        })?;
        let open = || {
            let dir = fs::open(&canonical, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            let device = fs::fstat(&dir)?.st_dev;
            Ok((dir, device))
        };
        let (dir, device) = open().map_err(fault("open", path))?;
        Ok(Self { named: path.to_owned(), path: canonical, dir, device })
    }

    /// Tells whether its name still leads to the directory that was opened.
    pub(crate) fn stands(&self) -> Result<bool, Errno> {
        let opened = fs::fstat(&self.dir)?;
        match fs::stat(&self.named) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// Opens a directory without following any link; `.` is `base` itself.
pub(crate) fn open_dir(base: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    patiently(|| fs::openat2(base.as_fd(), path, DIRECTORY, Mode::empty(), strict()))
}

/// Opens a directory; a link on the way is followed as long as it stays below `base`.
pub(crate) fn open_dir_inside(base: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    patiently(|| fs::openat2(base.as_fd(), path, DIRECTORY, Mode::empty(), inside))
}

/// Opens a file for reading without following any link or waiting for a writer.
pub(crate) fn open_file(base: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    patiently(|| fs::openat2(base.as_fd(), path, flags, Mode::empty(), strict()))
}

/// Opens a file for writing, making it if there is none; follows no link.
pub(crate) fn open_for_writing(base: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC
        | OFlags::NOCTTY;
    let private = Mode::RUSR | Mode::WUSR;
    patiently(|| fs::openat2(base.as_fd(), path, flags, private, strict()))
}

/// Makes a directory with exactly this mode unless there is one, and opens it.
pub(crate) fn make_dir(base: impl AsFd, name: &str, mode: u32) -> Result<(OwnedFd, Made), Errno> {
    let made = match fs::mkdirat(base.as_fd(), name, Mode::from_raw_mode(mode)) {
        Ok(()) => Made::Here,
        Err(Errno::EXIST) => Made::Earlier,
        Err(errno) => return Err(errno),
    };
    let dir = open_dir(base, name)?;
    if made == Made::Here {
        // The umask may have taken bits away.
        fs::fchmod(&dir, Mode::from_raw_mode(mode))?;
    }
    Ok((dir, made))
}

/// Makes a directory that the configuration names, with its missing parents, durably.
///
/// What is made later below it would be lost with its name.
pub(crate) fn make_dirs(path: &Path) -> Result<(), StorageError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| StorageError { doing, path, source }
    };
    let missing = path.ancestors().take_while(|path| !path.exists()).count();
    // One that an earlier start made and did not live to sync is the last that is there.
    let mut levels: Vec<&Path> = path.ancestors().take(missing + 1).collect();
    levels.reverse();
    for level in levels {
        let made = match std::fs::create_dir(level) {
            Ok(()) => Made::Here,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Made::Earlier,
            Err(error) => return Err(failed("make", level)(error)),
        };
        let Some(parent) = level.parent() else { continue };
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            Ok(()) => {}
            // Where this process may not look, it has made nothing.
            Err(error)
                if made == Made::Earlier && error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failed(SYNC, parent)(error)),
        }
    }
    Ok(())
}

/// Who made a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Here,
    Earlier,
}

/// Reads what stands at `name`, which may be a link; `None` if nothing does.
pub(crate) fn look(base: impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    match fs::statat(base.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Returns the kind of what was looked at.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: impl AsFd) -> Result<(), Errno> {
    fs::fsync(dir)
}

/// Reads at most `most` names of a directory, without `.` and `..`, in no order.
pub(crate) fn names(dir: impl AsFd, most: usize) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
            if names.len() >= most {
                break;
            }
        }
    }
    Ok(names)
}

/// Returns where an open directory lies at this moment, without any link in it.
pub(crate) fn location(dir: impl AsFd) -> Result<PathBuf, StorageError> {
    let descriptor = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd());
    std::fs::read_link(&descriptor).map_err(|source| StorageError {
        doing: "read the link",
        path: descriptor.into(),
        source,
    })
}

/// Resolves below the base, through nothing but directories of one filesystem.
fn strict() -> ResolveFlags {
    ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
}

/// Calls again while the kernel cannot tell whether a rename disturbed the lookup.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut result = call();
    for _ in 0..DISTURBED_LOOKUPS_MAX {
        match result {
            Err(Errno::AGAIN | Errno::INTR) => result = call(),
            Ok(_) | Err(_) => break,
        }
    }
    result
}

/// Links are ruled out by how the path is resolved; then they are an `ELOOP`.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A lookup that is disturbed this often is not going to succeed.
const DISTURBED_LOOKUPS_MAX: u32 = 128;
