//! Reads a tree that an untrusted program wrote, and refuses whatever is no plain content.
//!
//! The walk goes from directory descriptor to directory descriptor and never
//! through a link, so nothing outside the tree is opened or even looked at.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, FileType, Stat},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    beneath::{kind, look, names, open_dir},
    fault::{StorageError, fault},
    manifest::{ENTRIES_MAX, link_stays_inside},
    path::TreePath,
};

/// One thing found in a tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: TreePath,
    pub(crate) thing: Thing,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    File { mode: u32, identity: FileIdentity },
    Directory,
    Link { text: String },
}

/// What tells that a file is the very one that was sealed, untouched.
///
/// The change time moves with every write, link and change of mode, and no
/// program can set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Of the filesystem.
    pub device: u64,
    /// On the device.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// Of the last write: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Of the last change of content or attributes: seconds and nanoseconds.
    pub changed: (i64, u32),
}

impl FileIdentity {
    #[expect(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        }
    }
}

/// Why something in an output directory cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its name breaks a rule of [`TreePath`].
    #[error("its name is not allowed: {rule}")]
    Name {
        /// The rule, in words.
        rule: &'static str,
    },
    /// It is a named pipe.
    #[error("it is a named pipe")]
    Fifo,
    /// It is a socket.
    #[error("it is a socket")]
    Socket,
    /// It is a device.
    #[error("it is a device")]
    Device,
    /// It is of a kind that this system does not name.
    #[error("it is of an unknown kind")]
    UnknownKind,
    /// It is a file with a set-user-id, set-group-id or sticky bit, or with capabilities.
    #[error("it carries rights beyond its permission bits")]
    Privileged,
    /// It has another name somewhere, perhaps outside.
    #[error("it is a hard link with {links} names")]
    HardLinked {
        /// How many names it has.
        links: u64,
    },
    /// It is a link that could lead out of the output.
    #[error("it is a link that could lead out of the output, to {text:?}")]
    EscapingLink {
        /// Where it leads.
        text: String,
    },
    /// It is a link, or lies behind one, where the thing itself must be.
    #[error("it is a link, or lies behind one")]
    Link,
    /// It is not what was declared.
    #[error("it is not what was declared")]
    WrongForm,
    /// It cannot be opened for reading.
    #[error("it cannot be read")]
    Unreadable,
    /// It was exchanged while it was being sealed.
    #[error("it changed while it was being sealed")]
    Changed,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum WalkError {
    Refused { path: PathBuf, refusal: Refusal },
    TooManyEntries,
    TooLarge { found: u64 },
    Storage(StorageError),
}

impl From<StorageError> for WalkError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What a walk may still take in.
#[derive(Debug)]
pub(crate) struct Budget {
    entries_left: usize,
    bytes: u64,
    bytes_max: u64,
}

impl Budget {
    pub(crate) fn new(bytes_max: Option<u64>) -> Self {
        Self { entries_left: ENTRIES_MAX, bytes: 0, bytes_max: bytes_max.unwrap_or(u64::MAX) }
    }

    /// Starts to count another output against its own limit of bytes.
    pub(crate) fn next_output(&mut self, bytes_max: Option<u64>) {
        self.bytes = 0;
        self.bytes_max = bytes_max.unwrap_or(u64::MAX);
    }

    fn take(&mut self, bytes: u64) -> Result<(), WalkError> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or(WalkError::TooManyEntries)?;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max {
            return Err(WalkError::TooLarge { found: self.bytes });
        }
        Ok(())
    }
}

/// Finds everything below a directory, each directory before what is in it.
///
/// `shown` names the directory in refusals.
pub(crate) fn walk_tree(
    dir: &OwnedFd,
    shown: &Path,
    budget: &mut Budget,
) -> Result<Vec<Found>, WalkError> {
    let mut found = Vec::new();
    descend(dir.as_fd(), None, shown, budget, &mut found)?;
    Ok(found)
}

/// Finds one file, which is a tree of its own name alone.
pub(crate) fn walk_file(
    dir: &OwnedFd,
    name: &TreePath,
    shown: &Path,
    budget: &mut Budget,
) -> Result<Vec<Found>, WalkError> {
    let refused = |refusal| WalkError::Refused { path: shown.to_owned(), refusal };
    let stat = look(dir, name.as_str())
        .map_err(fault("look at", shown))?
        .ok_or_else(|| refused(Refusal::Changed))?;
    match kind(&stat) {
        FileType::RegularFile => {}
        other @ (FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown) => return Err(refused(refusal_of(other))),
    }
    let file = plain_file(&stat).map_err(refused)?;
    budget.take(size_of(&stat))?;
    Ok(vec![Found { path: name.clone(), thing: file }])
}

