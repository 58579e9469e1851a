//! What a published output consists of, kept beside it when its staging goes.
//!
//! The generation alone does not tell: a published file has another name and
//! other permission bits than the sealed one. Nothing that is decided rests on
//! what is kept here; without it, bytes can only be read at their target.

use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};
use votum_ids::{AttemptId, JobId, OutputName};

use crate::{
    Shadow,
    beneath::{look, names, open_dir, open_file, sync_dir},
    fault::{SYNC, StorageError, fault},
    layout::{self, Generation},
    manifest::ENTRIES_MAX,
    seal::{SEALED_BYTES_MAX, Sealed, SealedOutput},
    site::Site,
};

impl Shadow {
    /// Keeps beside each published output of a job what it consists of, durably.
    ///
    /// It is called before the job's staging is discarded, any number of times.
    ///
    /// # Errors
    /// [`StorageError`] when the filesystem refuses.
    pub fn keep_manifests(&self, job: &JobId) -> Result<(), StorageError> {
        for attempt in self.attempts_staged(job)? {
            for output in self.sealed(&attempt)?.into_iter().flat_map(|sealed| sealed.outputs) {
                self.keep_manifest(&attempt, output)?;
            }
        }
        Ok(())
    }

    /// Lists the attempts of a job that have something staged.
    pub(crate) fn attempts_staged(&self, job: &JobId) -> Result<Vec<AttemptId>, StorageError> {
        let folder = match open_dir(&self.staging().dir, job.as_str()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(fault("open", job.as_str())(errno)),
        };
        let names = names(&folder, ENTRIES_MAX).map_err(fault("list", job.as_str()))?;
        let attempt = |name: &CString| layout::parse_attempt(job, name.to_str().ok()?);
        Ok(names.iter().filter_map(attempt).collect())
    }

    /// Says whether this very output of an attempt is published in a root.
    pub(crate) fn is_standing(
        &self,
        site: &Site<'_>,
        generation: &Generation,
        output: &SealedOutput,
    ) -> Result<bool, StorageError> {
        let path = generation.path();
        let shelf = match open_dir(&site.root.dir, &generation.shelf_path()) {
            Ok(shelf) => shelf,
            // Nothing of the job was published there.
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(fault("open", &path)(errno)),
        };
        let standing = look(&shelf, &generation.name()).map_err(fault("look at", &path))?;
        Ok(standing.is_some_and(|stat| inode(&stat) == output.inode))
    }

    fn keep_manifest(&self, attempt: &AttemptId, output: SealedOutput) -> Result<(), StorageError> {
        let Some(target) = &output.publishes else { return Ok(()) };
        let Ok(site) = self.site(target.path()) else { return Ok(()) };
        let generation = Generation::new(attempt, &output.name);
        if output.put_back.is_none() && !self.is_standing(&site, &generation, &output)? {
            return Ok(());
        }
        let shown = generation.path();
        let failed = |doing| fault(doing, &shown);
        let shelf = match open_dir(&site.root.dir, &generation.shelf_path()) {
            Ok(shelf) => shelf,
            // Nothing of the job was published there.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed("open")(errno)),
        };
        let kept = generation.name_of_manifest();
        if look(&shelf, &kept).map_err(failed("look at"))?.is_some() {
            return Ok(());
        }
        let sealed = Sealed { attempt: attempt.clone(), outputs: vec![output] };
        write_down(&shelf, &kept, &sealed)
    }

    /// Reads what a published output of an attempt consists of; `None` if that was not kept.
    ///
    /// # Errors
    /// [`StorageError`] when the filesystem refuses or what is there means nothing.
    pub fn published(
        &self,
        attempt: &AttemptId,
        output: &OutputName,
    ) -> Result<Option<Sealed>, StorageError> {
        let kept = self.manifest_of(&Generation::new(attempt, output))?;
        Ok(kept.filter(|sealed| sealed.attempt == *attempt))
    }

    /// Reads what a generation consists of; `None` if that was not kept.
    pub(crate) fn manifest_of(
        &self,
        generation: &Generation,
    ) -> Result<Option<Sealed>, StorageError> {
        let path = format!("{}/{}", generation.shelf_path(), generation.name_of_manifest());
        for root in self.root_anchors() {
            let file = match open_file(&root.dir, &path) {
                Ok(file) => File::from(file),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(fault("open", &path)(errno)),
            };
            let unreadable = |source| StorageError { doing: "read", path: (&path).into(), source };
            let mut text = Vec::new();
            file.take(SEALED_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
            return serde_json::from_slice(&text).map(Some).map_err(|e| unreadable(e.into()));
        }
        Ok(None)
    }
}

fn write_down(shelf: &OwnedFd, name: &str, sealed: &Sealed) -> Result<(), StorageError> {
    let draft = format!("{name}.new");
    let flags =
        OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = fs::openat(shelf, draft.as_str(), flags, mode).map_err(fault("make", &draft))?;
    let mut file = File::from(file);
    let text = serde_json::to_vec(sealed).expect("a sealed attempt has no map and no float");
    let failed = |doing| {
        let path = draft.clone().into();
        move |source| StorageError { doing, path, source }
    };
    file.write_all(&text).map_err(failed("write"))?;
    file.sync_all().map_err(failed(SYNC))?;
    fs::renameat(shelf, draft.as_str(), shelf, name).map_err(fault("name", name))?;
    sync_dir(shelf).map_err(fault(SYNC, name))
}

#[expect(clippy::unnecessary_cast, reason = "the field's type differs by architecture")]
fn inode(stat: &fs::Stat) -> u64 {
    stat.st_ino as u64
}
