//! What a SIGHUP reads again: certificates and tokens, each kept as it was if it is of no use.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use votum_driver::Clock;
use votum_tls::{Dialer, Refused, ServerTls, TlsError};

use super::{Guard, Protection, Tokens};

/// What can be read again while the coordinator serves.
#[derive(Debug)]
pub(crate) struct Reloadable {
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) dialer: Dialer,
    refused: Option<Arc<Refused>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
}

impl Reloadable {
    /// Reads everything for the first time.
    pub(crate) fn load(protection: &Protection) -> anyhow::Result<Self> {
        let Protection { tls, refused, tokens } = protection;
        anyhow::ensure!(
            tls.ca.is_none() || protection.is_encrypted(),
            "client_ca in [tls] asks for certificates, which needs cert and key beside it"
        );
        anyhow::ensure!(
            refused.is_none() || tls.ca.is_some(),
            "refused in [tls] names certificates, which nobody is asked for without client_ca"
        );
        let refused = refused.as_deref().map(Refused::load).transpose()?.map(Arc::new);
        let load = || {
            let served = ServerTls::load(tls.clone(), protection.clients())?;
            Ok::<_, TlsError>(Arc::new(served.refusing(refused.clone())))
        };
        let served = protection.is_encrypted().then(load).transpose()?;
        // Workers are known by the same authority as they know this coordinator by.
        let dialer = match tls.ca {
            Some(_) => Dialer::load(tls.clone())?,
            None => Dialer::default(),
        };
        let dialer = dialer.refusing(refused.clone());
        let tokens = tokens.as_deref().map(Tokens::load).transpose()?.map(Arc::new);
        Ok(Self { tls: served, dialer, refused, tokens })
    }

    /// Returns the guard that decides by what was read.
    pub(crate) fn guard(&self, clock: Clock) -> Guard {
        let certificates = self.tls.as_ref().is_some_and(|tls| tls.knows_clients());
        Guard::new(self.tokens.clone(), certificates, clock)
    }

    /// Reads everything again with each signal, for ever.
    pub(crate) async fn with_each(self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            self.reload();
        }
    }

    fn reload(&self) {
        let tls = self.tls.as_ref().map_or(Ok(()), |tls| tls.reload());
        told("certificates", tls.and_then(|()| self.dialer.reload()));
        let refused = self.refused.as_ref().map_or(Ok(()), |refused| refused.reload().map(|_| ()));
        told("refused certificates", refused);
        if let Some(tls) = &self.tls {
            tls.end_refused();
        }
        told("tokens", self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.reload()));
    }
}

fn told<E: std::error::Error + Send + Sync + 'static>(what: &str, read: Result<(), E>) {
    match read {
        Ok(()) => tracing::info!("{what} are read again"),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::error!("{what} cannot be read again, what was read before stays: {error:#}");
        }
    }
}
