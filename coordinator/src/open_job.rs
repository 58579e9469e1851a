//! What the engine itself knows of an open job, beyond its machines: who asked, and when what happened.

use votum_commit::{CoordinatorRecord, Installation};
use votum_driver::Stamped;
use votum_job::JobSpec;
use votum_machine::WallTime;
use votum_schedule::Submission;

use crate::record::JobRecord;

/// An open job's submission and its times; all of it is shown, none of it decides anything.
#[derive(Debug, Clone)]
pub(crate) struct OpenJob {
    pub(crate) spec: Box<JobSpec>,
    pub(crate) submission: Submission,
    pub(crate) received: WallTime,
    /// The first task was assigned.
    pub(crate) started: Option<WallTime>,
    /// The current or deciding round was opened.
    pub(crate) prepared: Option<WallTime>,
    pub(crate) decided: Option<WallTime>,
    pub(crate) ended: Option<WallTime>,
    /// Who publishes, once the commit is decided.
    pub(crate) publishers: Vec<Installation>,
}

impl OpenJob {
    /// Starts with a job that was just received.
    pub(crate) fn new(spec: Box<JobSpec>, submission: Submission, received: WallTime) -> Self {
        Self {
            spec,
            submission,
            received,
            started: None,
            prepared: None,
            decided: None,
            ended: None,
            publishers: Vec::new(),
        }
    }

    /// Rebuilds it from a job's records; none if the first one is missing.
    pub(crate) fn replay(records: &[Stamped<JobRecord>]) -> Option<Self> {
        let Stamped { at, record } = records.first()?;
        let Some(votum_schedule::Record::Received { spec, submission, .. }) = &record.schedule
        else {
            return None;
        };
        let mut open = Self::new(spec.clone(), submission.clone(), *at);
        for Stamped { at, record } in records {
            open.note(*at, record.schedule.as_ref(), record.commit.as_ref());
        }
        Some(open)
    }

    /// Notes when something was recorded.
    pub(crate) fn note(
        &mut self,
        at: WallTime,
        schedule: Option<&votum_schedule::Record>,
        commit: Option<&CoordinatorRecord>,
    ) {
        if let Some(votum_schedule::Record::Assigned { .. }) = schedule {
            self.started.get_or_insert(at);
        }
        match commit {
            Some(CoordinatorRecord::CommitDecided { shares, .. }) => {
                self.decided.get_or_insert(at);
                self.publishers = shares.iter().map(|share| share.holder.clone()).collect();
            }
            Some(CoordinatorRecord::Aborting { .. }) => {
                self.decided.get_or_insert(at);
            }
            Some(CoordinatorRecord::Ended { .. }) | None => {}
        }
    }
}
