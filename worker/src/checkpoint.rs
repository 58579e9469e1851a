//! Checkpoints on this worker's disk: sealed, brought from others, put in place, served.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use votum_ids::{AttemptId, CheckpointId, JobId};
use votum_job::{
    Assignment, CHECKPOINT_BYTES_DEFAULT, CheckpointHolder, Failure, FailureKind, HeldCheckpoint,
    ResumePoint, Size, TaskSignal,
};
use votum_process::{Found, find};
use votum_shadow::{CheckpointError, Manifest, RestoreError, Scope, SealedCheckpoint, Staging};
use votum_transfer::{Source, fetch};
use votum_wire::{ArtifactId, ArtifactPart};

use crate::{
    action::{Resumed, SealOrder},
    asks,
    event::{CheckpointEvent, Event},
    run::attempt_dir,
    session::chain,
    shell::{Shell, failure, on_disk, turn},
};

/// Checkpoints that are being copied here.
#[derive(Debug, Default)]
pub(crate) struct Replicating(Mutex<BTreeSet<CheckpointId>>);

/// Seals the state of a running attempt.
pub(crate) async fn seal(shell: Arc<Shell>, order: SealOrder) {
    let _permit = turn(&shell.bounds.checkpoints).await;
    let mut wait = FIRST_WAIT;
    let mut tries = 0;
    let event = loop {
        let wanted = order.clone();
        let sealed = on_disk(&shell, move |shell| seal_now(shell, &wanted)).await;
        tries += 1;
        match sealed {
            Err(NotSealed::Checkpoint(CheckpointError::Changed)) if tries < TRIES_MAX => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the program is between two changes of its state, and says nothing"
                )]
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Ok(Some(held)) => break CheckpointEvent::Sealed(held),
            Ok(None) => break CheckpointEvent::Unchanged,
            Err(error) => {
                let message = error.sentence();
                tracing::warn!(checkpoint = %order.id, error = message, "no checkpoint was sealed");
                break CheckpointEvent::Failed { kind: error.kind(), message };
            }
        }
    };
    shell.inbox.send(Event::Checkpoint(order.id.attempt, event)).await;
}

fn seal_now(shell: &Shell, order: &SealOrder) -> Result<Option<HeldCheckpoint>, NotSealed> {
    let SealOrder { id, steps, whole, bytes_max, unless } = order;
    enough_space(shell, 0)?;
    let staging = shell.shadow.reopen(&id.attempt)?;
    let empty = || Ok::<_, io::Error>(fs::read_dir(staging.checkpoint_dir())?.next().is_none());
    if unless.is_some() && !whole && empty()? {
        return Ok(None);
    }
    let scope = if *whole { Scope::Everything } else { Scope::State };
    let bytes_max = bytes_max.unwrap_or(CHECKPOINT_BYTES_DEFAULT);
    let sealed = shell.checkpoints.seal(id, &staging, scope, bytes_max)?;
    if *unless == Some(Some(sealed.digest)) {
        shell.checkpoints.remove(id).map_err(CheckpointError::Storage)?;
        return Ok(None);
    }
    Ok(Some(held(shell, id, &sealed, *steps)))
}

fn held(shell: &Shell, id: &CheckpointId, sealed: &SealedCheckpoint, steps: u32) -> HeldCheckpoint {
    HeldCheckpoint {
        id: id.clone(),
        digest: sealed.digest,
        bytes: sealed.bytes,
        steps,
        read_token: shell.tokens.checkpoint_token(id),
    }
}

/// Puts the last sound checkpoint in place; without one the attempt begins afresh.
pub(crate) async fn resume(
    shell: &Arc<Shell>,
    staging: &Arc<Staging>,
    assignment: &Assignment,
) -> Result<Resumed, Failure> {
    for point in &assignment.resume {
        if restored(shell, staging, point).await? {
            return Ok(Resumed { sequence: point.id.sequence, steps: point.steps });
        }
        for holder in point.holders.iter().filter(|holder| holder.worker != shell.me.worker) {
            match bring(shell, point, holder, "resume").await {
                Ok(()) if restored(shell, staging, point).await? => {
                    return Ok(Resumed { sequence: point.id.sequence, steps: point.steps });
                }
                Ok(()) => {}
                Err(error) => {
                    let (checkpoint, holder) = (&point.id, &holder.worker);
                    tracing::warn!(%checkpoint, %holder, error, "cannot fetch a checkpoint");
                }
            }
        }
    }
    if !assignment.resume.is_empty() {
        tracing::warn!(attempt = %assignment.attempt, "no checkpoint can be gone on from");
    }
    Ok(Resumed::default())
}

