//! The certificates of a development cluster, made with its first start.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use votum_tls::{Authority, AuthorityError, COORDINATOR, Identity, WORKER};

use crate::{access::Credentials, commands::cert};

/// The folder of an authority, and of the certificates it has issued.
#[derive(Debug, Clone)]
pub(crate) struct Pki {
    folder: PathBuf,
}

/// The files of one holder.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl Pki {
    /// Makes certificates for the coordinator, the workers and whoever uses the cluster, as far as
    /// a start before has not made them.
    pub(crate) fn prepare<'a>(
        folder: &Path,
        workers: impl Iterator<Item = &'a str>,
    ) -> Result<Self, AuthorityError> {
        let pki = Self { folder: folder.to_owned() };
        let authority = if pki.file("ca", "key").exists() {
            Authority::open(folder)?
        } else {
            Authority::init(folder, cert::now())?
        };
        let holders = [("coordinator", COORDINATOR), (USER, "operator")].into_iter();
        for (name, role) in holders.chain(workers.map(|name| (name, WORKER))) {
            if pki.file(name, "crt").exists() {
                continue;
            }
            let identity = Identity { role: role.to_owned(), name: name.to_owned() };
            let order = cert::order(identity, Vec::new(), VALID);
            authority.issue(&order.expect("a name of a worker can stand in a certificate"))?;
        }
        Ok(pki)
    }

    /// Returns the files of a holder.
    pub(crate) fn of(&self, name: &str) -> Holder {
        let [cert, key] = ["crt", "key"].map(|ending| self.file(name, ending));
        Holder { cert, key, ca: self.file("ca", "crt") }
    }

    /// Returns what whoever uses the cluster shows.
    pub(crate) fn user(&self) -> Credentials {
        let Holder { cert, key, ca } = self.of(USER);
        Credentials { tls_ca: Some(ca), tls_cert: Some(cert), tls_key: Some(key), token_file: None }
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }
}

/// Whoever uses the cluster.
const USER: &str = "developer";
const VALID: Duration = Duration::from_hours(365 * 24);
