//! Finds the place of a target below a publish root, and makes the way to it.
//!
//! A link among the parents is followed as long as it stays below the root. It
//! is followed anew each time, with the root's descriptor as the top of the
//! world: a link swapped in after the check leads to an error, never outside.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, Access, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use thiserror::Error;
use votum_ids::OutputName;

use crate::{
    Shadow,
    beneath::{Anchor, Made, kind, location, look, make_dir, open_dir, open_dir_inside, sync_dir},
    fault::{SYNC, StorageError, fault},
    layout,
    manifest::DIRECTORY_MODE,
    path::{TargetPath, TreePath},
    syncs::Syncs,
};

impl Shadow {
    /// Finds the root that a target lies below: the innermost, or the first
    /// for a relative one.
    pub(crate) fn site<'a>(&'a self, target: &'a TargetPath) -> Result<Site<'a>, TargetError> {
        let roots = self.root_anchors();
        let found = if target.is_absolute() {
            roots
                .iter()
                .filter_map(|root| {
                    let below = target.below(&root.named).or_else(|| target.below(&root.path))?;
                    Some((root, below))
                })
                .max_by_key(|(root, _)| root.path.components().count())
        } else {
            roots.first().and_then(|root| Some((root, target.below(&root.path)?)))
        };
        match found {
            Some((root, path)) => Site { target, root, path }.standing(),
            None => Err(TargetError::OutsideRoots { target: target.clone() }),
        }
    }
}

/// The place of a target, as it is written.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    target: &'a TargetPath,
    pub(crate) root: &'a Anchor,
    pub(crate) path: TreePath,
}

/// What was found at a place, without changing anything.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Where the target really lies, no link among its parents.
    pub(crate) real_path: PathBuf,
    /// How many directories below the root it lies.
    pub(crate) depth: usize,
    /// Whether a link is among its parents.
    pub(crate) way: Way,
    /// What stands there, and the directory it stands in.
    pub(crate) standing: Option<(OwnedFd, Stat)>,
}

/// How the parents of a target lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    ThroughLinks,
}

/// The directory that a target stands in.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) dir: OwnedFd,
    /// How it lies below the root, no link in it.
    pub(crate) below_root: PathBuf,
    /// Whether a part of the way was made here.
    pub(crate) made: Made,
}

impl Ground {
    pub(crate) fn depth(&self) -> usize {
        self.below_root.components().count()
    }
}

