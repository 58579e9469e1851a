//! The watch over an attempt whose program was started, by this start of the daemon or an earlier one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use votum_ids::AttemptId;
use votum_job::{Failure, FailureKind, HealthCheck, Resources, Size, Usage};
use votum_process::{
    Ended, Exit, Found, SpawnFailure, Supervised, SupervisionError, find,
    output::{self, LogStream},
};

use crate::{
    attendance::Attendance,
    disk::{DiskFull, exceeds_disk},
    event::AttemptEvent,
    health,
    run::{Run, cancel_file},
    session::chain,
    shell::{End, Shell, on_disk},
};

/// Watches a program until it and everything it started is gone, and says how it ended.
pub(crate) async fn watch(
    mut run: Run,
    dir: PathBuf,
    supervised: Supervised,
    health: Option<HealthCheck>,
    resources: Resources,
) {
    let shell = Arc::clone(&run.shell);
    let attendance = Attendance::begin(&shell, &run.id, &dir, health);
    match watch_until_gone(&mut run, &dir, supervised, resources).await {
        Ok(ended) => {
            attendance.end().await;
            forget_secrets(&shell, &run.id).await;
            let event = on_disk(&shell, move |_| conclude(&dir, &ended, &resources)).await;
            run.end(event).await;
        }
        // Whether it runs cannot be told: only a restart can prove what is left of it.
        Err(error) => shell.ending.end(End::Fatal(chain(&error))),
    }
}

/// Removes the secrets of an attempt that needs them no longer.
pub(crate) async fn forget_secrets(shell: &Arc<Shell>, id: &AttemptId) {
    let gone = id.clone();
    if let Err(error) = on_disk(shell, move |shell| shell.secrets.remove(&gone)).await {
        tracing::error!(attempt = %id, %error, "the secrets of an attempt that is over remain");
    }
}

/// Returns the number of the task's process.
///
/// That of the supervisor stands in for a task that has already ended.
pub(crate) fn pid_of(supervised: &Supervised) -> u32 {
    let task = supervised.task().ok().flatten().unwrap_or(supervised.identity().supervisor);
    u32::try_from(task.pid).unwrap_or_default()
}

async fn watch_until_gone(
    run: &mut Run,
    dir: &Path,
    supervised: Supervised,
    resources: Resources,
) -> Result<Ended, SupervisionError> {
    let (shell, id) = (Arc::clone(&run.shell), run.id.clone());
    // It is the engine that stops it for that, when the cause is durable.
    let report_full = async {
        let full = exceeds_disk(&shell, &id, resources.disk_bytes).await;
        let (kind, message) = (FailureKind::DiskFull, full.to_string());
        shell.tell(&id, AttemptEvent::LimitReached { kind, message }).await;
        std::future::pending().await
    };
    let ended = tokio::select! {
        ended = supervised.exited() => ended,
        ended = report_full => ended,
        order = run.stopped() => {
            supervised.stop(order.grace, &order.reason, &cancel_file(dir)).await
        }
    };
    match ended {
        Ok(ended) => Ok(ended),
        Err(error) => {
            let error = chain(&error);
            tracing::error!(attempt = %run.id, error, "lost sight of the supervisor");
            end_whatever_is_left(dir, &run.id).await
        }
    }
}

/// Ends whatever a directory of an attempt says may run, and waits until nothing of it is left.
pub(crate) async fn end_whatever_is_left(
    dir: &Path,
    id: &AttemptId,
) -> Result<Ended, SupervisionError> {
    health::clear_away(dir, id).await?;
    match find(dir, id).await? {
        Found::Running(supervised) => supervised.kill().await,
        Found::Ended(ended) => Ok(ended),
        Found::NeverStarted => Ok(Ended {
            exit: Exit::Vanished,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            memory_peak: 0,
            oom_kills: 0,
            forks_refused: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            recorded_at: None,
        }),
    }
}

/// Says what an exit means for the attempt.
pub(crate) fn conclude(dir: &Path, ended: &Ended, resources: &Resources) -> AttemptEvent {
    let usage = usage(ended);
    if let Some((kind, message)) = reached_limit(ended, resources) {
        let failure = Failure { kind, message, stderr_tail: stderr_tail(dir) };
        return AttemptEvent::Failed { failure, usage };
    }
    let refused = refused_processes(ended, resources);
    let (kind, message) = match &ended.exit {
        Exit::Code(0) => return AttemptEvent::Exited { usage },
        Exit::Code(code) => (FailureKind::ExitCode(*code), format!("exit code {code}{refused}")),
        Exit::Signal(signal) => {
            (FailureKind::Signal(*signal), format!("ended by signal {signal}{refused}"))
        }
        Exit::SpawnFailed {
            failure: SpawnFailure::NotFound | SpawnFailure::NotExecutable,
            reason,
        } => (FailureKind::SpawnFailed, reason.clone()),
        Exit::SpawnFailed { failure: SpawnFailure::System, reason } => {
            (FailureKind::StorageFailed, reason.clone())
        }
        Exit::LeaseEnded => (FailureKind::Interrupted, "nobody renewed its lease".to_owned()),
        Exit::Vanished => {
            (FailureKind::Interrupted, "its supervisor was killed from outside".to_owned())
        }
    };
    AttemptEvent::Failed {
        failure: Failure { kind, message, stderr_tail: stderr_tail(dir) },
        usage,
    }
}

