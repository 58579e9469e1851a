//! The inputs of an attempt: where they lie already, or brought from their holders.

use std::{
    error::Error,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use votum_ids::{AttemptId, Digest, OutputName};
use votum_job::{Failure, FailureKind, InputSource, ResolvedInput};
use votum_shadow::{Depth, Manifest, Pledge, SealedOutput, Staging};
use votum_transfer::{Source, fetch};
use votum_wire::{ArtifactId, ArtifactPart};

use crate::{
    session::chain,
    shell::{Shell, failure, on_disk},
};

/// Brings one input; returns where the program finds it.
pub(crate) async fn bring(
    shell: &Arc<Shell>,
    staging: &Arc<Staging>,
    input: &ResolvedInput,
) -> Result<PathBuf, Failure> {
    let name = input.name.clone();
    match &input.source {
        InputSource::WorkerPath(path) => {
            let path = PathBuf::from(path);
            on_disk(shell, move |_| path_here(&name, &path)).await
        }
        InputSource::Staged { holder, attempt, output, digest, .. }
            if *holder == shell.me.worker =>
        {
            let staged =
                Staged { producer: attempt.clone(), output: output.clone(), digest: *digest };
            let staging = Arc::clone(staging);
            on_disk(shell, move |shell| link(shell, &staging, &name, &staged)).await
        }
        InputSource::Staged { holder, address, attempt, output, digest, read_token, .. } => {
            let artifact =
                ArtifactId { attempt: attempt.clone(), part: ArtifactPart::Output(output.clone()) };
            let source = Source {
                holder: holder.clone(),
                address: address.clone(),
                artifact,
                digest: *digest,
                read_token: read_token.clone(),
            };
            let (staging, input, digest) = (Arc::clone(staging), name.clone(), *digest);
            let expected: Arc<OnceLock<u64>> = Arc::default();
            let told = Arc::clone(&expected);
            let begin = move |manifest: &Manifest| {
                told.get_or_init(|| manifest.files().map(|file| file.size).sum());
                staging.intake(&input, manifest, digest)
            };
            let fetched = fetch(&source, &shell.dialer, begin).await;
            let path = fetched.map_err(|error| unavailable(&name, &chain(&error)))?;
            shell.metrics.arrived(expected.get().copied().unwrap_or_default());
            Ok(path)
        }
    }
}

/// What is wanted of another attempt.
struct Staged {
    producer: AttemptId,
    output: OutputName,
    digest: Digest,
}

fn path_here(name: &OutputName, path: &Path) -> Result<PathBuf, Failure> {
    match path.try_exists() {
        Ok(true) => Ok(path.to_owned()),
        Ok(false) => Err(unavailable(name, &format!("{} does not exist here", path.display()))),
        Err(error) => Err(unavailable(name, &format!("{}: {error}", path.display()))),
    }
}

/// Gives the program what another attempt sealed on this worker, unchanged since.
fn link(
    shell: &Shell,
    staging: &Staging,
    name: &OutputName,
    staged: &Staged,
) -> Result<PathBuf, Failure> {
    let Staged { producer, output, digest } = staged;
    let sealed = shell.shadow.sealed(producer);
    let sealed = sealed.map_err(|error| unavailable(name, &chain(&error)))?;
    let gone = || unavailable(name, &format!("{producer} has sealed nothing here"));
    let sealed = sealed.ok_or_else(gone)?;
    let pledge =
        Pledge { attempt: producer.clone(), output: output.clone(), digest: *digest, target: None };
    let held = [sealed];
    let checked = shell.shadow.check(&held, &[pledge], Depth::Quick);
    checked.map_err(|error| unavailable(name, &chain(&error)))?;
    let output = held[0].output(output).ok_or_else(gone)?;
    if !staging.can_link_input(output) {
        return copy(shell, staging, name, producer, output)
            .map_err(|error| failure(FailureKind::StorageFailed, chain(error.as_ref())));
    }
    let linked = staging.link_input(name, producer, output);
    linked.map_err(|error| failure(FailureKind::StorageFailed, chain(&error)))
}

/// Gives the program a copy of its own, because it could not read what is sealed.
fn copy(
    shell: &Shell,
    staging: &Staging,
    name: &OutputName,
    producer: &AttemptId,
    output: &SealedOutput,
) -> Result<PathBuf, Box<dyn Error>> {
    let mut intake = staging.intake(name, &output.manifest, output.digest)?;
    let mut buffer = vec![0; PIECE_BYTES];
    for file in output.manifest.files() {
        let mut sealed = shell.shadow.open_sealed(producer, output, file.path)?;
        let mut offset = 0;
        loop {
            let read = sealed.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            intake.write(file.path, offset, &buffer[..read])?;
            offset += read as u64;
        }
    }
    Ok(intake.finish()?)
}

/// What is copied at a time.
const PIECE_BYTES: usize = 256 * 1024;

fn unavailable(name: &OutputName, why: &str) -> Failure {
    failure(FailureKind::InputUnavailable, format!("the input {name} cannot be had: {why}"))
}
