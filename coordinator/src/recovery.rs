//! From a journal to an engine: open, raise the epoch, replay job by job.
//!
//! Running it twice does nothing the second time but raise the epoch (V1). A job
//! whose records cannot be read or replayed is quarantined; the others recover.

use std::path::Path;

use anyhow::Context;
use tokio::sync::watch;
use uuid::Uuid;
use votum_commit::{Coordinator, Decision, LogPosition, LogState, Start};
use votum_driver::{Clock, Stamped, decode};
use votum_ids::{ClusterId, Epoch, Incarnation, JobId};
use votum_journal::{IndexState, Journal, Lsn, OnDisk, Opened, Options, Reader, Stream};
use votum_machine::WallTime;
use votum_schedule::Scheduler;

use crate::{
    config::Config,
    engine::{Engine, Lease},
    record::{
        JOB_STREAMS, JobRecord, ORDER_STREAMS, Record, WORKER_STREAMS, cluster_stream, job_stream,
    },
    sessions::LogIdentity,
};

/// A coordinator that may speak: its epoch is durable and its state is what its log says.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) engine: Engine,
    pub(crate) journal: OnDisk,
    pub(crate) reader: Reader,
    pub(crate) durable: watch::Receiver<Lsn>,
    pub(crate) log: LogIdentity,
    pub(crate) index: IndexState,
}

/// Opens the journal and rebuilds everything from it.
///
/// # Errors
/// When the journal is in use, damaged, or not this program's.
pub(crate) async fn recover(config: &Config, clock: &Clock) -> anyhow::Result<Recovered> {
    let (progress, mut durable) = watch::channel(Lsn::NONE);
    let Opened { mut journal, reader, cluster, epoch, open_streams, index, torn_tail } =
        open(config, move |lsn| {
            progress.send_replace(lsn);
        })?;
    if let Some(torn) = torn_tail {
        tracing::warn!(?torn, "cut off what a crash had left at the end of the log");
    }
    if !matches!(index, IndexState::Current) {
        tracing::warn!(?index, "the index was brought up to the log");
    }
    let cluster = ClusterId(Uuid::from_bytes(cluster));
    let past = Past::read(&reader, epoch)?;
    let log = LogIdentity { cluster, epoch: past.epoch.next(), start: draw() };
    let held =
        LogPosition { cluster, epoch: past.epoch, start: past.start, lsn: reader.durable().0 };

    journal.set_epoch(log.epoch.0);
    let raised = Record::EpochStarted { epoch: log.epoch, start: log.start, stale: past.stale };
    let lsn = journal.append(votum_driver::entry(clock.wall(), &raised));
    durable.wait_for(|durable| *durable >= lsn).await.context("the journal stopped")?;

    let start = Start {
        cluster,
        epoch: log.epoch,
        incarnation: log.start,
        held,
        log: if past.stale { LogState::Stale } else { LogState::Whole },
    };
    let mut engine = fresh(config, clock.anchor(), log.epoch, start);
    replay(&mut engine, &reader, &open_streams)?;
    Ok(Recovered { engine, journal, reader, durable, log, index })
}

/// Returns an engine that knows nothing yet.
fn fresh(config: &Config, anchor: WallTime, epoch: Epoch, start: Start) -> Engine {
    let schedule = votum_schedule::Config {
        lease: config.lease,
        stop_grace: config.stop_grace,
        lost_after: config.lost_after,
        ..votum_schedule::Config::default()
    };
    let lease = Lease {
        length: config.lease,
        heartbeat_interval: config.heartbeat_interval,
        stop_grace: config.stop_grace,
        protocols: config.protocols,
    };
    let scheduler = Scheduler::new(schedule, epoch, anchor);
    Engine::new(anchor, config.jobs_open_max, lease, scheduler, Coordinator::new(start))
}

