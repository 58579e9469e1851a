//! What this worker serves to others: sealed outputs to peers, logs to the coordinator.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use votum_ids::AttemptId;
use votum_process::output;
use votum_shadow::{Manifest, ReadError, Sealed, StorageError, TreePath};
use votum_transfer::{Denied, Holdings, LogPart};
use votum_wire::{ArtifactId, LogStream};

use crate::{
    run::{attempt_dir, exit_file},
    shell::Shell,
};

/// What was sealed for the attempts that were read last: each file of an output is a request.
#[derive(Debug, Default)]
pub(crate) struct ReadLately(Mutex<VecDeque<Arc<Sealed>>>);

impl ReadLately {
    fn find(&self, attempt: &AttemptId) -> Option<Arc<Sealed>> {
        let lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.iter().find(|sealed| sealed.attempt == *attempt).cloned()
    }

    fn remember(&self, sealed: &Arc<Sealed>) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.push_back(Arc::clone(sealed));
        if lately.len() > READ_LATELY_MAX {
            lately.pop_front();
        }
    }
}

impl Shell {
    /// Returns what was sealed, after the token was looked at.
    fn sealed(&self, artifact: &ArtifactId, read_token: &str) -> Result<Arc<Sealed>, Denied> {
        let ArtifactId { attempt, output } = artifact;
        if !self.tokens.allows(attempt, output, read_token) {
            return Err(Denied::NotAllowed);
        }
        if let Some(sealed) = self.read_lately.find(attempt) {
            return Ok(sealed);
        }
        let sealed = self.shadow.sealed(attempt).map_err(disk_failed)?.ok_or(Denied::NotHeld)?;
        let sealed = Arc::new(sealed);
        self.read_lately.remember(&sealed);
        Ok(sealed)
    }
}

impl Holdings for Shell {
    fn manifest(&self, artifact: &ArtifactId, read_token: &str) -> Result<Arc<Manifest>, Denied> {
        let sealed = self.sealed(artifact, read_token)?;
        let output = sealed.output(&artifact.output).ok_or(Denied::NotHeld)?;
        Ok(Arc::new(output.manifest.clone()))
    }

    fn open(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
        path: &TreePath,
    ) -> Result<File, Denied> {
        let sealed = self.sealed(artifact, read_token)?;
        let output = sealed.output(&artifact.output).ok_or(Denied::NotHeld)?;
        self.shadow.open_sealed(&artifact.attempt, output, path).map_err(|error| match error {
            ReadError::NoSuchFile { .. } | ReadError::Gone { .. } => Denied::NotHeld,
            ReadError::Storage(error) => disk_failed(error),
        })
    }

    fn read_log(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        offset: u64,
        bytes_max: usize,
    ) -> Result<LogPart, Denied> {
        let dir = attempt_dir(&self.config, attempt);
        if !dir.try_exists()? {
            return Err(Denied::NotHeld);
        }
        // Looked at first: what ends in between is read to its end by the next call.
        let complete = exit_file(&dir).try_exists()? || !self.runs.contains(attempt);
        let stream = match stream {
            LogStream::Stdout => output::LogStream::Stdout,
            LogStream::Stderr => output::LogStream::Stderr,
        };
        let piece = output::read(&dir, stream, offset, bytes_max)?;
        Ok(LogPart { offset: piece.offset, data: piece.data, end: piece.end, complete })
    }
}

fn disk_failed(error: StorageError) -> Denied {
    Denied::Storage(io::Error::other(error))
}

const READ_LATELY_MAX: usize = 8;
