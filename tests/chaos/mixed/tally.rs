//! What happened in a run, in numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use votum_ids::JobId;
use votum_wire::{JobState, JobView};

use super::{fault::Fault, flavour::Flavour};

/// What happened in a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How every job ended.
    pub(crate) outcomes: BTreeMap<JobId, JobState>,
    /// How often a daemon ended by itself because its disk was full.
    pub(crate) fallen: usize,
    /// How many pauses ended.
    pub(crate) holds: usize,
    faults: BTreeMap<&'static str, usize>,
    /// Of the jobs, by what they do.
    flavours: BTreeMap<Flavour, usize>,
    /// Of the jobs that aborted, by reason.
    causes: BTreeMap<String, usize>,
    rescues: usize,
    attempts: usize,
    tasks: usize,
}

impl Tally {
    /// Counts a fault.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        *self.faults.entry(fault.kind()).or_default() += 1;
    }

    /// Counts a job that has ended, and the one that took over what it staged.
    pub(crate) fn ended(&mut self, flavour: Flavour, views: &[JobView]) {
        *self.flavours.entry(flavour).or_default() += 1;
        self.rescues += views.len() - 1;
        for view in views {
            self.outcomes.insert(view.job.clone(), view.state);
            self.tasks += view.tasks.len();
            self.attempts += view.tasks.iter().map(|task| task.attempts.len()).sum::<usize>();
            if let Some(cause) = view.cause.as_ref().filter(|_| view.state == JobState::Aborted) {
                *self.causes.entry(cause.reason.clone()).or_default() += 1;
            }
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
        let Self { tasks, attempts, fallen, holds, rescues, .. } = self;
        write!(f, "faults {:?}, jobs {jobs}, committed {committed}, ", self.faults)?;
        write!(f, "aborted {:?}, {tasks} tasks in {attempts} attempts, ", self.causes)?;
        write!(f, "{:?}, pauses {holds}, rescues {rescues}, ", self.flavours)?;
        write!(f, "daemons ended by full disks {fallen}")
    }
}
