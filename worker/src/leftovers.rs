//! What earlier starts of the daemon left: programs that run, and ends that nobody heard (R6).
//!
//! An attempt goes on only on proof: its supervisor's identity, or the exit
//! that it recorded, and the order it was given. Without proof everything of it
//! is ended and seen gone before it is reported as interrupted. Nothing staged
//! is removed here at all (C9).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use votum_ids::AttemptId;
use votum_job::{Assignment, Failure, FailureKind};
use votum_process::{Ended, Exit, Found, Supervised, SupervisionError, find};
use votum_shadow::{Shadow, Verdict};

use crate::{
    attendance::Attendance,
    config::Config,
    engine::Engine,
    event::{AttemptEvent, Event},
    health, order,
    recovery::{RecoveryError, attempts_below},
    run::{Runs, attempt_dir, exit_file, read_number},
    session::chain,
    shell::{Shell, blocking},
    watch::{conclude, pid_of, stderr_tail, usage, watch},
};

/// What earlier starts left, before the engine hears of it.
#[derive(Debug)]
pub(crate) struct Leftovers {
    found: BTreeMap<AttemptId, Leftover>,
    /// Of these no record knows.
    unrecorded: BTreeMap<AttemptId, u32>,
}

/// What is left of one attempt.
#[derive(Debug)]
enum Leftover {
    /// It runs, and the watch over it goes on.
    Running { order: Box<Assignment>, elapsed: Duration, supervised: Supervised, dir: PathBuf },
    /// It ended while no daemon lived.
    Ended { order: Box<Assignment>, elapsed: Duration, event: AttemptEvent, dir: PathBuf },
    /// Nothing of it runs, and how it ended is unknown.
    Gone { event: AttemptEvent },
}

/// How much the records know of an attempt that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was under way.
    UnderWay,
    /// They do not know it, but something of it is staged.
    Unrecorded,
    /// It is over for this worker.
    Over,
}

/// Finds every attempt that earlier starts left unfinished; ends what may not go on.
pub(crate) async fn find_leftovers(
    config: &Config,
    engine: &Engine,
    shadow: &Shadow,
) -> Result<Leftovers, RecoveryError> {
    let attempts_dir = config.attempts_dir();
    let listed = attempts_below(&attempts_dir)
        .map_err(|source| RecoveryError::Directory { path: attempts_dir, source })?;
    let staged = shadow.sweep(&|_| Verdict::Keep)?;
    for path in &staged.foreign {
        tracing::warn!(path = %path.display(), "what lies in the staging belongs to no attempt");
    }
    let under_way: BTreeSet<&AttemptId> = engine.cut_off().collect();
    let unrecorded: BTreeSet<&AttemptId> =
        staged.kept.iter().filter(|attempt| !engine.knows(attempt)).collect();

    // A process may be left wherever an attempt was launched and no exit is recorded.
    let unfinished = listed.iter().filter(|(_, dir)| !exit_file(dir).exists()).map(|(id, _)| id);
    let mut looks = JoinSet::new();
    let suspects: BTreeSet<&AttemptId> =
        unfinished.chain(under_way.iter().copied()).chain(unrecorded.iter().copied()).collect();
    for id in suspects {
        let standing = if under_way.contains(id) {
            Standing::UnderWay
        } else if unrecorded.contains(id) {
            Standing::Unrecorded
        } else {
            Standing::Over
        };
        let (dir, id) = (attempt_dir(config, id), id.clone());
        looks.spawn(async move { Ok((look(dir, &id, standing).await?, id, standing)) });
    }
    let mut found = BTreeMap::new();
    while let Some(look) = looks.join_next().await {
        let look: Result<_, SupervisionError> =
            look.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (leftover, id, standing) = look?;
        if standing != Standing::Over {
            found.insert(id, leftover);
        }
    }
    let number = |id: &&AttemptId| ((*id).clone(), read_number(&attempt_dir(config, id)));
    Ok(Leftovers { found, unrecorded: unrecorded.iter().map(number).collect() })
}

