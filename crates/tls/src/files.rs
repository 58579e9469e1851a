//! The files that somebody shows and trusts: a certificate, its key, an authority.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::TlsError;

/// The files that somebody shows and trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates that are shown, the own one first.
    pub cert: Option<PathBuf>,
    /// The key of the first.
    pub key: Option<PathBuf>,
    /// The authority that the other end's certificate must be of.
    pub ca: Option<PathBuf>,
}

/// Certificates to show, and their key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsFiles {
    /// Says whether there is anything to show or to trust.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads what is shown, if anything is.
    pub(crate) fn shown(&self) -> Result<Option<Shown>, TlsError> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(TlsError::Half),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let no_key = || TlsError::NoPem { path: key.clone(), what: "private key" };
                let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| no_key())?;
                Ok(Some((chain, key)))
            }
        }
    }

    /// Reads who is trusted, if anybody is.
    pub(crate) fn trusted(&self) -> Result<Option<Arc<RootCertStore>>, TlsError> {
        let Some(path) = &self.ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|source| TlsError::NoAuthority { path: path.clone(), source })?;
        }
        Ok(Some(Arc::new(roots)))
    }

    pub(crate) fn unusable(&self, source: rustls::Error) -> TlsError {
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        TlsError::Unusable { cert: path(&self.cert), key: path(&self.key), source }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).flatten().collect();
    if found.is_empty() {
        return Err(TlsError::NoPem { path: path.to_owned(), what: "certificate" });
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}
