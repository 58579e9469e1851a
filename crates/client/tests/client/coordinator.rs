//! A coordinator that does as it is told, on a socket of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_stream::{Iter, iter, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, transport::Server};
use uuid::Uuid;
use votum_ids::JobId;
use votum_job::{FlatMap, JobSpec, OnExhausted};
use votum_machine::WallTime;
use votum_proto::v1::{
    ApproveJobRequest, ApproveJobResponse, CancelJobRequest, CancelJobResponse, DeleteJobRequest,
    DeleteJobResponse, DryVoteJobRequest, DryVoteJobResponse, GetJobRequest, GetJobResponse,
    ListEventsRequest, ListEventsResponse, ListJobsRequest, ListJobsResponse,
    ListOutputFilesRequest, ListOutputFilesResponse, ListOutputsRequest, ListOutputsResponse,
    PauseJobRequest, PauseJobResponse, ReadOutputRequest, ReadOutputResponse, RescueJobRequest,
    RescueJobResponse, RetryJobRequest, RetryJobResponse, RevertJobRequest, RevertJobResponse,
    SubmitJobRequest, SubmitJobResponse, TailLogsRequest, TailLogsResponse, UnpauseJobRequest,
    UnpauseJobResponse, WatchJobRequest, WatchJobResponse, WatchJobsRequest, WatchJobsResponse,
    case_service_server::CaseServiceServer,
    job_service_server::{JobService, JobServiceServer},
};
use votum_wire::{
    CaseView, JobState, JobView, LogPiece, LogStream, Translate,
    names::{AttemptName, Scope},
    request::{GetJob, JobPage, ListJobs, SubmitJob, Submitted, TailLogs},
    status,
};

/// What the only attempt wrote.
pub(crate) const LOG: &str = "first line\nsecond line\nthird line\n";

/// A running coordinator.
pub(crate) struct Coordinator {
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) refusals: VecDeque<Status>,
    pub(crate) cases: Vec<CaseView>,
    pub(crate) resolutions: usize,
    request_ids: Vec<String>,
    life: VecDeque<JobState>,
    jobs: Vec<JobView>,
    tails: usize,
}

impl Coordinator {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script::default()));
        let service = JobServiceServer::new(Desk(Arc::clone(&script)));
        let cases = CaseServiceServer::new(Desk(Arc::clone(&script)));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let server = Server::builder().add_service(service).add_service(cases);
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        Self { address, script, stop, served }
    }

    /// Stops and returns the address that is free again.
    pub(crate) async fn stop(self) -> String {
        let _ = self.stop.send(());
        // The connection of an idle client ends with the server's graceful end.
        tokio::time::timeout(Duration::from_secs(20), self.served).await.unwrap().unwrap();
        self.address
    }

    pub(crate) fn answer_next_with(&self, refusals: impl IntoIterator<Item = Status>) {
        self.script.lock().unwrap().refusals.extend(refusals);
    }

    pub(crate) fn live_through(&self, states: impl IntoIterator<Item = JobState>) {
        self.script.lock().unwrap().life.extend(states);
    }

    pub(crate) fn has_jobs(&self, jobs: impl IntoIterator<Item = JobView>) {
        self.script.lock().unwrap().jobs.extend(jobs);
    }

    pub(crate) fn has_cases(&self, cases: impl IntoIterator<Item = CaseView>) {
        self.script.lock().unwrap().cases.extend(cases);
    }

    pub(crate) fn resolutions(&self) -> usize {
        self.script.lock().unwrap().resolutions
    }

    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.script.lock().unwrap().request_ids.clone()
    }
}

pub(crate) struct Desk(pub(crate) Arc<Mutex<Script>>);

