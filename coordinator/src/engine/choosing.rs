//! Which open jobs of a list may be wanted, told without a picture of any of them.

use votum_commit::Stage;
use votum_ids::JobId;
use votum_machine::WallTime;
use votum_wire::{
    filter::{Ended, Facts},
    request::Wanted,
    view::{CANCELLED, JobState},
};

use super::Engine;
use crate::view::fate;

impl Engine {
    /// Leaves out the jobs that are not wanted; one of which little is known here stays.
    ///
    /// A picture costs as much as the job has tasks, this the same for every job.
    pub(super) fn choose(&self, jobs: Vec<JobId>, wanted: &Wanted, now: WallTime) -> Vec<JobId> {
        let may_be = |job: &JobId| {
            let facts = self.facts(job);
            facts.is_none_or(|facts| wanted.judge(&facts, now) != Some(false))
        };
        jobs.into_iter().filter(may_be).collect()
    }

    /// Returns what is known of an open job; none of one that is closed or quarantined.
    fn facts(&self, job: &JobId) -> Option<Facts<'_>> {
        let (job, open) = self.jobs.get_key_value(job)?;
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        let kept = self.kept_until(job).is_some();
        let awaits = self.scheduler.awaits_approval(job);
        let state = fate::state(stage.as_ref(), open, kept, awaits);
        let undecided =
            matches!(state, JobState::Received | JobState::Running | JobState::AwaitingApproval);
        let cause = match &stage {
            Some(Stage::Aborting { cause }) => Some(cause),
            Some(
                Stage::Working
                | Stage::Preparing { .. }
                | Stage::Delivering { .. }
                | Stage::Owing { .. }
                | Stage::Quarantined,
            )
            | None => open.over.and(open.cause.as_ref()),
        };
        let ended = if kept { open.decided } else { open.ended };
        Some(Facts {
            name: Some(&open.spec.display_name),
            by: Some(&open.submission.by),
            labels: Some(&open.spec.labels),
            state: Some(state),
            paused: Some(undecided && !self.scheduler.holds(job).is_empty()),
            cancelled: Some(cause.is_some_and(|cause| cause.reason == CANCELLED)),
            ended: ended.map_or(Ended::NotYet, Ended::At),
            ..Facts::unknown(job, open.received)
        })
    }
}
