//! What an operator sets about how a worker shows who it is, and whom it trusts.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde::Deserialize;
use tokio::signal::unix::Signal;
use votum_tls::{Clients, Dialer, Refused, ServerTls, TlsError, TlsFiles};

use crate::session::chain;

/// How a worker shows who it is, and whom it trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// The worker's certificate, its key, and the authority of all others.
    pub tls: TlsFiles,
    /// The file of certificates that are refused.
    pub refused: Option<PathBuf>,
    /// A file with the worker's token, for a coordinator that knows workers by tokens.
    pub token_file: Option<PathBuf>,
}

/// The same as it is given on the command line or in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ProtectionSettings {
    /// Authority of the certificates of the coordinator and of other workers (PEM).
    #[arg(long, env = "VOTUM_WORKER_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate that names this worker (PEM).
    #[arg(long, env = "VOTUM_WORKER_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, env = "VOTUM_WORKER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// File of certificates that are refused although they hold: a SHA-256 fingerprint a line; read again by SIGHUP.
    #[arg(long, env = "VOTUM_WORKER_TLS_REFUSED", value_name = "FILE")]
    pub tls_refused: Option<PathBuf>,
    /// File with this worker's token, for a coordinator that asks workers for tokens.
    #[arg(long, env = "VOTUM_WORKER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// The section `[tls]` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSection {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    refused: Option<PathBuf>,
}

/// The section `[auth]` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthSection {
    token_file: Option<PathBuf>,
}

impl Protection {
    /// Joins settings with the file.
    pub(crate) fn joined(settings: ProtectionSettings, tls: TlsSection, auth: AuthSection) -> Self {
        let refused = settings.tls_refused.or(tls.refused);
        let tls = TlsFiles {
            cert: settings.tls_cert.or(tls.cert),
            key: settings.tls_key.or(tls.key),
            ca: settings.tls_ca.or(tls.ca),
        };
        Self { tls, refused, token_file: settings.token_file.or(auth.token_file) }
    }

    /// Says whether those who connect to this worker are known by certificates.
    pub(crate) fn guards_peers(&self) -> bool {
        self.tls.ca.is_some() && self.tls.cert.is_some()
    }
}

/// The certificates in use: of connections that this worker makes, and of those that it takes.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) dialer: Dialer,
    /// None: whoever connects is not asked who it is.
    pub(crate) tls: Option<Arc<ServerTls>>,
    refused: Option<Arc<Refused>>,
}

impl Certificates {
    /// Reads them for the first time.
    pub(crate) fn load(protection: &Protection) -> Result<Self, TlsError> {
        let refused = protection.refused.as_deref().map(Refused::load).transpose()?.map(Arc::new);
        let dialer = Dialer::load(protection.tls.clone())?.refusing(refused.clone());
        let load = || {
            let served = ServerTls::load(protection.tls.clone(), Clients::MustShow)?;
            Ok::<_, TlsError>(Arc::new(served.refusing(refused.clone())))
        };
        let tls = protection.guards_peers().then(load).transpose()?;
        Ok(Self { dialer, tls, refused })
    }

    /// Reads them again with each signal, for ever; what is of no use changes nothing.
    pub(crate) async fn with_each(self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            let read = self.tls.as_ref().map_or(Ok(()), |tls| tls.reload());
            match read.and_then(|()| self.dialer.reload()) {
                Ok(()) => tracing::info!("certificates are read again"),
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, "certificates cannot be read again; the last ones stay");
                }
            }
            self.refuse();
        }
    }

    /// Reads again which certificates are refused, and ends their connections.
    fn refuse(&self) {
        let Some(refused) = &self.refused else { return };
        match refused.reload() {
            Ok(count) => tracing::info!(count, "refused certificates are read again"),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "refused certificates cannot be read again; the last stay");
            }
        }
        if let Some(tls) = &self.tls {
            tls.end_refused();
        }
    }
}
