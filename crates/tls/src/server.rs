//! The serving side of TLS: what is shown, and whose certificates are asked for.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    Refused, TlsError, TlsFiles,
    refused::Fingerprint,
    room::{Place, Room},
};

/// Whether those who connect must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Without one of the authority nobody gets as far as a request.
    MustShow,
    /// One that is shown must be of the authority; what they may without one is decided later.
    MayShow,
}

/// The serving side of TLS; its files can be read again while it serves.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    clients: Clients,
    refused: Option<Arc<Refused>>,
    config: RwLock<Arc<ServerConfig>>,
    /// Where those who have connected are.
    rooms: Mutex<Vec<Weak<Room>>>,
}

impl ServerTls {
    /// Reads the files. Without an authority nobody is asked for a certificate.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing or of no use.
    pub fn load(files: TlsFiles, clients: Clients) -> Result<Self, TlsError> {
        let config = RwLock::new(configured(&files, clients)?);
        Ok(Self { files, clients, refused: None, config, rooms: Mutex::default() })
    }

    /// Refuses what is named there, whoever has signed it.
    #[must_use]
    pub fn refusing(self, refused: Option<Arc<Refused>>) -> Self {
        Self { refused, ..self }
    }

    /// Ends the connections whose certificate has been refused since they were made.
    pub fn end_refused(&self) {
        let Some(refused) = &self.refused else { return };
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|room| room.strong_count() > 0);
        for room in rooms.iter().filter_map(Weak::upgrade) {
            room.end_refused(refused);
        }
    }

    /// Notes where those will be who connect.
    pub(crate) fn serves(&self, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.push(Arc::downgrade(room));
    }

    /// Reads the files again; connections from then on see what they say.
    ///
    /// # Errors
    /// [`TlsError`]; what was read before stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = configured(&self.files, self.clients)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Says whether certificates of clients are looked at.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        self.files.ca.is_some()
    }

    /// Shakes hands with whoever has connected.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Says whose place it is; refuses whoever shows what is refused.
    ///
    /// The place is known before the list is looked at, so that whoever reads the list again
    /// meanwhile finds it there.
    pub(crate) fn admit(&self, stream: &TlsStream<TcpStream>, place: &Place) -> io::Result<()> {
        let Some(refused) = &self.refused else { return Ok(()) };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(fingerprint) = shown.map(Fingerprint::of) else { return Ok(()) };
        place.show(fingerprint);
        if refused.names(fingerprint) { Err(taken_back()) } else { Ok(()) }
    }
}

/// Says that a certificate is of use no longer.
pub(crate) fn taken_back() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "its certificate is refused by this daemon")
}

fn configured(files: &TlsFiles, clients: Clients) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the default versions");
    let builder = match files.trusted()? {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match clients {
                Clients::MustShow => verifier,
                Clients::MayShow => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().expect("an authority was read, and no revocations");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = files.shown()?.ok_or(TlsError::Half)?;
    let mut config = builder.with_single_cert(chain, key).map_err(|error| files.unusable(error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would carry a certificate past its end.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
