//! Secrets: a job names them, this worker holds them, and an attempt finds them as files.
//!
//! Nobody else ever sees a value: not the coordinator, not a journal, not the
//! environment of a program. The files lie in memory where the machine has a
//! place for that, and go when the program is gone.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use rustix::fs::statfs;
use thiserror::Error;
use votum_commit::Installation;
use votum_ids::{AttemptId, SecretName, WorkerUid};
use votum_process::TaskUser;

use crate::{config::Config, leftovers::Leftovers};

/// The secrets of this worker, and where attempts find theirs.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// One file for each, as the operator has put them; none: this worker has no secrets.
    sources: Option<PathBuf>,
    /// Of this installation alone.
    held: PathBuf,
}

impl Secrets {
    /// Removes what earlier starts left of attempts that are over.
    pub(crate) fn of(
        config: &Config,
        me: &Installation,
        leftovers: &Leftovers,
    ) -> io::Result<Self> {
        let secrets = Self::placed(config, &me.uid);
        secrets.sweep(&leftovers.running())?;
        Ok(secrets)
    }

    /// Chooses where attempts find theirs: in memory, or below the data directory.
    fn placed(config: &Config, uid: &WorkerUid) -> Self {
        let in_memory = env::var_os(RUNTIME_DIRECTORY).map(PathBuf::from);
        let in_memory = in_memory.into_iter().chain([PathBuf::from(SHARED_MEMORY)]);
        let in_memory = in_memory.into_iter().find(|dir| is_in_memory(dir));
        let held = match in_memory {
            Some(dir) => dir.join(format!("votum-secrets-{uid}")),
            None => config.data_dir.join("secrets"),
        };
        Self { sources: config.secrets_dir.clone(), held }
    }

    /// Removes what earlier starts left, but of attempts that go on.
    fn sweep(&self, goes_on: &BTreeSet<AttemptId>) -> io::Result<()> {
        let kept: BTreeSet<PathBuf> = goes_on.iter().map(|id| self.place(id)).collect();
        for job in entries(&self.held)? {
            for place in entries(&job)?.into_iter().filter(|place| !kept.contains(place)) {
                fs::remove_dir_all(place)?;
            }
            // One in which an attempt goes on stays.
            let _ = fs::remove_dir(job);
        }
        Ok(())
    }

    /// Puts secrets where the program of an attempt finds them; returns the folder.
    pub(crate) fn put(
        &self,
        id: &AttemptId,
        names: &BTreeSet<SecretName>,
        user: Option<&TaskUser>,
    ) -> Result<PathBuf, SecretError> {
        let place = self.place(id);
        self.remove(id).map_err(SecretError::Storage)?;
        // Another user passes through, and sees no more than its own.
        let mode = if user.is_some() { 0o711 } else { 0o700 };
        let made = |dir: &Path, mode| {
            DirBuilder::new().recursive(true).mode(mode).create(dir)?;
            fs::set_permissions(dir, Permissions::from_mode(mode))
        };
        let job = place.parent().expect("a place lies below its job");
        for (dir, mode) in [(self.held.as_path(), mode), (job, mode), (&place, 0o700)] {
            made(dir, mode).map_err(SecretError::Storage)?;
        }
        for name in names {
            let value = self.value(name)?;
            let file = place.join(name.as_str());
            write(&file, &value, user).map_err(SecretError::Storage)?;
        }
        if let Some(user) = user {
            chown(&place, Some(user.uid), Some(user.gid)).map_err(SecretError::Storage)?;
        }
        Ok(place)
    }

    /// Removes the secrets of an attempt, if there are any.
    pub(crate) fn remove(&self, id: &AttemptId) -> io::Result<()> {
        let place = self.place(id);
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // One in which another attempt of the job has its own stays.
        let _ = place.parent().map(fs::remove_dir);
        Ok(())
    }

    fn value(&self, name: &SecretName) -> Result<Vec<u8>, SecretError> {
        let unknown = || SecretError::Unknown { name: name.clone() };
        let path = self.sources.as_ref().ok_or_else(unknown)?.join(name.as_str());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(source) => return Err(SecretError::Unreadable { name: name.clone(), source }),
        };
        let mut value = Vec::new();
        let read = file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut value);
        read.map_err(|source| SecretError::Unreadable { name: name.clone(), source })?;
        if value.len() as u64 > SECRET_BYTES_MAX {
            return Err(SecretError::TooLarge { name: name.clone() });
        }
        Ok(value)
    }

    fn place(&self, id: &AttemptId) -> PathBuf {
        self.held.join(id.job.as_str()).join(format!("{}.{}", id.task, id.token))
    }
}

/// Why an attempt does not get a secret. No text of these holds a value.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    /// This worker has none of that name.
    #[error("this worker has no secret {name}; its operator puts it into the folder of [secrets]")]
    Unknown { name: SecretName },
    /// Its file cannot be read.
    #[error("the secret {name} cannot be read")]
    Unreadable { name: SecretName, source: io::Error },
    /// It is larger than a secret is.
    #[error("the secret {name} has more than {SECRET_BYTES_MAX} bytes")]
    TooLarge { name: SecretName },
    /// It cannot be put where the program finds it.
    #[error("secrets cannot be put where the program finds them")]
    Storage(#[source] io::Error),
}

fn write(path: &Path, value: &[u8], user: Option<&TaskUser>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(value)?;
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Says whether files of a folder lie in memory, so that none is ever on a disk.
fn is_in_memory(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|found| found.f_type == TMPFS)
}

/// Where systemd says a service may keep what does not outlive it.
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// Where every Linux has some.
const SHARED_MEMORY: &str = "/dev/shm";
/// Of `statfs(2)`.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;
/// Largest secret.
const SECRET_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::attempt;

    #[test]
    fn a_secret_is_there_for_its_attempt_alone_and_then_gone() {
        let (dir, secrets) = secrets();
        let place = secrets.put(&attempt(1), &names(&["orders-db"]), None).unwrap();
        let file = place.join("orders-db");
        assert_eq!(fs::read(&file).unwrap(), b"hunter2");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(!place.join("other").exists());
        secrets.remove(&attempt(1)).unwrap();
        secrets.remove(&attempt(1)).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("held")).unwrap().count(), 0);
    }

    #[test]
    fn a_restart_leaves_the_secrets_of_what_goes_on() {
        let (_dir, secrets) = secrets();
        let kept = secrets.put(&attempt(1), &names(&["orders-db"]), None).unwrap();
        let gone = secrets.put(&attempt(2), &names(&["orders-db"]), None).unwrap();
        secrets.sweep(&[attempt(1)].into()).unwrap();
        assert!(kept.exists() && !gone.exists());
    }

    #[test]
    fn an_unknown_secret_is_named() {
        let (_dir, secrets) = secrets();
        let refused = secrets.put(&attempt(1), &names(&["elsewhere"]), None).unwrap_err();
        assert!(matches!(&refused, SecretError::Unknown { name } if name.as_str() == "elsewhere"));
    }

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let dir = tempfile::tempdir().unwrap();
        let sources = dir.path().join("sources");
        fs::create_dir(&sources).unwrap();
        fs::write(sources.join("orders-db"), "hunter2").unwrap();
        fs::write(sources.join("other"), "secret").unwrap();
        let held = dir.path().join("held");
        (dir, Secrets { sources: Some(sources), held })
    }

    fn names(names: &[&str]) -> BTreeSet<SecretName> {
        names.iter().map(|name| SecretName::new(name).unwrap()).collect()
    }
}
