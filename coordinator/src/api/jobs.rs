//! Jobs: hand in, show, list, watch, cancel, pause, retry, read logs.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;
use votum_ids::{Digest, JobId, RequestId};
use votum_job::{Graph, JobSpec};
use votum_proto::v1::{self, job_service_server::JobService};
use votum_schedule::{LiveAttempts, Submission};
use votum_wire::{
    Translate,
    dry_vote::DryVoteJob,
    history::ListEvents,
    hold::{PauseJob, RetryJob, UnpauseJob},
    listing::DeleteJob,
    output::{ListOutputFiles, ReadOutput, outputs_of},
    request::{CancelJob, GetJob, ListJobs, SubmitJob, Submitted, TailLogs},
    rescue::RescueJob,
    revert::RevertJob,
    status,
    view::{JobState, JobView},
};

use super::{Desk, caller, listing, logs, outputs, read, refused, traceparent, watch};
use crate::{
    action::{Answer, Refusal},
    auth::About,
    question::{Intent, Question, Wish},
    record::{KnownRequest, job_stream, request_key},
    view,
};

/// The service for clients.
#[derive(Debug)]
pub(crate) struct JobApi(pub(crate) Desk);

#[tonic::async_trait]
impl JobService for JobApi {
    type WatchJobStream = Pin<Box<dyn Stream<Item = Result<v1::WatchJobResponse, Status>> + Send>>;
    type WatchJobsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchJobsResponse, Status>> + Send>>;
    type ListOutputFilesStream =
        Pin<Box<dyn Stream<Item = Result<v1::ListOutputFilesResponse, Status>> + Send>>;
    type ReadOutputStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReadOutputResponse, Status>> + Send>>;
    type TailLogsStream = Pin<Box<dyn Stream<Item = Result<v1::TailLogsResponse, Status>> + Send>>;

