//! Before a commit: what stands in its way, and what a person says.

use votum_ids::JobId;
use votum_wire::{
    DryVoteView, Fault, JobView, Malformed, Translate as _, approval::ApproveJob,
    dry_vote::DryVoteJob,
};

use crate::{Client, ClientError, client::read_job};

impl Client {
    /// Approves or rejects what a job has staged. Tried once: a repeat would be told that the job
    /// waits for no approval.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_AWAITING_APPROVAL` or `STALE_ETAG`.
    pub async fn approve(&self, wish: &ApproveJob) -> Result<JobView, ClientError> {
        let request = wish.to_proto();
        let answer = self
            .once(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.approve_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Lets a dry vote be held and waits for what it comes to; that takes some seconds if a worker
    /// does not answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `VOTE_UNDER_WAY`.
    pub async fn dry_vote(&self, job: &JobId) -> Result<DryVoteView, ClientError> {
        let request = DryVoteJob { job: job.clone() }.to_proto();
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.dry_vote_job(request).await }
            })
            .await?;
        let missing = || Malformed { field: "dry_vote".to_owned(), fault: Fault::Missing };
        Ok(DryVoteView::from_proto(answer.dry_vote.ok_or_else(missing)?)?)
    }
}
