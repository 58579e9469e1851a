//! Attempts that were given up and whose job is over since: what they were at their return is still told.
//!
//! Kept in memory alone and for a bounded number of jobs. After a restart of the
//! coordinator such a return is discarded like any other, and no history tells it.

use std::collections::{BTreeMap, VecDeque};

use votum_commit::Installation;
use votum_ids::{AttemptId, JobId};
use votum_job::Comeback;
use votum_schedule::Record;

use crate::record::Closing;

/// The closed jobs that may still hear of an attempt.
#[derive(Debug, Default)]
pub(super) struct Departed {
    jobs: BTreeMap<JobId, Rest>,
    order: VecDeque<JobId>,
}

/// What a closed job had given up.
#[derive(Debug)]
struct Rest {
    closing: Closing,
    attempts: BTreeMap<AttemptId, Installation>,
}

impl Departed {
    /// Remembers a job that closes with attempts of which nobody knows what became.
    pub(super) fn keep(&mut self, closing: Closing, attempts: BTreeMap<AttemptId, Installation>) {
        if attempts.is_empty() {
            return;
        }
        self.order.push_back(closing.job.clone());
        self.jobs.insert(closing.job.clone(), Rest { closing, attempts });
        if self.order.len() > JOBS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.jobs.remove(&oldest);
        }
    }

    /// Takes note of a return, once; none if nobody waits for that.
    pub(super) fn returned(
        &mut self,
        from: &Installation,
        attempt: &AttemptId,
        comeback: Comeback,
    ) -> Option<(Record, Closing)> {
        let rest = self.jobs.get_mut(&attempt.job)?;
        if rest.attempts.get(attempt) != Some(from) {
            return None;
        }
        rest.attempts.remove(attempt);
        let record = Record::Returned { attempt: attempt.clone(), comeback };
        Some((record, rest.closing.clone()))
    }

    /// Forgets a job whose history is gone.
    pub(super) fn forget(&mut self, job: &JobId) {
        if self.jobs.remove(job).is_some() {
            self.order.retain(|kept| kept != job);
        }
    }
}

/// Most closed jobs that are remembered for this.
const JOBS_MAX: usize = 1_000;
