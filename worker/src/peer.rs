//! What participants ask each other while they are in doubt (C5, C7).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};
use tonic::{Request, Response, Status, transport::Endpoint};
use votum_commit::{Installation, Knowledge, ParticipantEvent, Peer};
use votum_driver::Inbox;
use votum_ids::TxnId;
use votum_proto::worker::v1::{
    QueryRoundRequest, QueryRoundResponse, peer_service_client::PeerServiceClient,
    peer_service_server::PeerService,
};
use votum_tls::{Dialer, Far};
use votum_wire::{PeerInquiry, Translate, status};

use crate::{
    event::Event,
    gate,
    session::chain,
    shell::{Shell, turn},
};

/// Where the questions of peers wait for what the machine says; clones share one desk.
#[derive(Debug, Clone)]
pub(crate) struct PeerDesk {
    inbox: Inbox<Event>,
    waiting: Arc<Mutex<Waiting>>,
}

type Waiting = BTreeMap<(TxnId, Installation), Vec<oneshot::Sender<Knowledge>>>;

impl PeerDesk {
    /// Makes an empty desk.
    pub(crate) fn new(inbox: Inbox<Event>) -> Self {
        Self { inbox, waiting: Arc::default() }
    }

    /// Gives an answer to everybody who waits for it.
    pub(crate) fn answer(&self, to: Installation, txn: TxnId, knowledge: Knowledge) {
        for waiting in self.lock().remove(&(txn, to)).unwrap_or_default() {
            // Whoever has gone meanwhile asks again.
            let _ = waiting.send(knowledge);
        }
    }

    fn wait(&self, key: (TxnId, Installation)) -> Option<oneshot::Receiver<Knowledge>> {
        let mut waiting = self.lock();
        waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiting.entry(key).or_default().push(sender);
        Some(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl PeerService for PeerDesk {
    async fn query_round(
        &self,
        request: Request<QueryRoundRequest>,
    ) -> Result<Response<QueryRoundResponse>, Status> {
        let speaker = request.extensions().get::<gate::Speaker>().cloned();
        let PeerInquiry { txn, asked, updates, by } = PeerInquiry::from_proto(request.into_inner())
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        // The question counts as a refusal of the asker's round in some answers, so nobody puts it
        // in another's name.
        if let Some(gate::Speaker(name)) = speaker.filter(|one| one.0 != by.worker.as_str()) {
            return Err(status::not_that_worker(&name, &by.worker));
        }
        let answer = self
            .wait((txn.clone(), by.clone()))
            .ok_or_else(|| Status::resource_exhausted("too many peers ask at a time"))?;
        let event = ParticipantEvent::PeerAsked { txn, asked, updates, by };
        self.inbox.send(Event::Participant(event)).await;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(knowledge)) => Ok(Response::new(knowledge.to_proto())),
            Ok(Err(_)) | Err(_) => Err(Status::unavailable("this worker gives no answer")),
        }
    }
}

/// Asks a peer; a silence is no answer, and the machine asks again.
pub(crate) async fn ask(shell: Arc<Shell>, peer: Peer, txn: TxnId) {
    let permit = turn(&shell.bounds.questions).await;
    let inquiry = PeerInquiry {
        txn: txn.clone(),
        asked: peer.installation.uid,
        updates: peer.updates,
        by: shell.me.clone(),
    };
    let answer = timeout(PATIENCE, query(&shell.dialer, &peer, &inquiry)).await;
    drop(permit);
    match answer {
        Ok(Ok(knowledge)) => {
            let event = ParticipantEvent::PeerAnswered { txn, knowledge };
            shell.inbox.send(Event::Participant(event)).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %peer.address, error, "a peer cannot be asked"),
        Err(_) => tracing::debug!(peer = %peer.address, "a peer gives no answer"),
    }
}

async fn query(dialer: &Dialer, peer: &Peer, inquiry: &PeerInquiry) -> Result<Knowledge, String> {
    let endpoint = Endpoint::from_shared(dialer.url(&peer.address));
    let endpoint = endpoint.map_err(|error| chain(&error))?.tcp_nodelay(true);
    let far = Far::Worker(peer.installation.worker.as_str());
    let channel = dialer.connect(&endpoint, far).await.map_err(|error| chain(&error))?;
    let mut client = PeerServiceClient::new(channel);
    let response = client.query_round(inquiry.to_proto()).await;
    let response = response.map_err(|status| status.to_string())?;
    Knowledge::from_proto(response.into_inner()).map_err(|malformed| malformed.to_string())
}

/// How long a question to a peer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most rounds and askers that wait for an answer at a time.
const WAITING_MAX: usize = 1024;
