//! What an operator sets about who may connect, and as whom.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use clap::Args;
use serde::Deserialize;
use votum_tls::{Clients, Limits, TlsFiles};

/// Who may connect, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// What is shown to those who connect, and whose certificates are asked for.
    pub tls: TlsFiles,
    /// The file of certificates that are refused.
    pub refused: Option<PathBuf>,
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
}

/// The same as it is given on the command line or in the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct ProtectionArgs {
    /// Certificate that is shown to clients and workers (PEM).
    #[arg(long, env = "VOTUM_COORDINATOR_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, env = "VOTUM_COORDINATOR_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authority of the certificates that clients and workers must show, unless they have tokens.
    #[arg(long, env = "VOTUM_COORDINATOR_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// File of certificates that are refused although they hold: a SHA-256 fingerprint a line; read again by SIGHUP.
    #[arg(long, env = "VOTUM_COORDINATOR_TLS_REFUSED", value_name = "FILE")]
    pub tls_refused: Option<PathBuf>,
    /// File of tokens: a line name:hash:roles for each, as `votum token new` prints it.
    #[arg(long, env = "VOTUM_COORDINATOR_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,
}

/// The section `[tls]` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSection {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    refused: Option<PathBuf>,
}

/// The section `[auth]` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthSection {
    token_file: Option<PathBuf>,
}

/// How much of the coordinator one client can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections, of one address and of all.
    pub connections: Limits,
    /// Requests of one principal, or of one address that proves nothing; none: any number.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        let connections = Limits::default();
        Self { connections, requests_per_second: NonZeroU32::new(REQUESTS_PER_SECOND) }
    }
}

/// The section `[limits]` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    requests_per_second: Option<u32>,
}

impl LimitsSection {
    /// Fills in the defaults; no request a second means any number.
    pub(crate) fn limits(self) -> ClientLimits {
        let ClientLimits { connections, requests_per_second } = ClientLimits::default();
        let connections = Limits {
            connections_max: self.connections.unwrap_or(connections.connections_max).max(1),
            per_address_max: self
                .connections_per_address
                .unwrap_or(connections.per_address_max)
                .max(1),
        };
        let requests_per_second =
            self.requests_per_second.map_or(requests_per_second, NonZeroU32::new);
        ClientLimits { connections, requests_per_second }
    }
}

/// More than a busy script asks, less than hurts.
const REQUESTS_PER_SECOND: u32 = 2000;

impl Protection {
    /// Joins flags with the file.
    pub(crate) fn joined(args: ProtectionArgs, tls: TlsSection, auth: AuthSection) -> Self {
        let refused = args.tls_refused.or(tls.refused);
        let tls = TlsFiles {
            cert: args.tls_cert.or(tls.cert),
            key: args.tls_key.or(tls.key),
            ca: args.tls_client_ca.or(tls.client_ca),
        };
        Self { tls, refused, tokens: args.tokens.or(auth.token_file) }
    }

    /// Refuses to be open to other machines by mistake.
    pub(crate) fn check(&self, listen: SocketAddr) -> anyhow::Result<()> {
        if listen.ip().is_loopback() {
            return Ok(());
        }
        anyhow::ensure!(
            self.is_encrypted(),
            "refusing to listen on {listen}: without encryption only this machine may connect; \
             [tls] encrypts, --insecure overrides this"
        );
        anyhow::ensure!(
            self.asks_for_proof(),
            "refusing to listen on {listen}: everybody who can connect would be an operator; \
             client_ca in [tls] or token_file in [auth] asks who it is, --insecure overrides this"
        );
        Ok(())
    }

    /// Says whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.cert.is_some()
    }

    /// Says whether anybody has to prove who it is.
    pub(crate) fn asks_for_proof(&self) -> bool {
        self.tls.ca.is_some() || self.tokens.is_some()
    }

    /// Says whether a connection without a certificate may still come to prove something.
    pub(crate) fn clients(&self) -> Clients {
        if self.tokens.is_some() { Clients::MayShow } else { Clients::MustShow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_encryption_and_proof() {
        let listen = "192.0.2.1:7070".parse().unwrap();
        let encrypted = Protection {
            tls: TlsFiles { cert: Some("a.crt".into()), key: Some("a.key".into()), ca: None },
            ..Protection::default()
        };
        let refused = Protection::default().check(listen).unwrap_err().to_string();
        assert!(refused.contains("encryption") && refused.contains("--insecure"), "{refused}");
        let refused = encrypted.check(listen).unwrap_err().to_string();
        assert!(refused.contains("operator") && refused.contains("--insecure"), "{refused}");
        let proven = Protection { tokens: Some("tokens".into()), ..encrypted };
        assert!(proven.check(listen).is_ok());
    }
}
