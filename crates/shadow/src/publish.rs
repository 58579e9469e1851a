//! Publishing: the only place that makes anything visible.
//!
//! Two renames do it, whatever the number of files: the sealed bytes become an
//! immutable generation below the root, and a link to it takes the target's
//! name. Every step is either found done or done again, so publishing after a
//! crash is publishing. It needs no space beyond a name and a link.

use std::{os::fd::OwnedFd, path::PathBuf};

use rustix::{
    fs::{self, AtFlags, Mode, RenameFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, OutputName};

use crate::{
    Shadow,
    beneath::{Made, look, make_dir, open_dir, open_file, sync_dir},
    fault::{SYNC, StorageError, fault},
    layout::{self, Generation, generation_path, leads_to_generation},
    manifest::DIRECTORY_MODE,
    put_back::{Ordinary, PutBack, Stood, last_kept},
    seal::SealedOutput,
    site::{Ground, Site, TargetError},
    standing::stands,
    syncs::Syncs,
    target::Target,
    verify::{Depth, Mismatch, Modes, verify},
};

/// What readers see, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The target: a link.
    pub path: PathBuf,
    /// The immutable content it leads to.
    pub generation: PathBuf,
    /// What stood at the target before and was not published by Votum: generation 0.
    pub before: Option<PathBuf>,
}

impl Shadow {
    /// Makes a sealed output visible at its target, durably.
    ///
    /// It may be called any number of times, after a crash at any moment. A
    /// reader of the target finds the earlier content or this one, at every
    /// instant.
    ///
    /// # Errors
    /// [`PublishError`]. What is decided must be published: the caller reports
    /// the error and tries again.
    pub fn publish(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        target: &Target,
    ) -> Result<Published, PublishError> {
        if target.form() != output.path.form() {
            let (target, output) = (target.path().clone(), output.name.clone());
            return Err(TargetError::Form { target, output }.into());
        }
        let site = self.site(target.path())?;
        let generation = Generation::new(attempt, &output.name);
        let shelf = Shelf::open(&site.root.dir, generation)?;
        crash_point!("shadow.publish.after_generation_dir");

        let mut syncs = Syncs::default();
        let moved = if output.put_back.is_none() {
            let moved = self.move_in(attempt, output, &shelf)?;
            shelf.set_mode(target, &mut syncs)?;
            moved
        } else {
            shelf.sync_name()?;
            Made::Earlier
        };
        let shown = output.shows(attempt);
        if !shelf.has(&shown)? {
            let (attempt, output) = (attempt.clone(), output.name.clone());
            return Err(PublishError::Lost { attempt, output });
        }
        shelf.note_before(&site, &shown)?;
        crash_point!("shadow.publish.after_note");
        shelf.sync(syncs)?;
        crash_point!("shadow.publish.after_generation_fsync");

        let ground = site.occupy()?;
        crash_point!("shadow.publish.after_parents");
        match &shown {
            Stood::Generation(shown) => shelf.flip(&ground, site.path.name(), shown)?,
            Stood::Nothing => shelf.clear(&ground, site.path.name())?,
            Stood::Ordinary(wanted) => {
                if let Some(PutBack { kept_by, .. }) = &output.put_back {
                    shelf.bring_back(&ground, site.path.name(), kept_by, wanted)?;
                }
            }
        }

        match (moved, ground.made) {
            (Made::Here, Made::Earlier) => sync_dir(&ground.dir).map_err(site.fault(SYNC))?,
            // An earlier try may have made a part of the way and not lived to sync it.
            (Made::Earlier, _) | (Made::Here, Made::Here) => site.sync_way(&ground)?,
        }
        crash_point!("shadow.publish.after_parent_fsync");

        let root = &site.root.path;
        Ok(Published {
            path: root.join(&ground.below_root).join(site.path.name()),
            generation: root.join(shelf.generation.path()),
            before: shelf
                .before()?
                .map(|name| root.join(shelf.generation.path()).with_file_name(name)),
        })
    }

