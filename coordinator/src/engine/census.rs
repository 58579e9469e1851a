//! How many open jobs stand where, kept up from step to step.
//!
//! Whoever looks at the cluster again and again must not cost it a walk over all
//! jobs each time. The first look counts them all; from then on a job is counted
//! again when a step has changed it.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::JobId;
use votum_wire::JobState;

use super::Engine;
use crate::{action::Action, open_job::OpenJob, view};

/// The open jobs, counted.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Whether anybody has looked: until then nothing is counted.
    begun: bool,
    /// How each open job is counted.
    counted: BTreeMap<JobId, Counted>,
    /// What that comes to.
    totals: Totals,
    /// Jobs that may stand otherwise by now.
    outdated: BTreeSet<JobId>,
}

/// As what an open job is counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    state: JobState,
    is_mixed: bool,
}

/// How many open jobs there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// In each state, if any is.
    pub(super) jobs: BTreeMap<JobState, u64>,
    /// Whose participants do not all stand as the decision says.
    pub(super) mixed: u64,
}

impl Totals {
    fn add(&mut self, Counted { state, is_mixed }: Counted) {
        *self.jobs.entry(state).or_default() += 1;
        self.mixed += u64::from(is_mixed);
    }

    fn take(&mut self, Counted { state, is_mixed }: Counted) {
        if let Some(count) = self.jobs.get_mut(&state) {
            *count -= 1;
            if *count == 0 {
                self.jobs.remove(&state);
            }
        }
        self.mixed -= u64::from(is_mixed);
    }
}

impl Engine {
    /// Counts the open jobs; costs as much as has changed since the last look.
    pub(super) fn totals(&mut self) -> Totals {
        if self.census.begun {
            self.count_outdated();
        } else {
            self.census.begun = true;
            self.census.outdated = self.jobs.keys().cloned().collect();
            self.count_outdated();
        }
        debug_assert_eq!(
            self.census.totals,
            self.counted_anew(),
            "a step changed a job in silence"
        );
        self.census.totals.clone()
    }

    /// Notes that a job is opened, or leaves the open ones.
    pub(super) fn count_later(&mut self, job: &JobId) {
        if self.census.begun {
            self.census.outdated.insert(job.clone());
        }
    }

    /// Notes which jobs a step has changed.
    pub(super) fn note_changed(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::JobChanged { job } = action {
                self.count_later(job);
            }
        }
        if self.census.outdated.len() >= OUTDATED_MAX {
            self.count_outdated();
        }
    }

    fn count_outdated(&mut self) {
        for job in std::mem::take(&mut self.census.outdated) {
            let counted = self.jobs.get(&job).map(|open| self.counted(&job, open));
            let Census { counted: known, totals, .. } = &mut self.census;
            let earlier = match counted {
                Some(counted) => {
                    totals.add(counted);
                    known.insert(job, counted)
                }
                None => known.remove(&job),
            };
            if let Some(earlier) = earlier {
                totals.take(earlier);
            }
        }
    }

    fn counted(&self, job: &JobId, open: &OpenJob) -> Counted {
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        let kept = self.kept.contains_key(job);
        let awaits = self.scheduler.awaits_approval(job);
        let state = view::fate::state(stage.as_ref(), open, kept, awaits);
        Counted { state, is_mixed: open.is_mixed() }
    }

    fn counted_anew(&self) -> Totals {
        let mut totals = Totals::default();
        self.jobs.iter().for_each(|(job, open)| totals.add(self.counted(job, open)));
        totals
    }
}

/// So many jobs may have changed before they are counted again, asked or not.
const OUTDATED_MAX: usize = 1024;