/// Reads one directory; recursion ends at the depth that a path may have.
fn descend(
    dir: BorrowedFd<'_>,
    below: Option<&TreePath>,
    shown: &Path,
    budget: &mut Budget,
    found: &mut Vec<Found>,
) -> Result<(), WalkError> {
    let here = below.map_or_else(|| shown.to_owned(), |path| shown.join(path.as_str()));
    let most = budget.entries_left.saturating_add(1);
    for name in names(dir, most).map_err(fault("list", &here))? {
        let shown_here = || here.join(lossy(&name));
        let refused = |refusal| WalkError::Refused { path: shown_here(), refusal };
        let text = name.to_str().map_err(|_| refused(Refusal::Name { rule: "it is not UTF-8" }))?;
        let path = TreePath::child(below, text).map_err(|rule| refused(Refusal::Name { rule }))?;
        let stat = look(dir, text)
            .map_err(fault("look at", &shown_here()))?
            .ok_or_else(|| refused(Refusal::Changed))?;
        match kind(&stat) {
            FileType::RegularFile => {
                let thing = plain_file(&stat).map_err(refused)?;
                budget.take(size_of(&stat))?;
                found.push(Found { path, thing });
            }
            FileType::Directory => {
                budget.take(0)?;
                let inner = open_dir(dir, text).map_err(|errno| match errno {
                    Errno::ACCESS => refused(Refusal::Unreadable),
                    Errno::LOOP | Errno::NOTDIR | Errno::NOENT => refused(Refusal::Changed),
                    errno => fault("open", &shown_here())(errno).into(),
                })?;
                found.push(Found { path: path.clone(), thing: Thing::Directory });
                descend(inner.as_fd(), Some(&path), shown, budget, found)?;
            }
            FileType::Symlink => {
                budget.take(0)?;
                let text = inner_link(dir, &name, &path).map_err(refused)?;
                found.push(Found { path, thing: Thing::Link { text } });
            }
            other @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => return Err(refused(refusal_of(other))),
        }
    }
    Ok(())
}

fn inner_link(dir: BorrowedFd<'_>, name: &CStr, path: &TreePath) -> Result<String, Refusal> {
    let text = fs::readlinkat(dir, name, Vec::new()).map_err(|_| Refusal::Changed)?;
    match text.to_str() {
        Ok(text) if link_stays_inside(path, text) => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(Refusal::EscapingLink { text: lossy(&text) }),
    }
}

/// Checks that a regular file is nothing more than that.
pub(crate) fn plain_file(stat: &Stat) -> Result<Thing, Refusal> {
    #[expect(clippy::unnecessary_cast, reason = "the field's type differs by architecture")]
    let links = stat.st_nlink as u64;
    if links != 1 {
        return Err(Refusal::HardLinked { links });
    }
    if stat.st_mode & PRIVILEGES != 0 {
        return Err(Refusal::Privileged);
    }
    Ok(Thing::File { mode: stat.st_mode & 0o777, identity: FileIdentity::of(stat) })
}

fn size_of(stat: &Stat) -> u64 {
    FileIdentity::of(stat).size
}

fn refusal_of(kind: FileType) -> Refusal {
    match kind {
        FileType::Fifo => Refusal::Fifo,
        FileType::Socket => Refusal::Socket,
        FileType::BlockDevice | FileType::CharacterDevice => Refusal::Device,
        FileType::Symlink => Refusal::Link,
        FileType::RegularFile | FileType::Directory => Refusal::WrongForm,
        FileType::Unknown => Refusal::UnknownKind,
    }
}

fn lossy(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

/// Set-user-id, set-group-id and sticky.
const PRIVILEGES: u32 = 0o7000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_beyond_the_budget_is_refused() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(top.path().join(name), "12345").unwrap();
        }
        let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY;
        let dir = fs::open(top.path(), flags, fs::Mode::empty());
        let walk = |mut budget: Budget| {
            walk_tree(dir.as_ref().unwrap(), Path::new("out"), &mut budget).map(|found| found.len())
        };
        assert!(matches!(walk(Budget::new(Some(15))), Ok(3)));
        assert!(matches!(walk(Budget::new(Some(14))), Err(WalkError::TooLarge { found: 15 })));
        let few = Budget { entries_left: 2, ..Budget::new(None) };
        assert!(matches!(walk(few), Err(WalkError::TooManyEntries)));
    }
}