    /// Renames the staged bytes to their generation, unless that is done.
    fn move_in(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        shelf: &Shelf,
    ) -> Result<Made, PublishError> {
        let name = shelf.generation.name();
        if shelf.confirm(&shelf.folder, &name, output, Modes::AsPublished)? == Presence::There {
            return Ok(Made::Earlier);
        }
        let lost = || PublishError::Lost { attempt: attempt.clone(), output: output.name.clone() };
        let path = output.path.path();
        let parent = match self.open_staged_parent(attempt, output) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => return Err(lost()),
            Err(errno) => return Err(fault("open", path.as_str())(errno).into()),
        };
        if shelf.confirm(&parent, path.name(), output, Modes::AsSealed)? == Presence::Absent {
            return Err(lost());
        }
        // What is moved into a folder goes with the folder's name, if a power cut takes that.
        shelf.sync_name()?;
        fs::renameat_with(&parent, path.name(), &shelf.folder, &*name, RenameFlags::NOREPLACE)
            .map_err(fault("rename", path.as_str()))?;
        crash_point!("shadow.publish.after_generation_rename");
        Ok(Made::Here)
    }
}

/// Why a sealed output is not visible.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Neither the staged bytes nor their generation are there.
    #[error("the output {output} of attempt {attempt} is neither staged nor published")]
    Lost {
        /// The attempt.
        attempt: AttemptId,
        /// The output.
        output: OutputName,
    },
    /// Where the output should be, staged or published, there is something else.
    #[error("the output {output} has changed at {path:?} since it was sealed")]
    Changed {
        /// The output.
        output: OutputName,
        /// Where.
        path: PathBuf,
    },
    /// Others keep changing the target while it is being published.
    #[error("the target of the output {output} does not hold still")]
    Disturbed {
        /// The output.
        output: OutputName,
    },
    /// The target cannot be made to appear.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether an output lies somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Absent,
}

/// Where the generations of one job lie in a root, and one of them.
pub(crate) struct Shelf {
    pub(crate) generation: Generation,
    pub(crate) votum: OwnedFd,
    pub(crate) all: OwnedFd,
    /// Of the job.
    pub(crate) folder: OwnedFd,
}

impl Shelf {
    pub(crate) fn open(root: &OwnedFd, generation: Generation) -> Result<Self, StorageError> {
        let open = || {
            let votum = open_dir(root, layout::VOTUM)?;
            let all = open_dir(&votum, layout::GENERATIONS)?;
            let (folder, _) = make_dir(&all, generation.job.as_str(), DIRECTORY_MODE)?;
            Ok((votum, all, folder))
        };
        let (votum, all, folder) = open().map_err(fault("open", &generation.path()))?;
        Ok(Self { generation, votum, all, folder })
    }

    /// Checks that what stands somewhere is the sealed output itself.
    fn confirm(
        &self,
        dir: &OwnedFd,
        name: &str,
        output: &SealedOutput,
        modes: Modes,
    ) -> Result<Presence, PublishError> {
        let Some(stat) = look(dir, name).map_err(fault("look at", &self.generation.path()))? else {
            return Ok(Presence::Absent);
        };
        #[expect(clippy::unnecessary_cast, reason = "the field's type differs by architecture")]
        if stat.st_ino as u64 == output.inode {
            return Ok(Presence::There);
        }
        // Another inode may still be the same content, restored from a backup.
        match verify(dir, name, output, Depth::Full, modes) {
            Ok(()) => Ok(Presence::There),
            Err(Mismatch::Gone) => Ok(Presence::Absent),
            Err(Mismatch::Changed { path }) => {
                Err(PublishError::Changed { output: output.name.clone(), path })
            }
            Err(Mismatch::Storage(error)) => Err(error.into()),
        }
    }

