//! Takes in what arrives from another worker, and lets nobody read it before it is verified.
//!
//! The manifest was checked when it was read and its digest is the one that
//! the coordinator names, so a peer can send wrong bytes and nothing worse.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::PathBuf,
};

use rustix::{
    fs::{self, AtFlags, Mode},
    io::Errno,
};
use thiserror::Error;
use votum_ids::{Digest, OutputName};

use crate::{
    ProgramUser, Staging,
    beneath::{look, make_dir, open_dir, open_file, open_for_writing},
    content::read_through,
    discard::remove_tree,
    fault::{StorageError, fault},
    layout,
    manifest::{Content, Entry, Manifest},
    path::{Form, TreePath},
    walk::{Budget, Found, Thing, walk_tree},
};

impl Staging {
    /// Begins to take in an input, or goes on with one that was begun.
    ///
    /// # Errors
    /// [`IntakeError::OtherManifest`] when the manifest is not the one wanted.
    pub fn intake(
        &self,
        input: &OutputName,
        manifest: &Manifest,
        digest: Digest,
    ) -> Result<Intake, IntakeError> {
        let found = manifest.digest();
        if found != digest {
            return Err(IntakeError::OtherManifest { expected: digest, found });
        }
        let failed = |doing| fault(doing, input.as_str());
        let inputs = self
            .shadow
            .open_attempt(&self.attempt)
            .and_then(|folder| open_dir(folder, layout::INPUTS))
            .map_err(failed("open"))?;
        let path = self.inputs_dir().join(input.as_str());
        let intake = Intake::begin(&inputs, input.as_str(), path, manifest)?;
        Ok(Intake { reader: self.shadow.program_user, ..intake })
    }
}

/// An input or a checkpoint that is being taken in.
#[derive(Debug)]
pub struct Intake {
    dir: OwnedFd,
    path: PathBuf,
    manifest: Manifest,
    /// Whom the files are for, if not for the worker itself.
    reader: Option<ProgramUser>,
    /// The file of the last piece: pieces of one file follow each other.
    open: Option<(TreePath, File)>,
}

impl Intake {
    /// Begins to take in what the manifest describes below `name`, or goes on with it.
    pub(crate) fn begin(
        parent: &OwnedFd,
        name: &str,
        path: PathBuf,
        manifest: &Manifest,
    ) -> Result<Self, IntakeError> {
        let failed = |doing| fault(doing, name);
        let (mut dir, _) = make_dir(parent, name, OPEN_MODE).map_err(failed("make"))?;
        if !continues(&dir, manifest) {
            let c_name = std::ffi::CString::new(name).expect("a name has no NUL");
            remove_tree(parent, &c_name)?;
            (dir, _) = make_dir(parent, name, OPEN_MODE).map_err(failed("make"))?;
        }
        fs::fchmod(&dir, Mode::from_raw_mode(OPEN_MODE)).map_err(failed("open"))?;
        for Entry { path, content, .. } in manifest.entries() {
            if matches!(content, Content::Directory) {
                let parent = path.parent();
                open_dir(&dir, parent.as_ref().map_or(".", |parent| parent.as_str()))
                    .and_then(|parent| make_dir(parent, path.name(), OPEN_MODE))
                    .map_err(fault("make", path.as_str()))?;
            }
        }
        Ok(Self { dir, path, manifest: manifest.clone(), reader: None, open: None })
    }

    /// Returns what is expected.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns how many bytes of a file are there, if its pieces came in order.
    ///
    /// # Errors
    /// [`IntakeError::NoSuchFile`] when the manifest has no such file.
    pub fn received(&self, path: &TreePath) -> Result<u64, IntakeError> {
        self.size_of(path)?;
        let there = open_file(&self.dir, path.as_str()).and_then(|file| fs::fstat(&file));
        match there {
            Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
            Err(Errno::NOENT) => Ok(0),
            Err(errno) => Err(fault("look at", path.as_str())(errno).into()),
        }
    }

