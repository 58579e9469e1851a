//! The rescue of an aborted job: a job of the same spec that takes over what is still staged.

use tonic::Status;
use votum_commit::Decision;
use votum_ids::JobId;
use votum_schedule::Submission;
use votum_wire::{
    JobState,
    rescue::{RescueJob, Rescued},
    status,
};

use super::{
    JobApi,
    jobs::{draw_job_uid, draw_request, job_id},
    refused,
};
use crate::{
    action::{Answer, Refusal},
    question::{Intent, Question},
};

impl JobApi {
    /// Says what a rescue would do, or hands it in; a request that the journal knows returns its job.
    pub(super) async fn rescue(
        &self,
        wish: RescueJob,
        by: String,
        traceparent: Option<String>,
    ) -> Result<Rescued, Status> {
        let RescueJob { job: from, request, validate_only } = wish;
        let request = request.unwrap_or_else(draw_request);
        if let Some(known) = self.known_request(request)? {
            let job = Some(self.0.job(&known.job).await?);
            return Ok(Rescued { plan: Vec::new(), job, duplicate: true });
        }
        let aborted = self.0.job(&from).await?;
        if aborted.state == JobState::Quarantined {
            return Err(status::job_quarantined(&from, &aborted.state_message));
        }
        let uid = draw_job_uid();
        let job = job_id(&aborted.display_name, uid)?;
        let spec = aborted.spec.ok_or_else(|| status::nothing_kept(&from))?;
        let spec_digest = super::jobs::spec_digest(&spec);
        let submission = Submission { uid, by, request, spec_digest, rescue: None, traceparent };
        self.0.room.for_a_job()?;
        let intent = if validate_only { Intent::Check } else { Intent::Receive };
        let question = Question::Rescue { intent, from: from.clone(), job, submission };
        match self.0.put(question).await? {
            Ok(Answer::Rescued { plan, job, duplicate }) => {
                Ok(Rescued { plan, job: job.map(|job| *job), duplicate })
            }
            Err(Refusal::NotOpen { job }) if job == from => Err(self.why_not(&from).await),
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }

    /// Says why a job that is closed cannot be rescued; the job that was rescued in its place is
    /// named.
    async fn why_not(&self, from: &JobId) -> Status {
        let closed = match self.0.job(from).await {
            Ok(closed) => closed,
            Err(status) => return status,
        };
        if closed.decision != Some(Decision::Abort) {
            return status::not_aborted(from, closed.state);
        }
        let Some(successor) = closed.rescued_by else { return status::nothing_kept(from) };
        match self.0.job(&successor).await.map(|view| view.decision) {
            Ok(Some(Decision::Commit)) => status::already_rescued(from, &successor),
            Ok(Some(Decision::Abort) | None) | Err(_) => status::nothing_kept(from),
        }
    }
}
