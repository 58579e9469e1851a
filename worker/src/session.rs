//! The connection to the coordinator: dialled for ever, and never relied upon.
//!
//! The end of a stream means nothing but "connect again and compare inventories"
//! (R4). What comes in becomes events; what goes out is put in by the performer.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, metadata::AsciiMetadataValue, transport::Endpoint};
use uuid::Uuid;
use votum_driver::{Clock, Inbox};
use votum_proto::worker::v1::session_service_client::SessionServiceClient;
use votum_tls::{Dialer, Far};
use votum_wire::{CoordinatorFrame, FromCoordinator, Problem, Reason, Translate, Versions};

use crate::{
    event::{Event, SessionNumber},
    link::Link,
};

/// Keeps a connection to the coordinator until `stop`.
pub(crate) async fn keep(
    way: Way,
    inbox: Inbox<Event>,
    link: Link,
    clock: Clock,
    stop: CancellationToken,
    removed: Arc<OnceLock<String>>,
    protocols: Versions,
) {
    let way = way.kept_alive();
    let mut pause = PAUSE_MIN;
    for number in 1.. {
        let session =
            Session { number: SessionNumber(number), inbox: &inbox, link: &link, protocols };
        let ended = tokio::select! {
            ended = session.hold(&way, &stop) => ended,
            () = stop.cancelled() => return,
        };
        match ended {
            Ended::InSilence => {}
            Ended::AfterTalk => pause = PAUSE_MIN,
            Ended::ForEver => return,
            Ended::Removed { why } => {
                tracing::error!(why, "ends for good");
                // Whoever reads it first has ended the daemon already.
                let _ = removed.set(why);
                inbox.send(Event::Removed).await;
                return;
            }
        }
        let resume = clock.now().after(jittered(pause));
        tokio::select! {
            () = clock.sleep_until(Some(resume)) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// How the coordinator is reached, and what is shown to it.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) endpoint: Endpoint,
    pub(crate) dialer: Dialer,
    /// The file of this worker's token, read with each connection.
    pub(crate) token: Option<PathBuf>,
}

impl Way {
    fn kept_alive(self) -> Self {
        let endpoint = self
            .endpoint
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_PATIENCE)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Self { endpoint, ..self }
    }

    /// Returns what the header says, if there is a token; nothing if its file is of no use.
    fn token(&self) -> Option<Option<AsciiMetadataValue>> {
        let Some(path) = &self.token else { return Some(None) };
        let read = fs::read_to_string(path).ok();
        let token = read.and_then(|text| format!("Bearer {}", text.trim()).parse().ok());
        if token.is_none() {
            tracing::error!(?path, "there is no token in the file of the token");
        }
        let mut token: AsciiMetadataValue = token?;
        token.set_sensitive(true);
        Some(Some(token))
    }
}

struct Session<'a> {
    number: SessionNumber,
    inbox: &'a Inbox<Event>,
    link: &'a Link,
    protocols: Versions,
}

/// How a connection ended.
enum Ended {
    /// The coordinator never said anything.
    InSilence,
    /// It had been talking.
    AfterTalk,
    /// This worker has nothing to say any more.
    ForEver,
    /// An operator has removed this installation; the coordinator's sentence about it.
    Removed {
        /// For people.
        why: String,
    },
}

impl Session<'_> {
    async fn hold(&self, way: &Way, stop: &CancellationToken) -> Ended {
        let channel = match way.dialer.connect(&way.endpoint, Far::Coordinator).await {
            Ok(channel) => channel,
            Err(error) => {
                let error = chain(&error);
                tracing::debug!(coordinator = %way.endpoint.uri(), error, "cannot connect");
                return Ended::InSilence;
            }
        };
        let Some(token) = way.token() else { return Ended::InSilence };
        let hangup = stop.child_token();
        let Some(outgoing) = self.link.open(self.number, hangup.clone()) else {
            return Ended::ForEver;
        };
        if !self.inbox.send(Event::Connected(self.number)).await {
            return Ended::InSilence;
        }
        let client = SessionServiceClient::new(channel)
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        let ended = tokio::select! {
            ended = self.talk(client, outgoing, token) => ended,
            // With its pause growing: whoever is left at once would be left again.
            () = hangup.cancelled() => Ended::InSilence,
        };
        self.link.leave(self.number);
        self.inbox.send(Event::Disconnected(self.number)).await;
        ended
    }

    async fn talk(
        &self,
        mut client: SessionServiceClient<tonic::transport::Channel>,
        outgoing: tokio::sync::mpsc::Receiver<votum_wire::FromWorker>,
        token: Option<AsciiMetadataValue>,
    ) -> Ended {
        let frames = ReceiverStream::new(outgoing).map(|frame| frame.to_proto());
        let mut request = Request::new(frames);
        if let Some(token) = token {
            request.metadata_mut().insert(AUTHORIZATION, token);
        }
        let mut incoming = match client.session(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return refused(&status),
        };
        let mut ended = Ended::InSilence;
        let mut heard = true;
        let mut newest = self.protocols.newest();
        let mut skipped = false;
        loop {
            let frame = match incoming.message().await {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    tracing::info!("the coordinator ended the session");
                    return ended;
                }
                // Refused before a word was said.
                Err(status) if matches!(ended, Ended::InSilence) => return refused(&status),
                Err(status) => {
                    tracing::info!(
                        reason = status.message(),
                        "the session with the coordinator is lost"
                    );
                    return ended;
                }
            };
            if frame.frame.is_none() && newest > self.protocols.newest() {
                // Of a kind that only newer programs know: the chosen version does without it.
                if !skipped {
                    tracing::warn!("skips frames that only a newer coordinator knows");
                }
                skipped = true;
                continue;
            }
            let frame = match CoordinatorFrame::from_proto(frame) {
                Ok(frame) => Box::new(frame),
                Err(malformed) => {
                    tracing::error!(%malformed, "the coordinator said something meaningless");
                    return Ended::InSilence;
                }
            };
            if let FromCoordinator::Welcome { protocol, newest: theirs, .. } = frame.body {
                newest = theirs;
                if !self.protocols.contains(protocol) {
                    tracing::warn!(
                        "the coordinator speaks version {protocol} of the session's protocol, \
                         this worker {}: upgrade the coordinator first",
                        self.protocols
                    );
                    return Ended::InSilence;
                }
            }
            if let Ended::InSilence = ended {
                tracing::info!(epoch = frame.log.epoch.0, "connected to the coordinator");
                ended = Ended::AfterTalk;
            }
            // Whoever does not listen any more may still have something to say.
            heard = heard && self.inbox.send(Event::Received { session: self.number, frame }).await;
        }
    }
}

/// Says what follows from a refusal; all but a removal may be settled by an operator meanwhile.
fn refused(status: &Status) -> Ended {
    let problem = Problem::from_status(status);
    if problem.reason == Reason::WorkerRemoved {
        return Ended::Removed { why: problem.message };
    }
    tracing::warn!(reason = problem.message, "no session with the coordinator");
    Ended::InSilence
}

/// Spreads the returns of many workers after a restart of the coordinator.
#[expect(clippy::disallowed_methods, reason = "randomness of the daemon's edge; decides nothing")]
fn jittered(pause: Duration) -> Duration {
    let drawn = Uuid::new_v4().as_bytes()[0];
    pause / 2 + pause * u32::from(drawn) / 512
}

/// Joins an error and its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Where a token stands.
const AUTHORIZATION: &str = "authorization";
/// Shortest wait between two connections.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest wait between two connections.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest frame in either direction.
const FRAME_BYTES_MAX: usize = 16 << 20;