    async fn submit_job(
        &self,
        request: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        let (by, traceparent) = (caller(&request), traceparent(&request));
        let SubmitJob { spec, job, request, validate_only } =
            SubmitJob::read(request.into_inner())?;
        if let Some(of) = spec.reverts() {
            return Err(status::reverts_itself(of));
        }
        Graph::check(&spec).map_err(|found| status::invalid_job(&found))?;
        let encoded = serde_json::to_vec(&spec).expect("a spec has string keys only");
        if encoded.len() > RECORD_SPEC_BYTES_MAX {
            return Err(status::spec_too_large(encoded.len(), RECORD_SPEC_BYTES_MAX));
        }
        let submission = Submission {
            uid: draw_job_uid(),
            by,
            request: request.unwrap_or_else(draw_request),
            // The canonical encoding recognises the same spec.
            spec_digest: Digest(*blake3::hash(&encoded).as_bytes()),
            rescue: None,
            traceparent,
        };
        let submitted = self.submit(spec, job, submission, validate_only).await?;
        let mut response = Response::new(submitted.to_proto());
        if let Some(view) = &submitted.job {
            response.extensions_mut().insert(About(votum_wire::names::job_name(&view.job)));
        }
        Ok(response)
    }

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let GetJob { job, detail } = read(request)?;
        let mut view = self.0.job(&job).await?;
        if view.state.is_final() {
            view.worker_damages = self.0.damages_of(&job).await?;
        }
        let view = detail.of(view);
        Ok(Response::new(v1::GetJobResponse { job: Some(view.to_proto()) }))
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let wanted = ListJobs::read(request.into_inner())?;
        Ok(Response::new(self.0.list(&wanted).await?.to_proto()))
    }

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let job = votum_wire::names::read_job_name("name", &request.into_inner().name)
            .map_err(|malformed| status::malformed(&malformed))?;
        Ok(Response::new(Box::pin(watch::watch(self.0.clone(), job).await?)))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let by = caller(&request);
        let CancelJob { job, reason } = read(request)?;
        let view = self.cancel(job, reason, by).await?;
        Ok(Response::new(v1::CancelJobResponse { job: Some(view.to_proto()) }))
    }

    async fn pause_job(
        &self,
        request: Request<v1::PauseJobRequest>,
    ) -> Result<Response<v1::PauseJobResponse>, Status> {
        let by = caller(&request);
        let PauseJob { job, reason, stop_running } = read(request)?;
        let live = if stop_running { LiveAttempts::Stop } else { LiveAttempts::GoOn };
        let view = self.0.steer(job, by, Wish::Pause { reason, live }).await?;
        Ok(Response::new(v1::PauseJobResponse { job: Some(view.to_proto()) }))
    }

    async fn approve_job(
        &self,
        request: Request<v1::ApproveJobRequest>,
    ) -> Result<Response<v1::ApproveJobResponse>, Status> {
        let by = caller(&request);
        let view = self.0.approve(read(request)?, by).await?;
        Ok(Response::new(v1::ApproveJobResponse { job: Some(view.to_proto()) }))
    }

    async fn dry_vote_job(
        &self,
        request: Request<v1::DryVoteJobRequest>,
    ) -> Result<Response<v1::DryVoteJobResponse>, Status> {
        let DryVoteJob { job } = read(request)?;
        let came_to = self.0.dry_vote(job).await?;
        Ok(Response::new(v1::DryVoteJobResponse { dry_vote: Some(came_to.to_proto()) }))
    }

    async fn rescue_job(
        &self,
        request: Request<v1::RescueJobRequest>,
    ) -> Result<Response<v1::RescueJobResponse>, Status> {
        let (by, traceparent) = (caller(&request), traceparent(&request));
        let wish = RescueJob::read(request.into_inner())?;
        Ok(Response::new(self.rescue(wish, by, traceparent).await?.to_proto()))
    }

    async fn revert_job(
        &self,
        request: Request<v1::RevertJobRequest>,
    ) -> Result<Response<v1::RevertJobResponse>, Status> {
        let (by, traceparent) = (caller(&request), traceparent(&request));
        let wish = RevertJob::read(request.into_inner())?;
        Ok(Response::new(self.revert(wish, by, traceparent).await?.to_proto()))
    }

    async fn unpause_job(
        &self,
        request: Request<v1::UnpauseJobRequest>,
    ) -> Result<Response<v1::UnpauseJobResponse>, Status> {
        let by = caller(&request);
        let UnpauseJob { job } = read(request)?;
        let view = self.0.steer(job, by, Wish::Unpause).await?;
        Ok(Response::new(v1::UnpauseJobResponse { job: Some(view.to_proto()) }))
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let by = caller(&request);
        let RetryJob { job, task } = read(request)?;
        let view = self.0.steer(job, by, Wish::Retry { task }).await?;
        Ok(Response::new(v1::RetryJobResponse { job: Some(view.to_proto()) }))
    }

    async fn watch_jobs(
        &self,
        _request: Request<v1::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        Ok(Response::new(Box::pin(listing::watch(self.0.clone()))))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let wanted = ListEvents::read(&request.into_inner())?;
        Ok(Response::new(self.0.events(wanted).await?.to_proto()))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let by = caller(&request);
        let DeleteJob { job } = read(request)?;
        self.0.delete(job, by).await?;
        Ok(Response::new(v1::DeleteJobResponse {}))
    }

    async fn list_outputs(
        &self,
        request: Request<v1::ListOutputsRequest>,
    ) -> Result<Response<v1::ListOutputsResponse>, Status> {
        let job = votum_wire::names::read_job_name("parent", &request.into_inner().parent)
            .map_err(|malformed| status::malformed(&malformed))?;
        Ok(Response::new(outputs_of(&self.0.job(&job).await?)))
    }

    async fn list_output_files(
        &self,
        request: Request<v1::ListOutputFilesRequest>,
    ) -> Result<Response<Self::ListOutputFilesStream>, Status> {
        let wanted: ListOutputFiles = read(request)?;
        Ok(Response::new(Box::pin(outputs::files(&self.0, wanted).await?)))
    }

    async fn read_output(
        &self,
        request: Request<v1::ReadOutputRequest>,
    ) -> Result<Response<Self::ReadOutputStream>, Status> {
        let wanted: ReadOutput = read(request)?;
        Ok(Response::new(Box::pin(outputs::read(&self.0, wanted).await?)))
    }

    async fn tail_logs(
        &self,
        request: Request<v1::TailLogsRequest>,
    ) -> Result<Response<Self::TailLogsStream>, Status> {
        let wanted: TailLogs = read(request)?;
        Ok(Response::new(Box::pin(logs::tail(self.0.clone(), wanted).await?)))
    }
}