    /// Writes one piece of a file. The same piece may come twice.
    ///
    /// # Errors
    /// [`IntakeError`] when the manifest has no such file or no such bytes in it.
    pub fn write(&mut self, path: &TreePath, offset: u64, bytes: &[u8]) -> Result<(), IntakeError> {
        let size = self.size_of(path)?;
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > size) {
            return Err(IntakeError::BeyondEnd { path: path.clone(), size });
        }
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            let file =
                open_for_writing(&self.dir, path.as_str()).map_err(fault("open", path.as_str()))?;
            self.open = Some((path.clone(), file.into()));
        }
        let Some((_, file)) = &self.open else { return Ok(()) };
        file.write_all_at(bytes, offset).map_err(|source| {
            StorageError { doing: "write", path: path.as_str().into(), source }.into()
        })
    }

    /// Verifies every file and makes all of it read-only; returns what the program reads.
    ///
    /// A file that is wrong is removed, so that it can be taken in again.
    ///
    /// # Errors
    /// [`IntakeError::Damaged`] for the first file that is not as the manifest says.
    pub fn finish(mut self) -> Result<PathBuf, IntakeError> {
        self.open = None;
        let mut buffer = Vec::new();
        for entry in self.manifest.entries() {
            let path = &entry.path;
            match &entry.content {
                Content::File { size, digest } => {
                    self.verify(entry, *size, *digest, &mut buffer)?;
                }
                Content::Link { text } => {
                    let parent = path.parent();
                    let linked =
                        open_dir(&self.dir, parent.as_ref().map_or(".", |parent| parent.as_str()))
                            .and_then(|parent| fs::symlinkat(text.as_str(), parent, path.name()));
                    match linked {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(fault("link", path.as_str())(errno).into()),
                    }
                }
                Content::Directory => {}
            }
        }
        let read_only = |dir: &OwnedFd| fs::fchmod(dir, Mode::from_raw_mode(CLOSED_MODE));
        for entry in self.manifest.entries() {
            if matches!(entry.content, Content::Directory) {
                open_dir(&self.dir, entry.path.as_str())
                    .and_then(|dir| read_only(&dir))
                    .map_err(fault("restrict", entry.path.as_str()))?;
            }
        }
        read_only(&self.dir).map_err(fault("restrict", &self.path))?;
        Ok(match (self.manifest.form(), self.manifest.files().next()) {
            (Form::File, Some(file)) => self.path.join(file.path.as_str()),
            (Form::File, None) | (Form::Tree, _) => self.path,
        })
    }

    fn size_of(&self, path: &TreePath) -> Result<u64, IntakeError> {
        match self.manifest.entry(path).map(|entry| &entry.content) {
            Some(Content::File { size, .. }) => Ok(*size),
            Some(Content::Directory | Content::Link { .. }) | None => {
                Err(IntakeError::NoSuchFile { path: path.clone() })
            }
        }
    }

    fn verify(
        &self,
        entry: &Entry,
        size: u64,
        digest: Digest,
        buffer: &mut Vec<u8>,
    ) -> Result<(), IntakeError> {
        let path = entry.path.as_str();
        let failed = |doing| fault(doing, path);
        // No piece ever comes of an empty file.
        if size == 0 && look_below(&self.dir, &entry.path).map_err(failed("look at"))?.is_none() {
            open_for_writing(&self.dir, path).map_err(failed("make"))?;
        }
        let file = match open_file(&self.dir, path) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Err(IntakeError::Missing { path: entry.path.clone() }),
            Err(errno) => return Err(failed("open")(errno).into()),
        };
        let (found, _) = read_through(&file, buffer).map_err(|source| StorageError {
            doing: "read",
            path: path.into(),
            source,
        })?;
        if found != digest {
            let parent = entry.path.parent();
            open_dir(&self.dir, parent.as_ref().map_or(".", |parent| parent.as_str()))
                .and_then(|dir| fs::unlinkat(dir, entry.path.name(), AtFlags::empty()))
                .map_err(failed("remove"))?;
            let path = entry.path.clone();
            return Err(IntakeError::Damaged { path, expected: digest, found });
        }
        if let Some(user) = self.reader {
            user.own(&file).map_err(failed("hand over"))?;
        }
        fs::fchmod(&file, Mode::from_raw_mode(entry.mode)).map_err(failed("restrict"))?;
        Ok(())
    }
}

/// Why an input cannot be taken in.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The sender's manifest is not the one that the coordinator names.
    #[error("the manifest is {found}, not {expected}")]
    OtherManifest {
        /// Named by the coordinator.
        expected: Digest,
        /// Of the manifest that came.
        found: Digest,
    },
    /// The manifest has no such file.
    #[error("the manifest has no file {path:?}")]
    NoSuchFile {
        /// The file.
        path: TreePath,
    },
    /// A piece lies beyond the end of its file.
    #[error("a piece of {path:?} lies beyond its {size} bytes")]
    BeyondEnd {
        /// The file.
        path: TreePath,
        /// Its size by the manifest.
        size: u64,
    },
    /// Nothing came of a file.
    #[error("nothing has come of {path:?}")]
    Missing {
        /// The file.
        path: TreePath,
    },
    /// What came of a file is not what the manifest says.
    #[error("the file {path:?} is {found}, not {expected}")]
    Damaged {
        /// The file.
        path: TreePath,
        /// By the manifest.
        expected: Digest,
        /// Of the bytes that came.
        found: Digest,
    },
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Tells whether what is there can be a part of what the manifest describes.
fn continues(dir: &OwnedFd, manifest: &Manifest) -> bool {
    let fits = |found: &Found| {
        let content = manifest.entry(&found.path).map(|entry| &entry.content);
        match (&found.thing, content) {
            (Thing::File { identity, .. }, Some(Content::File { size, .. })) => {
                identity.size <= *size
            }
            (Thing::Directory, Some(Content::Directory)) => true,
            (Thing::Link { text: found }, Some(Content::Link { text })) => found == text,
            (Thing::File { .. } | Thing::Directory | Thing::Link { .. }, _) => false,
        }
    };
    let found = walk_tree(dir, std::path::Path::new(""), &mut Budget::new(None));
    found.is_ok_and(|found| found.iter().all(fits))
}

fn look_below(dir: &OwnedFd, path: &TreePath) -> Result<Option<fs::Stat>, Errno> {
    let parent = path.parent();
    let dir = open_dir(dir.as_fd(), parent.as_ref().map_or(".", |parent| parent.as_str()))?;
    look(dir, path.name())
}

/// While files still come.
const OPEN_MODE: u32 = 0o755;
/// For the program.
const CLOSED_MODE: u32 = 0o555;
