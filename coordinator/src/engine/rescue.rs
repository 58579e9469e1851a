//! What an aborted job keeps for a time, and the job that takes it over.
//!
//! A job that keeps what is staged stays open after its abort: its workers still list what they
//! hold, and are told to discard it only when the time is over or a rescue has committed.

use votum_commit::{CoordinatorEvent, Decision};
use votum_ids::JobId;
use votum_machine::Moment;
use votum_schedule::{RescuePlan, Submission};
use votum_wire::rescue::RescuedTask;

use super::{Engine, FAR};
use crate::{
    action::{Answer, Refusal},
    event::Intent,
    turn::Turn,
};

impl Engine {
    /// Makes a job that takes over what an aborted one has staged, or says what it would do.
    pub(super) fn rescue(
        &mut self,
        turn: &mut Turn,
        intent: Intent,
        from: &JobId,
        job: JobId,
        mut submission: Submission,
    ) -> Answer {
        let Some(view) = self.view(turn.now(), from) else {
            return Answer::Refused(Refusal::NotOpen { job: from.clone() });
        };
        if view.decision != Some(Decision::Abort) {
            return Answer::Refused(Refusal::NotAborted { job: from.clone(), state: view.state });
        }
        let Some(rescue) = self.scheduler.rescuable(from).filter(|_| self.keeps(from)) else {
            return Answer::Refused(Refusal::NothingKept { job: from.clone() });
        };
        let plan = self.scheduler.rescue_plan(&rescue).into_iter().map(planned).collect();
        let spec = self.jobs[from].spec.clone();
        submission.rescue = Some(rescue);
        match self.submit(turn, intent, job, spec, submission) {
            Answer::Received { job, duplicate } => {
                Answer::Rescued { plan, job: Some(job), duplicate }
            }
            Answer::Valid => Answer::Rescued { plan, job: None, duplicate: false },
            refused @ (Answer::Refused(_)
            | Answer::Cancelling(_)
            | Answer::Steered(_)
            | Answer::Rescued { .. }
            | Answer::Jobs(_)
            | Answer::Workers(_)
            | Answer::Ordered(_)
            | Answer::Cluster(_)) => refused,
        }
    }

    /// Takes the word of the scheduler that nothing of an aborting job runs.
    pub(super) fn stopped(&mut self, turn: &mut Turn, job: JobId) {
        match self.kept_until(&job) {
            Some(until) if turn.now() < until => {
                turn.changed(&job);
                self.kept.insert(job, until);
            }
            Some(_) | None => self.commit(turn, CoordinatorEvent::Stopped { job }),
        }
    }

    /// Returns until when an aborted job of which nothing runs keeps what it staged.
    pub(super) fn kept_until(&self, job: &JobId) -> Option<Moment> {
        let open = self.jobs.get(job).filter(|open| !open.spec.keep_staged.is_zero())?;
        let rescue = self.scheduler.rescuable(job)?;
        if rescue.kept.is_empty() {
            return None;
        }
        let until = open.decided?.after(open.spec.keep_staged);
        Some(Moment::START.after(until.since(self.anchor)))
    }

    /// Ends the keeping whose time is over first, unless a rescue still takes over.
    pub(super) fn stop_keeping(&mut self, turn: &mut Turn) {
        let due = self.kept.iter().find(|(_, until)| **until <= turn.now());
        let Some(job) = due.map(|(job, _)| job.clone()) else { return };
        let rescued = |open: &crate::open_job::OpenJob| {
            open.submission.rescue.as_ref().is_some_and(|rescue| rescue.from == job)
        };
        if self.jobs.values().any(rescued) {
            self.kept.insert(job, turn.now().after(LOOK_AGAIN));
            return;
        }
        self.kept.remove(&job);
        self.commit(turn, CoordinatorEvent::Stopped { job });
    }

    /// Returns when the first keeping ends.
    pub(super) fn keeping_ends(&self) -> Moment {
        self.kept.values().min().copied().unwrap_or(FAR)
    }

    fn keeps(&self, job: &JobId) -> bool {
        self.kept.contains_key(job)
    }
}

fn planned(plan: RescuePlan) -> RescuedTask {
    let RescuePlan { task, holder, runs } = plan;
    RescuedTask { task, holder, runs: runs.unwrap_or_default() }
}

/// How long a keeping lasts on while a rescue is open.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);
