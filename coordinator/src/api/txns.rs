//! Open transactions: who was asked, who is in doubt, who has acknowledged.

use tonic::{Request, Response, Status};
use votum_ids::JobId;
use votum_proto::v1::{
    ForceParticipantRequest, ForceParticipantResponse, GetTxnRequest, GetTxnResponse,
    ListTxnsRequest, ListTxnsResponse, txn_service_server::TxnService,
};
use votum_wire::{
    JobState, JobView, Translate,
    forced::ForceParticipant,
    status,
    txn::{ListTxns, TxnPage, TxnView, read_txn_name},
};

use super::{Desk, caller, read, refused};
use crate::{
    action::{Answer, Refusal},
    question::{Question, WantedTxns},
};

/// The service about transactions.
#[derive(Debug)]
pub(crate) struct TxnApi(pub(crate) Desk);

#[tonic::async_trait]
impl TxnService for TxnApi {
    async fn list_txns(
        &self,
        request: Request<ListTxnsRequest>,
    ) -> Result<Response<ListTxnsResponse>, Status> {
        let wanted = ListTxns::read(request.get_ref())?;
        let size = wanted.page.size;
        let after = wanted.page.after.as_deref().map(JobId::new).transpose();
        let job = after.map_err(|_| status::page_token_invalid())?;
        let in_doubt = wanted.in_doubt;
        let mut txns = self.0.txns(WantedTxns::After { job, in_doubt, max: size + 1 }).await?;
        let is_last = txns.len() <= size;
        txns.truncate(size);
        let last = txns.last().filter(|_| !is_last);
        let next = last.map(|txn| wanted.token_after(&txn.job));
        Ok(Response::new(TxnPage { txns, next }.to_proto()))
    }

    async fn get_txn(
        &self,
        request: Request<GetTxnRequest>,
    ) -> Result<Response<GetTxnResponse>, Status> {
        let job = read_txn_name("name", &request.get_ref().name)
            .map_err(|malformed| status::malformed(&malformed))?;
        if let Some(txn) = self.0.txns(WantedTxns::Of(job.clone())).await?.pop() {
            return Ok(Response::new(GetTxnResponse { txn: Some(txn.to_proto()) }));
        }
        let view = self.0.job(&job).await?;
        Err(status::no_open_txn(&job, view.state))
    }

    async fn force_participant(
        &self,
        request: Request<ForceParticipantRequest>,
    ) -> Result<Response<ForceParticipantResponse>, Status> {
        let by = caller(&request);
        let view = self.0.force(read(request)?, by).await?;
        Ok(Response::new(ForceParticipantResponse { job: Some(view.to_proto()) }))
    }
}

impl Desk {
    async fn force(&self, wish: ForceParticipant, by: String) -> Result<JobView, Status> {
        let ForceParticipant { job, worker, reason } = wish;
        let question = Question::Force { job: job.clone(), worker: worker.clone(), by, reason };
        match self.put(question).await? {
            Ok(Answer::Forced(view)) => Ok(*view),
            Ok(_) => Err(status::shutting_down()),
            // It has ended: what its records tell says why nothing is owed.
            Err(Refusal::NotOpen { .. }) => {
                let state = self.closed_job(&job)?.state;
                Err(if state == JobState::Aborted {
                    status::abort_recorded(&job, state)
                } else {
                    status::nothing_owed(&job, &worker, "the job is over for everybody")
                })
            }
            Err(refusal) => Err(refused(&refusal)),
        }
    }

    async fn txns(&self, wanted: WantedTxns) -> Result<Vec<TxnView>, Status> {
        let answer = self.ask(Question::ShowTxns { wanted }).await?;
        let Answer::Txns(txns) = answer else { return Err(status::shutting_down()) };
        Ok(txns)
    }
}
