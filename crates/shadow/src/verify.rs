//! Compares what lies somewhere with what was sealed.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{
    beneath::{look, open_dir, open_file},
    content::read_through,
    fault::{StorageError, fault},
    manifest::{Content, Entry},
    path::{Form, TreePath},
    seal::SealedOutput,
    walk::{Budget, Found, Thing, WalkError, walk_file, walk_tree},
};

/// How closely bytes are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Bytes are read only of files whose identity differs from the sealed one.
    #[default]
    Quick,
    /// All bytes are read.
    Full,
}

/// Whether permission bits must be those of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modes {
    AsSealed,
    AsPublished,
}

/// How something differs from what was sealed.
#[derive(Debug)]
pub(crate) enum Mismatch {
    /// Nothing is there.
    Gone,
    /// Something else is there; the path is the first that differs.
    Changed { path: PathBuf },
    /// It cannot be told.
    Storage(StorageError),
}

impl From<StorageError> for Mismatch {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Compares what stands as `name` in `parent` with a sealed output.
pub(crate) fn verify(
    parent: &OwnedFd,
    name: &str,
    output: &SealedOutput,
    depth: Depth,
    modes: Modes,
) -> Result<(), Mismatch> {
    let shown = Path::new(output.path.path().as_str());
    if look(parent, name).map_err(fault("look at", shown))?.is_none() {
        return Err(Mismatch::Gone);
    }
    let changed = |path: &Path| Mismatch::Changed { path: path.to_owned() };
    let mut budget = Budget::new(None);
    let tree;
    let (base, found) = match output.path.form() {
        Form::File => {
            let name = TreePath::new(name).map_err(|_| changed(shown))?;
            (parent, walk_file(parent, &name, shown, &mut budget))
        }
        Form::Tree => {
            tree = open_dir(parent, name).map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => changed(shown),
                errno => fault("open", shown)(errno).into(),
            })?;
            (&tree, walk_tree(&tree, shown, &mut budget))
        }
    };
    let mut found = found.map_err(|error| match error {
        WalkError::Refused { path, .. } => Mismatch::Changed { path },
        WalkError::TooManyEntries | WalkError::TooLarge { .. } => changed(shown),
        WalkError::Storage(error) => error.into(),
    })?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    compare(base, shown, &found, output, depth, modes)
}

fn compare(
    base: &OwnedFd,
    shown: &Path,
    found: &[Found],
    output: &SealedOutput,
    depth: Depth,
    modes: Modes,
) -> Result<(), Mismatch> {
    let entries = output.manifest.entries();
    // A single file may lie under another name than the one it was sealed with.
    let shown = |path: &TreePath| match output.path.form() {
        Form::File => shown.to_owned(),
        Form::Tree => shown.join(path.as_str()),
    };
    let renamed = output.path.form() == Form::File;
    let differs = |found: &Found, entry: &Entry| {
        (found.path != entry.path && !renamed) || !alike(&found.thing, entry, modes)
    };
    let first = found.iter().zip(entries).find(|(found, entry)| differs(found, entry));
    if let Some((found, _)) = first {
        return Err(Mismatch::Changed { path: shown(&found.path) });
    }
    if found.len() != entries.len() {
        let common = found.len().min(entries.len());
        let odd = found.get(common).map(|found| &found.path);
        let odd = odd.or_else(|| entries.get(common).map(|entry| &entry.path));
        return Err(Mismatch::Changed { path: odd.map_or_else(PathBuf::new, shown) });
    }
    let mut identities = output.identities.iter();
    let mut buffer = Vec::new();
    for (found, entry) in found.iter().zip(entries) {
        let (Thing::File { identity, .. }, Content::File { digest, .. }) =
            (&found.thing, &entry.content)
        else {
            continue;
        };
        if identities.next() == Some(identity) && depth == Depth::Quick {
            continue;
        }
        let failed = |doing| fault(doing, output.path.path().as_str());
        let file = File::from(open_file(base, found.path.as_str()).map_err(failed("open"))?);
        let read = read_through(&file, &mut buffer).map_err(|source| StorageError {
            doing: "read",
            path: shown(&found.path),
            source,
        })?;
        if read.0 != *digest {
            return Err(Mismatch::Changed { path: shown(&found.path) });
        }
    }
    Ok(())
}

fn alike(thing: &Thing, entry: &Entry, modes: Modes) -> bool {
    match (thing, &entry.content) {
        (Thing::File { mode, identity }, Content::File { size, .. }) => {
            let mode_fits = modes == Modes::AsPublished || *mode == entry.mode;
            mode_fits && identity.size == *size
        }
        (Thing::Directory, Content::Directory) => true,
        (Thing::Link { text: found }, Content::Link { text }) => found == text,
        (Thing::File { .. } | Thing::Directory | Thing::Link { .. }, _) => false,
    }
}
