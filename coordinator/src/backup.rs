//! A backup of the store while the coordinator runs: the journal's own copy, and a digest after it.
//!
//! ```text
//! the journal's copy (crates/journal/src/backup.rs) | "votumend" | BLAKE3 of the copy
//! ```
//!
//! Whoever restores it reads it twice: nothing is written before the digest has been compared.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use votum_ids::Digest;
use votum_journal::{Backup, BackupError, CHUNK_BYTES, Reader};

/// A backup on its way: its bytes, and in the end what they came to.
#[derive(Debug)]
pub(crate) struct Outgoing {
    backup: Backup,
    hasher: blake3::Hasher,
    sealed: bool,
}

impl Outgoing {
    /// Begins with everything that is durable at this moment.
    ///
    /// # Errors
    /// [`BackupError`] when the journal cannot be read.
    pub(crate) fn begin(reader: &Reader) -> Result<Self, BackupError> {
        Ok(Self { backup: reader.backup()?, hasher: blake3::Hasher::new(), sealed: false })
    }

    /// Returns the last record that is in it.
    pub(crate) fn last(&self) -> u64 {
        self.backup.last().0
    }

    /// Returns the next bytes; none at the end.
    ///
    /// # Errors
    /// [`BackupError`] when the journal cannot be read.
    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        if let Some(chunk) = self.backup.read()? {
            self.hasher.update(&chunk);
            return Ok(Some(chunk));
        }
        if self.sealed {
            return Ok(None);
        }
        self.sealed = true;
        Ok(Some([SEAL.as_slice(), &self.digest().0].concat()))
    }

    /// Returns the digest of the journal's copy; complete after the last bytes.
    pub(crate) fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }
}

/// What is wrong with a file that is to be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBackup {
    /// It does not end as a backup does.
    #[error("it does not end as a backup does: it was cut off, or is none")]
    CutOff,
    /// Its bytes are not those that were sent.
    #[error("its digest is {found}, not {expected}: it was damaged")]
    Damaged {
        /// At its end.
        expected: Digest,
        /// Of its bytes.
        found: Digest,
    },
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

/// Checks a file from its beginning to its end; returns the journal's copy in it, to be read.
///
/// # Errors
/// [`BadBackup`] says what is wrong with it.
pub(crate) fn checked(mut file: File) -> Result<(io::Take<File>, Digest), BadBackup> {
    let length = file.metadata()?.len().checked_sub(SEAL_BYTES as u64).ok_or(BadBackup::CutOff)?;
    let mut hasher = blake3::Hasher::new();
    let mut copy = file.by_ref().take(length);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match copy.read(&mut chunk)? {
            0 => break,
            read => hasher.update(&chunk[..read]),
        };
    }
    let mut seal = [0; SEAL_BYTES];
    file.read_exact(&mut seal)?;
    let (word, expected) = seal.split_at(SEAL.len());
    if word != SEAL {
        return Err(BadBackup::CutOff);
    }
    let expected = Digest(*expected.first_chunk().expect("it has this length"));
    let found = Digest(*hasher.finalize().as_bytes());
    if expected != found {
        return Err(BadBackup::Damaged { expected, found });
    }
    file.seek(SeekFrom::Start(0))?;
    Ok((file.take(length), found))
}

const SEAL: &[u8; 8] = b"votumend";
const SEAL_BYTES: usize = SEAL.len() + 32;