impl Site<'_> {
    /// Returns the target as the job names it.
    pub(crate) fn target(&self) -> &TargetPath {
        self.target
    }

    /// Refuses a place whose root was moved away: what is published there is found by nobody.
    fn standing(self) -> Result<Self, TargetError> {
        if self.root.stands().map_err(self.fault("look at the root of"))? {
            return Ok(self);
        }
        let (target, root) = (self.target.clone(), self.root.named.clone());
        Err(TargetError::RootGone { target, root })
    }

    /// Checks that the target could be made to appear; changes nothing.
    pub(crate) fn survey(&self) -> Result<Survey, TargetError> {
        let (dir, missing) = self.nearest()?;
        let below_root = self.placed(&dir)?;
        let writable = Access::WRITE_OK | Access::EXEC_OK;
        let access = |name: &str| fs::accessat(&dir, name, writable, AtFlags::EACCESS);
        access(".").map_err(|errno| self.not_writable(errno))?;
        self.try_a_name(&dir)?;
        let name = self.path.name();
        let real_path = missing
            .iter()
            .fold(self.root.path.join(&below_root), |path, name| path.join(name))
            .join(name);
        let depth = below_root.components().count() + missing.len();
        let stat = if missing.is_empty() {
            look(&dir, name).map_err(self.fault("look at"))?
        } else {
            None
        };
        if let Some(stat) = &stat
            && kind(stat) == FileType::Directory
        {
            // It will move to another parent, for which it must be writable itself.
            access(name).map_err(|errno| self.not_writable(errno))?;
            self.check_device(stat)?;
        }
        let straight = real_path == self.root.path.join(self.path.as_str());
        let way = if straight { Way::Straight } else { Way::ThroughLinks };
        Ok(Survey { real_path, depth, way, standing: stat.map(|stat| (dir, stat)) })
    }

    /// Tries whether a file can be made in a directory, and makes none that anybody could see.
    ///
    /// Rights alone do not tell of a quota or of a filesystem without a free inode.
    fn try_a_name(&self, dir: &OwnedFd) -> Result<(), TargetError> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => Ok(()),
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                Err(self.not_writable(errno))
            }
            // The filesystem has no files without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.fault("make a file beside")(errno)),
        }
    }

    /// Opens the directory that the target stands in; none if it is not there.
    pub(crate) fn ground(&self) -> Result<Option<OwnedFd>, TargetError> {
        let (dir, missing) = self.nearest()?;
        self.placed(&dir)?;
        Ok(missing.is_empty().then_some(dir))
    }

    /// Opens the directory that the target stands in, making it and its parents.
    pub(crate) fn occupy(&self) -> Result<Ground, TargetError> {
        let (mut dir, missing) = self.nearest()?;
        self.placed(&dir)?;
        let mut made_any = Made::Earlier;
        for name in missing {
            let (inner, _) = make_dir(&dir, name, DIRECTORY_MODE).map_err(self.fault("make"))?;
            sync_dir(&dir).map_err(self.fault(SYNC))?;
            dir = inner;
            made_any = Made::Here;
        }
        let below_root = self.placed(&dir)?;
        Ok(Ground { dir, below_root, made: made_any })
    }

    /// Makes every directory from the ground up to the root durable.
    pub(crate) fn sync_way(&self, ground: &Ground) -> Result<(), TargetError> {
        let mut syncs = Syncs::default();
        for place in ground.below_root.ancestors() {
            let text = place.to_str().filter(|text| !text.is_empty()).unwrap_or(".");
            let dir = open_dir(&self.root.dir, text).map_err(self.fault(SYNC))?;
            syncs.add(dir, self.path.as_str()).map_err(TargetError::Storage)?;
        }
        syncs.finish().map_err(TargetError::Storage)
    }

    /// Opens the innermost parent that exists; returns the names that do not.
    fn nearest(&self) -> Result<(OwnedFd, Vec<&str>), TargetError> {
        let mut parents: Vec<&str> = self.path.components().collect();
        parents.pop();
        let target = || self.target.clone();
        for existing in (0..=parents.len()).rev() {
            let (present, missing) = parents.split_at(existing);
            let path = if present.is_empty() { ".".to_owned() } else { present.join("/") };
            match open_dir_inside(&self.root.dir, &path) {
                Ok(dir) => {
                    let blocked = match missing.first() {
                        None => None,
                        Some(name) => look(&dir, name).map_err(self.fault("look at"))?,
                    };
                    // Something is there that leads nowhere: a dangling link.
                    if blocked.is_some() {
                        return Err(TargetError::Blocked { target: target() });
                    }
                    return Ok((dir, missing.to_vec()));
                }
                Err(Errno::NOENT) => {}
                Err(Errno::XDEV | Errno::LOOP) => {
                    return Err(TargetError::Escapes { target: target() });
                }
                Err(Errno::NOTDIR) => return Err(TargetError::Blocked { target: target() }),
                Err(errno @ Errno::ACCESS) => return Err(self.not_writable(errno)),
                Err(errno) => return Err(self.fault("open")(errno)),
            }
        }
        Err(TargetError::Blocked { target: target() })
    }

    /// Checks where a directory really lies; returns how it lies below the root.
    fn placed(&self, dir: &OwnedFd) -> Result<PathBuf, TargetError> {
        self.check_device(&fs::fstat(dir).map_err(self.fault("look at"))?)?;
        let (root, place) = (location(&self.root.dir)?, location(dir)?);
        let Ok(below) = place.strip_prefix(&root) else {
            return Err(TargetError::Escapes { target: self.target.clone() });
        };
        if below.components().any(|name| name.as_os_str() == layout::VOTUM) {
            return Err(TargetError::InsideGeneration { target: self.target.clone() });
        }
        Ok(below.to_owned())
    }

    fn check_device(&self, stat: &Stat) -> Result<(), TargetError> {
        #[expect(clippy::unnecessary_cast, reason = "the field's type differs by architecture")]
        if stat.st_dev as u64 == self.root.device {
            Ok(())
        } else {
            Err(TargetError::CrossDevice { target: self.target.clone() })
        }
    }

    fn not_writable(&self, errno: Errno) -> TargetError {
        TargetError::NotWritable { target: self.target.clone(), source: errno.into() }
    }

    pub(crate) fn fault(&self, doing: &'static str) -> impl FnOnce(Errno) -> TargetError {
        let path = Path::new(self.path.as_str());
        move |errno| TargetError::Storage(fault(doing, path)(errno))
    }
}

/// Why nothing can be published at a target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// It lies below no publish root of this worker.
    #[error("the target {target} lies below no publish root of this worker")]
    OutsideRoots {
        /// The target.
        target: TargetPath,
    },
    /// Its root was removed, or another directory took its name.
    #[error(
        "the target {target} has lost its publish root {root:?}: put it back and start the worker \
         again"
    )]
    RootGone {
        /// The target.
        target: TargetPath,
        /// The root, as the configuration has it.
        root: PathBuf,
    },
    /// One of its parents is a link that leads out of the root.
    #[error("the target {target} lies behind a link out of its publish root")]
    Escapes {
        /// The target.
        target: TargetPath,
    },
    /// Its parents lead into something published, which never changes.
    #[error("the target {target} lies inside a published output")]
    InsideGeneration {
        /// The target.
        target: TargetPath,
    },
    /// One of its parents is no directory.
    #[error("the target {target} has a parent that is not a directory")]
    Blocked {
        /// The target.
        target: TargetPath,
    },
    /// Another filesystem is mounted on the way to it.
    #[error("the target {target} is not on the filesystem of its publish root")]
    CrossDevice {
        /// The target.
        target: TargetPath,
    },
    /// The worker may not write where it lies.
    #[error("the target {target} lies where this worker cannot write")]
    NotWritable {
        /// The target.
        target: TargetPath,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something stands there, and the job asks for an empty place.
    #[error("something stands at the target {target} already")]
    Occupied {
        /// The target.
        target: TargetPath,
    },
    /// Another target of the job is the same place, or lies in it or around it.
    #[error("the targets {first} and {second} overlap")]
    Overlap {
        /// One of them.
        first: TargetPath,
        /// The other.
        second: TargetPath,
    },
    /// A directory is to be published as a file, or a file as a directory.
    #[error("the target {target} is not of the form of the output {output}")]
    Form {
        /// The target.
        target: TargetPath,
        /// The output.
        output: OutputName,
    },
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
