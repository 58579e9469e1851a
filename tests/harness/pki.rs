//! The certificates of a cluster, and clusters in which everybody shows one.

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use votum_client::Access;
use votum_driver::Clock;
use votum_tls::{Authority, COORDINATOR, Dialer, Identity, Issued, Order, TlsFiles, WORKER};

use crate::{Cluster, Programs, Timing};

/// An authority, and what it issued.
#[derive(Debug)]
pub struct Pki {
    authority: Authority,
    folder: TempDir,
}

impl Pki {
    /// Makes an authority.
    ///
    /// # Panics
    /// If its files cannot be written.
    #[must_use]
    pub fn made() -> Self {
        let folder = tempfile::Builder::new().prefix("votum-pki-").tempdir().expect("a folder");
        let authority = Authority::init(folder.path(), wall() - DAY).expect("an authority");
        Self { authority, folder }
    }

    /// Issues a certificate that holds.
    #[must_use]
    pub fn issue(&self, role: &str, name: &str) -> TlsFiles {
        self.issue_from(role, name, wall() - DAY)
    }

    /// Issues a certificate that held until an hour ago.
    #[must_use]
    pub fn issue_expired(&self, role: &str, name: &str) -> TlsFiles {
        self.issue_from(role, name, wall() - DAY - VALID)
    }

    /// Returns the authority without a certificate.
    #[must_use]
    pub fn trusted_alone(&self) -> TlsFiles {
        TlsFiles { ca: Some(self.folder.path().join("ca.crt")), ..TlsFiles::default() }
    }

    fn issue_from(&self, role: &str, name: &str, from: std::time::SystemTime) -> TlsFiles {
        let identity = Identity { role: role.to_owned(), name: name.to_owned() };
        let hosts = if role == COORDINATOR { vec!["127.0.0.1".to_owned()] } else { Vec::new() };
        let order = Order { identity, hosts, from, valid: VALID };
        let Issued { cert, key, ca } = self.authority.issue(&order).expect("a certificate");
        TlsFiles { cert: Some(cert), key: Some(key), ca: Some(ca) }
    }
}

/// Returns what a client shows.
///
/// # Panics
/// If the files are of no use.
#[must_use]
pub fn access(files: TlsFiles) -> Access {
    Access { dialer: Dialer::load(files).expect("certificates"), ..Access::default() }
}

impl Cluster {
    /// Lays out a cluster in which everybody shows a certificate; its own client is an operator.
    #[must_use]
    pub fn prepared_with(programs: &Programs, timing: Timing, pki: &Pki) -> Self {
        let mut cluster = Self::prepared(programs, timing);
        let daemons = [("coordinator", COORDINATOR, "--tls-client-ca")].into_iter();
        let workers = ["s1", "s2", "s3"].map(|name| (name, WORKER, "--tls-ca"));
        for (name, role, ca_option) in daemons.chain(workers) {
            let files = pki.issue(role, name);
            let daemon = cluster.daemon(name);
            for (option, file) in
                [("--tls-cert", files.cert), ("--tls-key", files.key), (ca_option, files.ca)]
            {
                let file = file.unwrap_or_default();
                daemon.add_argument(&format!("{option}={}", Path::new(&file).display()));
            }
        }
        cluster.connect_with(&access(pki.issue("operator", "ada")));
        cluster
    }
}

fn wall() -> std::time::SystemTime {
    let now = Clock::start().wall();
    std::time::UNIX_EPOCH + Duration::from_millis(now.0)
}

const DAY: Duration = Duration::from_hours(24);
/// A day before and an hour less after: what was issued two days ago has ended.
const VALID: Duration = Duration::from_hours(47);
