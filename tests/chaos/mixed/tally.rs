//! What happened in a run, in numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use votum_ids::JobId;
use votum_wire::{JobState, JobView};

use super::fault::Fault;

/// What happened in a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How every job ended.
    pub(crate) outcomes: BTreeMap<JobId, JobState>,
    /// How often a daemon ended by itself because its disk was full.
    pub(crate) fallen: usize,
    faults: BTreeMap<&'static str, usize>,
    /// Of the jobs that aborted, by reason.
    causes: BTreeMap<String, usize>,
    attempts: usize,
    tasks: usize,
}

impl Tally {
    /// Counts a fault.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        *self.faults.entry(fault.kind()).or_default() += 1;
    }

    /// Counts a job that has ended.
    pub(crate) fn ended(&mut self, view: &JobView) {
        self.outcomes.insert(view.job.clone(), view.state);
        self.tasks += view.tasks.len();
        self.attempts += view.tasks.iter().map(|task| task.attempts.len()).sum::<usize>();
        if let Some(cause) = view.cause.as_ref().filter(|_| view.state == JobState::Aborted) {
            *self.causes.entry(cause.reason.clone()).or_default() += 1;
        }
    }

    /// Returns the ids of all jobs that were committed.
    pub(crate) fn committed(&self) -> BTreeSet<String> {
        let committed = |(_, state): &(&JobId, &JobState)| **state == JobState::Committed;
        self.outcomes.iter().filter(committed).map(|(job, _)| job.to_string()).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.outcomes.len();
        let committed = self.committed().len();
        let Self { tasks, attempts, fallen, .. } = self;
        write!(f, "faults {:?}, jobs {jobs}, committed {committed}, ", self.faults)?;
        write!(f, "aborted {:?}, {tasks} tasks in {attempts} attempts, ", self.causes)?;
        write!(f, "daemons ended by full disks {fallen}")
    }
}
