//! Connections, as many as there is room for; who connects and says nothing is let go.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// How many connections there may be.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Semaphore>);

impl Connections {
    /// Allows as many as the process may hold open, less what the journal and calls to workers
    /// need.
    pub(crate) fn as_many_as_allowed() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        let max = files.saturating_sub(FILES_RESERVED).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        Self(Arc::new(Semaphore::new(max)))
    }

    /// Accepts connections; one too many is closed at once.
    pub(crate) fn accept(
        self,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<Connection>> + use<> {
        // The server's own nodelay does not reach a listener that is handed in.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        incoming.filter_map(move |accepted| {
            let permit = self.0.clone().try_acquire_owned();
            if permit.is_err() {
                tracing::warn!("a connection was refused: there are as many as may be");
            }
            let connection = accepted.map(|io| Some(Connection::new(io, permit.ok()?)));
            std::future::ready(connection.transpose())
        })
    }
}

/// A connection that counts as one as long as it stands.
pub(crate) struct Connection {
    io: TcpStream,
    /// Gone when the first byte has come.
    patience: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(io: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        let patience = async {
            let _ = timeout(FIRST_BYTE_PATIENCE, std::future::pending::<()>()).await;
        };
        Self { io, patience: Some(Box::pin(patience)), _permit: permit }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.io).finish()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let Some(patience) = &mut self.patience else { return read };
        if read.is_ready() {
            self.patience = None;
            return read;
        }
        patience.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// Files that are not connections of others: the journal, its index, calls to workers.
const FILES_RESERVED: usize = 256;
const CONNECTIONS_MIN: usize = 64;
const CONNECTIONS_MAX: usize = 10_000;
/// Who connects has something to say: gRPC and HTTP both begin with the client.
const FIRST_BYTE_PATIENCE: Duration = Duration::from_secs(10);
