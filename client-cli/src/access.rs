//! How the coordinator is known, and how it knows who asks.

use std::{env, path::PathBuf};

use clap::Args;
use votum_client::{Access, Token};
use votum_tls::{Dialer, TlsFiles};

use crate::{exit::Exit, fault::Fault};

/// Files that say who is who.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Credentials {
    /// Authority of the coordinator's certificate (PEM); with it every connection is encrypted.
    #[arg(long, global = true, env = "VOTUM_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate that says who asks (PEM).
    #[arg(long, global = true, env = "VOTUM_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, global = true, env = "VOTUM_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// File with the token that says who asks.
    #[arg(long, global = true, env = "VOTUM_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Credentials {
    /// Reads the files.
    pub(crate) fn access(&self) -> Result<Access, Fault> {
        let files = TlsFiles {
            cert: self.tls_cert.clone(),
            key: self.tls_key.clone(),
            ca: self.tls_ca.clone(),
        };
        let dialer = Dialer::load(files).map_err(|error| {
            let text = format!("{:#}", anyhow::Error::from(error));
            Fault::new(Exit::Usage, "CERTIFICATE", text)
        })?;
        let token = match &self.token_file {
            None => None,
            Some(path) => Some(Token::read(path).map_err(|error| Fault::unreadable(path, &error))?),
        };
        let user = env::var("USER").or_else(|_| env::var("LOGNAME")).ok();
        Ok(Access { dialer, token, user })
    }
}
