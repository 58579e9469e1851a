//! What everything that acts in this daemon shares.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};
use votum_commit::Installation;
use votum_driver::{
    Clock, Inbox,
    headroom::{self, Headroom},
};
use votum_ids::{AttemptId, Incarnation};
use votum_job::{Failure, FailureKind, Usage};
use votum_machine::Moment;
use votum_process::{Cgroups, SupervisorProgram};
use votum_shadow::{Checkpoints, Shadow};
use votum_tls::Dialer;
use votum_wire::{LimitKind, LimitUse};

use crate::{
    checkpoint::Replicating,
    config::Config,
    control::LocalDesk,
    event::{AttemptEvent, Event},
    holdings::ReadLately,
    link::Link,
    metrics::Metrics,
    peer::PeerDesk,
    run::Runs,
    secrets::Secrets,
    tokens::ReadTokens,
};

/// What everything that acts in this daemon shares.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) config: Config,
    pub(crate) me: Installation,
    pub(crate) incarnation: Incarnation,
    /// What others are told of where this worker serves artifacts.
    pub(crate) address: String,
    pub(crate) clock: Clock,
    pub(crate) inbox: Inbox<Event>,
    pub(crate) link: Link,
    /// Reaches the coordinator and other workers.
    pub(crate) dialer: Dialer,
    pub(crate) secrets: Secrets,
    pub(crate) shadow: Shadow,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) replicating: Replicating,
    pub(crate) tokens: ReadTokens,
    pub(crate) read_lately: ReadLately,
    pub(crate) supervisor: SupervisorProgram,
    /// Where attempts get their control groups.
    pub(crate) cgroups: Cgroups,
    pub(crate) runs: Runs,
    pub(crate) peers: PeerDesk,
    pub(crate) metrics: Metrics,
    /// Where people of this machine wait for an answer.
    pub(crate) local: Arc<LocalDesk>,
    pub(crate) bounds: Bounds,
    pub(crate) ending: Ending,
    /// How long the lease lasts by the file that supervisors read; held while it is written.
    pub(crate) renewed: tokio::sync::Mutex<Moment>,
}

/// How many of each kind of slow work are under way at a time; the rest waits its turn.
///
/// What waits is bounded by the attempts and rounds that were admitted.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) fetches: Semaphore,
    pub(crate) seals: Semaphore,
    pub(crate) checkpoints: Semaphore,
    pub(crate) replicas: Semaphore,
    pub(crate) checks: Semaphore,
    pub(crate) publications: Semaphore,
    pub(crate) discards: Semaphore,
    pub(crate) questions: Semaphore,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            fetches: Semaphore::new(FETCHES_MAX),
            seals: Semaphore::new(SEALS_MAX),
            checkpoints: Semaphore::new(SEALS_MAX),
            replicas: Semaphore::new(REPLICAS_MAX),
            checks: Semaphore::new(CHECKS_MAX),
            publications: Semaphore::new(PUBLICATIONS_MAX),
            discards: Semaphore::new(DISCARDS_MAX),
            questions: Semaphore::new(QUESTIONS_MAX),
        }
    }
}

/// How the daemon is told to end from within.
#[derive(Debug, Clone)]
pub(crate) struct Ending(mpsc::Sender<End>);

/// Why the daemon ends from within.
#[derive(Debug)]
pub(crate) enum End {
    /// Nothing runs any more, as the operator wished.
    Finished,
    /// Going on could break a promise; a restart replays.
    Fatal(String),
}

impl Ending {
    /// Makes both ends.
    pub(crate) fn new() -> (Self, mpsc::Receiver<End>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Ends the daemon; the first reason counts.
    pub(crate) fn end(&self, end: End) {
        let _ = self.0.try_send(end);
    }
}

impl Shell {
    /// Starts slow work; the daemon does not survive a panic in it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (work, ending) = (tokio::spawn(work), self.ending.clone());
        tokio::spawn(async move {
            if let Err(error) = work.await
                && error.is_panic()
            {
                ending.end(End::Fatal("a part of the worker has panicked".to_owned()));
            }
        });
    }

    /// Hands in what happened to an attempt.
    pub(crate) async fn tell(&self, attempt: &AttemptId, event: AttemptEvent) {
        // If the loop has ended, so has everything that could react.
        self.inbox.send(Event::Attempt(attempt.clone(), event)).await;
    }

    /// Says whether the loop takes a step when it is asked to.
    pub(crate) async fn answers(&self) -> bool {
        let before = self.metrics.steps();
        // It does the one most urgent thing that is due, if there is one.
        self.inbox.send(Event::Tick).await;
        for _ in 0..ANSWER_LOOKS {
            if self.metrics.steps() != before {
                return true;
            }
            self.clock.sleep_until(Some(self.clock.now().after(ANSWER_PAUSE))).await;
        }
        false
    }

    /// Returns the free bytes on the filesystem of the staging.
    pub(crate) fn free_bytes(&self) -> std::io::Result<u64> {
        let stat = rustix::fs::statvfs(self.shadow.staging_dir())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Says how near this daemon is to its limits; what lies in reserve is not there to be used.
    pub(crate) fn limits(&self) -> std::io::Result<Vec<LimitUse>> {
        let (mut bytes, names) = headroom::disk(self.shadow.staging_dir())?;
        bytes.most = bytes.most.saturating_sub(self.config.shadow_reserve);
        let known = [
            (LimitKind::OpenFiles, headroom::open_files()),
            (LimitKind::Processes, headroom::processes()),
            (LimitKind::DiskBytes, Some(bytes)),
            (LimitKind::DiskFiles, names),
        ];
        let shown = known.into_iter().filter_map(|(kind, found)| {
            let Headroom { used, most } = found?;
            Some(LimitUse { kind, used, most })
        });
        Ok(shown.collect())
    }
}

/// Takes a turn; the semaphores of this daemon are never closed.
pub(crate) async fn turn(semaphore: &Semaphore) -> tokio::sync::SemaphorePermit<'_> {
    semaphore.acquire().await.expect("the semaphore is never closed")
}

/// Runs what waits for a disk where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Runs what waits for a disk and needs what everything shares.
pub(crate) async fn on_disk<T: Send + 'static>(
    shell: &Arc<Shell>,
    work: impl FnOnce(&Shell) -> T + Send + 'static,
) -> T {
    let shell = Arc::clone(shell);
    blocking(move || work(&shell)).await
}

/// Says that something of an attempt failed before or after its program ran.
pub(crate) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), stderr_tail: String::new() }
}

/// Says that an attempt failed without having used anything.
pub(crate) fn failed(failure: Failure) -> AttemptEvent {
    AttemptEvent::Failed { failure, usage: Usage::default() }
}

/// So often it is looked whether the loop has taken a step.
const ANSWER_LOOKS: usize = 100;
const ANSWER_PAUSE: Duration = Duration::from_millis(50);
const FETCHES_MAX: usize = 4;
const SEALS_MAX: usize = 4;
const REPLICAS_MAX: usize = 2;
const CHECKS_MAX: usize = 8;
const PUBLICATIONS_MAX: usize = 8;
const DISCARDS_MAX: usize = 4;
const QUESTIONS_MAX: usize = 16;
