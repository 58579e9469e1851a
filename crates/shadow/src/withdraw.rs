//! Taking back what was published, where another worker publishes it by now.
//!
//! Roots may be shared. So whoever publishes what another one may publish in its place leaves
//! a claim beside the content, with its publisher number; under a lock, so that a claim is
//! either seen by whoever takes back, or finds everything taken back.

use std::{ffi::CString, os::fd::OwnedFd};

use rustix::{
    fs::{self, AtFlags, FlockOperation, Mode, OFlags, RenameFlags},
    io::Errno,
};
use votum_ids::AttemptId;

use crate::{
    Shadow,
    beneath::{names, sync_dir},
    discard::remove_tree,
    fault::{SYNC, StorageError, fault},
    layout::{self, Generation, parse_generation},
    manifest::ENTRIES_MAX,
    publish::{PublishError, Published, Shelf, link_text},
    put_back::last_kept,
    seal::SealedOutput,
    target::Target,
};

impl Shadow {
    /// Makes a sealed output visible as [`Shadow::publish`] does, so that it can be taken back.
    ///
    /// `number` says in whose place: 0, or that of a later publisher of the same output.
    ///
    /// # Errors
    /// [`PublishError`], as there.
    pub fn publish_revocably(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        target: &Target,
        number: u64,
    ) -> Result<Published, PublishError> {
        let site = self.site(target.path())?;
        let shelf = Shelf::open(&site.root.dir, Generation::new(attempt, &output.name))?;
        let _lock = lock(&shelf.votum, &shelf.generation.path())?;
        shelf.claim(number)?;
        self.publish(attempt, output, target)
    }

    /// Takes back what [`Shadow::publish_revocably`] made visible under this number, durably, and
    /// lets stand what stood there before.
    ///
    /// It may be called any number of times. What a later publisher shows in a shared root is
    /// left alone, and so is a target that leads elsewhere by now.
    ///
    /// # Errors
    /// [`PublishError`]. The caller reports it and tries again.
    pub fn withdraw(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
        target: &Target,
        number: u64,
    ) -> Result<(), PublishError> {
        let site = self.site(target.path())?;
        let generation = Generation::new(attempt, &output.name);
        let shelf = Shelf::open(&site.root.dir, generation)?;
        let lock = lock(&shelf.votum, &shelf.generation.path())?;
        if shelf.claims()?.into_iter().any(|claim| claim > number) {
            return Ok(());
        }
        let survey = site.survey()?;
        if let Some((dir, _)) = &survey.standing {
            shelf.take_down(dir, site.path.name(), survey.depth)?;
        }
        shelf.forget_exchanged_link()?;
        let path = shelf.generation.path();
        let failed = |doing| fault(doing, &path);
        let name = CString::new(shelf.generation.name()).expect("a name has no NUL");
        remove_tree(&shelf.folder, &name)?;
        let manifest = shelf.generation.name_of_manifest();
        remove_tree(&shelf.folder, &CString::new(manifest).expect("a name has no NUL"))?;
        let claims = shelf.claims()?.into_iter().map(|claim| shelf.generation.name_of_claim(claim));
        for name in claims.chain([shelf.generation.name_of_earlier()]) {
            match fs::unlinkat(&shelf.folder, &*name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed("remove what belongs to")(errno).into()),
            }
        }
        sync_dir(&shelf.folder).map_err(failed(SYNC))?;
        drop(lock);
        // Other outputs of the job may lie there.
        match fs::unlinkat(&shelf.all, shelf.generation.job.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {
                Ok(sync_dir(&shelf.all).map_err(failed(SYNC))?)
            }
            Err(errno) => Err(failed("remove")(errno).into()),
        }
    }
}

/// Keeps others from claiming, taking back and retiring in a root at the same time, until it is
/// dropped.
pub(crate) fn lock(votum: &OwnedFd, shown: &str) -> Result<OwnedFd, StorageError> {
    let failed = |doing| fault(doing, shown);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = fs::openat(votum, ".", flags, Mode::empty()).map_err(failed("open"))?;
    fs::flock(&lock, FlockOperation::LockExclusive).map_err(failed("lock"))?;
    Ok(lock)
}

impl Shelf {
    /// Notes durably who publishes here.
    fn claim(&self, number: u64) -> Result<(), StorageError> {
        let name = self.generation.name_of_claim(number);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let path = self.generation.path();
        let failed = |doing| fault(doing, &path);
        fs::openat(&self.folder, &*name, flags, mode).map_err(failed("claim"))?;
        sync_dir(&self.folder).map_err(failed(SYNC))
    }

    fn claims(&self) -> Result<Vec<u64>, StorageError> {
        let path = self.generation.path();
        let names = names(&self.folder, ENTRIES_MAX).map_err(fault("list", &path))?;
        let prefix = self.generation.prefix_of_claims();
        let number = |name: &CString| name.to_str().ok()?.strip_prefix(&prefix)?.parse().ok();
        Ok(names.iter().filter_map(number).collect())
    }

    /// Lets stand at the target what stood there before, if the target leads to this generation.
    fn take_down(&self, dir: &OwnedFd, name: &str, depth: usize) -> Result<(), PublishError> {
        let failed = |doing| fault(doing, name);
        let own = self.generation.link_text(depth).into_bytes();
        if link_text(dir, name).map_err(failed("look at"))? != Some(own) {
            return Ok(());
        }
        let kept = last_kept(&self.folder, &self.generation)?;
        let earlier = self.generation.name_of_earlier();
        let text = link_text(&self.folder, &earlier).map_err(failed("look at"))?;
        match (kept, text) {
            (Some((kept, _)), _) => {
                fs::renameat_with(&self.folder, &*kept, dir, name, RenameFlags::EXCHANGE)
                    .map_err(failed("exchange"))?;
                // It is the link now.
                fs::unlinkat(&self.folder, &*kept, AtFlags::empty()).map_err(failed("remove"))?;
            }
            (None, Some(text)) if text != layout::NOTHING.as_bytes() => {
                fs::renameat(&self.folder, &*earlier, dir, name).map_err(failed("rename"))?;
            }
            (None, Some(_) | None) => {
                fs::unlinkat(dir, name, AtFlags::empty()).map_err(failed("remove"))?;
            }
        }
        // A rename or an exchange with the job's folder is one step, which this keeps.
        Ok(sync_dir(dir).map_err(failed(SYNC))?)
    }

    /// Removes the link to this generation that an exchange brought from the target, if a crash
    /// came between the two: it would pass for what stood there before.
    fn forget_exchanged_link(&self) -> Result<(), PublishError> {
        let Some((last, _)) = last_kept(&self.folder, &self.generation)? else { return Ok(()) };
        let failed = |doing| fault(doing, &last);
        let text = link_text(&self.folder, &last).map_err(failed("look at"))?;
        if text.is_some_and(|text| parse_generation(&text).as_ref() == Some(&self.generation)) {
            fs::unlinkat(&self.folder, &*last, AtFlags::empty()).map_err(failed("remove"))?;
        }
        Ok(())
    }
}