type Stream<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl JobService for Desk {
    type WatchJobStream = Stream<WatchJobResponse>;
    type WatchJobsStream = Stream<WatchJobsResponse>;
    type ListOutputFilesStream = Stream<ListOutputFilesResponse>;
    type ReadOutputStream = Stream<ReadOutputResponse>;
    type TailLogsStream = Stream<TailLogsResponse>;

    async fn submit_job(
        &self,
        request: Request<SubmitJobRequest>,
    ) -> Result<Response<SubmitJobResponse>, Status> {
        let mut script = self.0.lock().unwrap();
        let request = request.into_inner();
        script.request_ids.push(request.request_id.clone());
        if let Some(refusal) = script.refusals.pop_front() {
            return Err(refusal);
        }
        SubmitJob::read(request)?;
        let job = Some(job("sales-1", JobState::Received));
        Ok(Response::new(Submitted { job, duplicate: false }.to_proto()))
    }

    async fn get_job(
        &self,
        request: Request<GetJobRequest>,
    ) -> Result<Response<GetJobResponse>, Status> {
        let wanted = GetJob::from_proto(request.into_inner())?.job;
        let script = self.0.lock().unwrap();
        let found = script.jobs.iter().find(|job| job.job == wanted);
        let found = found.ok_or_else(|| status::job_not_found(&wanted))?;
        Ok(Response::new(GetJobResponse { job: Some(found.to_proto()) }))
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let wanted = ListJobs::read(request.into_inner())?;
        let script = self.0.lock().unwrap();
        let after = wanted.page.after.as_deref();
        let from = after.map_or(0, |after| {
            1 + script.jobs.iter().position(|job| job.job.as_str() == after).unwrap()
        });
        let fitting = script.jobs[from..]
            .iter()
            .filter(|job| wanted.wanted.contains(job, WallTime::default()));
        let jobs: Vec<_> = fitting.clone().take(wanted.page.size).cloned().collect();
        let ends = jobs.len() == fitting.count();
        let next = jobs.last().filter(|_| !ends).map(|job| wanted.token_after(job.job.as_str()));
        Ok(Response::new(JobPage { jobs, next }.to_proto()))
    }

    /// Every stream shows one state twice and breaks; the last state stays.
    async fn watch_job(
        &self,
        _request: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let mut script = self.0.lock().unwrap();
        let state = *script.life.front().unwrap();
        if script.life.len() > 1 {
            script.life.pop_front();
        }
        let view = || Ok(WatchJobResponse { job: Some(job("sales-1", state).to_proto()) });
        Ok(Response::new(iter(vec![view(), view(), Err(Status::unavailable("broken"))])))
    }

    async fn watch_jobs(
        &self,
        _request: Request<WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        Err(status::shutting_down())
    }

    async fn list_events(
        &self,
        _request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn list_outputs(
        &self,
        _request: Request<ListOutputsRequest>,
    ) -> Result<Response<ListOutputsResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn list_output_files(
        &self,
        _request: Request<ListOutputFilesRequest>,
    ) -> Result<Response<Self::ListOutputFilesStream>, Status> {
        Err(status::shutting_down())
    }

    async fn read_output(
        &self,
        _request: Request<ReadOutputRequest>,
    ) -> Result<Response<Self::ReadOutputStream>, Status> {
        Err(status::shutting_down())
    }

    async fn delete_job(
        &self,
        _request: Request<DeleteJobRequest>,
    ) -> Result<Response<DeleteJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn cancel_job(
        &self,
        _request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn approve_job(
        &self,
        _request: Request<ApproveJobRequest>,
    ) -> Result<Response<ApproveJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn dry_vote_job(
        &self,
        _request: Request<DryVoteJobRequest>,
    ) -> Result<Response<DryVoteJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn pause_job(
        &self,
        _request: Request<PauseJobRequest>,
    ) -> Result<Response<PauseJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn rescue_job(
        &self,
        _request: Request<RescueJobRequest>,
    ) -> Result<Response<RescueJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn revert_job(
        &self,
        _request: Request<RevertJobRequest>,
    ) -> Result<Response<RevertJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn unpause_job(
        &self,
        _request: Request<UnpauseJobRequest>,
    ) -> Result<Response<UnpauseJobResponse>, Status> {
        Err(status::shutting_down())
    }

    async fn retry_job(
        &self,
        _request: Request<RetryJobRequest>,
    ) -> Result<Response<RetryJobResponse>, Status> {
        Err(status::shutting_down())
    }

    /// The first stream breaks in the middle; the second shows everything.
    async fn tail_logs(
        &self,
        _request: Request<TailLogsRequest>,
    ) -> Result<Response<Self::TailLogsStream>, Status> {
        let mut script = self.0.lock().unwrap();
        script.tails += 1;
        let pieces = if script.tails == 1 {
            vec![Ok(piece(0, 6)), Ok(piece(6, 15)), Err(Status::unavailable("broken"))]
        } else {
            vec![Ok(piece(0, 11)), Ok(piece(11, 20)), Ok(piece(20, LOG.len()))]
        };
        Ok(Response::new(iter(pieces)))
    }
}

fn piece(from: usize, to: usize) -> TailLogsResponse {
    let data = LOG.as_bytes()[from..to].into();
    let task = votum_ids::TaskId::new("load").unwrap();
    let attempt = AttemptName { job: JobId::new("sales-1").unwrap(), task, hook: None, number: 1 };
    let (stream, offset) = (LogStream::Stdout, from as u64);
    LogPiece { attempt, stream, offset, data, written: None }.to_proto()
}

pub(crate) fn all_logs() -> TailLogs {
    let scope = Scope::job(JobId::new("sales-1").unwrap());
    TailLogs { scope, follow: false, tail_lines: None, stream: None, since: None, timed: false }
}

pub(crate) fn job(id: &str, state: JobState) -> JobView {
    JobView {
        job: JobId::new(id).unwrap(),
        uid: Uuid::from_u128(1),
        display_name: id.split('-').next().unwrap().to_owned(),
        spec: None,
        state,
        state_message: String::new(),
        decision: None,
        cause: None,
        tasks: Vec::new(),
        participants: Vec::new(),
        created: WallTime(1),
        started: None,
        prepared: None,
        decided: None,
        ended: None,
        creator: "alice".to_owned(),
        pause: None,
        further_pauses: Vec::new(),
        rescued_from: None,
        kept_until: None,
        kept_release: None,
        rescued_by: None,
        quarantine: None,
        queue: None,
        worker_damages: Vec::new(),
        hooks: Vec::new(),
        forced: Vec::new(),
        held_back: Vec::new(),
        approval: None,
        dry_vote: None,
    }
}

pub(crate) fn spec() -> JobSpec {
    let limit = Duration::from_secs(60);
    JobSpec {
        display_name: "sales".to_owned(),
        description: String::new(),
        labels: BTreeMap::new(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        timeout: limit,
        retention: limit,
        prepare_timeout: limit,
        approval: None,
        dry_vote: None,
        on_exhausted: OnExhausted::Abort,
        keep_staged: limit,
        concurrency: None,
        tasks: FlatMap::new(),
        effects: BTreeMap::new(),
    }
}
