//! Read tokens: whoever presents one may read that artifact and no other.
//!
//! A token is a keyed hash of the artifact's name, so none is stored and all
//! survive a restart. The key never leaves this worker.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use votum_ids::{AttemptId, CheckpointId, OutputName};

/// Makes and checks read tokens.
#[derive(Clone)]
pub(crate) struct ReadTokens {
    key: [u8; 32],
}

impl ReadTokens {
    /// Reads the key, or draws one for ever.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => {
                let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it has not 32 bytes");
                Ok(Self { key: bytes.try_into().map_err(|_| damaged())? })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::draw(path),
            Err(error) => Err(error),
        }
    }

    fn draw(path: &Path) -> io::Result<Self> {
        let mut key = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        let draft = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        Ok(Self { key })
    }

    /// Returns the token of an artifact.
    pub(crate) fn token(&self, attempt: &AttemptId, output: &OutputName) -> String {
        self.hash(attempt, output).to_hex().to_string()
    }

    /// Says whether a token is that of the artifact, in the same time for every wrong one.
    pub(crate) fn allows(&self, attempt: &AttemptId, output: &OutputName, token: &str) -> bool {
        blake3::Hash::from_hex(token).is_ok_and(|token| token == self.hash(attempt, output))
    }

    /// Returns the token of a checkpoint.
    pub(crate) fn checkpoint_token(&self, id: &CheckpointId) -> String {
        self.checkpoint_hash(id).to_hex().to_string()
    }

    /// Says whether a token is that of the checkpoint, in the same time for every wrong one.
    pub(crate) fn allows_checkpoint(&self, id: &CheckpointId, token: &str) -> bool {
        blake3::Hash::from_hex(token).is_ok_and(|token| token == self.checkpoint_hash(id))
    }

    fn checkpoint_hash(&self, id: &CheckpointId) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("votum read checkpoint\0{id}").as_bytes())
    }

    fn hash(&self, attempt: &AttemptId, output: &OutputName) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("votum read\0{attempt}\0{output}").as_bytes())
    }
}

impl std::fmt::Debug for ReadTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attempt, output};

    #[test]
    fn a_token_reads_its_artifact_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let token = ReadTokens::open(&path).unwrap().token(&attempt(1), &output("rows"));
        let after_a_restart = ReadTokens::open(&path).unwrap();
        assert!(after_a_restart.allows(&attempt(1), &output("rows"), &token));
        assert!(!after_a_restart.allows(&attempt(2), &output("rows"), &token));
        assert!(!after_a_restart.allows(&attempt(1), &output("others"), &token));
        assert!(!after_a_restart.allows(&attempt(1), &output("rows"), "guess"));
    }
}
