//! One session per worker: frames in, frames out, and nothing concluded from its end.
//!
//! A worker that connects again replaces its older session, whose last event is
//! handed in before the first of the newer one. A session that cannot keep up
//! with its frames is ended: the worker connects again and both compare what
//! they have. What was meant for the older session never reaches the newer one
//! before its Welcome.

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
use votum_wire::{
    CoordinatorFrame, FromCoordinator, FromWorker, Hello, Translate, Versions, status,
};

use crate::{auth::Principal, event::Event};

/// The open sessions; clones share one list.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    log: LogIdentity,
    durable: watch::Receiver<Lsn>,
    open: Arc<Mutex<BTreeMap<WorkerId, Open>>>,
    /// Held while a session takes the place of another, so that their events cannot mix.
    opening: Arc<tokio::sync::Mutex<()>>,
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

/// The latest session of a worker, also after its end: its reader may still have something to say.
#[derive(Debug)]
struct Open {
    installation: Installation,
    incarnation: Incarnation,
    /// None once this side has ended the session.
    outgoing: Option<Outgoing>,
    welcome: Welcome,
    reader: Option<JoinHandle<()>>,
}

type Outgoing = mpsc::Sender<Result<SessionResponse, Status>>;

/// Whether Welcome was said, which comes before everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Welcome {
    Due,
    Said,
}

impl Sessions {
    /// Makes an empty list.
    pub(crate) fn new(log: LogIdentity, durable: watch::Receiver<Lsn>) -> Self {
        Self { log, durable, open: Arc::default(), opening: Arc::default() }
    }

    /// Sends a frame, if the worker is connected and takes it.
    pub(crate) fn send(&self, worker: &WorkerId, body: FromCoordinator) {
        let mut open = self.lock();
        let Some(session) = open.get_mut(worker) else { return };
        match (session.welcome, &body) {
            (_, FromCoordinator::Welcome { .. }) => session.welcome = Welcome::Said,
            (Welcome::Said, _) => {}
            // It was meant for the session before; the inventory that follows tells what is lost.
            (Welcome::Due, _) => return,
        }
        let Some(outgoing) = &session.outgoing else { return };
        let frame = CoordinatorFrame { log: self.position(), body };
        if outgoing.try_send(Ok(frame.to_proto())).is_err() {
            tracing::warn!(%worker, "ends a session that is gone or does not keep up");
            // Its reader sees the end and reports it, or is ended by the next session.
            session.outgoing = None;
        }
    }

