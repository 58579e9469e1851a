//! What an aborted job keeps for a time, and the job that takes it over.
//!
//! A job that keeps what is staged stays open after its abort: its workers still list what they
//! hold, and are told to discard it only when the time is over or a rescue has committed.

use votum_commit::{CoordinatorEvent, Decision};
use votum_ids::JobId;
use votum_machine::Moment;
use votum_schedule::{RescuePlan, Submission};
use votum_wire::rescue::RescuedTask;

use super::{Engine, FAR, Pending};
use crate::{
    action::{Answer, Refusal},
    question::Intent,
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
        if let Err(refusal) = self.not_quarantined(from) {
            return Answer::Refused(refusal);
        }
        let Some(view) = self.view(turn.now(), from) else {
            return Answer::Refused(Refusal::NotOpen { job: from.clone() });
        };
        if view.decision != Some(Decision::Abort) {
            return Answer::Refused(Refusal::NotAborted { job: from.clone(), state: view.state });
        }
        let Some(rescue) = self.scheduler.rescuable(from).filter(|_| self.keeps(from)) else {
            return Answer::Refused(Refusal::NothingKept { job: from.clone() });
        };
        // The same request is answered with its own job, whatever that has come to.
        if let Some(successor) = self.rescued_by(from)
            && !self.requests.contains_key(&submission.request)
        {
            return Answer::Refused(Refusal::AlreadyRescued { job: from.clone(), successor });
        }
        let plan = self.scheduler.rescue_plan(&rescue).into_iter().map(planned).collect();
        let spec = self.jobs[from].spec.clone();
        submission.rescue = Some(rescue);
        match self.submit(turn, intent, job, spec, submission) {
            Answer::Received { job, duplicate } => {
                self.note_rescue(from, &job.job);
                Answer::Rescued { plan, job: Some(job), duplicate }
            }
            Answer::Valid => Answer::Rescued { plan, job: None, duplicate: false },
            refused @ (Answer::Refused(_)
            | Answer::Cancelling(_)
            | Answer::KeptReleased { .. }
            | Answer::Steered(_)
            | Answer::Approved(_)
            | Answer::DryVoted(_)
            | Answer::Rescued { .. }
            | Answer::Jobs(_)
            | Answer::Chosen(_)
            | Answer::Txns(_)
            | Answer::Workers(_)
            | Answer::Ordered(_)
            | Answer::Cases(_)
            | Answer::Resolved
            | Answer::Forced(_)
            | Answer::Deleted
            | Answer::Cluster(_)
            | Answer::Figures(_)) => refused,
        }
    }

    /// Gives up what an aborted job keeps; durable, and told to its workers, before the answer.
    ///
    /// A job that a rescue reads is left alone: that one is cancelled first.
    pub(super) fn release_kept(
        &mut self,
        turn: &mut Turn,
        job: &JobId,
        by: String,
        reason: String,
    ) -> Answer {
        if let Some(successor) = self.rescued_by(job) {
            return Answer::Refused(Refusal::AlreadyRescued { job: job.clone(), successor });
        }
        let event = votum_schedule::Event::ReleaseAsked { job: job.clone(), by, reason };
        self.schedule(turn, event);
        self.commit(turn, CoordinatorEvent::Stopped { job: job.clone() });
        Answer::KeptReleased { job: job.clone() }
    }

    /// Takes the word of the scheduler that nothing of an aborting job runs.
    pub(super) fn stopped(&mut self, turn: &mut Turn, job: JobId) {
        self.open_settlement(turn, &job, Decision::Abort);
        match self.kept_until(&job) {
            Some(until) if turn.now() < until || self.rescued_by(&job).is_some() => {
                turn.changed(&job);
                self.kept.insert(job, until.max(turn.now()));
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
        if self.rescued_by(&job).is_some() || self.commit.is_stale() {
            self.kept.insert(job, turn.now().after(LOOK_AGAIN));
            return;
        }
        self.commit(turn, CoordinatorEvent::Stopped { job });
    }

    /// Ends the keeping of a job that another one has committed in place of.
    pub(super) fn supersede(&mut self, turn: &mut Turn, job: JobId) {
        if self.keeps(&job) {
            self.commit(turn, CoordinatorEvent::Stopped { job });
        }
    }

    /// Ends the keeping of a job that was rescued for good, and of those that it had rescued.
    pub(super) fn settle_rescued(&mut self, from: &JobId) {
        let mut next = Some(from);
        while let Some((job, open)) = next.and_then(|job| self.jobs.get_key_value(job)) {
            self.pending.push_back(Pending::Superseded { job: job.clone() });
            next = open.submission.rescue.as_ref().map(|rescue| &rescue.from);
        }
    }

    /// Takes up, after all jobs were, what a crash left undone between them and their rescues.
    ///
    /// `came_to` tells what became of a job that is closed; a rescue that has committed ends
    /// the keeping of what it took over.
    pub(crate) fn resume_rescues(&mut self, came_to: impl Fn(&JobId) -> Option<Decision>) {
        let mut taken = Vec::new();
        let mut settled = Vec::new();
        for (job, open) in &self.jobs {
            let decision = self.commit.phase(job).and_then(|standing| standing.decision());
            if let Some(rescue) = &open.submission.rescue
                && decision != Some(Decision::Abort)
            {
                taken.push((rescue.from.clone(), job.clone()));
            }
            let heir = self.scheduler.successor(job).filter(|heir| !self.jobs.contains_key(*heir));
            if heir.and_then(&came_to) == Some(Decision::Commit) {
                settled.push(job.clone());
            }
        }
        taken.iter().for_each(|(from, by)| self.note_rescue(from, by));
        settled.iter().for_each(|job| self.settle_rescued(job));
    }

    /// Returns the open job that takes over from this one: itself, or by one that it rescues.
    fn rescued_by(&self, job: &JobId) -> Option<JobId> {
        let takes_over = |open: &crate::open_job::OpenJob| {
            open.submission.rescue.as_ref().is_some_and(|rescue| rescue.from == *job)
        };
        // Of a quarantined one it is not known that it no longer needs what it took over.
        if let Some(heir) = self.scheduler.successor(job).filter(|heir| self.is_quarantined(heir)) {
            return Some(heir.clone());
        }
        let heirs = self.jobs.iter().filter(|(_, open)| takes_over(open));
        heirs.into_iter().find_map(|(heir, _)| match self.commit.phase(heir)?.decision() {
            Some(Decision::Abort) => self.rescued_by(heir),
            Some(Decision::Commit) | None => Some(heir.clone()),
        })
    }

    /// Lets the aborted job's own history tell who took over.
    pub(super) fn note_rescue(&mut self, from: &JobId, by: &JobId) {
        let (job, by) = (from.clone(), by.clone());
        let event = votum_schedule::Event::RescueReceived { job, by };
        self.pending.push_back(Pending::Schedule(event));
    }

    /// Says whether a step that waits decides what an aborted job keeps, or whether a job needs its
    /// key: its abort that is resumed after a restart, the end of its keeping, or that of its need.
    pub(super) fn is_unsettled(&self, id: &JobId) -> bool {
        self.pending.iter().any(|pending| match pending {
            Pending::Schedule(
                votum_schedule::Event::Aborting { job, .. }
                | votum_schedule::Event::KeyFreed { job, .. },
            )
            | Pending::Superseded { job } => job == id,
            Pending::Schedule(_)
            | Pending::Settle(_)
            | Pending::Commit(_)
            | Pending::Release { .. }
            | Pending::Returned { .. }
            | Pending::LogFoundStale { .. }
            | Pending::Forget(_)
            | Pending::Asked { .. }
            | Pending::Uncross
            | Pending::Conclude { .. } => false,
        })
    }

    /// Returns when the first keeping ends.
    pub(super) fn keeping_ends(&self) -> Moment {
        self.kept.values().min().copied().unwrap_or(FAR)
    }

    pub(super) fn keeps(&self, job: &JobId) -> bool {
        self.kept.contains_key(job)
    }
}

fn planned(plan: RescuePlan) -> RescuedTask {
    let RescuePlan { task, holder, runs } = plan;
    RescuedTask { task, holder, runs: runs.unwrap_or_default() }
}

/// How long a keeping lasts on while a rescue is open.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);
