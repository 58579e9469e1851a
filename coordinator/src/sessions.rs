//! One session per worker: frames in, frames out, and nothing concluded from its end.
//!
//! A worker that connects again replaces its older session, whose last event is
//! handed in before the first of the newer one. A session that cannot keep up
//! with its frames is ended: the worker connects again and both compare what
//! they have.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use votum_commit::{Installation, LogPosition};
use votum_driver::Inbox;
use votum_ids::{ClusterId, Epoch, Incarnation, WorkerId};
use votum_journal::Lsn;
use votum_proto::worker::v1::{
    SessionRequest, SessionResponse, session_service_server::SessionService,
};
use votum_wire::{CoordinatorFrame, FromCoordinator, FromWorker, Hello, Translate, status};

use crate::event::Event;

/// The open sessions; clones share one list.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    log: LogIdentity,
    durable: watch::Receiver<Lsn>,
    open: Arc<Mutex<BTreeMap<WorkerId, Open>>>,
}

/// What every frame says about the log behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogIdentity {
    /// Whose log.
    pub(crate) cluster: ClusterId,
    /// Of this start.
    pub(crate) epoch: Epoch,
    /// This start.
    pub(crate) start: Incarnation,
}

#[derive(Debug)]
struct Open {
    installation: Installation,
    incarnation: Incarnation,
    outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
    reader: Option<JoinHandle<()>>,
}

impl Sessions {
    /// Makes an empty list.
    pub(crate) fn new(log: LogIdentity, durable: watch::Receiver<Lsn>) -> Self {
        Self { log, durable, open: Arc::default() }
    }

    /// Sends a frame, if the worker is connected and takes it.
    pub(crate) fn send(&self, worker: &WorkerId, body: FromCoordinator) {
        let frame = CoordinatorFrame { log: self.position(), body };
        let mut open = self.lock();
        let Some(session) = open.get(worker) else { return };
        if session.outgoing.try_send(Ok(frame.to_proto())).is_err() {
            tracing::warn!(%worker, "ends a session that is gone or does not keep up");
            // Its reader goes with it and reports the end.
            open.remove(worker);
        }
    }

    /// Ends every session: the daemon stops.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn position(&self) -> LogPosition {
        let LogIdentity { cluster, epoch, start } = self.log;
        LogPosition { cluster, epoch, start, lsn: self.durable.borrow().0 }
    }

    /// Takes the place of an older session and returns it, once nothing more comes from it.
    async fn replace(
        &self,
        hello: &Hello,
        outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
    ) -> Result<(), Status> {
        let worker = &hello.installation.worker;
        let older = {
            let mut open = self.lock();
            if let Some(other) = open.get(worker)
                && other.installation.uid != hello.installation.uid
                && !other.outgoing.is_closed()
            {
                return Err(status::worker_name_taken(worker));
            }
            let session = Open {
                installation: hello.installation.clone(),
                incarnation: hello.incarnation,
                outgoing,
                reader: None,
            };
            open.insert(worker.clone(), session)
        };
        if let Some(reader) = older.and_then(|older| older.reader) {
            reader.abort();
            // Aborted or ended: either way its last event has been handed in.
            let _ = reader.await;
        }
        Ok(())
    }

    fn keep(&self, worker: &WorkerId, incarnation: Incarnation, reader: JoinHandle<()>) {
        if let Some(session) = self.lock().get_mut(worker)
            && session.incarnation == incarnation
        {
            session.reader = Some(reader);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<WorkerId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gRPC face of the sessions.
#[derive(Debug)]
pub(crate) struct SessionApi {
    /// Where frames go in.
    pub(crate) inbox: Inbox<Event>,
    /// Where frames go out.
    pub(crate) sessions: Sessions,
}

#[tonic::async_trait]
impl SessionService for SessionApi {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let hello = first_frame(&mut incoming).await?;
        if let Some(seen) = hello.seen
            && seen.cluster != self.sessions.log.cluster
        {
            return Err(status::foreign_cluster(seen.cluster, self.sessions.log.cluster));
        }
        let (outgoing, frames) = mpsc::channel(OUTGOING_MAX);
        let weak = outgoing.downgrade();
        self.sessions.replace(&hello, outgoing).await?;
        let Hello { installation, incarnation, .. } = hello.clone();
        tracing::info!(worker = %installation.worker, uid = %installation.uid, "session opened");
        if !self.inbox.send(Event::SessionOpened(hello)).await {
            return Err(status::shutting_down());
        }
        let worker = installation.worker.clone();
        let reader =
            Reader { inbox: self.inbox.clone(), outgoing: weak, installation, incarnation };
        self.sessions.keep(&worker, incarnation, tokio::spawn(reader.run(incoming)));
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }
}

async fn first_frame(incoming: &mut Streaming<SessionRequest>) -> Result<Hello, Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.next())
        .await
        .map_err(|_late| status::hello_expected())?
        .ok_or_else(status::hello_expected)??;
    match FromWorker::from_proto(first) {
        Ok(FromWorker::Hello(hello)) => Ok(hello),
        Ok(_other) => Err(status::hello_expected()),
        Err(malformed) => Err(status::malformed(&malformed)),
    }
}

/// Hands in the frames of one session until it ends.
struct Reader {
    inbox: Inbox<Event>,
    /// Weak, so that ending the session on this side ends its stream.
    outgoing: mpsc::WeakSender<Result<SessionResponse, Status>>,
    installation: Installation,
    incarnation: Incarnation,
}

impl Reader {
    async fn run(self, mut incoming: Streaming<SessionRequest>) {
        while let Some(Ok(request)) = incoming.next().await {
            let refused = match FromWorker::from_proto(request) {
                Ok(FromWorker::Hello(_)) => status::hello_repeated(),
                Err(malformed) => status::malformed(&malformed),
                Ok(frame) => {
                    let from = self.installation.clone();
                    if self.inbox.send(Event::Frame { from, frame }).await {
                        continue;
                    }
                    status::shutting_down()
                }
            };
            tracing::warn!(worker = %self.installation.worker, %refused, "ends a session");
            if let Some(outgoing) = self.outgoing.upgrade() {
                // A worker that has gone needs no reason.
                let _ = outgoing.try_send(Err(refused));
            }
            break;
        }
        tracing::info!(worker = %self.installation.worker, "session ended");
        let worker = self.installation.worker.clone();
        let incarnation = self.incarnation;
        self.inbox.send(Event::SessionClosed { worker, incarnation }).await;
    }
}

/// Most frames that wait for one worker; one more ends its session.
const OUTGOING_MAX: usize = 4_096;
/// How long a connection may take to introduce itself.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
