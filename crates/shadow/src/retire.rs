//! Removing earlier generations of a target: only those that it does not keep, and only of jobs
//! that are over.
//!
//! A generation is noted among those of its target when the staging of its job goes: from then on
//! the job is over for every worker, nothing of it is published again and nothing is taken back.
//! What is not noted is never removed, and so is what the target leads to, and what stood there
//! before and was not published by Votum.

use std::{ffi::CString, os::fd::OwnedFd, path::PathBuf};

use rustix::{
    fs::{self, AtFlags, RenameFlags},
    io::Errno,
};
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow,
    beneath::{look, make_dir, names, open_dir, sync_dir},
    discard::remove_tree,
    fault::{SYNC, StorageError, fault},
    layout::{self, Generation, generation_path, parse_generation},
    manifest::{DIRECTORY_MODE, ENTRIES_MAX},
    publish::link_text,
    seal::SealedOutput,
    site::{Site, TargetError},
    withdraw::lock,
};

impl Shadow {
    /// Notes what a job has published among the generations of its targets, and removes the
    /// earlier ones that they do not keep; returns those.
    ///
    /// It is called when the job is over for every worker, before its staging is discarded, any
    /// number of times, after a crash at any moment. How many are kept is what the job says whose
    /// generation is visible.
    ///
    /// # Errors
    /// [`TargetError`] when the filesystem refuses. What is left then goes with a later job.
    pub fn retire_job(&self, job: &JobId) -> Result<Vec<PathBuf>, TargetError> {
        let mut retired = Vec::new();
        for attempt in self.attempts_staged(job)? {
            retired.extend(self.retire_attempt(&attempt)?);
        }
        Ok(retired)
    }

    /// Does the same for what one attempt has published.
    ///
    /// # Errors
    /// [`TargetError`], as there.
    pub fn retire_attempt(&self, attempt: &AttemptId) -> Result<Vec<PathBuf>, TargetError> {
        let mut retired = Vec::new();
        for output in self.sealed(attempt)?.into_iter().flat_map(|sealed| sealed.outputs) {
            retired.extend(self.retire_earlier(attempt, &output)?);
        }
        Ok(retired)
    }

    /// Says whether the job of a generation is over for every worker, as far as this root tells:
    /// then nobody takes it back, and no retirement that is under way takes it.
    pub(crate) fn is_over(
        &self,
        site: &Site<'_>,
        generation: &Generation,
    ) -> Result<bool, TargetError> {
        let votum = open_dir(&site.root.dir, layout::VOTUM).map_err(fault("open", "."))?;
        let survey = site.survey()?;
        let below = survey.real_path.strip_prefix(&site.root.path).unwrap_or(&survey.real_path);
        let shelf = TargetShelf::open(votum, &below.to_string_lossy())?;
        let _lock = lock(&shelf.votum, &shelf.shown)?;
        Ok(shelf.known()?.iter().any(|one| one.generation == *generation))
    }

    fn retire_earlier(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
    ) -> Result<Vec<PathBuf>, TargetError> {
        let Some(target) = &output.publishes else { return Ok(Vec::new()) };
        let site = self.site(target.path())?;
        let own = Generation::new(attempt, &output.name);
        if !self.is_standing(&site, &own, output)? {
            return Ok(Vec::new());
        }
        let votum = open_dir(&site.root.dir, layout::VOTUM).map_err(fault("open", "."))?;
        let survey = site.survey()?;
        let below = survey.real_path.strip_prefix(&site.root.path).unwrap_or(&survey.real_path);
        let shelf = TargetShelf::open(votum, &below.to_string_lossy())?;

        let lock = lock(&shelf.votum, &shelf.shown)?;
        let mut known = shelf.known()?;
        if !known.iter().any(|one| one.generation == own) {
            known.push(shelf.note(&own, known.iter().map(|one| one.place).max())?);
        }
        crash_point!("shadow.retire.after_note");
        let visible = match &survey.standing {
            Some((dir, _)) => link_text(dir, site.path.name()).map_err(fault("read", "."))?,
            None => None,
        };
        let visible = visible.as_deref().and_then(parse_generation);
        let surplus = match (target.generations_kept(), visible) {
            (Some(kept), Some(visible)) if visible == own => {
                shelf.surplus(known, &visible, kept)?
            }
            // Whoever is visible says how many are kept.
            (None | Some(_), None | Some(_)) => Vec::new(),
        };
        for one in &surplus {
            shelf.put_away(&one.generation)?;
        }
        // From here on nobody finds them: that may take as long as it takes.
        drop(lock);
        for one in &surplus {
            shelf.remove(one)?;
        }
        let path = |one: &Known| site.root.path.join(one.generation.path());
        Ok(surplus.iter().map(path).collect())
    }
}

/// One generation of a target.
struct Known {
    /// Counts the generations of the target as their jobs were over.
    place: u64,
    generation: Generation,
}

/// Where the generations of one target are noted.
struct TargetShelf {
    votum: OwnedFd,
    all: OwnedFd,
    folder: OwnedFd,
    shown: String,
}

impl TargetShelf {
    fn open(votum: OwnedFd, below_root: &str) -> Result<Self, StorageError> {
        let shown = layout::target_path(below_root);
        let open = || {
            let (targets, _) = make_dir(&votum, layout::TARGETS, DIRECTORY_MODE)?;
            let name = layout::target_name(below_root);
            let (folder, _) = make_dir(&targets, &name, DIRECTORY_MODE)?;
            // For people alone: the folder's name does not tell.
            match fs::symlinkat(below_root, &folder, layout::TARGET_TEXT) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let all = open_dir(&votum, layout::GENERATIONS)?;
            Ok((all, folder))
        };
        let (all, folder) = open().map_err(fault("open", &shown))?;
        Ok(Self { votum, all, folder, shown })
    }

