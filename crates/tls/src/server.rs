//! The serving side of TLS: what is shown, and whose certificates are asked for.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{TlsError, TlsFiles};

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
    config: RwLock<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Reads the files. Without an authority nobody is asked for a certificate.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing or of no use.
    pub fn load(files: TlsFiles, clients: Clients) -> Result<Self, TlsError> {
        let config = RwLock::new(configured(&files, clients)?);
        Ok(Self { files, clients, config })
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
