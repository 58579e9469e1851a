//! Putting back what stood at a target before an output was published there.
//!
//! Nothing is made and no byte is copied: the target is made to lead to the earlier generation
//! again, or to nothing if it was new; what no job had published is brought back as it was. What is
//! sealed for it names what must be found at the
//! target and what is left there; both are looked at again before the vote.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{self, AtFlags, StatxFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow, Staging,
    beneath::{look, open_dir},
    fault::{StorageError, fault},
    layout::{Generation, NOTHING, parse_generation},
    manifest::Manifest,
    path::{Form, TargetPath},
    publish::link_text,
    seal::{Declared, SealError, Sealed, SealedOutput},
    site::{Site, TargetError},
    standing::stands,
    syncs::Syncs,
};

/// What stands, or stood, at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stood {
    /// Nothing: the target was new.
    Nothing,
    /// A link to a generation.
    Generation(Generation),
    /// Something that was not published from here, or not by Votum.
    Ordinary(Ordinary),
}

/// What recognises something ordinary, wherever it is renamed to and whatever is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordinary {
    /// Its inode, which another thing may have once it is removed.
    pub inode: u64,
    /// When it was made, in seconds and nanoseconds, if the filesystem tells.
    pub born: Option<(i64, u32)>,
}

impl Ordinary {
    /// Looks at what stands somewhere; none if nothing does.
    pub(crate) fn look(dir: &OwnedFd, name: &str) -> Result<Option<Self>, Errno> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        match fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
            Ok(found) => {
                let told = StatxFlags::from_bits_retain(found.stx_mask);
                let born = told.contains(StatxFlags::BTIME);
                let born = born.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
                Ok(Some(Self { inode: found.stx_ino, born }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// What an output that puts back finds at its target, and leaves there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBack {
    /// What is taken away; anything else there is somebody else's work.
    pub finds: Stood,
    /// What stands there afterwards.
    pub leaves: Stood,
    /// Whose publication has kept what is no generation, beside its own.
    pub kept_by: Generation,
}

impl SealedOutput {
    /// Returns what its target shows once it is published.
    pub(crate) fn shows(&self, attempt: &AttemptId) -> Stood {
        match &self.put_back {
            Some(put_back) => put_back.leaves.clone(),
            None => Stood::Generation(Generation::new(attempt, &self.name)),
        }
    }
}

impl Staging {
    /// Seals, for each declared output, what stood at its target before the output of the same
    /// name of another attempt was published there; changes nothing.
    ///
    /// # Errors
    /// [`SealError::PutBack`] when that cannot be put back.
    pub fn seal_put_back(self, declared: &[Declared], of: &AttemptId) -> Result<Sealed, SealError> {
        let (folder, out) = self.folders()?;
        let outputs = declared.iter().map(|declared| self.shadow.put_back(declared, of));
        let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        self.conclude(&folder, &out, outputs, Syncs::default())
    }
}

impl Shadow {
    /// Returns what stood at the target of a published output before, if it can be put back.
    ///
    /// # Errors
    /// [`PutBackError`] when it cannot.
    pub fn before(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
    ) -> Result<Stood, PutBackError> {
        let Some(target) = &output.publishes else {
            return Err(PutBackError::NotPublished { attempt: attempt.clone() });
        };
        let site = self.site(target.path())?;
        let own = Generation::new(attempt, &output.name);
        let before = noted_before(&site, &own)?;
        self.check_there(&site, &before, &own)?;
        Ok(before)
    }

    /// Checks that a target shows what an output that puts back must find there, and that what it
    /// leaves there can still be shown.
    pub(crate) fn check_put_back(
        &self,
        output: &SealedOutput,
        put_back: &PutBack,
    ) -> Result<(), PutBackError> {
        let Some(target) = &output.publishes else { return Ok(()) };
        let site = self.site(target.path())?;
        check_found(&site, &put_back.finds)?;
        self.check_there(&site, &put_back.leaves, &put_back.kept_by)
    }

    fn put_back(&self, declared: &Declared, of: &AttemptId) -> Result<SealedOutput, PutBackError> {
        let not_published = || PutBackError::NotPublished { attempt: of.clone() };
        let sealed = match self.sealed(of)? {
            Some(sealed) => Some(sealed),
            None => self.published(of, &declared.name)?,
        };
        let sealed = sealed.as_ref().and_then(|sealed| sealed.output(&declared.name));
        let sealed = sealed.ok_or_else(not_published)?;
        let target = declared.publishes.as_ref().ok_or_else(not_published)?;
        if sealed.publishes.as_ref().is_none_or(|published| published.path() != target.path()) {
            return Err(not_published());
        }
        let finds = sealed.shows(of);
        let leaves = self.before(of, sealed)?;
        check_found(&self.site(target.path())?, &finds)?;
        let kept_by = Generation::new(of, &declared.name);
        let put_back = Some(PutBack { finds, leaves: leaves.clone(), kept_by });
        let Declared { name, path, publishes, .. } = declared.clone();
        let content = match leaves {
            Stood::Generation(earlier) => Some(self.content_of(&earlier)?),
            Stood::Nothing | Stood::Ordinary(_) => None,
        };
        Ok(match content {
            Some(content) => SealedOutput { name, path, publishes, put_back, ..content },
            None => {
                let manifest = Manifest::new(Form::Tree, Vec::new()).expect("a tree may be empty");
                SealedOutput {
                    digest: manifest.digest(),
                    manifest,
                    files: 0,
                    bytes: 0,
                    inode: 0,
                    identities: Vec::new(),
                    name,
                    path,
                    publishes,
                    put_back,
                }
            }
        })
    }

    /// Checks that what is to be put back is there, and that nothing takes it away.
    fn check_there(
        &self,
        site: &Site<'_>,
        stood: &Stood,
        kept_by: &Generation,
    ) -> Result<(), PutBackError> {
        let generation = match stood {
            Stood::Nothing => return Ok(()),
            Stood::Generation(generation) => generation,
            Stood::Ordinary(wanted) => {
                let kept = open_shelf(site, kept_by)?;
                let kept = kept.map(|shelf| last_kept(&shelf, kept_by)).transpose()?.flatten();
                return match kept {
                    Some((_, found)) if found == *wanted => Ok(()),
                    Some(_) | None => Err(unknown(site)),
                };
            }
        };
        let (target, job) = (site.target().clone(), generation.job.clone());
        let shelf = open_shelf(site, generation)?;
        let failed = fault("look at", generation.path());
        match shelf.map(|shelf| look(shelf, &generation.name())).transpose().map_err(failed)? {
            // What its job may still take back, or retire, is not there for good.
            Some(Some(_)) if self.is_over(site, generation)? => Ok(()),
            Some(Some(_)) => Err(PutBackError::NotOver { target, job }),
            Some(None) | None => Err(PutBackError::Gone { target, job }),
        }
    }

    fn content_of(&self, generation: &Generation) -> Result<SealedOutput, PutBackError> {
        let kept = self.manifest_of(generation)?;
        let outputs = kept.into_iter().flat_map(|sealed| sealed.outputs);
        let content = outputs.into_iter().find(|output| output.name == generation.output);
        content.ok_or_else(|| PutBackError::NotListed { generation: generation.path() })
    }
}

/// Reads what was noted when an output was published.
fn noted_before(site: &Site<'_>, own: &Generation) -> Result<Stood, PutBackError> {
    let Some(shelf) = open_shelf(site, own)? else { return Err(unknown(site)) };
    if let Some((_, kept)) = last_kept(&shelf, own)? {
        return Ok(Stood::Ordinary(kept));
    }
    let text = link_text(&shelf, &own.name_of_earlier()).map_err(fault("read", own.path()))?;
    match text {
        Some(text) if text == NOTHING.as_bytes() => Ok(Stood::Nothing),
        Some(text) => parse_generation(&text).map(Stood::Generation).ok_or_else(|| unknown(site)),
        None => Err(unknown(site)),
    }
}

fn open_shelf(site: &Site<'_>, generation: &Generation) -> Result<Option<OwnedFd>, StorageError> {
    match open_dir(&site.root.dir, &generation.shelf_path()) {
        Ok(shelf) => Ok(Some(shelf)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(fault("open", generation.path())(errno)),
    }
}

/// Finds the last ordinary thing that a publication has kept, and its name.
pub(crate) fn last_kept(
    shelf: &OwnedFd,
    by: &Generation,
) -> Result<Option<(String, Ordinary)>, StorageError> {
    let mut last = None;
    for n in 0.. {
        let name = by.name_before(n);
        let Some(found) = Ordinary::look(shelf, &name).map_err(fault("look at", &name))? else {
            break;
        };
        last = Some((name, found));
    }
    Ok(last)
}

fn unknown(site: &Site<'_>) -> PutBackError {
    PutBackError::Unknown { target: site.target().clone() }
}

fn check_found(site: &Site<'_>, wanted: &Stood) -> Result<(), PutBackError> {
    let found = match site.ground()? {
        Some(dir) => stands(&dir, site.path.name()).map_err(site.fault("look at"))?,
        None => Stood::Nothing,
    };
    let target = site.target().clone();
    match found {
        found if found == *wanted => Ok(()),
        Stood::Generation(other) => Err(PutBackError::Replaced { target, by: other.job }),
        Stood::Nothing | Stood::Ordinary(_) => Err(PutBackError::Changed { target }),
    }
}

/// Why what stood at a target before cannot be put back.
#[derive(Debug, Error)]
pub enum PutBackError {
    /// Nothing of it was published by this worker.
    #[error("nothing that attempt {attempt} has published is known here")]
    NotPublished {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Another job has published there since.
    #[error("{target} was replaced by {by} since")]
    Replaced {
        /// The target.
        target: TargetPath,
        /// Whose output stands there.
        by: JobId,
    },
    /// Somebody has put something else there since, or removed what was there.
    #[error("{target} was changed since, by no job")]
    Changed {
        /// The target.
        target: TargetPath,
    },
    /// The earlier generation was retired, or removed by hand.
    #[error("what {job} had published at {target} is not kept any more")]
    Gone {
        /// The target.
        target: TargetPath,
        /// Whose it was.
        job: JobId,
    },
    /// The earlier generation may still be taken back or removed.
    #[error("{job}, which had published at {target} before, is not over on this worker yet")]
    NotOver {
        /// The target.
        target: TargetPath,
        /// Whose it is.
        job: JobId,
    },
    /// What the earlier generation consists of was not kept.
    #[error("what {generation} consists of is not known")]
    NotListed {
        /// Below the publish root.
        generation: String,
    },
    /// Nobody has noted what stood there.
    #[error("what stood at {target} before is not known")]
    Unknown {
        /// The target.
        target: TargetPath,
    },
    /// The way to the target leads nowhere.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
