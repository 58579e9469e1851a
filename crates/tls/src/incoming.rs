//! The ways in: connections are taken, shaken hands with, counted, and given up when they idle.
//!
//! Where there are more connections than there is room for, one that has never asked
//! anything is ended, or else the one that was silent the longest: a live one answers the
//! server's pings every few seconds, an abandoned one does not. So a thousand silent connections cost a
//! thousand descriptors and nobody's service.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

use crate::{
    Identity, IdentityError, ServerTls,
    room::{Place, Room},
};

/// How many connections there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of everybody together.
    pub connections_max: usize,
    /// From one address.
    pub per_address_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: 2048, per_address_max: 1024 }
    }
}

impl Limits {
    /// Leaves descriptors to what else the process opens.
    fn within_descriptors(self) -> Self {
        let most = getrlimit(Resource::Nofile).current;
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let most = most.saturating_sub(DESCRIPTORS_RESERVED).max(CONNECTIONS_MIN);
        Self {
            connections_max: self.connections_max.min(most),
            per_address_max: self.per_address_max.min(most),
        }
    }
}

/// Takes connections until the stream is dropped; with TLS only those that shook hands come out.
pub fn incoming(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    limits: Limits,
) -> impl Stream<Item = io::Result<Connection>> + Unpin {
    let (ready, connections) = mpsc::channel(READY_MAX);
    let room = Room::new(limits.within_descriptors());
    if let Some(tls) = &tls {
        tls.serves(&room);
    }
    tokio::spawn(take(listener, tls, room, ready));
    ReceiverStream::new(connections)
}

type Ready = mpsc::Sender<io::Result<Connection>>;

async fn take(listener: TcpListener, tls: Option<Arc<ServerTls>>, room: Arc<Room>, ready: Ready) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                let place = room.enter(address.ip());
                tokio::spawn(greet(stream, address, place, tls.clone(), ready.clone()));
            }
            // Whoever connected is gone already, or there is no descriptor left.
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                room.end_most_silent();
                let _ = timeout(PAUSE, std::future::pending::<()>()).await;
            }
        }
    }
}

/// Waits for the first word of a connection, and shakes hands.
async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    mut place: Place,
    tls: Option<Arc<ServerTls>>,
    ready: Ready,
) {
    let greeted = tokio::select! {
        greeted = timeout(GREETING, shake_hands(stream, tls.clone())) => greeted,
        () = place.ended() => return,
    };
    let greeted = greeted.map(|greeted| greeted.and_then(|stream| admitted(stream, tls, &place)));
    match greeted {
        Ok(Ok(stream)) => {
            let peer = Peer { address, identity: stream.identity() };
            // Nobody waits for connections once the server stops.
            let _ = ready.send(Ok(Connection { stream, peer, place })).await;
        }
        Ok(Err(error)) => tracing::info!(peer = %address, %error, "refuses a connection"),
        Err(_elapsed) => tracing::debug!(peer = %address, "a connection says nothing"),
    }
}

async fn shake_hands(stream: TcpStream, tls: Option<Arc<ServerTls>>) -> io::Result<Carrier> {
    stream.set_nodelay(true)?;
    match tls {
        None => {
            stream.readable().await?;
            Ok(Carrier::Clear(stream))
        }
        Some(tls) => Ok(Carrier::Tls(Box::new(tls.accept(stream).await?))),
    }
}

/// Refuses whoever shows what is refused.
fn admitted(stream: Carrier, tls: Option<Arc<ServerTls>>, place: &Place) -> io::Result<Carrier> {
    if let (Carrier::Tls(shown), Some(tls)) = (&stream, tls) {
        tls.admit(shown, place)?;
    }
    Ok(stream)
}

/// Who is at the other end; in the extensions of every request of a [`Connection`].
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// What its certificate says; none if it showed none.
    pub identity: Option<Result<Identity, IdentityError>>,
}

/// One connection, in clear text or with TLS.
#[derive(Debug)]
pub struct Connection {
    stream: Carrier,
    peer: Peer,
    place: Place,
}

#[derive(Debug)]
enum Carrier {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Carrier {
    fn identity(&self) -> Option<Result<Identity, IdentityError>> {
        let Self::Tls(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?;
        Some(Identity::of(shown.first()?))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.place.poll_ended(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Carrier::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let said = buffer.filled().len() - before;
        if said > 0 {
            self.place.heard(said);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Carrier::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Carrier::Clear(stream) => Pin::new(stream).poll_flush(context),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Carrier::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Carrier::Clear(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Carrier::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Carrier::Clear(stream) => stream.is_write_vectored(),
            Carrier::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// Descriptors that are no connections of others: the journal, its index, calls to workers.
const DESCRIPTORS_RESERVED: usize = 256;
const CONNECTIONS_MIN: usize = 64;
/// Most connections that have greeted and are not served yet.
const READY_MAX: usize = 64;
/// How long a connection may take to say its first word, or to shake hands.
const GREETING: Duration = Duration::from_secs(10);
/// Between two connections while none can be taken.
const PAUSE: Duration = Duration::from_millis(50);