/// Says that an attempt met its limit of processes; what it made of that is its own affair.
fn refused_processes(ended: &Ended, resources: &Resources) -> String {
    match resources.processes {
        Some(limit) if ended.forks_refused > 0 => format!(": process limit reached ({limit})"),
        Some(_) | None => String::new(),
    }
}

/// Says which of its limits an attempt that failed has reached, if one.
fn reached_limit(ended: &Ended, resources: &Resources) -> Option<(FailureKind, String)> {
    if ended.exit == Exit::Code(0) {
        return None;
    }
    if ended.oom_kills > 0
        && let Some(bytes) = resources.memory_bytes
    {
        let message = format!("out of memory: it reached its limit of {}", Size(bytes));
        return Some((FailureKind::OutOfMemory, message));
    }
    let file_too_large = [Exit::Signal(SIGXFSZ), Exit::Code(128 + SIGXFSZ)].contains(&ended.exit);
    let limit = resources.disk_bytes.filter(|_| file_too_large)?;
    Some((FailureKind::DiskFull, DiskFull::File { limit }.to_string()))
}

/// Returns what an ended attempt used.
pub(crate) fn usage(ended: &Ended) -> Usage {
    Usage { cpu_time: ended.cpu, run_time: ended.elapsed, rss_bytes_max: ended.memory_peak }
}

/// Returns the last lines of standard error; a log that cannot be read has none.
pub(crate) fn stderr_tail(dir: &Path) -> String {
    let read = |offset| output::read(dir, LogStream::Stderr, offset, STDERR_TAIL_BYTES_MAX);
    let tail = || {
        let end = read(u64::MAX)?.end;
        Ok::<_, io::Error>(read(end.saturating_sub(STDERR_TAIL_BYTES_MAX as u64))?.data)
    };
    let data = tail().unwrap_or_default();
    let text = String::from_utf8_lossy(&data);
    // A replaced byte takes three, so the text may be longer than what was read.
    let from = text.len().saturating_sub(STDERR_TAIL_BYTES_MAX);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].trim_end().to_owned()
}

/// Sent to a program that makes a file larger than it may.
const SIGXFSZ: i32 = 25;
/// Longest end of standard error in a report.
const STDERR_TAIL_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit, forks_refused: u64) -> Ended {
        Ended {
            exit,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            memory_peak: 0,
            oom_kills: 0,
            forks_refused,
            stdout_bytes: 0,
            stderr_bytes: 0,
            recorded_at: None,
        }
    }

    fn message(ended: &Ended, resources: &Resources) -> Option<(FailureKind, String)> {
        let dir = tempfile::tempdir().unwrap();
        let event = conclude(dir.path(), ended, resources);
        if let AttemptEvent::Failed { failure, .. } = event {
            return Some((failure.kind, failure.message));
        }
        None
    }

    #[test]
    fn a_failure_names_the_limit_of_processes_it_met() {
        let limited = Resources { processes: Some(32), ..Resources::default() };
        let failed = ended(Exit::Code(2), 7);
        let words = "exit code 2: process limit reached (32)".to_owned();
        assert_eq!(message(&failed, &limited), Some((FailureKind::ExitCode(2), words)));
        let words = "exit code 2".to_owned();
        let other = Some((FailureKind::ExitCode(2), words));
        assert_eq!(message(&failed, &Resources::default()), other);
        assert_eq!(message(&ended(Exit::Code(2), 0), &limited), other);
        // What succeeds has got over it.
        assert_eq!(message(&ended(Exit::Code(0), 7), &limited), None);
    }

    #[test]
    fn a_failure_tells_its_limit_of_memory_in_words() {
        let limited = Resources { memory_bytes: Some(2 << 30), ..Resources::default() };
        let failed = Ended { oom_kills: 1, ..ended(Exit::Signal(9), 0) };
        let words = "out of memory: it reached its limit of 2.0 GiB".to_owned();
        assert_eq!(message(&failed, &limited), Some((FailureKind::OutOfMemory, words)));
    }
}