    /// Gives a published file the permission bits that the job asks for.
    fn set_mode(&self, target: &Target, syncs: &mut Syncs) -> Result<(), StorageError> {
        let mode = match target {
            Target::File { mode: Some(mode), .. } => Mode::from_raw_mode(mode.bits()),
            Target::File { mode: None, .. } | Target::Tree { .. } => return Ok(()),
        };
        let path = self.generation.path();
        let file =
            open_file(&self.folder, &self.generation.name()).map_err(fault("open", &path))?;
        fs::fchmod(&file, mode).map_err(fault("set the mode of", &path))?;
        crash_point!("shadow.publish.after_mode");
        syncs.add(file, &path)
    }

    /// Makes the name of the job's folder durable.
    fn sync_name(&self) -> Result<(), StorageError> {
        sync_dir(&self.all).map_err(fault(SYNC, &self.generation.path()))
    }

    /// Makes the generation durable before any link leads to it.
    fn sync(&self, mut syncs: Syncs) -> Result<(), StorageError> {
        let path = self.generation.path();
        let folder = open_dir(&self.folder, ".").map_err(fault("open", &path))?;
        syncs.add(folder, &path)?;
        syncs.finish()
    }

    /// Says whether what a target shall show is there: a link must never dangle.
    fn has(&self, shown: &Stood) -> Result<bool, StorageError> {
        match shown {
            Stood::Nothing | Stood::Ordinary(_) => Ok(true),
            Stood::Generation(shown) => {
                let path = generation_path(shown);
                let there = look(&self.all, &path).map_err(fault("look at", &path))?;
                Ok(there.is_some())
            }
        }
    }

    /// Notes what the target leads to before the first flip: what can be put back.
    ///
    /// What is no generation is kept whole by the flip itself.
    fn note_before(&self, site: &Site<'_>, shown: &Stood) -> Result<(), PublishError> {
        let noted = self.generation.name_of_earlier();
        let failed = |doing| fault(doing, &noted);
        if look(&self.folder, &noted).map_err(failed("look at"))?.is_some() {
            return Ok(());
        }
        let text = match site.ground()? {
            None => layout::NOTHING.into(),
            Some(dir) => match stands(&dir, site.path.name()).map_err(failed("look at"))? {
                // An earlier try has flipped it.
                stood if stood == *shown => return Ok(()),
                Stood::Nothing => layout::NOTHING.into(),
                Stood::Generation(_) => {
                    link_text(&dir, site.path.name()).map_err(failed("read"))?.unwrap_or_default()
                }
                Stood::Ordinary(_) => return Ok(()),
            },
        };
        fs::symlinkat(&*text, &self.folder, &*noted).map_err(failed("note"))?;
        Ok(())
    }

    /// Takes away what stands at the target, in one step.
    fn clear(&self, ground: &Ground, name: &str) -> Result<(), PublishError> {
        let draft = self.generation.link_draft();
        // A crash may have left here what stood at the target.
        self.put_aside(&draft)?;
        let flag = RenameFlags::NOREPLACE;
        match fs::renameat_with(&ground.dir, name, &self.votum, &*draft, flag) {
            Ok(()) => {
                crash_point!("shadow.publish.after_clearing");
                Ok(self.put_aside(&draft)?)
            }
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(fault("take away", name)(errno).into()),
        }
    }

    /// Lets stand at the target what the publication of another generation has kept, in one step.
    fn bring_back(
        &self,
        ground: &Ground,
        name: &str,
        kept_by: &Generation,
        wanted: &Ordinary,
    ) -> Result<(), PublishError> {
        let failed = |doing| fault(doing, name);
        let shelf = open_dir(&self.all, kept_by.job.as_str()).map_err(failed("open"))?;
        let stands = Ordinary::look(&ground.dir, name).map_err(failed("look at"))?;
        let is_back = stands.is_some_and(|stands| stands.inode == wanted.inode);
        if let Some((kept, _)) = last_kept(&shelf, kept_by)? {
            let is_link = || -> Result<bool, StorageError> {
                let text = link_text(&shelf, &kept).map_err(failed("look at"))?;
                Ok(text.is_some_and(|text| leads_to_generation(&text)))
            };
            if !is_back && !is_link()? {
                let rename = |flag| fs::renameat_with(&shelf, &*kept, &ground.dir, name, flag);
                match rename(RenameFlags::EXCHANGE) {
                    // Somebody has removed what stood there.
                    Err(Errno::NOENT) => rename(RenameFlags::NOREPLACE),
                    renamed => renamed,
                }
                .map_err(failed("exchange"))?;
                crash_point!("shadow.publish.after_bringing_back");
            }
            // A link that came from the target is noted; anything else stays.
            if is_link()? {
                fs::unlinkat(&shelf, &*kept, AtFlags::empty()).map_err(failed("remove"))?;
            }
        }
        Ok(sync_dir(&shelf).map_err(failed(SYNC))?)
    }

