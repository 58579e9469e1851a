//! The client: one method for each thing that can be asked of a coordinator.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{
    Request, Response, Status,
    metadata::MetadataValue,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use votum_ids::{JobId, WorkerId};
use votum_proto::v1::{
    GetClusterInfoRequest, GetWorkerRequest, ListWorkersRequest, ResumeWorkerRequest,
    admin_service_client::AdminServiceClient, case_service_client::CaseServiceClient,
    job_service_client::JobServiceClient, worker_service_client::WorkerServiceClient,
};
use votum_wire::{
    ClusterView, Fault, JobView, Malformed, Translate, WorkerView,
    hold::{PauseJob, RetryJob, UnpauseJob},
    names,
    operation::{DeleteWorker, DrainWorker},
    request::{
        CancelJob, Detail, GetJob, JobPage, ListJobs, SubmitJob, Submitted, Wanted, WorkerPage,
    },
    rescue::{RescueJob, Rescued},
    revert::{RevertJob, Reverted},
};

use votum_tls::Far;

use crate::{Access, ClientError, Options, access::Badge, backoff::Backoff, error::failed};

/// A connection on which every call says who makes it.
pub(crate) type Way = InterceptedService<Channel, Badge>;

/// A client of one coordinator; clones share its connection.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    options: Options,
    channel: Way,
}

impl Client {
    /// Prepares a client that connects in clear text and proves nothing; see
    /// [`Client::connect_with`].
    ///
    /// # Errors
    /// [`ClientError::InvalidAddress`].
    pub fn connect(address: &str, options: Options) -> Result<Self, ClientError> {
        Self::connect_with(address, options, &Access::default())
    }

