//! The ways out: one dialer for every connection that a program makes, in clear text or with TLS.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, client::Resumption, crypto::ring::default_provider, pki_types::ServerName,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    codegen::{Service, http::Uri},
    transport::{Channel, Endpoint, Error},
};

use crate::{
    COORDINATOR, Identity, Refused, TlsError, TlsFiles, WORKER, refused::Fingerprint,
    server::taken_back, worker_host,
};

/// Makes connections; clones share their certificates.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    /// None: everything is sent in clear text.
    tls: Option<Arc<ClientTls>>,
    refused: Option<Arc<Refused>>,
}

/// Who is meant to be at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Far<'a> {
    /// The coordinator, by the host of its address.
    Coordinator,
    /// This worker, wherever it is.
    Worker(&'a str),
}

#[derive(Debug)]
struct ClientTls {
    files: TlsFiles,
    config: RwLock<Arc<ClientConfig>>,
}

impl Dialer {
    /// Reads certificates; without an authority everything goes in clear text.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing or of no use.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let Some(config) = configured(&files)? else { return Ok(Self::default()) };
        let tls = Some(Arc::new(ClientTls { files, config: RwLock::new(config) }));
        Ok(Self { tls, refused: None })
    }

    /// Connects to nobody who shows what is named there; what is connected stays so.
    #[must_use]
    pub fn refusing(self, refused: Option<Arc<Refused>>) -> Self {
        Self { refused, ..self }
    }

    /// Reads the files again; connections from then on show what they say.
    ///
    /// # Errors
    /// [`TlsError`]; what was read before stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(tls) = &self.tls else { return Ok(()) };
        if let Some(config) = configured(&tls.files)? {
            *tls.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        }
        Ok(())
    }

    /// Says whether its connections are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the URL of `host:port`, with the scheme of this dialer.
    #[must_use]
    pub fn url(&self, authority: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{authority}")
    }

    /// Returns a URL or `host:port` with the scheme of this dialer: with certificates everything is
    /// encrypted.
    ///
    /// # Errors
    /// [`TlsError::NoTrust`] when it asks for encryption and there is no authority.
    pub fn url_of(&self, address: &str) -> Result<String, TlsError> {
        match address.strip_prefix("https://") {
            Some(_) if self.tls.is_none() => Err(TlsError::NoTrust { url: address.to_owned() }),
            Some(authority) => Ok(self.url(authority)),
            None => Ok(self.url(address.strip_prefix("http://").unwrap_or(address))),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers, or the wrong one.
    pub async fn connect(&self, endpoint: &Endpoint, far: Far<'_>) -> Result<Channel, Error> {
        match &self.tls {
            None => endpoint.connect().await,
            Some(tls) => endpoint.connect_with_connector(self.connector(tls, far)).await,
        }
    }

    /// Connects with the first call, and again when the connection breaks.
    #[must_use]
    pub fn connect_lazy(&self, endpoint: &Endpoint, far: Far<'_>) -> Channel {
        match &self.tls {
            None => endpoint.connect_lazy(),
            Some(tls) => endpoint.connect_with_connector_lazy(self.connector(tls, far)),
        }
    }

    fn connector(
        &self,
        tls: &Arc<ClientTls>,
        far: Far<'_>,
    ) -> impl Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = io::Error, Future: Send>
    + Send
    + use<> {
        let meant = Meant { refused: self.refused.clone(), ..Meant::from(far) };
        let tls = Arc::clone(tls);
        tower::service_fn(move |uri: Uri| {
            let (tls, meant) = (Arc::clone(&tls), meant.clone());
            async move { tls.dial(&uri, &meant).await.map(TokioIo::new) }
        })
    }
}

/// Who is meant, and how that one is known.
#[derive(Debug, Clone)]
struct Meant {
    /// Instead of the host of the address.
    host: Option<String>,
    role: &'static str,
    refused: Option<Arc<Refused>>,
}

impl From<Far<'_>> for Meant {
    fn from(far: Far<'_>) -> Self {
        match far {
            Far::Coordinator => Self { host: None, role: COORDINATOR, refused: None },
            Far::Worker(name) => {
                Self { host: Some(worker_host(name)), role: WORKER, refused: None }
            }
        }
    }
}

impl ClientTls {
    async fn dial(&self, uri: &Uri, meant: &Meant) -> io::Result<TlsStream<TcpStream>> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let host = uri.host().ok_or_else(|| invalid(format!("{uri} names no host")))?;
        // The brackets of an IPv6 address belong to the URL.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(PORT_DEFAULT);
        let known_as = meant.host.clone().unwrap_or_else(|| host.to_owned());
        let known_as =
            ServerName::try_from(known_as).map_err(|error| invalid(error.to_string()))?;
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = TlsConnector::from(config).connect(known_as, stream).await?;
        check_role(&stream, meant)?;
        Ok(stream)
    }
}

/// Refuses a certificate that was taken back, and one of the cluster that was made for another role. One of another authority,
/// such as a public one, names no role; its host name decides then.
fn check_role(stream: &TlsStream<TcpStream>, meant: &Meant) -> io::Result<()> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let is_refused = |shown| meant.refused.as_ref().is_some_and(|list| list.names(shown));
    if shown.map(Fingerprint::of).is_some_and(is_refused) {
        return Err(taken_back());
    }
    match shown.map(Identity::of) {
        Some(Ok(identity)) if !identity.is(meant.role) => {
            let what = format!("{identity} answers in place of the {}", meant.role);
            Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
        }
        Some(Ok(_) | Err(_)) | None => Ok(()),
    }
}

fn configured(files: &TlsFiles) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Some(roots) = files.trusted()? else {
        return if files.is_empty() { Ok(None) } else { Err(TlsError::Half) };
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the default versions")
        .with_root_certificates(roots);
    let mut config = match files.shown()? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| files.unusable(error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Some(Arc::new(config)))
}

/// Of an https URL that names none.
const PORT_DEFAULT: u16 = 443;