    /// Lets the target lead to a generation, in one step.
    fn flip(&self, ground: &Ground, name: &str, shown: &Generation) -> Result<(), PublishError> {
        let text = shown.link_text(ground.depth());
        let draft = self.generation.link_draft();
        let failed = |doing| fault(doing, name);
        // A crash may have left here what stood at the target.
        self.put_aside(&draft)?;
        if link_text(&ground.dir, name).map_err(failed("look at"))? == Some(text.clone().into()) {
            return Ok(());
        }
        fs::symlinkat(&*text, &self.votum, &*draft).map_err(failed("link"))?;
        crash_point!("shadow.publish.after_link_temp");
        let rename = |flag| fs::renameat_with(&self.votum, &*draft, &ground.dir, name, flag);
        for _ in 0..DISTURBED_FLIPS_MAX {
            match rename(RenameFlags::NOREPLACE) {
                Ok(()) => {
                    crash_point!("shadow.publish.after_flip");
                    return Ok(());
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed("rename")(errno).into()),
            }
            // Something stands there. An exchange loses nothing, whatever it is.
            match rename(RenameFlags::EXCHANGE) {
                Ok(()) => {
                    crash_point!("shadow.publish.after_exchange");
                    return Ok(self.put_aside(&draft)?);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed("exchange")(errno).into()),
            }
        }
        Err(PublishError::Disturbed { output: self.generation.output.clone() })
    }

    /// Puts aside what an exchange brought from the target: a link to a
    /// generation goes, anything else is kept as generation 0.
    fn put_aside(&self, draft: &str) -> Result<(), StorageError> {
        if look(&self.votum, draft).map_err(fault("look at", draft))?.is_none() {
            return Ok(());
        }
        let text = link_text(&self.votum, draft).map_err(fault("look at", draft))?;
        if text.is_some_and(|text| leads_to_generation(&text)) {
            fs::unlinkat(&self.votum, draft, AtFlags::empty()).map_err(fault("remove", draft))?;
            crash_point!("shadow.publish.after_old_link");
            return Ok(());
        }
        for n in 0..KEPT_BEFORE_MAX {
            let kept = self.generation.name_before(n);
            let flag = RenameFlags::NOREPLACE;
            match fs::renameat_with(&self.votum, draft, &self.folder, &*kept, flag) {
                Ok(()) => {
                    crash_point!("shadow.publish.after_before_rename");
                    sync_dir(&self.folder).map_err(fault(SYNC, &kept))?;
                    crash_point!("shadow.publish.after_before_fsync");
                    return Ok(());
                }
                // An earlier try kept what stood there then; this came later.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(fault("keep", &kept)(errno)),
            }
        }
        Err(fault("keep", draft)(Errno::EXIST))
    }

    /// Returns the name of generation 0, if there is one.
    fn before(&self) -> Result<Option<String>, StorageError> {
        let name = self.generation.name_before(0);
        let there = look(&self.folder, &name).map_err(fault("look at", &name))?;
        Ok(there.map(|_| name))
    }
}

/// Reads a link; `None` if it is not there or no link.
pub(crate) fn link_text(dir: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    match fs::readlinkat(dir, name, Vec::new()) {
        Ok(text) => Ok(Some(text.into_bytes())),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A target that changes this often between two system calls is being fought over.
const DISTURBED_FLIPS_MAX: u32 = 64;
/// Most things kept that came to stand at one target between the tries of one publication.
const KEPT_BEFORE_MAX: u32 = 100;