async fn look(
    dir: PathBuf,
    id: &AttemptId,
    standing: Standing,
) -> Result<Leftover, SupervisionError> {
    health::clear_away(&dir, id).await?;
    match (find(&dir, id).await?, standing) {
        (Found::Running(supervised), Standing::UnderWay | Standing::Unrecorded) => {
            match order_of(&dir, id).await {
                Ok(order) => {
                    let elapsed = supervised.elapsed().unwrap_or_default();
                    Ok(Leftover::Running { order, elapsed, supervised, dir })
                }
                Err(message) => Ok(gone(&dir, &supervised.kill().await?, message)),
            }
        }
        (Found::Running(supervised), Standing::Over) => {
            Ok(gone(&dir, &supervised.kill().await?, UNPROVEN.to_owned()))
        }
        (Found::Ended(ended), Standing::UnderWay | Standing::Unrecorded)
            if ended.exit != Exit::Vanished =>
        {
            match order_of(&dir, id).await {
                Ok(order) => {
                    let event = conclude(&dir, &ended, &order.spec.resources);
                    let elapsed = ended.elapsed;
                    Ok(Leftover::Ended { order, elapsed, event, dir })
                }
                Err(message) => Ok(gone(&dir, &ended, message)),
            }
        }
        (Found::Ended(ended), _) => Ok(gone(&dir, &ended, UNPROVEN.to_owned())),
        (Found::NeverStarted, _) => Ok(Leftover::Gone {
            event: AttemptEvent::Failed {
                failure: interrupted(NEVER_RAN.to_owned(), String::new()),
                usage: votum_job::Usage::default(),
            },
        }),
    }
}

/// Reads what the attempt was told to do; an order that cannot be read is none.
///
/// An attempt that no record knows may have been discarded in part: its order went first
/// then. No power cut can have brought it back, which would have ended the proof as well.
async fn order_of(dir: &Path, id: &AttemptId) -> Result<Box<Assignment>, String> {
    let dir = dir.to_owned();
    match blocking(move || order::read(&dir)).await {
        Ok(Some(order)) if order.attempt == *id => Ok(Box::new(order)),
        Ok(Some(_) | None) => Err(format!("{UNPROVEN}; its order was not found")),
        Err(error) => Err(format!("{UNPROVEN}; {}", chain(&error))),
    }
}

fn gone(dir: &Path, ended: &Ended, message: String) -> Leftover {
    let failure = interrupted(message, stderr_tail(dir));
    Leftover::Gone { event: AttemptEvent::Failed { failure, usage: usage(ended) } }
}

fn interrupted(message: String, stderr_tail: String) -> Failure {
    Failure { kind: FailureKind::Interrupted, message, stderr_tail }
}

impl Leftovers {
    /// Returns what runs and is watched further.
    pub(crate) fn running(&self) -> BTreeSet<AttemptId> {
        let runs = |(id, leftover): (&AttemptId, &Leftover)| {
            matches!(leftover, Leftover::Running { .. }).then(|| id.clone())
        };
        self.found.iter().filter_map(runs).collect()
    }

    /// Lets the engine hear of everything, and goes on watching what runs.
    ///
    /// Whatever runs can be stopped before the engine can ask for it.
    pub(crate) async fn hand_over(mut self, shell: &Arc<Shell>) {
        for (id, leftover) in self.found {
            let number = self.unrecorded.remove(&id);
            match leftover {
                Leftover::Running { order, elapsed, supervised, dir } => {
                    let pid = pid_of(&supervised);
                    tracing::info!(attempt = %id, pid, ?elapsed, "goes on with what ran");
                    let run = Runs::begin(shell, &id);
                    let (health, resources) = (order.spec.health.clone(), order.spec.resources);
                    let pid = Some(pid);
                    shell.inbox.send(Event::Adopted { assignment: order, pid, elapsed }).await;
                    shell.spawn(watch(run, dir, supervised, health, resources));
                }
                Leftover::Ended { order, elapsed, event, dir } => {
                    tracing::info!(attempt = %id, "it ended while no daemon lived");
                    let adopted = Event::Adopted { assignment: order, pid: None, elapsed };
                    shell.inbox.send(adopted).await;
                    // What it said meanwhile is heard before its end.
                    Attendance::begin(shell, &id, &dir, None).end().await;
                    shell.tell(&id, event).await;
                }
                Leftover::Gone { event } => {
                    if let Some(number) = number {
                        tracing::warn!(attempt = %id, "found something staged that no record knows of");
                        shell.inbox.send(Event::Found { attempt: id.clone(), number }).await;
                    }
                    shell.tell(&id, event).await;
                }
            }
        }
    }
}

const UNPROVEN: &str = "the worker's daemon began again, and nothing proved what became of it";
const NEVER_RAN: &str = "the worker's daemon began again, and nothing shows that its program ran";
