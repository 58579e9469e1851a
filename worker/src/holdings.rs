//! What this worker serves to others: sealed outputs to peers, logs to the coordinator.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use votum_ids::{AttemptId, CheckpointId, OutputName};
use votum_machine::WallTime;
use votum_process::output;
use votum_shadow::{
    Manifest, PutBackError, ReadError, Sealed, Standing, Stood, StorageError, TreePath,
};
use votum_transfer::{Denied, Holdings, LogPart, LogWritten};
use votum_wire::{
    ArtifactId, ArtifactPart, LogStream,
    output::TargetStanding,
    revert::{Earlier, EarlierContent},
};

use crate::{
    run::{attempt_dir, exit_file},
    session::chain,
    shell::Shell,
};

/// What was sealed for the attempts that were read last: each file of an output is a request.
#[derive(Debug, Default)]
pub(crate) struct ReadLately(Mutex<VecDeque<Arc<Sealed>>>);

impl ReadLately {
    fn find(&self, attempt: &AttemptId, output: &OutputName) -> Option<Arc<Sealed>> {
        let lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted =
            |sealed: &Sealed| sealed.attempt == *attempt && sealed.output(output).is_some();
        lately.iter().find(|sealed| wanted(sealed)).cloned()
    }

    /// Forgets what was read of attempts that are gone: nobody may read it any more.
    pub(crate) fn forget(&self, gone: impl Fn(&AttemptId) -> bool) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|sealed| !gone(&sealed.attempt));
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
    fn sealed(
        &self,
        attempt: &AttemptId,
        output: &OutputName,
        read_token: &str,
    ) -> Result<Arc<Sealed>, Denied> {
        if !self.tokens.allows(attempt, output, read_token) {
            return Err(Denied::NotAllowed);
        }
        if let Some(sealed) = self.read_lately.find(attempt, output) {
            return Ok(sealed);
        }
        let sealed = match self.shadow.sealed(attempt).map_err(disk_failed)? {
            Some(sealed) => sealed,
            None => {
                let published = self.shadow.published(attempt, output).map_err(disk_failed)?;
                published.ok_or(Denied::NotHeld)?
            }
        };
        let sealed = Arc::new(sealed);
        self.read_lately.remember(&sealed);
        Ok(sealed)
    }
}

impl Shell {
    /// Returns which checkpoint is meant, after the token was looked at.
    fn readable_checkpoint(
        &self,
        attempt: &AttemptId,
        sequence: u64,
        read_token: &str,
    ) -> Result<CheckpointId, Denied> {
        let id = CheckpointId { attempt: attempt.clone(), sequence };
        if self.tokens.allows_checkpoint(&id, read_token) {
            Ok(id)
        } else {
            Err(Denied::NotAllowed)
        }
    }
}

impl Holdings for Shell {
    fn manifest(&self, artifact: &ArtifactId, read_token: &str) -> Result<Arc<Manifest>, Denied> {
        let ArtifactId { attempt, part } = artifact;
        let output = match part {
            ArtifactPart::Output(output) => output,
            ArtifactPart::Checkpoint(sequence) => {
                let id = self.readable_checkpoint(attempt, *sequence, read_token)?;
                let manifest = self.checkpoints.manifest(&id).map_err(disk_failed)?;
                return manifest.map(Arc::new).ok_or(Denied::NotHeld);
            }
        };
        let sealed = self.sealed(attempt, output, read_token)?;
        let output = sealed.output(output).ok_or(Denied::NotHeld)?;
        Ok(Arc::new(output.manifest.clone()))
    }

    fn target(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
    ) -> Result<Option<TargetStanding>, Denied> {
        let ArtifactId { attempt, part: ArtifactPart::Output(output) } = artifact else {
            return Ok(None);
        };
        let sealed = self.sealed(attempt, output, read_token)?;
        let output = sealed.output(output).ok_or(Denied::NotHeld)?;
        let standing = self.shadow.standing(attempt, output).unwrap_or_else(|error| {
            // Its bytes can be read all the same.
            tracing::debug!(%attempt, error = %chain(&error), "cannot look at a target");
            None
        });
        Ok(standing.map(|standing| match standing {
            Standing::InPlace => TargetStanding::InPlace,
            Standing::Replaced { by } => TargetStanding::Replaced { by },
            Standing::Foreign => TargetStanding::Foreign,
            Standing::Gone => TargetStanding::Gone,
        }))
    }

