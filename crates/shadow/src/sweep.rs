//! After a crash: removes the leftovers that the caller knows to be unwanted.

use std::path::PathBuf;

use rustix::{
    fs::{self, AtFlags},
    io::Errno,
};
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow,
    beneath::{names, open_dir},
    discard::DiscardError,
    fault::{StorageError, fault},
    layout,
    manifest::ENTRIES_MAX,
};

/// What shall become of something staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted, or nobody knows.
    Keep,
    /// It is known to be unwanted.
    Remove,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Attempts of which nothing is staged any longer.
    pub removed: Vec<AttemptId>,
    /// Attempts that were left alone.
    pub kept: Vec<AttemptId>,
    /// Attempts that should go and could not.
    pub failed: Vec<(AttemptId, DiscardError)>,
    /// What is no folder of an attempt; it is never touched.
    pub foreign: Vec<PathBuf>,
}

impl Shadow {
    /// Asks about every attempt that has something staged, and removes what is unwanted.
    ///
    /// Nothing is decided here: no answer is ever assumed. The empty folder of a job holds nothing
    /// and goes.
    ///
    /// # Errors
    /// [`StorageError`] when the staging directory cannot be listed. A single
    /// attempt that resists is in [`Swept::failed`].
    pub fn sweep(&self, judge: &dyn Fn(&AttemptId) -> Verdict) -> Result<Swept, StorageError> {
        let mut swept = Swept::default();
        let staging = &self.staging().dir;
        for name in sorted_names(staging, ".")? {
            match JobId::new(&name) {
                Ok(job) => self.sweep_job(&job, judge, &mut swept)?,
                Err(_) => swept.foreign.push(name.into()),
            }
        }
        Ok(swept)
    }

    fn sweep_job(
        &self,
        job: &JobId,
        judge: &dyn Fn(&AttemptId) -> Verdict,
        swept: &mut Swept,
    ) -> Result<(), StorageError> {
        let Ok(dir) = open_dir(&self.staging().dir, job.as_str()) else {
            swept.foreign.push(job.as_str().into());
            return Ok(());
        };
        let names = sorted_names(&dir, job.as_str())?;
        if names.is_empty() {
            // A crash came between its last attempt and the folder. If somebody stages just now,
            // it is not empty any more, and stays.
            return match fs::unlinkat(&self.staging().dir, job.as_str(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
                Err(errno) => Err(fault("remove", job.as_str())(errno)),
            };
        }
        for name in names {
            let Some(attempt) = layout::parse_attempt(job, &name) else {
                swept.foreign.push(PathBuf::from(job.as_str()).join(name));
                continue;
            };
            match judge(&attempt) {
                Verdict::Keep => swept.kept.push(attempt),
                Verdict::Remove => match self.discard_attempt(&attempt) {
                    Ok(()) => swept.removed.push(attempt),
                    Err(error) => swept.failed.push((attempt, error)),
                },
            }
        }
        Ok(())
    }
}

fn sorted_names(dir: &std::os::fd::OwnedFd, shown: &str) -> Result<Vec<String>, StorageError> {
    let mut names: Vec<String> = names(dir, ENTRIES_MAX)
        .map_err(fault("list", shown))?
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
