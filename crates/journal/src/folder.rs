//! The journal's folder: names in it, what makes a name durable, and its one user.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Lsn, OpenError, error::At};

/// Makes the folder, and keeps every other process out of it while the file lives.
pub(crate) fn occupy(folder: &Path) -> Result<File, OpenError> {
    make_folders(folder).at(folder)?;
    let path = folder.join("lock");
    let lock = File::options().create(true).write(true).truncate(false).open(&path).at(&path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// Makes a folder with its missing parents, each name durably.
fn make_folders(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| !folder.exists()).count();
    // One that an earlier start made and did not live to sync is the last that is there.
    let mut levels: Vec<&Path> = folder.ancestors().take(missing + 1).collect();
    levels.reverse();
    for level in levels.into_iter().filter(|level| !level.as_os_str().is_empty()) {
        let is_there = level.exists();
        if !is_there {
            fs::create_dir(level)?;
        }
        let parent = level.parent().filter(|parent| !parent.as_os_str().is_empty());
        match sync_folder(parent.unwrap_or(Path::new("."))) {
            // Where this process may not look, it has made nothing.
            Err(error) if is_there && error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Replaces a small file by new content: after a crash it is the old one or the new one.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let aside = folder.join(format!("{name}{ASIDE}"));
    let mut file = File::create(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, folder.join(name))?;
    sync_folder(folder)
}

pub(crate) fn segment_path(folder: &Path, first: Lsn) -> PathBuf {
    folder.join(segment_name(first))
}

pub(crate) fn segment_name(first: Lsn) -> String {
    format!("{:020}{SEGMENT}", first.0)
}

/// Lists the segments by their first number and removes what a crash left half made.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<Lsn>> {
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_name().to_str().is_some_and(|name| name.ends_with(ASIDE)) {
            fs::remove_file(item.path())?;
        }
    }
    segments_listed(folder)
}

/// Lists the segments by their first number.
pub(crate) fn segments_listed(folder: &Path) -> io::Result<Vec<Lsn>> {
    let mut segments = Vec::new();
    for item in fs::read_dir(folder)? {
        let name = item?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(first) = name.strip_suffix(SEGMENT)
            && let Ok(first) = first.parse()
        {
            segments.push(Lsn(first));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The end of a segment's name.
const SEGMENT: &str = ".journal";
/// The end of the name of a file that is not whole yet.
pub(crate) const ASIDE: &str = ".aside";
/// The index's folder below the journal's.
pub(crate) const INDEX: &str = "index";