    fn before(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
    ) -> Result<Option<EarlierContent>, Denied> {
        let ArtifactId { attempt, part: ArtifactPart::Output(output) } = artifact else {
            return Ok(None);
        };
        let sealed = self.sealed(attempt, output, read_token)?;
        let output = sealed.output(output).ok_or(Denied::NotHeld)?;
        if output.publishes.is_none() {
            return Ok(None);
        }
        Ok(Some(match self.shadow.before(attempt, output) {
            Ok(Stood::Nothing) => EarlierContent::Kept(Earlier::Nothing),
            Ok(Stood::Generation(earlier)) => EarlierContent::Kept(Earlier::Of(earlier.job)),
            Ok(Stood::Ordinary(_)) => EarlierContent::Kept(Earlier::Ordinary),
            // A revert waits for the end of its job.
            Err(PutBackError::NotOver { job, .. }) => EarlierContent::Kept(Earlier::Of(job)),
            Err(error) => {
                let problem = chain(&error);
                match error {
                    PutBackError::Gone { job, .. } => EarlierContent::Retired { job, problem },
                    PutBackError::NotPublished { .. }
                    | PutBackError::Replaced { .. }
                    | PutBackError::Changed { .. }
                    | PutBackError::NotOver { .. }
                    | PutBackError::NotListed { .. }
                    | PutBackError::Unknown { .. }
                    | PutBackError::Target(_)
                    | PutBackError::Storage(_) => EarlierContent::NotRevertible { problem },
                }
            }
        }))
    }

    fn open(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
        path: &TreePath,
    ) -> Result<File, Denied> {
        let ArtifactId { attempt, part } = artifact;
        let output = match part {
            ArtifactPart::Output(output) => output,
            ArtifactPart::Checkpoint(sequence) => {
                let id = self.readable_checkpoint(attempt, *sequence, read_token)?;
                let file = self.checkpoints.open_file(&id, path).map_err(disk_failed)?;
                return file.ok_or(Denied::NotHeld);
            }
        };
        let sealed = self.sealed(attempt, output, read_token)?;
        let output = sealed.output(output).ok_or(Denied::NotHeld)?;
        self.shadow.open_sealed(attempt, output, path).map_err(|error| match error {
            ReadError::NoSuchFile { .. } | ReadError::Gone { .. } => Denied::NotHeld,
            ReadError::Storage(error) => disk_failed(error),
        })
    }

    fn sent(&self, bytes: u64) {
        self.metrics.sent(bytes);
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
        let stream = log_stream(stream);
        let piece = output::read(&dir, stream, offset, bytes_max)?;
        Ok(LogPart { offset: piece.offset, data: piece.data, end: piece.end, complete })
    }

    fn log_written(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        offset: u64,
    ) -> Result<Option<LogWritten>, Denied> {
        let dir = attempt_dir(&self.config, attempt);
        let written = votum_process::written(&dir, log_stream(stream), offset)?;
        Ok(written.map(|written| LogWritten { at: WallTime(written.at_ms), until: written.until }))
    }

    fn log_since(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        since: WallTime,
    ) -> Result<Option<u64>, Denied> {
        let dir = attempt_dir(&self.config, attempt);
        if !dir.try_exists()? {
            return Err(Denied::NotHeld);
        }
        Ok(votum_process::first_since(&dir, log_stream(stream), since.0)?)
    }
}

fn log_stream(stream: LogStream) -> output::LogStream {
    match stream {
        LogStream::Stdout => output::LogStream::Stdout,
        LogStream::Stderr => output::LogStream::Stderr,
    }
}

fn disk_failed(error: StorageError) -> Denied {
    Denied::Storage(io::Error::other(error))
}

const READ_LATELY_MAX: usize = 8;
