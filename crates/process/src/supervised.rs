//! The daemon's hold on a running attempt: a pidfd of its supervisor.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use thiserror::Error;
use tokio::io::{Interest, unix::AsyncFd};
use votum_ids::AttemptId;

use crate::{
    exit::{Ended, Exit},
    identity::{Identity, Stamp, TASK},
    processes::{ticks, uptime},
    record::{self, RecordError},
    remains::Remains,
};

/// A running attempt, started or adopted by this daemon.
///
/// Dropping it ends nothing: the attempt goes on, and [`find`](crate::find())
/// finds it. A supervisor that this process started stays a zombie until
/// [`Supervised::exited`] was awaited.
#[derive(Debug)]
pub struct Supervised {
    dir: PathBuf,
    identity: Identity,
    pidfd: AsyncFd<OwnedFd>,
}

impl Supervised {
    pub(crate) fn new(dir: &Path, identity: Identity, pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self { dir: dir.to_owned(), identity, pidfd: watched(pidfd)? })
    }

    /// Returns who supervises the attempt.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the process of the task itself, which leads its process group.
    ///
    /// # Errors
    /// [`RecordError`] if the supervisor's note of it cannot be read.
    pub fn task(&self) -> Result<Option<Stamp>, RecordError> {
        record::read(&self.dir.join(TASK))
    }

    /// Returns for how long the task has run, by the kernel's clock since boot.
    ///
    /// The supervisor, which is older by a moment, stands in for a task whose
    /// note was lost.
    ///
    /// # Errors
    /// What the system says of its clock.
    pub fn elapsed(&self) -> io::Result<Duration> {
        let since = self.task().ok().flatten().unwrap_or(self.identity.supervisor);
        Ok(uptime()?.saturating_sub(ticks(since.start)))
    }

    /// Waits until the attempt is over and none of its processes is left.
    ///
    /// May be dropped and called again, and by several at once; after the end
    /// it returns the same at once.
    ///
    /// # Errors
    /// [`SupervisionError`] if the exit cannot be read, or if the supervisor
    /// was killed and what it left behind cannot be looked at.
    pub async fn exited(&self) -> Result<Ended, SupervisionError> {
        gone(&self.pidfd).await.map_err(|source| self.unwatchable(source))?;
        // If it is another's child, that one reaps it; if it was reaped, so much the better.
        let _ = waitid(
            WaitId::PidFd(self.pidfd.get_ref().as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        if let Some(ended) = self.recorded().await? {
            return Ok(ended);
        }
        // It was killed: nobody else is left to end what it supervised.
        let remains = Remains::read(&self.dir, &self.identity)?;
        remains.end().await.map_err(|source| self.unwatchable(source))?;
        Ok(Ended::without_usage(Exit::Vanished))
    }

    pub(crate) fn supervisor(&self) -> &OwnedFd {
        self.pidfd.get_ref()
    }

    async fn recorded(&self) -> Result<Option<Ended>, SupervisionError> {
        let (dir, attempt) = (self.dir.clone(), self.identity.attempt.clone());
        blocking(move || Ended::read(&dir, &attempt)).await
    }

    fn unwatchable(&self, source: io::Error) -> SupervisionError {
        SupervisionError::Watch { attempt: self.identity.attempt.clone(), source }
    }
}

/// Why an attempt could not be watched, found or ended.
#[derive(Debug, Error)]
pub enum SupervisionError {
    /// One of its files could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The directory is another attempt's; nothing was touched.
    #[error("{dir} belongs to {found}, not to {expected}")]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Whose attempt was looked for.
        expected: AttemptId,
        /// Whose attempt it is.
        found: AttemptId,
    },
    /// Its processes could not be looked at.
    #[error("cannot watch the processes of {attempt}")]
    Watch {
        /// The attempt.
        attempt: AttemptId,
        /// What the system said.
        source: io::Error,
    },
}

impl SupervisionError {
    pub(crate) fn unless_same(
        dir: &Path,
        expected: &AttemptId,
        found: &AttemptId,
    ) -> Result<(), Self> {
        if expected == found {
            return Ok(());
        }
        Err(Self::Foreign { dir: dir.to_owned(), expected: expected.clone(), found: found.clone() })
    }
}

/// Makes a pidfd something to wait on.
#[expect(
    deprecated,
    reason = "its successor has unsafe code promise what an `OwnedFd` keeps: to stay open"
)]
pub(crate) fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// Waits until the process has ended: a pidfd is readable from then on.
pub(crate) async fn gone(pidfd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    pidfd.readable().await.map(|mut ready| ready.retain_ready())
}

/// Runs what waits for a disk or walks the process table where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic and is not cancelled")
}