    /// Ends the session of an installation that is not admitted, and tells it why.
    pub(crate) fn refuse(&self, installation: &Installation, why: Status) {
        let mut open = self.lock();
        let session = open.get_mut(&installation.worker);
        let theirs = session.filter(|session| session.installation == *installation);
        if let Some(outgoing) = theirs.and_then(|session| session.outgoing.take()) {
            // A worker that has gone needs no reason.
            let _ = outgoing.try_send(Err(why));
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

    /// Takes the place of an older session, once nothing more comes from that one; returns the
    /// start of another installation's daemon whose session it was.
    async fn replace(
        &self,
        hello: &Hello,
        outgoing: Outgoing,
    ) -> Result<Option<Incarnation>, Status> {
        let worker = &hello.installation.worker;
        let older = {
            let mut open = self.lock();
            if let Some(other) = open.get(worker)
                && other.installation.uid != hello.installation.uid
                && other.outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_closed())
            {
                return Err(status::worker_name_taken(worker, other.installation.uid));
            }
            let session = Open {
                installation: hello.installation.clone(),
                incarnation: hello.incarnation,
                outgoing: Some(outgoing),
                welcome: Welcome::Due,
                reader: None,
            };
            open.insert(worker.clone(), session)
        };
        let Some(Open { installation, incarnation, reader, .. }) = older else { return Ok(None) };
        if let Some(reader) = reader {
            reader.abort();
            // Aborted or ended: either way its last event has been handed in.
            let _ = reader.await;
        }
        Ok((installation.uid != hello.installation.uid).then_some(incarnation))
    }

    fn keep(&self, worker: &WorkerId, reader: JoinHandle<()>) {
        match self.lock().get_mut(worker) {
            Some(session) => session.reader = Some(reader),
            // The daemon stops.
            None => reader.abort(),
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
        let principal = request.extensions().get::<Principal>().cloned();
        let mut incoming = request.into_inner();
        let hello = first_frame(&mut incoming).await?;
        let worker = &hello.installation.worker;
        // Every frame of the session is taken as this worker's, so it is asked once.
        if let Some(stranger) = principal.filter(|principal| !principal.speaks_for(worker)) {
            return Err(status::not_that_worker(&stranger.name, worker));
        }
        if let Some(seen) = hello.seen
            && seen.cluster != self.sessions.log.cluster
        {
            return Err(status::foreign_cluster(seen.cluster, self.sessions.log.cluster));
        }
        let (outgoing, frames) = mpsc::channel(OUTGOING_MAX);
        let weak = outgoing.downgrade();
        let _opening = self.sessions.opening.lock().await;
        let other = self.sessions.replace(&hello, outgoing).await?;
        if let Some(incarnation) = other {
            // Whether or not this one is admitted, the other's session is over.
            let worker = hello.installation.worker.clone();
            self.inbox.send(Event::SessionClosed { worker, incarnation }).await;
        }
        let Hello { installation, incarnation, protocols, .. } = hello.clone();
        tracing::info!(worker = %installation.worker, uid = %installation.uid, "session opened");
        if !self.inbox.send(Event::SessionOpened(hello)).await {
            return Err(status::shutting_down());
        }
        let worker = installation.worker.clone();
        let reader = Reader {
            inbox: self.inbox.clone(),
            outgoing: weak,
            installation,
            incarnation,
            protocols,
        };
        self.sessions.keep(&worker, tokio::spawn(reader.run(incoming)));
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
    protocols: Versions,
}

impl Reader {
    async fn run(self, mut incoming: Streaming<SessionRequest>) {
        let mut skipped = false;
        while let Some(Ok(request)) = incoming.next().await {
            if request.frame.is_none() && self.protocols.newest() > Versions::OURS.newest() {
                // Of a kind that only newer programs know: the chosen version does without it.
                if !skipped {
                    let worker = &self.installation.worker;
                    tracing::warn!(%worker, "skips frames that only a newer worker knows");
                }
                skipped = true;
                continue;
            }
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

#[cfg(test)]
mod tests {
    use std::future;

    use uuid::Uuid;
    use votum_ids::WorkerUid;

    use super::*;

    #[tokio::test]
    async fn nothing_is_said_before_the_welcome() {
        let sessions = sessions();
        let (outgoing, mut frames) = mpsc::channel(OUTGOING_MAX);
        sessions.replace(&hello(), outgoing).await.unwrap();
        sessions.send(&worker(), release());
        assert!(frames.try_recv().is_err());
        sessions.send(&worker(), welcome());
        sessions.send(&worker(), release());
        assert!(frames.try_recv().is_ok() && frames.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_session_that_was_ended_is_silent_before_the_next() {
        let sessions = sessions();
        let (outgoing, frames) = mpsc::channel(1);
        sessions.replace(&hello(), outgoing).await.unwrap();
        let (handed_in, mut heard) = mpsc::channel::<()>(1);
        let reader = tokio::spawn(async move {
            let _held_until_the_reader_is_gone = handed_in;
            future::pending::<()>().await;
        });
        sessions.keep(&worker(), reader);
        sessions.send(&worker(), welcome());
        sessions.send(&worker(), release());
        assert_eq!(frames.sender_strong_count(), 0);

        let (outgoing, _frames) = mpsc::channel(1);
        sessions.replace(&hello(), outgoing).await.unwrap();
        assert_eq!(heard.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    fn sessions() -> Sessions {
        let log = LogIdentity {
            cluster: ClusterId(Uuid::nil()),
            epoch: Epoch(1),
            start: Incarnation(Uuid::nil()),
        };
        Sessions::new(log, watch::channel(Lsn::NONE).1)
    }

    fn worker() -> WorkerId {
        WorkerId::new("s1").unwrap()
    }

    fn hello() -> Hello {
        Hello {
            installation: Installation { worker: worker(), uid: WorkerUid(Uuid::nil()) },
            incarnation: Incarnation(Uuid::nil()),
            version: "0".to_owned(),
            labels: BTreeMap::new(),
            slots: 1,
            artifact_address: "127.0.0.1:1".to_owned(),
            publish_roots: Vec::new(),
            seen: None,
            protocols: Versions::OURS,
        }
    }

    fn welcome() -> FromCoordinator {
        FromCoordinator::Welcome {
            lease: HELLO_TIMEOUT,
            heartbeat_interval: HELLO_TIMEOUT,
            stop_grace: HELLO_TIMEOUT,
            protocol: 2,
            newest: 2,
        }
    }

    fn release() -> FromCoordinator {
        let message =
            votum_commit::Message::Release { job: votum_ids::JobId::new("sales").unwrap() };
        FromCoordinator::Commit(message)
    }
}