impl JobApi {
    /// Hands a checked job in; a request that the journal knows returns its job.
    pub(super) async fn submit(
        &self,
        spec: JobSpec,
        chosen: Option<JobId>,
        submission: Submission,
        validate_only: bool,
    ) -> Result<Submitted, Status> {
        if let Some(known) = self.known_request(submission.request)? {
            if known.spec_digest != submission.spec_digest {
                return Err(status::request_id_reused(submission.request, &known.job));
            }
            return Ok(Submitted { job: Some(self.0.job(&known.job).await?), duplicate: true });
        }
        let job = match chosen {
            Some(job) => job,
            None => job_id(&spec.display_name, submission.uid)?,
        };
        if !self.0.read(&job)?.is_empty() {
            return Err(status::job_id_taken(&job));
        }
        if let Some(tombstone) = self.0.tombstone(&job)? {
            return Err(status::job_id_spent(&job, view::job::removed(tombstone).state));
        }
        self.0.room.for_a_job()?;
        let intent = if validate_only { Intent::Check } else { Intent::Receive };
        let spec = Arc::new(spec);
        let question = Question::Submit { intent, job, spec, submission };
        match self.0.put(question).await? {
            Ok(Answer::Received { job, duplicate }) => Ok(Submitted { job: Some(*job), duplicate }),
            Ok(Answer::Valid) => Ok(Submitted { job: None, duplicate: false }),
            // The same request came a moment before, and its job has ended since.
            Err(Refusal::NotOpen { job }) => {
                Ok(Submitted { job: Some(self.0.closed_job(&job)?), duplicate: true })
            }
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }

    pub(super) fn known_request(&self, request: RequestId) -> Result<Option<KnownRequest>, Status> {
        let found =
            self.0.reader.get(&request_key(request)).map_err(|error| status::internal(&error))?;
        let known = found.map(|value| serde_json::from_slice(&value)).transpose();
        known.map_err(|error| status::internal(&error))
    }

    async fn cancel(&self, job: JobId, reason: String, by: String) -> Result<JobView, Status> {
        match self.0.put(Question::Cancel { job, by, reason }).await? {
            Ok(Answer::Cancelling(view)) => Ok(*view),
            Ok(Answer::KeptReleased { job }) => self.0.closed_job(&job),
            // Cancelling a cancelled job again changes nothing and is no error; one that ended
            // in another way was never cancelled, and nobody is told that it was.
            Err(Refusal::NotOpen { job }) => {
                let view = self.0.closed_job(&job)?;
                if view.state == JobState::Quarantined {
                    return Err(status::job_quarantined(&job, &view.state_message));
                }
                let given_up = view.kept_release.is_some();
                match (view.decision, view.is_cancelled() || given_up) {
                    (Some(votum_commit::Decision::Commit), _) => Err(status::already_decided(&job)),
                    (Some(votum_commit::Decision::Abort) | None, true) => Ok(view),
                    (Some(votum_commit::Decision::Abort) | None, false) => {
                        Err(status::over_already(&job, view.state))
                    }
                }
            }
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }
}

impl Desk {
    fn read(&self, job: &JobId) -> Result<Vec<votum_journal::Stored>, Status> {
        self.reader.read(&job_stream(job)).map_err(|error| status::internal(&error))
    }
}

/// Recognises the same spec by its canonical encoding.
pub(super) fn spec_digest(spec: &JobSpec) -> Digest {
    let encoded = serde_json::to_vec(spec).expect("a spec has string keys only");
    Digest(*blake3::hash(&encoded).as_bytes())
}

/// Makes an id of the display name and the random end of the UUID.
pub(super) fn job_id(display_name: &str, uid: Uuid) -> Result<JobId, Status> {
    let mut random = uid.as_u128();
    let mut suffix = [0; 8];
    for digit in suffix.iter_mut().rev() {
        *digit = BASE32[(random % 32) as usize];
        random /= 32;
    }
    let suffix = String::from_utf8_lossy(&suffix);
    JobId::new(format!("{display_name}-{suffix}")).map_err(|error| status::internal(&error))
}

#[expect(clippy::disallowed_methods, reason = "identifiers are drawn where requests come in")]
pub(super) fn draw_job_uid() -> Uuid {
    Uuid::now_v7()
}

#[expect(clippy::disallowed_methods, reason = "identifiers are drawn where requests come in")]
pub(super) fn draw_request() -> RequestId {
    RequestId(Uuid::new_v4())
}

/// Largest spec as a record holds it: control characters take six bytes there, one on the wire.
const RECORD_SPEC_BYTES_MAX: usize = 3 << 20;
/// RFC 4648, lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_ends_in_eight_random_characters() {
        let id = job_id("nightly-sales", Uuid::from_u128(u128::MAX)).unwrap();
        assert_eq!(id.as_str(), "nightly-sales-77777777");
        let id = job_id("nightly-sales", Uuid::from_u128(1)).unwrap();
        assert_eq!(id.as_str(), "nightly-sales-aaaaaaab");
    }
}
