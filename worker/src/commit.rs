//! The participant's hands: checks what a round names, and publishes what it decided.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use votum_commit::{Objection, ParticipantEvent, Pledge, Vote};
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, JobId, TxnId};
use votum_job::Size;
use votum_shadow::{
    CheckError, Depth, PublishError, PutBackError, Sealed, StorageError, TargetError,
};

use crate::{
    event::Event,
    outputs::{UnusableTarget, shadow_target},
    session::chain,
    shell::{End, Shell, on_disk, turn},
};

/// Checks what a round names, and answers with the vote that it allows.
pub(crate) async fn check(shell: Arc<Shell>, txn: TxnId, pledges: Vec<Pledge>) {
    let permit = turn(&shell.bounds.checks).await;
    let job = txn.job.clone();
    let result = on_disk(&shell, move |shell| check_now(shell, &job, &pledges)).await;
    drop(permit);
    let result = match result {
        Ok(()) => Vote::Yes,
        Err(objection) => {
            tracing::warn!(%txn, ?objection, "cannot promise what the round names");
            Vote::No(objection)
        }
    };
    shell.inbox.send(Event::Participant(ParticipantEvent::Checked { txn, result })).await;
}

fn check_now(shell: &Shell, job: &JobId, pledges: &[Pledge]) -> Result<(), Objection> {
    check_space(shell, 0)?;
    let mut held: BTreeMap<AttemptId, Sealed> = BTreeMap::new();
    for pledge in pledges {
        if let Entry::Vacant(place) = held.entry(attempt_of(job, pledge)) {
            let sealed = shell.shadow.sealed(place.key());
            let sealed = sealed.map_err(|error| failed("STORAGE_FAILED", chain(&error)))?;
            place.insert(sealed.ok_or(Objection::NotHeld)?);
        }
    }
    let held: Vec<Sealed> = held.into_values().collect();
    let pledges: Vec<votum_shadow::Pledge> = pledges
        .iter()
        .map(|pledge| in_shadow(job, pledge))
        .collect::<Result<_, _>>()
        .map_err(|error| failed("TARGET_INVALID", chain(&error)))?;
    shell.shadow.check(&held, &pledges, Depth::Quick).map_err(|error| objection(&error))
}

/// Checks that the reserve is free, and so many bytes beyond it.
pub(crate) fn check_space(shell: &Shell, wanted: u64) -> Result<(), Objection> {
    let free = shell.free_bytes().map_err(|error| failed("STORAGE_FAILED", error.to_string()))?;
    let reserve = shell.config.shadow_reserve;
    if free >= reserve.saturating_add(wanted) {
        return Ok(());
    }
    let (free, reserve) = (Size(free), Size(reserve));
    let message = match wanted {
        0 => format!("{free} is free, less than the reserve of {reserve}"),
        wanted => format!(
            "{free} is free, less than the reserve of {reserve} and {} for what still is to run",
            Size(wanted)
        ),
    };
    Err(failed("DISK_FULL", message))
}

/// Says which No an obstacle leads to.
pub(crate) fn objection(error: &CheckError) -> Objection {
    let reason = match error {
        CheckError::NotHeld { .. } | CheckError::OtherDigest { .. } => return Objection::NotHeld,
        CheckError::Changed { .. } => "STAGED_CHANGED",
        CheckError::PutBack(PutBackError::Gone { .. }) => "RETIRED_VERSIONS_GONE",
        CheckError::PutBack(PutBackError::Storage(_))
        | CheckError::Storage(_)
        | CheckError::Target(TargetError::Storage(_)) => "STORAGE_FAILED",
        CheckError::PutBack(_) => "NOT_REVERTIBLE",
        CheckError::Target(target) => match target {
            TargetError::Occupied { .. } => "TARGET_EXISTS",
            TargetError::OutsideRoots { .. } => "TARGET_OUTSIDE_ROOTS",
            TargetError::RootGone { .. } => "PUBLISH_ROOT_GONE",
            TargetError::NotWritable { .. } => "TARGET_NOT_WRITABLE",
            TargetError::Overlap { .. } => "TARGET_OVERLAP",
            TargetError::Escapes { .. }
            | TargetError::InsideGeneration { .. }
            | TargetError::Blocked { .. }
            | TargetError::CrossDevice { .. }
            | TargetError::Form { .. }
            | TargetError::Storage(_) => "TARGET_INVALID",
        },
    };
    failed(reason, chain(error))
}

pub(crate) fn failed(reason: &str, message: String) -> Objection {
    Objection::Failed { reason: reason.to_owned(), message }
}

/// Makes visible what the deciding round names; tries until it is done (C8).
///
/// `number` says in whose place: 0 is that of whoever promised it.
pub(crate) async fn publish(shell: Arc<Shell>, txn: TxnId, number: u64, pledges: Vec<Pledge>) {
    let doing = Doing { what: "publish what is committed", done: publish_now, number };
    if carry_out(&shell, &txn, pledges, doing).await {
        let published = match number {
            0 => ParticipantEvent::Published { txn },
            number => ParticipantEvent::TookOver { txn, number },
        };
        shell.inbox.send(Event::Participant(published)).await;
    }
}

