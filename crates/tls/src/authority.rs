//! A small authority of one's own: for development, tests, and installations without another one.
//!
//! Its key lies beside its certificate and is all that is needed to become
//! anybody in the cluster; keep it off the machines that only use certificates.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use thiserror::Error;

use crate::{COORDINATOR, Identity, WORKER, worker_host};

/// An authority below a folder: `ca.crt` for everybody, `ca.key` for whoever issues.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// What certificate is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whom it names; its files are called after the name.
    pub identity: Identity,
    /// Host names and addresses by which its holder is reached.
    pub hosts: Vec<String>,
    /// From when it holds.
    pub from: SystemTime,
    /// For how long.
    pub valid: Duration,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, readable by its owner alone.
    pub key: PathBuf,
    /// The authority's certificate.
    pub ca: PathBuf,
}

impl Authority {
    /// Makes an authority in a folder that has none.
    ///
    /// # Errors
    /// [`AuthorityError`]; one that is there already is never replaced.
    pub fn init(folder: &Path, from: SystemTime) -> Result<Self, AuthorityError> {
        let in_folder = |source| AuthorityError::Folder { path: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(in_folder)?;
        let key = KeyPair::generate()?;
        let mut params = ca_params();
        (params.not_before, params.not_after) = (from.into(), (from + AUTHORITY_VALID).into());
        let certificate = params.self_signed(&key)?;
        write(&folder.join(CA_KEY), key.serialize_pem().as_bytes(), 0o600)?;
        write(&folder.join(CA_CERT), certificate.pem().as_bytes(), 0o644)?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Opens the authority of a folder.
    ///
    /// # Errors
    /// [`AuthorityError`] when there is none.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let path = folder.join(CA_KEY);
        let key = fs::read_to_string(&path)
            .map_err(|source| AuthorityError::Missing { path: path.clone(), source })?;
        // Every authority bears one subject, so that its key is all that has to be read.
        let issuer = Issuer::new(ca_params(), KeyPair::from_pem(&key)?);
        Ok(Self { folder: folder.to_owned(), issuer })
    }

    /// Makes a key and a certificate for it, beside the authority's own.
    ///
    /// # Errors
    /// [`AuthorityError`]; files that are there already are never replaced.
    pub fn issue(&self, order: &Order) -> Result<Issued, AuthorityError> {
        let Order { identity, hosts, from, valid } = order;
        let mut names = hosts.clone();
        if identity.is(WORKER) {
            names.push(worker_host(&identity.name));
        }
        let mut params = CertificateParams::new(names)?;
        params.subject_alt_names.push(SanType::URI(identity.uri().try_into()?));
        params.distinguished_name = subject(&identity.name);
        (params.not_before, params.not_after) = ((*from).into(), (*from + *valid).into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if identity.is(WORKER) || identity.is(COORDINATOR) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let file = |ending: &str| self.folder.join(format!("{}.{ending}", identity.name));
        let issued = Issued { cert: file("crt"), key: file("key"), ca: self.folder.join(CA_CERT) };
        write(&issued.key, key.serialize_pem().as_bytes(), 0o600)?;
        write(&issued.cert, certificate.pem().as_bytes(), 0o644)?;
        Ok(issued)
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("Votum private authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// Writes a file that must not be there.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AuthorityError> {
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().map_err(|source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            AuthorityError::Exists { path }
        } else {
            AuthorityError::Folder { path, source }
        }
    })
}

/// Why a certificate cannot be made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file or folder cannot be written.
    #[error("cannot write {path:?}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder has no authority.
    #[error("there is no authority: cannot read {path:?}")]
    Missing {
        /// Its key.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is there is not replaced.
    #[error("{path:?} exists; it is not replaced")]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A name or key is of no use.
    #[error("cannot make a certificate")]
    Unusable(#[from] rcgen::Error),
}

const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
/// Ten years; whoever wants less makes another authority before.
const AUTHORITY_VALID: Duration = Duration::from_hours(10 * 365 * 24);