    /// Lists what is noted; what is not of this crate's making is left alone.
    fn known(&self) -> Result<Vec<Known>, StorageError> {
        let failed = |doing| fault(doing, &self.shown);
        let mut known = Vec::new();
        for name in names(&self.folder, ENTRIES_MAX).map_err(failed("list"))? {
            let Some(place) = name.to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let text = link_text(&self.folder, &place_name(place)).map_err(failed("read"))?;
            if let Some(generation) = text.as_deref().and_then(parse_generation) {
                known.push(Known { place, generation });
            }
        }
        Ok(known)
    }

    /// Notes a generation. Nothing is synced: a note that a power cut takes leaves a generation
    /// that stays.
    fn note(&self, generation: &Generation, last: Option<u64>) -> Result<Known, StorageError> {
        let place = last.map_or(1, |last| last.saturating_add(1));
        let text = format!("../../../{}", generation.path());
        fs::symlinkat(&*text, &self.folder, &*place_name(place))
            .map_err(fault("note a generation in", &self.shown))?;
        Ok(Known { place, generation: generation.clone() })
    }

    /// Returns what is beyond the newest `kept` besides the visible one, the oldest first.
    ///
    /// What the visible one has taken the place of counts as the newest, however old it is: it may
    /// have been put back.
    fn surplus(
        &self,
        known: Vec<Known>,
        visible: &Generation,
        kept: u32,
    ) -> Result<Vec<Known>, StorageError> {
        let before = format!("{}/{}", visible.job, visible.name_of_earlier());
        let before = link_text(&self.all, &before).map_err(fault("read", &before))?;
        let before = before.as_deref().and_then(parse_generation);
        let mut earlier = Vec::new();
        for one in known.into_iter().filter(|one| one.generation != *visible) {
            // When it was made; what is gone already is the oldest of all.
            let path = generation_path(&one.generation);
            let made = look(&self.all, &path).map_err(fault("look at", &path))?;
            let made = made.map(|stat| (stat.st_ctime, stat.st_ctime_nsec));
            earlier.push(((before.as_ref() == Some(&one.generation), made, one.place), one));
        }
        earlier.sort_by_key(|(age, _)| *age);
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let surplus = earlier.len().saturating_sub(kept).min(RETIRED_AT_ONCE_MAX);
        Ok(earlier.into_iter().take(surplus).map(|(_, one)| one).collect())
    }

    /// Takes a generation out of sight, in one step.
    fn put_away(&self, generation: &Generation) -> Result<(), StorageError> {
        let failed = |doing| fault(doing, generation.path());
        let folder = match open_dir(&self.all, generation.job.as_str()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed("open")(errno)),
        };
        // Without it nobody is told that it can be read.
        remove_link(&folder, &generation.name_of_manifest()).map_err(failed("forget"))?;
        let away = generation.name_retired();
        let rename = || {
            let flag = RenameFlags::NOREPLACE;
            fs::renameat_with(&folder, &*generation.name(), &self.votum, &*away, flag)
        };
        let mut renamed = rename();
        if renamed == Err(Errno::EXIST) {
            // A job of the same id was retired here before, and a crash has left a part of it.
            remove_tree(&self.votum, &c_name(&away))?;
            renamed = rename();
        }
        match renamed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("put away")(errno)),
        }
        crash_point!("shadow.retire.after_rename");
        // The rename is one step: where it went to need not be synced as well.
        sync_dir(&folder).map_err(failed(SYNC))
    }

    /// Removes what was put away, and whatever was noted about it.
    fn remove(&self, known: &Known) -> Result<(), StorageError> {
        let generation = &known.generation;
        let failed = |doing| fault(doing, generation.path());
        remove_tree(&self.votum, &c_name(&generation.name_retired()))?;
        crash_point!("shadow.retire.after_removal");
        match open_dir(&self.all, generation.job.as_str()) {
            Ok(folder) => {
                let claims = names(&folder, ENTRIES_MAX).map_err(failed("list"))?;
                let prefix = generation.prefix_of_claims();
                let claims = claims.into_iter().filter_map(|name| name.into_string().ok());
                let claims = claims.filter(|name| name.starts_with(&prefix));
                for name in claims.chain([generation.name_of_earlier()]) {
                    remove_link(&folder, &name).map_err(failed("remove what belongs to"))?;
                }
                // What stood at the target before is not Votum's, and stays.
                let flags = AtFlags::REMOVEDIR;
                match fs::unlinkat(&self.all, generation.job.as_str(), flags) {
                    Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(errno) => return Err(failed("remove the folder of")(errno)),
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("open")(errno)),
        }
        remove_link(&self.folder, &place_name(known.place)).map_err(failed("strike out"))
    }
}

/// Removes a file or a link; nothing at all is fine.
fn remove_link(dir: &OwnedFd, name: &str) -> Result<(), Errno> {
    match fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn place_name(place: u64) -> String {
    format!("{place:010}")
}

fn c_name(name: &str) -> CString {
    CString::new(name).expect("a checked name has no NUL")
}

/// So many are removed with one job; what is left goes with the next.
const RETIRED_AT_ONCE_MAX: usize = 64;
