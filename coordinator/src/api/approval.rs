//! What clients want before a commit: to approve it, and to know what stands in its way.

use tonic::Status;
use votum_ids::JobId;
use votum_wire::{
    DryVoteView,
    approval::ApproveJob,
    status,
    view::{JobState, JobView},
};

use super::{Desk, refused};
use crate::{
    action::{Answer, Refusal},
    question::Question,
};

impl Desk {
    /// Hands an answer in and waits until it is durable.
    pub(super) async fn approve(&self, wish: ApproveJob, by: String) -> Result<JobView, Status> {
        match self.put(Question::Approve { wish, by }).await? {
            Ok(Answer::Approved(view)) => Ok(*view),
            Err(Refusal::NotOpen { job }) => {
                let state = self.state_of_closed(&job)?;
                Err(status::not_awaiting_approval(&job, state))
            }
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }

    /// Waits until a dry vote has ended, that which is held or a further one.
    pub(super) async fn dry_vote(&self, job: JobId) -> Result<DryVoteView, Status> {
        match self.put(Question::DryVote { job }).await? {
            Ok(Answer::DryVoted(came_to)) => Ok(came_to),
            Err(Refusal::NotOpen { job }) => {
                let state = self.state_of_closed(&job)?;
                Err(status::vote_under_way(&job, state))
            }
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }

    fn state_of_closed(&self, job: &JobId) -> Result<JobState, Status> {
        Ok(self.closed_job(job)?.state)
    }
}
