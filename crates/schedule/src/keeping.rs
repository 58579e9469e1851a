//! What an aborted job keeps for a rescue: who gave it up early, and which job took it over.
//!
//! Both are noted with the aborted job itself, so that its history tells them long after the
//! other job is gone. Neither changes what is staged: whoever closes the job lets go of that.

use std::collections::BTreeMap;

use votum_ids::{JobId, TaskId, WorkerId};
use votum_machine::{Moment, WallTime};

use crate::{
    CorruptSchedule, Record, Scheduler,
    active_job::{ActiveJob, Fallout, Phase},
    scheduler::Reaction,
};

/// Who gave up what an aborted job kept, before its time was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRelease {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub at: WallTime,
    /// Whose outputs were given up, and on which worker each lay.
    pub kept: BTreeMap<TaskId, WorkerId>,
}

impl Scheduler {
    /// Returns who gave up what the job kept; none if nobody did, or the job is not known.
    #[must_use]
    pub fn kept_release(&self, id: &JobId) -> Option<&KeptRelease> {
        self.jobs.get(id)?.kept_release.as_ref()
    }

    /// Returns the last job that took over what this one kept.
    #[must_use]
    pub fn successor(&self, id: &JobId) -> Option<&JobId> {
        self.jobs.get(id)?.successor.as_ref()
    }

    /// Notes that a person gives up what an aborted job keeps; once, and only if it keeps anything.
    pub(crate) fn give_up_kept(
        &mut self,
        now: Moment,
        id: JobId,
        by: String,
        reason: String,
    ) -> Reaction {
        let Some(rescue) = self.rescuable(&id).filter(|rescue| !rescue.kept.is_empty()) else {
            return Reaction::none();
        };
        if self.kept_release(&id).is_some() {
            return Reaction::none();
        }
        let kept = rescue.kept.into_iter().map(|(task, kept)| (task, kept.worker)).collect();
        self.record(now, Record::KeptReleased { job: id, by, reason, kept })
    }

    /// Notes which job takes over what an aborted one keeps.
    pub(crate) fn note_rescue(&mut self, now: Moment, id: JobId, by: JobId) -> Reaction {
        let noted = |job: &ActiveJob| job.successor.as_ref() == Some(&by);
        match self.jobs.get(&id).filter(|job| matches!(job.phase, Phase::Aborting { .. })) {
            Some(job) if !noted(job) => self.record(now, Record::Rescued { job: id, by }),
            Some(_) | None => Reaction::none(),
        }
    }
}

impl ActiveJob {
    /// Applies the record that another job takes over what this one keeps.
    pub(crate) fn leave_to(&mut self, by: &JobId) -> Fallout {
        self.successor = Some(by.clone());
        Fallout::default()
    }

    /// Applies the record that what the job kept was given up.
    pub(crate) fn give_up(&mut self, release: KeptRelease) -> Result<Fallout, CorruptSchedule> {
        if self.kept_release.is_some() {
            return Err(CorruptSchedule::ReleasedTwice { job: self.id.clone() });
        }
        self.kept_release = Some(release);
        Ok(Fallout::default())
    }
}