    /// Prepares a client; the connection is opened with the first call, and again when it breaks.
    ///
    /// Must be called within a tokio runtime. The address is `host:port`, or a URL; with an
    /// authority to know the coordinator by, every connection is encrypted.
    ///
    /// # Errors
    /// [`ClientError::InvalidAddress`], or [`ClientError::NoTrust`] when a URL asks for encryption
    /// and there is no authority.
    pub fn connect_with(
        address: &str,
        options: Options,
        access: &Access,
    ) -> Result<Self, ClientError> {
        let invalid = || ClientError::InvalidAddress { address: address.to_owned() };
        let url = access.dialer.url_of(address)?;
        let authority = url.split_once("://").map_or(url.as_str(), |(_, authority)| authority);
        if authority.is_empty() || authority.contains(['/', '@', ' ']) {
            return Err(invalid());
        }
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|_| invalid())?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        let channel = access.dialer.connect_lazy(&endpoint, Far::Coordinator);
        let channel = InterceptedService::new(channel, Badge::of(access));
        Ok(Self { address: authority.to_owned(), options, channel })
    }

    /// Returns the address of the coordinator, as `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns how patient this client is.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Returns a client of the same connection that is as patient as this.
    #[must_use]
    pub fn with_options(&self, options: Options) -> Self {
        Self { options, ..self.clone() }
    }

    /// Hands in a job. Repeated under the same request id while the coordinator is unavailable;
    /// without a request id it is tried once, unless it is only validated.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with every problem of the spec.
    pub async fn submit(&self, job: &SubmitJob) -> Result<Submitted, ClientError> {
        self.submit_below(job, None).await
    }

    /// Does the same below a span of the caller, which W3C trace context writes like this.
    ///
    /// # Errors
    /// As [`Client::submit`]; what is no span is left out.
    pub async fn submit_below(
        &self,
        job: &SubmitJob,
        traceparent: Option<&str>,
    ) -> Result<Submitted, ClientError> {
        let traceparent = traceparent.and_then(|told| told.parse::<MetadataValue<_>>().ok());
        let call = || {
            let (mut jobs, mut request) = (self.jobs_service(), Request::new(job.to_proto()));
            if let Some(told) = &traceparent {
                request.metadata_mut().insert("traceparent", told.clone());
            }
            async move { jobs.submit_job(request).await }
        };
        let answer = if job.request.is_some() || job.validate_only {
            self.repeat(call).await?
        } else {
            self.once(call).await?
        };
        Ok(Submitted::from_proto(answer)?)
    }

    /// Reads one job with everything known about it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_FOUND`.
    pub async fn job(&self, job: &JobId) -> Result<JobView, ClientError> {
        let request = GetJob { job: job.clone(), detail: Detail::Full }.to_proto();
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.get_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Lists jobs, newest first: at most `limit` of those that are wanted.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn jobs(
        &self,
        wanted: &Wanted,
        detail: Detail,
        limit: usize,
    ) -> Result<Vec<JobView>, ClientError> {
        let mut jobs = Vec::new();
        let mut token = None;
        while jobs.len() < limit {
            let size = (limit - jobs.len()).min(PAGE_SIZE);
            let page = self.job_page(wanted, detail, size, token).await?;
            jobs.extend(page.jobs);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        jobs.truncate(limit);
        Ok(jobs)
    }

    /// Reads one page of jobs; a token is of the page before, with the same wish.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn job_page(
        &self,
        wanted: &Wanted,
        detail: Detail,
        size: usize,
        token: Option<String>,
    ) -> Result<JobPage, ClientError> {
        let request = ListJobs::request(wanted, detail, size, token);
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.list_jobs(request).await }
            })
            .await?;
        Ok(JobPage::from_proto(answer)?)
    }

    /// Asks for an abort; the answer is the job as it is then, usually aborting.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `ALREADY_DECIDED` once the commit is durable.
    pub async fn cancel(&self, job: &JobId, reason: &str) -> Result<JobView, ClientError> {
        let request = CancelJob { job: job.clone(), reason: reason.to_owned() }.to_proto();
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.cancel_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Asks for a job to be held; the answer is the job as it is then, and durable.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `ALREADY_DECIDED` once the job is decided.
    pub async fn pause(&self, wish: &PauseJob) -> Result<JobView, ClientError> {
        let request = wish.to_proto();
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.pause_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Lets a job go on. Tried once: a repeat would be told that it is not paused.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_PAUSED` or `ALREADY_DECIDED`.
    pub async fn unpause(&self, job: &JobId) -> Result<JobView, ClientError> {
        let request = UnpauseJob { job: job.clone() }.to_proto();
        let answer = self
            .once(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.unpause_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Asks for a job that takes over what an aborted one has staged, or what that would do.
    /// Repeated under the same request id while the coordinator is unavailable.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_ABORTED` or `NOTHING_KEPT`.
    pub async fn rescue(&self, wish: &RescueJob) -> Result<Rescued, ClientError> {
        let request = wish.to_proto();
        let call = || {
            let (mut jobs, request) = (self.jobs_service(), request.clone());
            async move { jobs.rescue_job(request).await }
        };
        let answer = if wish.request.is_some() || wish.validate_only {
            self.repeat(call).await?
        } else {
            self.once(call).await?
        };
        Ok(Rescued::from_proto(answer)?)
    }

    /// Asks for a job that puts back what stood at the targets of a committed one before, or what
    /// that would do. Repeated under the same request id while the coordinator is unavailable.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_ENDED`, `NOT_REVERTIBLE` or `RETIRED_VERSIONS_GONE`.
    pub async fn revert(&self, wish: &RevertJob) -> Result<Reverted, ClientError> {
        let request = wish.to_proto();
        let call = || {
            let (mut jobs, request) = (self.jobs_service(), request.clone());
            async move { jobs.revert_job(request).await }
        };
        let answer = if wish.request.is_some() || wish.validate_only {
            self.repeat(call).await?
        } else {
            self.once(call).await?
        };
        Ok(Reverted::from_proto(answer)?)
    }

    /// Asks for tasks to be tried at once. Tried once: a repeat would find nothing to retry.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOTHING_TO_RETRY`, `ALREADY_DECIDED` or `TASK_NOT_FOUND`.
    pub async fn retry(&self, wish: &RetryJob) -> Result<JobView, ClientError> {
        let request = wish.to_proto();
        let answer = self
            .once(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.retry_job(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Lists every worker, by name.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, ClientError> {
        let mut workers = Vec::new();
        let mut token = Some(String::new());
        while let Some(page_token) = token {
            let page_size = i32::try_from(PAGE_SIZE).unwrap_or(i32::MAX);
            let request = ListWorkersRequest { page_size, page_token };
            let answer = self
                .repeat(|| {
                    let mut service = WorkerServiceClient::new(self.channel.clone());
                    let request = request.clone();
                    async move { service.list_workers(request).await }
                })
                .await?;
            let page = WorkerPage::from_proto(answer)?;
            workers.extend(page.workers);
            token = page.next;
        }
        Ok(workers)
    }

    /// Reads one worker.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `WORKER_NOT_FOUND`.
    pub async fn worker(&self, worker: &WorkerId) -> Result<WorkerView, ClientError> {
        let request = GetWorkerRequest { name: names::worker_name(worker) };
        let answer = self
            .repeat(|| {
                let mut service = WorkerServiceClient::new(self.channel.clone());
                let request = request.clone();
                async move { service.get_worker(request).await }
            })
            .await?;
        read_worker(answer.worker)
    }

    /// Asks that a worker takes no further attempts; the answer says what is left there.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `WORKER_NOT_FOUND`.
    pub async fn drain_worker(&self, order: &DrainWorker) -> Result<WorkerView, ClientError> {
        let request = order.to_proto();
        let answer = self
            .repeat(|| {
                let mut service = WorkerServiceClient::new(self.channel.clone());
                let request = request.clone();
                async move { service.drain_worker(request).await }
            })
            .await?;
        read_worker(answer.worker)
    }

    /// Asks that a drained worker takes attempts again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `WORKER_NOT_FOUND`.
    pub async fn resume_worker(&self, worker: &WorkerId) -> Result<WorkerView, ClientError> {
        let request = ResumeWorkerRequest { name: names::worker_name(worker) };
        let answer = self
            .repeat(|| {
                let mut service = WorkerServiceClient::new(self.channel.clone());
                let request = request.clone();
                async move { service.resume_worker(request).await }
            })
            .await?;
        read_worker(answer.worker)
    }

    /// Removes an installation for good; the answer is the worker as it was before. Tried once: a
    /// second try would meet whoever bears the name by then.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `WORKER_NOT_FOUND`, `WORKER_CONNECTED` or `WORKER_IN_DOUBT`.
    pub async fn delete_worker(&self, order: &DeleteWorker) -> Result<WorkerView, ClientError> {
        let request = order.to_proto();
        let answer = self
            .once(|| {
                let mut service = WorkerServiceClient::new(self.channel.clone());
                let request = request.clone();
                async move { service.delete_worker(request).await }
            })
            .await?;
        read_worker(answer.worker)
    }

    /// Asks who the coordinator is and how it fares.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`].
    pub async fn cluster(&self) -> Result<ClusterView, ClientError> {
        let answer = self
            .repeat(|| {
                let mut service = AdminServiceClient::new(self.channel.clone());
                async move { service.get_cluster_info(GetClusterInfoRequest {}).await }
            })
            .await?;
        Ok(ClusterView::from_proto(answer)?)
    }

    pub(crate) fn channel(&self) -> Way {
        self.channel.clone()
    }

    pub(crate) fn jobs_service(&self) -> JobServiceClient<Way> {
        JobServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn cases_service(&self) -> CaseServiceClient<Way> {
        CaseServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Makes one attempt.
    pub(crate) async fn once<T, F>(&self, call: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (limit, what) = (self.options.timeout, answer_of::<T>());
        tracing::debug!(coordinator = self.address, "asks for {what}");
        match timeout(limit, call()).await {
            Ok(Ok(answer)) => {
                tracing::debug!("{what} is answered");
                Ok(answer.into_inner())
            }
            Ok(Err(status)) => {
                let (code, message) = (status.code(), status.message());
                tracing::debug!(?code, message, "{what} is refused");
                Err(failed(&self.address, &status))
            }
            Err(_elapsed) => {
                tracing::debug!(?limit, "{what} is not answered");
                Err(ClientError::TimedOut { address: self.address.clone(), limit })
            }
        }
    }

    /// Makes attempts until the patience is over; at least one.
    pub(crate) async fn repeat<T, F>(&self, call: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last = match self.once(&call).await {
            Err(error @ (ClientError::Unavailable { .. } | ClientError::TimedOut { .. })) => error,
            outcome => return outcome,
        };
        let again = async {
            let mut backoff = Backoff::start();
            loop {
                backoff.pause(last.problem().and_then(|problem| problem.retry_after)).await;
                match self.once(&call).await {
                    Err(
                        error @ (ClientError::Unavailable { .. } | ClientError::TimedOut { .. }),
                    ) => last = error,
                    outcome => return outcome,
                }
            }
        };
        match timeout(self.options.patience, again).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(last),
        }
    }
}

/// Returns what a call asks for, by the type of its answer; only for people who look closely.
fn answer_of<T>() -> &'static str {
    let name = std::any::type_name::<T>().trim_end_matches('>');
    let name = name.rsplit("::").next().unwrap_or(name);
    name.strip_suffix("Response").unwrap_or(name)
}

/// Reads a job that an answer must hold.
pub(crate) fn read_job(job: Option<votum_proto::v1::Job>) -> Result<JobView, ClientError> {
    let missing = || Malformed { field: "job".to_owned(), fault: Fault::Missing };
    Ok(JobView::from_proto(job.ok_or_else(missing)?)?)
}

/// Reads a worker that an answer must hold.
fn read_worker(worker: Option<votum_proto::v1::Worker>) -> Result<WorkerView, ClientError> {
    let missing = || Malformed { field: "worker".to_owned(), fault: Fault::Missing };
    Ok(WorkerView::from_proto(worker.ok_or_else(missing)?)?)
}

/// A machine that does not answer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a quiet connection is tried while a call waits on it.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long an answer to that may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many entries are asked for at once.
pub(crate) const PAGE_SIZE: usize = 200;
/// A job with its largest spec and all that is known about its tasks.
const ANSWER_BYTES_MAX: usize = 64 << 20;
