//! Which job wants a tick at which moment, in order.

use std::collections::BTreeSet;

use votum_ids::JobId;
use votum_machine::Moment;

/// The deadlines of many jobs, at most one each; every question costs O(log n).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Agenda(BTreeSet<(Moment, JobId)>);

impl Agenda {
    /// Moves the deadline of one job.
    pub(crate) fn move_deadline(
        &mut self,
        job: &JobId,
        from: Option<Moment>,
        until: Option<Moment>,
    ) {
        if from == until {
            return;
        }
        if let Some(moment) = from {
            self.0.remove(&(moment, job.clone()));
        }
        if let Some(moment) = until {
            self.0.insert((moment, job.clone()));
        }
    }

    /// Returns the earliest deadline.
    pub(crate) fn first(&self) -> Option<Moment> {
        self.0.first().map(|(moment, _)| *moment)
    }

    /// Returns the job that has been due for the longest time, if one is due.
    pub(crate) fn most_urgent(&self, now: Moment) -> Option<JobId> {
        self.0.first().filter(|(moment, _)| *moment <= now).map(|(_, job)| job.clone())
    }
}
