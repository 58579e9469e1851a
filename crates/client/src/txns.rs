//! Open transactions, as the coordinator sees them.

use votum_ids::JobId;
use votum_proto::v1::{GetTxnRequest, ListTxnsRequest, txn_service_client::TxnServiceClient};
use votum_wire::{
    Fault, JobView, Malformed, Translate as _,
    forced::ForceParticipant,
    txn::{TxnPage, TxnView, txn_name},
};

use crate::{Client, ClientError, client::read_job};

impl Client {
    /// Lists the open transactions, by job; only those with a participant in doubt if `in_doubt`.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn txns(&self, in_doubt: bool) -> Result<Vec<TxnView>, ClientError> {
        let mut txns = Vec::new();
        let mut token = Some(String::new());
        while let Some(page_token) = token {
            let request = ListTxnsRequest { page_size: PAGE_SIZE, page_token, in_doubt };
            let answer = self
                .repeat(|| {
                    let mut service = TxnServiceClient::new(self.channel());
                    let request = request.clone();
                    async move { service.list_txns(request).await }
                })
                .await?;
            let page = TxnPage::from_proto(answer)?;
            txns.extend(page.txns);
            token = page.next;
        }
        Ok(txns)
    }

    /// Gives a lost participant up; durable when this returns. Tried once: a repeat would find
    /// it done.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOTHING_OWED`, `NOT_DECIDED`, `ALREADY_DECIDED` or
    /// `WORKER_NOT_LOST`.
    pub async fn force(&self, wish: &ForceParticipant) -> Result<JobView, ClientError> {
        let request = wish.to_proto();
        let answer = self
            .once(|| {
                let mut service = TxnServiceClient::new(self.channel());
                let request = request.clone();
                async move { service.force_participant(request).await }
            })
            .await?;
        read_job(answer.job)
    }

    /// Reads the open transaction of a job.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_FOUND` or `NO_OPEN_TXN`.
    pub async fn txn(&self, job: &JobId) -> Result<TxnView, ClientError> {
        let request = GetTxnRequest { name: txn_name(job) };
        let answer = self
            .repeat(|| {
                let mut service = TxnServiceClient::new(self.channel());
                let request = request.clone();
                async move { service.get_txn(request).await }
            })
            .await?;
        let missing = || Malformed { field: "txn".to_owned(), fault: Fault::Missing };
        Ok(TxnView::from_proto(answer.txn.ok_or_else(missing)?)?)
    }
}

/// How many are asked for at once: one has a line for each participant.
const PAGE_SIZE: i32 = 50;