fn open(config: &Config, on_durable: impl Fn(Lsn) + Send + 'static) -> anyhow::Result<Opened> {
    let folder = config.data_dir.join(JOURNAL_FOLDER);
    create_folder(&folder)?;
    let drawn: ClusterId = ClusterId(draw_uuid());
    let options = Options { lazy_sync: config.lazy_sync, ..Options::new(drawn.0.into_bytes()) };
    OnDisk::open(&folder, options, on_durable)
        .with_context(|| format!("cannot open the journal {}", folder.display()))
}

fn create_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// What the cluster's own stream says about the starts before this one.
struct Past {
    epoch: Epoch,
    start: Incarnation,
    stale: bool,
}

impl Past {
    fn read(reader: &Reader, highest: u64) -> anyhow::Result<Self> {
        let mut past =
            Self { epoch: Epoch(highest), start: Incarnation(Uuid::nil()), stale: false };
        for stored in reader.read(&cluster_stream())? {
            match decode::<Record>(&stored)?.record {
                Record::EpochStarted { epoch, start, stale } => {
                    past = Self { epoch: epoch.max(past.epoch), start, stale };
                }
                Record::LogFoundStale { .. } => past.stale = true,
                Record::Registered(_)
                | Record::Ordered { .. }
                | Record::Job(_)
                | Record::Forgotten(_)
                | Record::Buried(_)
                | Record::Crumbled { .. } => {}
            }
        }
        Ok(past)
    }
}

fn replay(engine: &mut Engine, reader: &Reader, streams: &[Stream]) -> anyhow::Result<()> {
    // Setting a job aside is a step, and every replay comes before the first step.
    let mut quarantined = Vec::new();
    for stream in streams {
        if let Some(name) = stream.as_str().strip_prefix(JOB_STREAMS) {
            let job = JobId::new(name).context("a stream is named after a job")?;
            let resumed = match read_job(reader, stream)? {
                Ok(records) => engine.resume(&job, records),
                Err(why) => Err(why),
            };
            if let Err(why) = resumed {
                tracing::error!(%job, why = %format!("{why:#}"), "quarantines a job");
                quarantined.push(job);
            }
        } else if stream.as_str().starts_with(WORKER_STREAMS) {
            for stored in reader.read(stream)? {
                let Stamped { at, record } = decode::<Record>(&stored)?;
                if let Record::Registered(registration) = record {
                    engine.register(at, registration)?;
                }
            }
        } else if stream.as_str().starts_with(ORDER_STREAMS) {
            for stored in reader.read(stream)? {
                let Stamped { at, record } = decode::<Record>(&stored)?;
                if let Record::Ordered { worker, orders } = record {
                    engine.order(at, worker, orders)?;
                }
            }
        }
    }
    for job in quarantined {
        engine.quarantine(job);
    }
    engine.resume_rescues(|job| came_to(reader, job, RESCUES_FOLLOWED_MAX));
    Ok(())
}

/// Says what became of a job that is closed, and of those that rescued it; none if its records
/// are gone or cannot be read.
fn came_to(reader: &Reader, job: &JobId, further: usize) -> Option<Decision> {
    let records = read_job(reader, &job_stream(job)).ok()?.ok()?;
    let closing = records.iter().find_map(|stamped| stamped.record.closing.as_ref());
    let heir = records.iter().rev().find_map(|stamped| match &stamped.record.schedule {
        Some(votum_schedule::Record::Rescued { by, .. }) => Some(by),
        Some(_) | None => None,
    });
    match (closing?.decision, heir) {
        (Decision::Abort, Some(heir)) if further > 0 => came_to(reader, heir, further - 1),
        (decision, _) => Some(decision),
    }
}

/// Reads the records of one job; the inner error concerns that job alone.
pub(crate) fn read_job(
    reader: &Reader,
    stream: &Stream,
) -> anyhow::Result<anyhow::Result<Vec<Stamped<JobRecord>>>> {
    let stored = reader.read(stream)?;
    let record = |stored| -> anyhow::Result<Option<Stamped<JobRecord>>> {
        let Stamped { at, record } = decode::<Record>(stored)?;
        Ok(match record {
            Record::Job(record) => Some(Stamped { at, record: *record }),
            Record::EpochStarted { .. }
            | Record::LogFoundStale { .. }
            | Record::Registered(_)
            | Record::Ordered { .. }
            | Record::Forgotten(_)
            | Record::Buried(_)
            | Record::Crumbled { .. } => None,
        })
    };
    Ok(stored.iter().filter_map(|stored| record(stored).transpose()).collect())
}

