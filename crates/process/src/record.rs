//! The attempt's small files: each is there and whole, or not there.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FallocateFlags, RenameFlags, fallocate, renameat_with};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;

/// Why a file of an attempt could not be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// It could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not say what such a file says.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Another version of the program wrote it.
    #[error("{path} has format {found}, but {FORMAT} was expected")]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
}

/// Reads a file that may be absent.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let unreadable = |source| RecordError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unreadable(source)),
    };
    let mut bytes = Vec::new();
    // What is cut off is no JSON any more, and refused as damaged.
    file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    let damaged = |source| RecordError::Damaged { path: path.to_owned(), source };
    let envelope: Envelope<Value> = serde_json::from_slice(&bytes).map_err(damaged)?;
    if envelope.format != FORMAT {
        return Err(RecordError::Format { path: path.to_owned(), found: envelope.format });
    }
    serde_json::from_value(envelope.body).map(Some).map_err(damaged)
}

/// A file that is being written beside the name it will have.
pub(crate) struct Aside {
    file: File,
    at: PathBuf,
    path: PathBuf,
}

impl Aside {
    pub(crate) fn new(path: &Path) -> Result<Self, RecordError> {
        let name = path.file_name().expect("an attempt's files have names").to_string_lossy();
        // Two processes may write one name at once, so each writes beside it for itself.
        let at = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let mut private = File::options();
        private.write(true).create(true).truncate(true).mode(0o600);
        match private.open(&at) {
            Ok(file) => Ok(Self { file, at, path: path.to_owned() }),
            Err(source) => Err(RecordError::Write { path: path.to_owned(), source }),
        }
    }

    /// Takes the space for the content, so that a disk which fills up cannot refuse it.
    pub(crate) fn reserved(self) -> Self {
        // Not every file system can promise space; the write says so if it comes to that.
        let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, RESERVED_BYTES);
        self
    }

    pub(crate) fn write<T: Serialize>(mut self, body: &T) -> Result<Self, RecordError> {
        let bytes = serde_json::to_vec(&Envelope { format: FORMAT, body })
            .map_err(|source| RecordError::Damaged { path: self.path.clone(), source })?;
        let written = self.file.write_all(&bytes);
        self.checked(written)
    }

    /// Makes the content durable, so that no power cut leaves a part of it under its name.
    pub(crate) fn sync(self) -> Result<Self, RecordError> {
        let synced = self.file.sync_all();
        self.checked(synced)
    }

    /// Gives the file its name until a power cut; whoever had the name loses it.
    pub(crate) fn publish(self) -> Result<(), RecordError> {
        let renamed = fs::rename(&self.at, &self.path);
        self.checked(renamed).map(|_| ())
    }

    /// Gives the file its name until a power cut if nobody has it.
    pub(crate) fn publish_first(self) -> Result<Taken, RecordError> {
        match renameat_with(CWD, &self.at, CWD, &self.path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {
                // It goes with the attempt's directory if it cannot go now.
                let _ = fs::remove_file(&self.at);
                Ok(Taken::Before)
            }
            renamed => self.checked(renamed.map_err(io::Error::from)).map(|_| Taken::Here),
        }
    }

    fn checked(self, done: io::Result<()>) -> Result<Self, RecordError> {
        match done {
            Ok(()) => Ok(self),
            Err(source) => Err(RecordError::Write { path: self.path, source }),
        }
    }
}

/// Whose file has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The one that was written.
    Here,
    /// An earlier one.
    Before,
}

/// The outermost form of every file: a program refuses a format it does not know.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    format: u32,
    body: T,
}

/// Of every file written by this version.
const FORMAT: u32 = 1;
/// Most bytes that are read of one: a plan carries its environment, which a job bounds at 1 MiB.
const RECORD_BYTES_MAX: u64 = 8 << 20;

/// No exit record is longer.
const RESERVED_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_two_takes_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.json");

        let first = Aside::new(&path).unwrap().write(&1).unwrap().publish_first().unwrap();
        let second = Aside::new(&path).unwrap().write(&2).unwrap().publish_first().unwrap();

        assert_eq!((first, second), (Taken::Here, Taken::Before));
        assert_eq!(read::<u32>(&path).unwrap(), Some(1));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exit.json");
        fs::write(&path, r#"{"format":2,"body":{"changed":true}}"#).unwrap();

        let read = read::<u32>(&path);

        assert!(matches!(read, Err(RecordError::Format { found: 2, .. })), "{read:?}");
    }
}
