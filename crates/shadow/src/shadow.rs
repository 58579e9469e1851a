//! The shadow of one worker: its staging directory, its publish roots, its opening checks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, Mode, RenameFlags},
    io::Errno,
};
use thiserror::Error;

use crate::{
    ProgramUser,
    beneath::{Anchor, make_dir, make_dirs, open_dir, sync_dir},
    fault::{SYNC, StorageError, fault},
    layout,
    manifest::DIRECTORY_MODE,
    program::PASSABLE_MODE,
};

/// The staging directory and the publish roots of one worker; cheap to clone.
///
/// One process at a time may use a staging directory. Roots may be shared.
/// Every call blocks until the filesystem has answered.
#[derive(Debug, Clone)]
pub struct Shadow {
    places: Arc<Places>,
    /// Whom programs run as; none: as the worker itself.
    pub(crate) program_user: Option<ProgramUser>,
}

#[derive(Debug)]
struct Places {
    staging: Anchor,
    roots: Vec<Anchor>,
}

impl Shadow {
    /// Opens a staging directory, making it if needed, and its publish roots.
    ///
    /// Each root gets its `.votum` folder. That staged bytes can be published
    /// by renaming them is tried, not assumed.
    ///
    /// # Errors
    /// [`OpenError`] when a root is not there, lies in the staging directory
    /// or around it, or cannot take a file from it by a rename.
    pub fn open(staging: &Path, roots: &[PathBuf]) -> Result<Self, OpenError> {
        for path in roots.iter().map(PathBuf::as_path).chain([staging]) {
            if !path.is_absolute() {
                return Err(OpenError::NotAbsolute { path: path.to_owned() });
            }
        }
        make_dirs(staging)?;
        let staging = Anchor::open(staging)?;
        restrict(&staging).map_err(fault("restrict", &staging.path))?;
        let roots = roots
            .iter()
            .map(|root| open_root(root, &staging))
            .collect::<Result<Vec<_>, OpenError>>()?;
        Ok(Self { places: Arc::new(Places { staging, roots }), program_user: None })
    }

    /// Returns the staging directory, without a link in its path.
    #[must_use]
    pub fn staging_dir(&self) -> &Path {
        &self.places.staging.path
    }

    /// Returns the publish roots, without a link in their paths.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.places.roots.iter().map(|root| root.path.as_path())
    }

    pub(crate) fn staging(&self) -> &Anchor {
        &self.places.staging
    }

    pub(crate) fn root_anchors(&self) -> &[Anchor] {
        &self.places.roots
    }
}

/// Why a shadow cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A path of the configuration is relative.
    #[error("{path:?} is not an absolute path")]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// A publish root does not exist or is no directory.
    #[error("the publish root {root:?} is not a directory")]
    NoRoot {
        /// The root.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: StorageError,
    },
    /// Undecided bytes would lie below a root, or published ones in the staging directory.
    #[error("the publish root {root:?} and the staging directory {staging:?} lie in one another")]
    Nested {
        /// The root.
        root: PathBuf,
        /// The staging directory.
        staging: PathBuf,
    },
    /// Staged bytes would have to be copied to become visible.
    #[error(
        "the publish root {root:?} is not on the filesystem of the staging directory {staging:?}"
    )]
    CrossDevice {
        /// The root.
        root: PathBuf,
        /// The staging directory.
        staging: PathBuf,
    },
    /// The filesystem cannot exchange two names, or rename without replacing.
    #[error("the filesystem of the publish root {root:?} lacks an operation of renameat2")]
    Unsupported {
        /// The root.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The filesystem refused something else.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Closes the staging directory to others, but for those whom an earlier opening let pass.
///
/// A program of such a user may be running, and must not be locked out of its folders
/// for a moment. The folders of attempts are closed to whoever has no business there.
fn restrict(staging: &Anchor) -> Result<(), Errno> {
    if fs::fstat(&staging.dir)?.st_mode & 0o7777 == PASSABLE_MODE {
        return Ok(());
    }
    fs::fchmod(&staging.dir, Mode::from_raw_mode(PRIVATE_MODE))
}

fn open_root(path: &Path, staging: &Anchor) -> Result<Anchor, OpenError> {
    let root =
        Anchor::open(path).map_err(|source| OpenError::NoRoot { root: path.to_owned(), source })?;
    if root.path.starts_with(&staging.path) || staging.path.starts_with(&root.path) {
        return Err(OpenError::Nested { root: root.path, staging: staging.path.clone() });
    }
    if root.device != staging.device {
        return Err(OpenError::CrossDevice { root: root.path, staging: staging.path.clone() });
    }
    let failed = |name: &str| fault("make", root.path.join(name));
    let (votum, _) =
        make_dir(&root.dir, layout::VOTUM, DIRECTORY_MODE).map_err(failed(layout::VOTUM))?;
    make_dir(&votum, layout::GENERATIONS, DIRECTORY_MODE).map_err(failed(layout::GENERATIONS))?;
    sync_dir(&votum).and_then(|()| sync_dir(&root.dir)).map_err(fault(SYNC, &root.path))?;
    probe(&root, staging)?;
    Ok(root)
}

/// Does once with two empty files what publishing will do.
///
/// Two mounts of one filesystem have one device number, and still no rename
/// leads from one to the other.
fn probe(root: &Anchor, staging: &Anchor) -> Result<(), OpenError> {
    let votum = open_dir(&root.dir, layout::VOTUM).map_err(fault("open", &root.path))?;
    let name = format!("probe.{}", rustix::process::getpid().as_raw_nonzero());
    let other = format!("{name}.other");
    let clear = || {
        let ends = [(&staging.dir, &name), (&votum, &name), (&votum, &other)];
        for (dir, name) in ends {
            match fs::unlinkat(dir, name.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(fault("remove", name)(errno)),
            }
        }
        Ok(())
    };
    clear()?;
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::WRONLY | fs::OFlags::CLOEXEC;
    for (dir, name) in [(&staging.dir, &name), (&votum, &other)] {
        fs::openat(dir, name.as_str(), flags, mode).map_err(fault("make", name))?;
    }
    let tried = fs::renameat_with(&staging.dir, &*name, &votum, &*name, RenameFlags::NOREPLACE)
        .and_then(|()| fs::renameat_with(&votum, &*name, &votum, &*other, RenameFlags::EXCHANGE));
    clear()?;
    tried.map_err(|errno| match errno {
        Errno::XDEV => {
            OpenError::CrossDevice { root: root.path.clone(), staging: staging.path.clone() }
        }
        Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
            OpenError::Unsupported { root: root.path.clone(), source: errno.into() }
        }
        errno => fault("rename into", &root.path)(errno).into(),
    })
}

/// Of the staging directory and of the folders of jobs and attempts: what is
/// undecided is for nobody else to read.
pub(crate) const PRIVATE_MODE: u32 = 0o700;