#[expect(clippy::disallowed_methods, reason = "the daemon's start is where its number is drawn")]
fn draw_uuid() -> Uuid {
    Uuid::new_v4()
}

fn draw() -> Incarnation {
    Incarnation(draw_uuid())
}

/// A rescue of a rescue is followed this far.
const RESCUES_FOLLOWED_MAX: usize = 16;
/// Below the data directory.
const JOURNAL_FOLDER: &str = "journal";

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use votum_journal::{Bearing, Entry, Urgency};
    use votum_machine::{Machine, Moment, Reaction};

    use super::*;
    use crate::{
        action::{Action, Answer},
        engine::tests::{job, spec, submission},
        event::Event,
        record::job_stream,
        replies::{Replies, ReplyId},
    };

    #[tokio::test]
    async fn one_unreadable_job_leaves_the_others_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clock = Clock::start();
        let mut first = recover(&config, &clock).await.unwrap();
        first.journal.append(votum_driver::entry(clock.wall(), &received()));
        let bad = JobId::new("bad-1").unwrap();
        first.journal.append(unreadable(&bad));
        drop(first);

        let mut second = recover(&config, &clock).await.unwrap();
        let shown = ask(&mut second.engine, |reply| Event::ShowCluster { reply });
        assert!(matches!(shown, Answer::Cluster(cluster) if cluster.quarantined == [bad]));
        let jobs = vec![job()];
        let shown = ask(&mut second.engine, |reply| Event::ShowJobs { reply, jobs });
        assert!(matches!(shown, Answer::Jobs(jobs) if jobs[0].job == job()));
    }

    #[tokio::test]
    async fn every_start_raises_the_epoch_durably() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        for epoch in 1..=3 {
            let recovered = recover(&config, &Clock::start()).await.unwrap();
            assert_eq!(recovered.log.epoch, Epoch(epoch));
        }
    }

    fn ask(engine: &mut Engine, event: impl FnOnce(ReplyId) -> Event) -> Answer {
        let (reply, _caller) = Replies::default().register();
        let Reaction { actions, .. } = engine.step(Moment::START, event(reply));
        let answer = actions.into_iter().find_map(|action| match action {
            Action::Reply { answer, .. } => Some(answer),
            Action::Send { .. }
            | Action::SendDurable { .. }
            | Action::JobChanged { .. }
            | Action::Refuse { .. }
            | Action::Raise { .. } => None,
        });
        answer.expect("a question is answered in its step")
    }

    fn received() -> Record {
        let schedule = votum_schedule::Record::Received {
            job: job(),
            spec: Box::new(spec("sales", "s1")),
            submission: submission(),
        };
        let record =
            JobRecord { job: job(), schedule: Some(schedule), commit: None, closing: None };
        Record::Job(Box::new(record))
    }

    /// A frame whose checksum holds and whose content means nothing (V3).
    fn unreadable(job: &JobId) -> Entry {
        Entry {
            stream: job_stream(job),
            urgency: Urgency::Forced,
            version: 1,
            bearing: Bearing::Continues,
            keys: Vec::new(),
            payload: b"no record".to_vec(),
        }
    }

    pub(crate) fn config(folder: &Path) -> Config {
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: folder.to_owned(),
            lease: Duration::from_secs(15),
            heartbeat_interval: Duration::from_secs(3),
            stop_grace: Duration::from_secs(10),
            lost_after: Duration::from_secs(3600),
            jobs_open_max: 10,
            tombstones_kept: Duration::from_secs(3600),
            lazy_sync: Duration::from_millis(100),
            protocols: votum_wire::Versions::OURS,
        }
    }
}