/// Takes back what another worker publishes by now; tries until it is done (C13).
pub(crate) async fn withdraw(shell: Arc<Shell>, txn: TxnId, number: u64, pledges: Vec<Pledge>) {
    let doing = Doing { what: "take back what another publishes", done: withdraw_now, number };
    if carry_out(&shell, &txn, pledges, doing).await {
        let withdrawn = ParticipantEvent::Withdrawn { txn, number };
        shell.inbox.send(Event::Participant(withdrawn)).await;
    }
}

/// What is done with each of several outputs.
#[derive(Clone, Copy)]
struct Doing {
    what: &'static str,
    done: fn(&Shell, &JobId, &Pledge, u64) -> Result<(), CannotPublish>,
    number: u64,
}

/// Does it with every output that has a target; says whether the daemon may go on.
async fn carry_out(shell: &Arc<Shell>, txn: &TxnId, pledges: Vec<Pledge>, doing: Doing) -> bool {
    let Doing { what, done, number } = doing;
    for pledge in pledges.into_iter().filter(|pledge| pledge.target.is_some()) {
        let mut pause = PAUSE_MIN;
        loop {
            let permit = turn(&shell.bounds.publications).await;
            let (job, again) = (txn.job.clone(), pledge.clone());
            let outcome = on_disk(shell, move |shell| done(shell, &job, &again, number)).await;
            drop(permit);
            let Err(error) = outcome else { break };
            let error_text = chain(&error);
            let output = &pledge.output;
            tracing::error!(%txn, %output, error = error_text, "cannot {what}");
            if error.lost_a_sync() {
                // The next sync might report as done what this one has lost.
                shell.ending.end(End::Fatal(error_text));
                return false;
            }
            shell.clock.sleep_until(Some(shell.clock.now().after(pause))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        crash_point!("worker.publish.after_target");
    }
    true
}

fn publish_now(
    shell: &Shell,
    job: &JobId,
    pledge: &Pledge,
    number: u64,
) -> Result<(), CannotPublish> {
    let attempt = attempt_of(job, pledge);
    let sealed = shell.shadow.sealed(&attempt)?;
    let output = sealed.as_ref().and_then(|sealed| sealed.output(&pledge.output));
    let target = pledge.target.as_ref().map(shadow_target).transpose()?;
    match (output, target) {
        (Some(output), Some(target)) if output.manifest.digest() == pledge.digest => {
            let published = if pledge.replaceable {
                shell.shadow.publish_revocably(&attempt, output, &target, number)?
            } else {
                shell.shadow.publish(&attempt, output, &target)?
            };
            tracing::info!(%attempt, output = %pledge.output, path = %published.path.display(), "published");
            Ok(())
        }
        (_, None) => Ok(()),
        (_, Some(_)) => Err(CannotPublish::NotHeld),
    }
}

fn withdraw_now(
    shell: &Shell,
    job: &JobId,
    pledge: &Pledge,
    number: u64,
) -> Result<(), CannotPublish> {
    let attempt = attempt_of(job, pledge);
    let Some(sealed) = shell.shadow.sealed(&attempt)? else { return Ok(()) };
    let target = pledge.target.as_ref().map(shadow_target).transpose()?;
    if let (Some(output), Some(target)) = (sealed.output(&pledge.output), target) {
        shell.shadow.withdraw(&attempt, output, &target, number)?;
        tracing::warn!(%attempt, output = %pledge.output, "not visible here: another worker publishes it");
    }
    Ok(())
}

/// Why something committed is not visible yet.
#[derive(Debug, thiserror::Error)]
enum CannotPublish {
    #[error("what was promised is not held any more")]
    NotHeld,
    #[error(transparent)]
    Target(#[from] UnusableTarget),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CannotPublish {
    fn lost_a_sync(&self) -> bool {
        match self {
            Self::Storage(error)
            | Self::Publish(
                PublishError::Storage(error) | PublishError::Target(TargetError::Storage(error)),
            ) => error.doing == "sync",
            Self::NotHeld | Self::Target(_) | Self::Publish(_) => false,
        }
    }
}

pub(crate) fn in_shadow(
    job: &JobId,
    pledge: &Pledge,
) -> Result<votum_shadow::Pledge, UnusableTarget> {
    Ok(votum_shadow::Pledge {
        attempt: attempt_of(job, pledge),
        output: pledge.output.clone(),
        digest: pledge.digest,
        target: pledge.target.as_ref().map(shadow_target).transpose()?,
    })
}

fn attempt_of(job: &JobId, pledge: &Pledge) -> AttemptId {
    AttemptId { job: job.clone(), task: pledge.task.clone(), token: pledge.token }
}

/// Shortest wait before another try to publish.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest wait before another try to publish.
const PAUSE_MAX: Duration = Duration::from_secs(30);
