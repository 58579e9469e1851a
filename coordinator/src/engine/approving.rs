//! Before the vote: who wants a dry vote, and what a person says when one is asked.

use votum_commit::{Cause, CoordinatorEvent};
use votum_ids::JobId;
use votum_schedule::{DryVote, Event as Asked};
use votum_wire::{
    REJECTED, Verdict,
    approval::ApproveJob,
    view::{JobState, JobView},
};

use super::Engine;
use crate::{
    action::{Answer, Refusal},
    replies::ReplyId,
    turn::Turn,
    view,
};

impl Engine {
    /// Takes a person's answer, or says why it changes nothing; the answer waits for the record
    /// (C12).
    pub(super) fn answer_approval(
        &mut self,
        turn: &mut Turn,
        wish: ApproveJob,
        by: String,
    ) -> Answer {
        let ApproveJob { job, verdict, reason, etag } = wish;
        let before = match self.may_approve(turn, &job, etag) {
            Ok(view) => view,
            Err(refusal) => return Answer::Refused(refusal),
        };
        match verdict {
            Verdict::Approve => {
                self.schedule(turn, Asked::Approved { job: job.clone(), by, reason });
            }
            Verdict::Reject => {
                let message = if reason.is_empty() {
                    "the commit was rejected".to_owned()
                } else {
                    format!("the commit was rejected: {reason}")
                };
                let cause = Cause { reason: REJECTED.to_owned(), message, by };
                self.commit(turn, CoordinatorEvent::AbortAsked { job: job.clone(), cause });
            }
        }
        // A job with nothing to stop closes in the step that aborts it.
        let view = self.view(turn.now(), &job).unwrap_or(before);
        Answer::Approved(Box::new(view))
    }

    fn may_approve(
        &self,
        turn: &Turn,
        job: &JobId,
        etag: Option<String>,
    ) -> Result<JobView, Refusal> {
        self.not_quarantined(job)?;
        let Some(view) = self.view(turn.now(), job) else {
            return Err(Refusal::NotOpen { job: job.clone() });
        };
        if self.commit.is_stale() {
            return Err(Refusal::LogStale);
        }
        if view.state != JobState::AwaitingApproval {
            return Err(Refusal::NotAwaitingApproval { job: job.clone(), state: view.state });
        }
        let current = view::approval::etag(&self.scheduler, job);
        match etag {
            Some(given) if given != current => {
                Err(Refusal::StaleEtag { job: job.clone(), etag: current, given })
            }
            Some(_) | None => Ok(view),
        }
    }

    /// Holds a dry vote for a client, who is answered when that is over.
    pub(super) fn want_dry_vote(&mut self, turn: &mut Turn, reply: ReplyId, job: JobId) {
        if let Err(refusal) = self.may_dry_vote(turn, &job) {
            return turn.reply(reply, Answer::Refused(refusal));
        }
        self.dry_voters.entry(job.clone()).or_default().push(reply);
        self.schedule(turn, Asked::DryVoteAsked { job });
    }

    fn may_dry_vote(&self, turn: &Turn, job: &JobId) -> Result<(), Refusal> {
        self.not_quarantined(job)?;
        let Some(view) = self.view(turn.now(), job) else {
            return Err(Refusal::NotOpen { job: job.clone() });
        };
        if view.decision.is_some() || !self.scheduler.may_dry_vote(job) {
            return Err(Refusal::VoteUnderWay { job: job.clone(), state: view.state });
        }
        let waiting: usize = self.dry_voters.values().map(Vec::len).sum();
        if waiting >= DRY_VOTERS_MAX {
            return Err(Refusal::TooManyDryVotes { max: DRY_VOTERS_MAX });
        }
        Ok(())
    }

    /// Tells everybody who waits for it what a dry vote came to.
    pub(super) fn dry_voted(&mut self, turn: &mut Turn, job: &JobId, came_to: Option<DryVote>) {
        turn.changed(job);
        let Some(waiting) = self.dry_voters.remove(job) else { return };
        let answer = match came_to {
            Some(came_to) => Answer::DryVoted(view::approval::dry_vote(&came_to)),
            None => {
                // Where it stands is what has overtaken the dry vote, or is about to.
                let state = self.view(turn.now(), job).map(|view| view.state);
                let state = state.unwrap_or(JobState::Aborting);
                Answer::Refused(Refusal::VoteUnderWay { job: job.clone(), state })
            }
        };
        for reply in waiting {
            turn.reply(reply, answer.clone());
        }
    }
}

/// Most clients that wait for dry votes at a time.
const DRY_VOTERS_MAX: usize = 256;
