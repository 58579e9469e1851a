//! Workers, as they stand.

use tonic::{Request, Response, Status};
use votum_proto::v1::{
    GetWorkerRequest, GetWorkerResponse, ListWorkersRequest, ListWorkersResponse,
    worker_service_server::WorkerService,
};
use votum_wire::{
    Translate,
    names::read_worker_name,
    request::{ListWorkers, WorkerPage},
    status,
    view::WorkerView,
};

use super::Desk;
use crate::{action::Answer, event::Event};

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
}

impl Desk {
    /// Shows every worker, by name.
    pub(super) async fn workers(&self) -> Result<Vec<WorkerView>, Status> {
        match self.ask(|reply| Event::ShowWorkers { reply }).await? {
            Answer::Workers(workers) => Ok(workers),
            Answer::Received { .. }
            | Answer::Valid
            | Answer::Cancelling(_)
            | Answer::Jobs(_)
            | Answer::Cluster(_)
            | Answer::Refused(_) => Err(status::shutting_down()),
        }
    }
}
