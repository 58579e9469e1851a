//! Why certificates cannot be used.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why certificates cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no certificate or key in PEM.
    #[error("{path:?} holds no {what} in PEM")]
    NoPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not fit, or are of a kind that is not spoken.
    #[error("{cert:?} and {key:?} cannot be used")]
    Unusable {
        /// The certificate.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// An authority's certificate cannot be trusted.
    #[error("{path:?} is no certificate of an authority")]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// A line names no certificate.
    #[error("{path:?} names no SHA-256 fingerprint in line {line}")]
    NoFingerprint {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
    },
    /// A certificate needs its key, and the other way round.
    #[error("a certificate and its key belong together: only one of them is given")]
    Half,
    /// An address asks for encryption, and no authority is given that the other end could be known by.
    #[error("{url:?} asks for TLS, but no authority (tls ca) is given to know the other end by")]
    NoTrust {
        /// The address.
        url: String,
    },
}
