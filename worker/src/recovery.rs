//! From what a crash left to a worker that may be heard: its journal.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use prometheus_client::metrics::histogram::Histogram;
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;
use votum_commit::{Installation, ParticipantRecord};
use votum_driver::{Clock, decode};
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, TaskId, WorkerUid};
use votum_journal::{Journal as _, Lsn, OnDisk, OpenError, Options, ReadError, Reader};
use votum_machine::WallTime;
use votum_metrics::FlushTimer;
use votum_process::SupervisionError;
use votum_shadow::StorageError;

use crate::{
    config::Config,
    engine::Engine,
    record::{Record, job_of, worker_stream},
    replay::{CorruptJob, problem},
};

/// A worker as its journal has it, and the journal to go on with.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) engine: Engine,
    pub(crate) me: Installation,
    pub(crate) journal: OnDisk,
    pub(crate) reader: Reader,
    pub(crate) durable: watch::Receiver<Lsn>,
    /// How long each sync of the journal takes.
    pub(crate) flushes: Histogram,
}

/// Why a worker cannot go on with what it has on its disk.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// A directory cannot be made or read.
    #[error("cannot use {path:?}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be opened.
    #[error("the journal cannot be opened")]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The worker's own records cannot be understood.
    #[error("the worker's own records cannot be understood")]
    Unreadable(#[from] votum_driver::Unreadable),
    /// What is left of earlier attempts cannot be ended.
    #[error("cannot end what is left of an earlier attempt")]
    Processes(#[from] SupervisionError),
    /// The staging cannot be listed.
    #[error("the staging cannot be listed")]
    Staging(#[from] StorageError),
}

/// Opens the journal, or makes one, and continues what it holds. Blocks.
pub(crate) fn recover(config: &Config, clock: Clock) -> Result<Recovered, RecoveryError> {
    let in_dir = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoveryError::Directory { path, source }
    };
    for dir in [&config.data_dir, &config.attempts_dir()] {
        // What lies above may hold what others read: only the folder itself is private.
        let above = dir.parent().map_or(Ok(()), fs::create_dir_all);
        let made =
            above.and_then(|()| fs::DirBuilder::new().recursive(true).mode(0o700).create(dir));
        made.map_err(in_dir(dir))?;
    }
    let (sender, durable) = watch::channel(Lsn::NONE);
    let (timer, flushes) = FlushTimer::new(clock);
    let told = move |lsn| {
        sender.send_replace(lsn);
    };
    let options = Options::new(draw_uid());
    let opened = OnDisk::open_observed(&config.journal_dir(), options, told, timer)?;
    if let Some(torn) = &opened.torn_tail {
        tracing::info!(?torn, "cut off what a crash had left unfinished");
    }
    tracing::debug!(index = ?opened.index, "the journal is open");
    let uid = WorkerUid(Uuid::from_bytes(opened.cluster));
    let me = Installation { worker: config.name.clone(), uid };
    let (journal, reader) = (opened.journal, opened.reader);

    let mut own = Vec::new();
    for stored in journal.read(&worker_stream())? {
        own.push(decode::<Record>(&stored)?.record);
    }
    let mut engine = Engine::replay(me.clone(), config.grace_period, own);
    engine.keep_logs_for(config.log_retention);
    for stream in &opened.open_streams {
        match job_of(stream) {
            Some(job) => resume_job(&mut engine, &journal, &job, clock.anchor())?,
            None if *stream == worker_stream() => {}
            None => tracing::error!(%stream, "this program knows no such stream; it is kept"),
        }
    }
    Ok(Recovered { engine, me, journal, reader, durable, flushes })
}

/// Continues one job; one that cannot be understood costs no other anything (V1).
fn resume_job(
    engine: &mut Engine,
    journal: &OnDisk,
    job: &JobId,
    wall: WallTime,
) -> Result<(), ReadError> {
    let stored = journal.read(&crate::record::job_stream(job))?;
    let mut records = Vec::with_capacity(stored.len());
    let mut promised = None;
    for (at, one) in stored.iter().enumerate() {
        match decode::<Record>(one) {
            Ok(stamped) => {
                if let Record::Participant(ParticipantRecord::Prepared { .. }) = &stamped.record {
                    promised = Some(stamped.at);
                }
                records.push(stamped.record);
            }
            Err(unreadable) => {
                let corrupt = CorruptJob::Unreadable(unreadable);
                engine.quarantine(job.clone(), problem(at, stored.len(), &corrupt));
                break;
            }
        }
    }
    if records.len() == stored.len() {
        // Why it fails is told below, as for every other job that is quarantined.
        let _ = engine.resume(job, records);
        engine.resume_doubt(job, promised.map(|at| wall.since(at)).unwrap_or_default());
    }
    if let Some(problem) = engine.problem(job) {
        tracing::error!(%job, problem, "the job is quarantined: its data is kept, nothing is run or promised");
    }
    Ok(())
}

/// Returns every directory of an attempt below the given one.
pub(crate) fn attempts_below(dir: &Path) -> io::Result<BTreeMap<AttemptId, PathBuf>> {
    let mut attempts = BTreeMap::new();
    for job_dir in fs::read_dir(dir)? {
        let job_dir = job_dir?;
        let Ok(job) = JobId::new(job_dir.file_name().to_string_lossy()) else { continue };
        for attempt_dir in fs::read_dir(job_dir.path())? {
            let attempt_dir = attempt_dir?;
            let name = attempt_dir.file_name();
            if let Some(attempt) = parse_attempt(&job, &name.to_string_lossy()) {
                attempts.insert(attempt, attempt_dir.path());
            }
        }
    }
    Ok(attempts)
}

/// Reads a directory's name of the form `<task>.<epoch>.<counter>`.
fn parse_attempt(job: &JobId, name: &str) -> Option<AttemptId> {
    let mut parts = name.splitn(3, '.');
    let task = TaskId::new(parts.next()?).ok()?;
    let epoch = Epoch(parts.next()?.parse().ok()?);
    let token = FencingToken { epoch, counter: parts.next()?.parse().ok()? };
    Some(AttemptId { job: job.clone(), task, token })
}

/// Draws who this installation is, in case it begins here.
#[expect(clippy::disallowed_methods, reason = "randomness enters at the daemon's edge")]
fn draw_uid() -> [u8; 16] {
    Uuid::new_v4().into_bytes()
}
