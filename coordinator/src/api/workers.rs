//! Workers as they stand, and what operators order about them.

use tonic::{Request, Response, Status};
use votum_ids::WorkerId;
use votum_proto::v1::{
    DeleteWorkerRequest, DeleteWorkerResponse, DrainWorkerRequest, DrainWorkerResponse,
    GetWorkerRequest, GetWorkerResponse, ListWorkersRequest, ListWorkersResponse,
    ResumeWorkerRequest, ResumeWorkerResponse, worker_service_server::WorkerService,
};
use votum_wire::{
    Translate,
    names::read_worker_name,
    operation::{DeleteWorker, DrainWorker},
    request::{ListWorkers, WorkerPage},
    status,
    view::WorkerView,
};

use super::{Desk, caller, read};
use crate::{
    action::Answer,
    question::{Operation, Question},
};

/// The service about workers.
#[derive(Debug)]
pub(crate) struct WorkerApi(pub(crate) Desk);

#[tonic::async_trait]
impl WorkerService for WorkerApi {
    async fn list_workers(
        &self,
        request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        let page = ListWorkers::read(request.get_ref())?.page;
        let after = page.after.unwrap_or_default();
        let mut workers = self.0.workers().await?;
        workers.retain(|view| view.worker.as_str() > after.as_str());
        let is_last = workers.len() <= page.size;
        workers.truncate(page.size);
        let last = workers.last().filter(|_| !is_last);
        let next = last.map(|view| ListWorkers::token_after(view.worker.as_str()));
        Ok(Response::new(WorkerPage { workers, next }.to_proto()))
    }

    async fn get_worker(
        &self,
        request: Request<GetWorkerRequest>,
    ) -> Result<Response<GetWorkerResponse>, Status> {
        let worker = read_worker_name("name", &request.get_ref().name)
            .map_err(|malformed| status::malformed(&malformed))?;
        let workers = self.0.workers().await?;
        let view = workers.into_iter().find(|view| view.worker == worker);
        let view = view.ok_or_else(|| status::worker_not_found(&worker))?;
        Ok(Response::new(GetWorkerResponse { worker: Some(view.to_proto()) }))
    }

    async fn drain_worker(
        &self,
        request: Request<DrainWorkerRequest>,
    ) -> Result<Response<DrainWorkerResponse>, Status> {
        let by = caller(&request);
        let DrainWorker { worker, time_limit, reason } = read(request)?;
        let operation = Operation::Drain { time_limit };
        let worker = Some(self.0.operate(worker, operation, by, reason).await?.to_proto());
        Ok(Response::new(DrainWorkerResponse { worker }))
    }

    async fn resume_worker(
        &self,
        request: Request<ResumeWorkerRequest>,
    ) -> Result<Response<ResumeWorkerResponse>, Status> {
        let by = caller(&request);
        let worker = read_worker_name("name", &request.get_ref().name)
            .map_err(|malformed| status::malformed(&malformed))?;
        let view = self.0.operate(worker, Operation::Resume, by, String::new()).await?;
        Ok(Response::new(ResumeWorkerResponse { worker: Some(view.to_proto()) }))
    }

    async fn delete_worker(
        &self,
        request: Request<DeleteWorkerRequest>,
    ) -> Result<Response<DeleteWorkerResponse>, Status> {
        let by = caller(&request);
        let DeleteWorker { worker, reason } = read(request)?;
        let worker = Some(self.0.operate(worker, Operation::Remove, by, reason).await?.to_proto());
        Ok(Response::new(DeleteWorkerResponse { worker }))
    }
}

impl Desk {
    async fn operate(
        &self,
        worker: WorkerId,
        operation: Operation,
        by: String,
        reason: String,
    ) -> Result<WorkerView, Status> {
        let question = Question::Operate { worker, operation, by, reason };
        match self.ask(question).await? {
            Answer::Ordered(view) => Ok(*view),
            Answer::Received { .. }
            | Answer::Valid
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
            | Answer::Cluster(_)
            | Answer::Figures(_)
            | Answer::Cases(_)
            | Answer::Resolved
            | Answer::Forced(_)
            | Answer::Deleted
            | Answer::Refused(_) => Err(status::shutting_down()),
        }
    }

    /// Shows every worker, by name.
    pub(super) async fn workers(&self) -> Result<Vec<WorkerView>, Status> {
        match self.ask(Question::ShowWorkers).await? {
            Answer::Workers(workers) => Ok(workers),
            Answer::Received { .. }
            | Answer::Valid
            | Answer::Cancelling(_)
            | Answer::KeptReleased { .. }
            | Answer::Steered(_)
            | Answer::Approved(_)
            | Answer::DryVoted(_)
            | Answer::Rescued { .. }
            | Answer::Jobs(_)
            | Answer::Chosen(_)
            | Answer::Txns(_)
            | Answer::Ordered(_)
            | Answer::Cluster(_)
            | Answer::Figures(_)
            | Answer::Cases(_)
            | Answer::Resolved
            | Answer::Forced(_)
            | Answer::Deleted
            | Answer::Refused(_) => Err(status::shutting_down()),
        }
    }
}