/// Puts a checkpoint in place that is here; says whether it was sound.
async fn restored(
    shell: &Arc<Shell>,
    staging: &Arc<Staging>,
    point: &ResumePoint,
) -> Result<bool, Failure> {
    let (id, digest, staging) = (point.id.clone(), point.digest, Arc::clone(staging));
    let restored =
        on_disk(shell, move |shell| shell.checkpoints.restore(&id, digest, &staging)).await;
    match restored {
        Ok(()) => {
            tracing::info!(checkpoint = %point.id, "goes on from a checkpoint");
            Ok(true)
        }
        Err(RestoreError::Absent) => Ok(false),
        Err(error @ RestoreError::Damaged { .. }) => {
            tracing::error!(checkpoint = %point.id, error = chain(&error), "a checkpoint is damaged");
            let id = point.id.clone();
            // It may not be known here at all; then nobody else removes it.
            let removed = on_disk(shell, move |shell| shell.checkpoints.remove(&id)).await;
            removed.map_err(|error| failure(FailureKind::StorageFailed, chain(&error)))?;
            shell.inbox.send(Event::CheckpointSpoilt(point.id.clone())).await;
            Ok(false)
        }
        // To begin afresh because the disk is full would throw away what was done.
        Err(RestoreError::Storage(error)) => {
            Err(failure(FailureKind::StorageFailed, chain(&error)))
        }
    }
}

/// Copies a checkpoint from one of its holders, unless that is being done.
pub(crate) async fn replicate(shell: Arc<Shell>, point: Box<ResumePoint>) {
    let begun = |replicating: &mut BTreeSet<CheckpointId>| replicating.insert(point.id.clone());
    if !begun(&mut shell.replicating.0.lock().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    {
        let _permit = turn(&shell.bounds.replicas).await;
        for holder in &point.holders {
            match bring(&shell, &point, holder, "replica").await {
                Ok(()) => break,
                Err(error) => {
                    let (checkpoint, holder) = (&point.id, &holder.worker);
                    tracing::warn!(%checkpoint, %holder, error, "cannot copy a checkpoint");
                }
            }
        }
    }
    shell.replicating.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&point.id);
}

/// Fetches a checkpoint and makes it durable here.
async fn bring(
    shell: &Arc<Shell>,
    point: &ResumePoint,
    holder: &CheckpointHolder,
    purpose: &'static str,
) -> Result<(), String> {
    let id = point.id.clone();
    let source = Source {
        holder: holder.worker.clone(),
        address: holder.address.clone(),
        artifact: ArtifactId {
            attempt: id.attempt.clone(),
            part: ArtifactPart::Checkpoint(id.sequence),
        },
        digest: point.digest,
        read_token: holder.read_token.clone(),
    };
    let (digest, bytes) = (point.digest, point.bytes);
    on_disk(shell, move |shell| enough_space(shell, bytes)).await.map_err(|error| chain(&error))?;
    let manifest: Arc<OnceLock<Manifest>> = Arc::default();
    let (store, seen, wanted) = (shell.checkpoints.clone(), Arc::clone(&manifest), id.clone());
    let begin = move |manifest: &Manifest| {
        let _ = seen.set(manifest.clone());
        store.intake(&wanted, purpose, manifest, digest)
    };
    fetch(&source, &shell.dialer, begin).await.map_err(|error| chain(&error))?;
    shell.metrics.arrived(bytes);
    let steps = point.steps;
    let held = on_disk(shell, move |shell| {
        let manifest = manifest.get().expect("an intake that ended has begun");
        let sealed = shell.checkpoints.admit(&id, purpose, manifest)?;
        Ok(held(shell, &id, &sealed, steps))
    });
    let held = held.await.map_err(|error: CheckpointError| chain(&error))?;
    shell.inbox.send(Event::CheckpointArrived(held)).await;
    Ok(())
}

/// Listens to what a running attempt asks for, until this is dropped.
///
/// An ask is a file; its answer lies beside it, so that whoever waits for it
/// is answered across restarts of this daemon.
pub(crate) async fn listen(shell: &Arc<Shell>, id: &AttemptId) -> ! {
    let mut told = BTreeSet::new();
    loop {
        let now = shell.clock.now();
        shell.clock.sleep_until(Some(now.after(LOOK_INTERVAL))).await;
        let (attempt, known) = (id.clone(), told.clone());
        let asks = on_disk(shell, move |shell| open_asks(shell, &attempt, known)).await;
        let Ok((asks, remembered)) = asks else { continue };
        told = remembered;
        for (name, ask) in asks {
            told.insert(name);
            let event = Event::Checkpoint(id.clone(), CheckpointEvent::Asked(ask));
            shell.inbox.send(event).await;
        }
    }
}

