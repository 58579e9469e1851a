//! Finds out what became of an attempt after the daemon was restarted.

use std::{io, os::fd::OwnedFd, path::Path};

use votum_ids::AttemptId;

use crate::{
    exit::{Ended, Exit},
    identity::{BootId, Claim, IDENTITY, Identity},
    launch::{LAUNCH, Plan},
    record::{self, RecordError, Taken},
    remains::Remains,
    supervised::{Supervised, SupervisionError, blocking},
};

/// What became of an attempt.
#[derive(Debug)]
pub enum Found {
    /// It runs, and its supervisor has proven to be the one that was started.
    Running(Supervised),
    /// It is over, and none of its processes is left.
    Ended(Ended),
    /// Its task was not run since the machine was booted, and never will be in this directory.
    NeverStarted,
}

/// Finds what became of the attempt whose files lie in `dir`.
///
/// If its supervisor was killed, what is left of the attempt is ended first
/// ([`Exit::Vanished`]). A process id that means another process by now is
/// neither adopted nor signalled. To be called when nobody is starting the
/// attempt any more; calling it twice changes nothing.
///
/// # Errors
/// [`SupervisionError`]; nothing was concluded and nothing was adopted.
pub async fn find(dir: &Path, attempt: &AttemptId) -> Result<Found, SupervisionError> {
    let unwatchable = |source| SupervisionError::Watch { attempt: attempt.clone(), source };
    let dir = std::path::absolute(dir).map_err(unwatchable)?;
    let (seen_dir, seen_attempt) = (dir.clone(), attempt.clone());
    match blocking(move || examine(&seen_dir, &seen_attempt)).await? {
        Evidence::Ended(ended) => Ok(Found::Ended(ended)),
        Evidence::NeverStarted => Ok(Found::NeverStarted),
        Evidence::Alive(identity, pidfd) => {
            Supervised::new(&dir, identity, pidfd).map(Found::Running).map_err(unwatchable)
        }
        Evidence::Orphaned(identity) => {
            Remains::read(&dir, &identity)?.end().await.map_err(unwatchable)?;
            // The supervisor may have recorded the exit after the first look for it.
            let recorded = Ended::read(&dir, attempt)?;
            Ok(Found::Ended(recorded.unwrap_or_else(|| Ended::without_usage(Exit::Vanished))))
        }
    }
}

/// What the files and the process table say.
enum Evidence {
    Ended(Ended),
    NeverStarted,
    Alive(Identity, OwnedFd),
    /// Its supervisor is gone and may have left processes.
    Orphaned(Identity),
}

fn examine(dir: &Path, attempt: &AttemptId) -> Result<Evidence, SupervisionError> {
    let Some(plan) = record::read::<Plan>(&dir.join(LAUNCH))? else {
        return Ok(Evidence::NeverStarted);
    };
    SupervisionError::unless_same(dir, attempt, &plan.launch.attempt)?;
    let unwatchable =
        |source: io::Error| SupervisionError::Watch { attempt: attempt.clone(), source };
    if BootId::of_this_boot().map_err(unwatchable)? != plan.boot {
        // It may have run, and even have recorded its exit: what it wrote was not synced.
        return Ok(Evidence::Ended(Ended::without_usage(Exit::Vanished)));
    }
    if let Some(ended) = Ended::read(dir, attempt)? {
        return Ok(Evidence::Ended(ended));
    }
    match claim_of(dir)? {
        Claim::Void => Ok(Evidence::NeverStarted),
        // Numbers of another boot prove nothing.
        Claim::Supervised(identity) if identity.boot != plan.boot => {
            Ok(Evidence::Ended(Ended::without_usage(Exit::Vanished)))
        }
        Claim::Supervised(identity) => {
            SupervisionError::unless_same(dir, attempt, &identity.attempt)?;
            Ok(match identity.supervisor.open().map_err(unwatchable)? {
                Some(pidfd) => Evidence::Alive(identity, pidfd),
                None => Evidence::Orphaned(identity),
            })
        }
    }
}

/// Returns who has taken the attempt; takes it for nobody if nobody has.
///
/// A claim that stands is only read: when an attempt's directory last changed says how long
/// its logs are kept, and another look at it is no change.
fn claim_of(dir: &Path) -> Result<Claim, RecordError> {
    let path = dir.join(IDENTITY);
    if let Some(claim) = record::read(&path)? {
        return Ok(claim);
    }
    match Claim::Void.take(dir)? {
        Taken::Here => Ok(Claim::Void),
        Taken::Before => Ok(record::read(&path)?.unwrap_or(Claim::Void)),
    }
}
