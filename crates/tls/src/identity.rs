//! What a certificate says of its holder: one role and one name.

use std::fmt;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use webpki::EndEntityCert;

/// What a certificate says of its holder.
///
/// It is read from the URI `votum://ROLE/NAME` among the subject's alternative
/// names; the common name means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What its holder is, such as `worker`.
    pub role: String,
    /// What its holder is called, such as `s1`.
    pub name: String,
}

impl Identity {
    /// Reads a certificate, whose signature was checked when the connection was made.
    ///
    /// # Errors
    /// [`IdentityError`] when it names nobody, or more than one.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let certificate =
            EndEntityCert::try_from(certificate).map_err(|_| IdentityError::Unreadable)?;
        let mut named = certificate.valid_uri_names().filter_map(Self::from_uri);
        match (named.next(), named.next()) {
            (Some(identity), None) => Ok(identity),
            (None, _) => Err(IdentityError::Nobody),
            (Some(_), Some(_)) => Err(IdentityError::Several),
        }
    }

    /// Returns the URI that names it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.role, self.name)
    }

    /// Says whether its holder is `role`.
    #[must_use]
    pub fn is(&self, role: &str) -> bool {
        self.role == role
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let (role, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let is_word = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
            (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
        };
        let fits = is_word(role) && is_word(name);
        fits.then(|| Self { role: role.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// It is no certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It has no URI of Votum's.
    #[error("the certificate names no role: it has no URI votum://ROLE/NAME")]
    Nobody,
    /// It has more than one.
    #[error("the certificate names more than one role")]
    Several,
}

/// Returns the host name that the certificate of a worker bears, whatever its address.
#[must_use]
pub fn worker_host(name: &str) -> String {
    format!("{name}.{WORKERS_HOST}")
}

/// Where no address can be: what a name server says about it does not matter.
const WORKERS_HOST: &str = "worker.votum";
const SCHEME: &str = "votum://";
/// Longest role or name.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_one_role_and_one_name() {
        let identity = Identity::from_uri("votum://worker/s1").unwrap();
        assert_eq!((identity.role.as_str(), identity.name.as_str()), ("worker", "s1"));
        assert_eq!(identity.uri(), "votum://worker/s1");
        for foreign in [
            "spiffe://worker/s1",
            "votum://worker",
            "votum://worker/",
            "votum:///s1",
            "votum://w/a/b",
        ] {
            assert_eq!(Identity::from_uri(foreign), None, "{foreign}");
        }
    }
}