fn open_asks(
    shell: &Shell,
    attempt: &AttemptId,
    told: BTreeSet<String>,
) -> io::Result<(asks::NamedAsks, BTreeSet<String>)> {
    match shell.shadow.reopen(attempt) {
        Ok(staging) => asks::open(&staging.asks_dir(), told),
        // The program removed its folders.
        Err(_) => Ok((Vec::new(), told)),
    }
}

/// Answers whoever asked for a checkpoint.
pub(crate) async fn answer(
    shell: Arc<Shell>,
    attempt: AttemptId,
    requests: Vec<String>,
    text: String,
) {
    let answered = on_disk(&shell, move |shell| {
        let Ok(staging) = shell.shadow.reopen(&attempt) else { return Ok(()) };
        requests.iter().try_for_each(|request| asks::answer(&staging.asks_dir(), request, &text))
    });
    if let Err(error) = answered.await {
        // The program's own folder: what it did to it is its own loss.
        tracing::debug!(%error, "cannot answer an ask for a checkpoint");
    }
}

/// Sends a task the signal that asks it to write its state.
pub(crate) async fn signal(shell: Arc<Shell>, attempt: AttemptId, signal: TaskSignal) {
    let dir = attempt_dir(&shell.config, &attempt);
    match find(&dir, &attempt).await {
        Ok(Found::Running(supervised)) => supervised.notify(signal.name()),
        Ok(Found::Ended(_) | Found::NeverStarted) => {}
        Err(error) => tracing::warn!(%attempt, error = chain(&error), "cannot signal a task"),
    }
}

/// Removes a checkpoint that nobody would go on from.
pub(crate) async fn remove(shell: Arc<Shell>, id: CheckpointId) {
    let _permit = turn(&shell.bounds.discards).await;
    let wanted = id.clone();
    let removed = on_disk(&shell, move |shell| shell.checkpoints.remove(&wanted)).await;
    if let Err(error) = removed {
        tracing::error!(checkpoint = %id, error = chain(&error), "cannot remove a checkpoint");
    }
}

/// Removes every checkpoint of a job.
pub(crate) async fn remove_job(shell: Arc<Shell>, job: JobId) {
    let _permit = turn(&shell.bounds.discards).await;
    let wanted = job.clone();
    let removed = on_disk(&shell, move |shell| shell.checkpoints.remove_job(&wanted)).await;
    if let Err(error) = removed {
        tracing::error!(%job, error = chain(&error), "cannot remove checkpoints");
    }
}

/// Says whether a state of this size leaves the reserve alone.
fn enough_space(shell: &Shell, bytes: u64) -> Result<(), NotSealed> {
    let free = shell.free_bytes()?;
    let reserve = shell.config.shadow_reserve;
    if free >= reserve.saturating_add(bytes) { Ok(()) } else { Err(NotSealed::Full { free }) }
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
enum NotSealed {
    /// The state cannot be sealed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The program removed its folders.
    #[error(transparent)]
    Stage(#[from] votum_shadow::StageError),
    /// The reserve would be touched.
    #[error("{} is free, too little beside the reserve", Size(*.free))]
    Full {
        /// How many.
        free: u64,
    },
    /// The filesystem does not answer.
    #[error("the filesystem does not answer")]
    Io(#[from] io::Error),
}

impl NotSealed {
    /// Says why, with sizes as people read them.
    fn sentence(&self) -> String {
        match self {
            Self::Checkpoint(CheckpointError::TooLarge { limit, found }) => {
                let (found, limit) = (Size(*found), Size(*limit));
                format!("the state has at least {found}, more than its limit of {limit}")
            }
            Self::Checkpoint(
                CheckpointError::Refused { .. }
                | CheckpointError::TooManyEntries { .. }
                | CheckpointError::NoDirectory { .. }
                | CheckpointError::Changed
                | CheckpointError::Storage(_),
            )
            | Self::Stage(_)
            | Self::Full { .. }
            | Self::Io(_) => chain(self),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Checkpoint(
                CheckpointError::Refused { .. }
                | CheckpointError::TooManyEntries { .. }
                | CheckpointError::TooLarge { .. }
                | CheckpointError::NoDirectory { .. }
                | CheckpointError::Changed,
            )
            | Self::Stage(_) => FailureKind::OutputRefused,
            Self::Checkpoint(CheckpointError::Storage(_)) | Self::Full { .. } | Self::Io(_) => {
                FailureKind::StorageFailed
            }
        }
    }
}

/// So often a state is copied that changes meanwhile.
const TRIES_MAX: u32 = 6;
/// The wait before the second try; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// Between two looks for asks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_too_large_is_told_in_readable_sizes() {
        let error =
            NotSealed::Checkpoint(CheckpointError::TooLarge { limit: 1 << 20, found: 1500 << 10 });
        assert_eq!(
            error.sentence(),
            "the state has at least 1.5 MiB, more than its limit of 1.0 MiB"
        );
    }
}
