//! From a journal to an engine: open, raise the epoch, replay job by job.
//!
//! Running it twice does nothing the second time but raise the epoch (V1). A job
//! whose records cannot be read or replayed is quarantined; the others recover.

use std::{path::Path, time::Duration};

use anyhow::Context;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;
use uuid::Uuid;
use votum_commit::{Coordinator, Decision, LogPosition, LogState, Start};
use votum_driver::{Clock, Stamped, decode};
use votum_ids::{ClusterId, Epoch, Incarnation, JobId, WorkerId};
use votum_journal::{IndexState, Journal, Lsn, OnDisk, Opened, Options, Reader, Stored, Stream};
use votum_machine::WallTime;
use votum_metrics::FlushTimer;
use votum_schedule::{Drain, Orders, Scheduler};
use votum_wire::RecordDamage;

use crate::{
    config::Config,
    engine::{Engine, Lease},
    quarantine::{self, Contradiction, Quarantined},
    record::{
        JOB_STREAMS, ORDER_STREAMS, Record, STALE_KEY, Tombstone, WORKER_STREAMS, cluster_stream,
        job_stream, tombstone_key,
    },
    restore,
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
    /// How long each sync of the journal takes.
    pub(crate) flushes: Histogram,
}

/// Opens the journal and rebuilds everything from it.
///
/// # Errors
/// When the journal is in use, damaged, or not this program's.
pub(crate) async fn recover(config: &Config, clock: &Clock) -> anyhow::Result<Recovered> {
    let (timer, flushes) = FlushTimer::new(*clock);
    let (progress, mut durable) = watch::channel(Lsn::NONE);
    let Opened { mut journal, reader, cluster, epoch, open_streams, index, torn_tail } =
        open(config, timer, move |lsn| {
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
    let epoch = past.epoch.next().max(past.next);
    let log = LogIdentity { cluster, epoch, start: draw() };
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
    if let Some(problem) = past.problem {
        tracing::error!(problem, "cannot read what was recorded about the cluster");
        engine.distrust(cluster_stream().to_string(), problem);
    }
    replay(&mut engine, &reader, &open_streams)?;
    Ok(Recovered { engine, journal, reader, durable, log, index, flushes })
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

fn open(
    config: &Config,
    timer: FlushTimer,
    on_durable: impl Fn(Lsn) + Send + 'static,
) -> anyhow::Result<Opened> {
    restore::refuse_half_restored(&config.data_dir)?;
    let folder = config.data_dir.join(JOURNAL_FOLDER);
    create_folder(&folder)?;
    let drawn: ClusterId = ClusterId(draw_uuid());
    let usual = Options::new(drawn.0.into_bytes());
    let options = Options { lazy_sync: config.lazy_sync, closing_sync: CLOSING_SYNC, ..usual };
    OnDisk::open_observed(&folder, options, on_durable, timer)
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
    /// At least the epoch of this start; 0 unless the journal was restored.
    next: Epoch,
    /// Why a record of it cannot be read.
    problem: Option<String>,
}

impl Past {
    /// Reads it; what a damaged record would tell is known otherwise, but for the start's number.
    ///
    /// Every record is stamped with its epoch, and whether the log is stale stands in the index.
    fn read(reader: &Reader, highest: u64) -> anyhow::Result<Self> {
        let stale = reader.get(STALE_KEY)?.is_some();
        let start = Incarnation(Uuid::nil());
        let (epoch, next) = (Epoch(highest), Epoch(0));
        let mut past = Self { epoch, start, stale, next, problem: None };
        let stored = reader.read(&cluster_stream())?;
        for (at, record) in stored.iter().enumerate() {
            let problem = match decode::<Record>(record) {
                Ok(Stamped { record: Record::EpochStarted { epoch, start, stale }, .. }) => {
                    past.epoch = epoch.max(past.epoch);
                    past.start = start;
                    past.stale |= stale;
                    continue;
                }
                Ok(Stamped { record: Record::LogFoundStale { .. }, .. }) => {
                    past.stale = true;
                    continue;
                }
                Ok(Stamped { record: Record::Restored { next_epoch, .. }, .. }) => {
                    past.stale = true;
                    past.next = past.next.max(next_epoch);
                    continue;
                }
                Ok(Stamped { record: Record::LogTrusted { above, .. }, .. }) => {
                    past.stale = false;
                    // Whatever workers had seen before was compared by then.
                    past.epoch = past.epoch.max(above);
                    continue;
                }
                Ok(Stamped {
                    record:
                        Record::Registered(_)
                        | Record::Ordered { .. }
                        | Record::Job(_)
                        | Record::Forgotten(_)
                        | Record::Buried(_)
                        | Record::Crumbled { .. },
                    ..
                }) => "it does not speak of the cluster".to_owned(),
                Err(unreadable) => unreadable.why(),
            };
            past.problem = Some(format!("{}; it was replaced", told(&stored, at, &problem)));
        }
        Ok(past)
    }
}

/// Says which record of a stream cannot be read, and why.
fn told(stored: &[Stored], at: usize, problem: &str) -> String {
    let RecordDamage { number, lsn, problem, .. } =
        quarantine::damage(stored, at, problem.to_owned());
    format!(
        "record {number} of {} cannot be read (number {lsn} of the log): {problem}",
        stored.len()
    )
}

fn replay(engine: &mut Engine, reader: &Reader, streams: &[Stream]) -> anyhow::Result<()> {
    // Setting a job aside is a step, and every replay comes before the first step.
    let mut quarantined = Vec::new();
    for stream in streams {
        let stored = reader.read(stream)?;
        let name = stream.as_str();
        let problem = if let Some(name) = name.strip_prefix(JOB_STREAMS) {
            match JobId::new(name) {
                Ok(job) => {
                    quarantined.extend(take_up(engine, &job, &stored));
                    None
                }
                Err(_) => Some("no job can have this name; its records are kept".to_owned()),
            }
        } else if let Some(worker) = name.strip_prefix(WORKER_STREAMS) {
            register(engine, worker, &stored)
        } else if let Some(worker) = name.strip_prefix(ORDER_STREAMS) {
            order(engine, worker, &stored)
        } else if *stream == cluster_stream() {
            None
        } else {
            Some("this program knows no such stream; its records are kept".to_owned())
        };
        if let Some(problem) = problem {
            tracing::error!(%stream, problem, "cannot read a stream");
            engine.distrust(stream.to_string(), problem);
        }
    }
    for found in quarantined {
        tracing::error!(
            job = %found.job,
            problem = found.problem(),
            damages = ?found.damages,
            "quarantines a job"
        );
        engine.quarantine(found);
    }
    engine.forget_removed();
    engine.remember_stale_log();
    engine.resume_rescues(|job| came_to(reader, job, RESCUES_FOLLOWED_MAX));
    Ok(())
}

/// Says what became of a job that is closed, and of those that rescued it; none if its records
/// are gone or cannot be read.
fn came_to(reader: &Reader, job: &JobId, further: usize) -> Option<Decision> {
    let records = quarantine::read(job, &reader.read(&job_stream(job)).ok()?).ok()?;
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

/// Takes one job up where its records end, or says why it must be quarantined (V1).
pub(crate) fn take_up(engine: &mut Engine, job: &JobId, stored: &[Stored]) -> Option<Quarantined> {
    let damages = match quarantine::read(job, stored) {
        Ok(records) => match engine.resume(job, records) {
            Ok(()) => return None,
            Err(Contradiction { at, why }) => vec![quarantine::damage(stored, at, why)],
        },
        Err(damages) => damages,
    };
    let found = Quarantined::new(engine.anchor(), job.clone(), stored, damages);
    // What was noted after its end, and cannot be read, brings it back as little as what can.
    (!found.closed).then_some(found)
}

/// Remembers a worker; without its registration it is unknown until it introduces itself again.
fn register(engine: &mut Engine, worker: &str, stored: &[Stored]) -> Option<String> {
    let mut problem = None;
    for (at, record) in stored.iter().enumerate() {
        let why = match decode::<Record>(record) {
            Ok(Stamped { at, record: Record::Registered(registration) })
                if registration.worker.as_str() == worker =>
            {
                engine.register(at, registration).err().map(|corrupt| corrupt.to_string())
            }
            Ok(_) => Some("it does not speak of this worker".to_owned()),
            Err(unreadable) => Some(unreadable.why()),
        };
        problem = problem.or_else(|| why.map(|why| told(stored, at, &why)));
    }
    let lost = "the worker is unknown until it introduces itself again";
    problem.map(|problem| format!("{problem}; {lost}"))
}

/// Remembers what was ordered about a worker; without that it takes nothing until it is resumed.
fn order(engine: &mut Engine, worker: &str, stored: &[Stored]) -> Option<String> {
    let mut problem = None;
    for (at, record) in stored.iter().enumerate() {
        let why = match decode::<Record>(record) {
            Ok(Stamped { at, record: Record::Ordered { worker: named, orders } })
                if named.as_str() == worker =>
            {
                engine.order(at, named, orders).err().map(|corrupt| corrupt.to_string())
            }
            Ok(_) => Some("it does not speak of this worker".to_owned()),
            Err(unreadable) => Some(unreadable.why()),
        };
        problem = problem.or_else(|| why.map(|why| told(stored, at, &why)));
    }
    let problem = problem?;
    let Ok(named) = WorkerId::new(worker) else { return Some(problem) };
    let drain = Drain {
        by: "votum".to_owned(),
        reason: "what was ordered about it cannot be read".to_owned(),
        ordered: engine.anchor(),
        time_limit: None,
    };
    let orders = Orders { drain: Some(drain), ..Orders::default() };
    let drained = engine.order(engine.anchor(), named, orders);
    debug_assert!(drained.is_ok(), "an order contradicts nothing");
    let lost =
        "the worker takes no attempts until it is resumed, and removals of its name are lost";
    Some(format!("{problem}; {lost}"))
}

/// Reads what outlives the records of a job; none if it is not known at all.
pub(crate) fn read_tombstone(reader: &Reader, job: &JobId) -> anyhow::Result<Option<Tombstone>> {
    let found = reader.get(&tombstone_key(job))?;
    Ok(found.map(|value| serde_json::from_slice(&value)).transpose()?)
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
/// Whoever follows a job is told of its end after this at the latest; others may join its sync.
const CLOSING_SYNC: Duration = Duration::from_millis(2);
/// Below the data directory.
pub(crate) const JOURNAL_FOLDER: &str = "journal";

#[cfg(test)]
pub(crate) mod tests {
    use std::{sync::Arc, time::Duration};

    use votum_journal::{Bearing, Entry, Urgency};
    use votum_machine::{Machine, Moment, Reaction};
    use votum_wire::view::{JobState, JobView};

    use super::*;
    use crate::{
        action::{Action, Answer, Cluster},
        engine::tests::{job, spec, submission},
        event::Event,
        question::Question,
        record::{JobRecord, order_stream, worker_stream},
        replies::Replies,
    };

    #[tokio::test]
    async fn one_unreadable_job_among_a_thousand_is_listed_and_the_others_recover() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clock = Clock::start();
        let mut first = recover(&config, &clock).await.unwrap();
        let bad = JobId::new("sales-567").unwrap();
        for number in 0..1_000 {
            let job = JobId::new(format!("sales-{number}")).unwrap();
            let entry = votum_driver::entry(clock.wall(), &received(&job));
            first.journal.append(if job == bad {
                Entry { payload: b"{\"at\":7,\"record\":{}}".to_vec(), ..entry }
            } else {
                entry
            });
        }
        drop(first);

        // What recovers once recovers again, and the damage is found again.
        for _ in 0..2 {
            let mut recovered = recover(&config, &clock).await.unwrap();
            let cluster = cluster(&mut recovered.engine);
            assert_eq!(cluster.jobs[&JobState::Received], 999);
            assert_eq!(cluster.jobs[&JobState::Quarantined], 1);
            let [listed] = cluster.quarantined.as_slice() else { panic!("{cluster:?}") };
            assert_eq!(listed.stream, "job/sales-567");
            assert_eq!(
                listed.problem,
                "record 1 of 1 cannot be read; nothing of it is run, decided or discarded"
            );
            let view = shown(&mut recovered.engine, &bad);
            assert_eq!(view.state, JobState::Quarantined);
            let found = view.quarantine.unwrap();
            assert_eq!((found.records, found.last_state), (1, None));
            let [damage] = found.damages.as_slice() else { panic!("{found:?}") };
            assert!(damage.forced && damage.number == 1 && damage.lsn > 500, "{damage:?}");
            assert!(damage.problem.starts_with("it cannot be decoded: "), "{damage:?}");
        }
    }

    #[tokio::test]
    async fn unreadable_records_of_workers_and_orders_keep_nobody_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clock = Clock::start();
        let mut first = recover(&config, &clock).await.unwrap();
        let worker = WorkerId::new("s1").unwrap();
        let strange = Stream::new("future/thing").unwrap();
        let (registered, ordered) = (worker_stream(&worker), order_stream(&worker));
        for stream in [registered, ordered, strange] {
            first.journal.append(unreadable(stream));
        }
        first.journal.append(votum_driver::entry(clock.wall(), &received(&job())));
        drop(first);

        let mut second = recover(&config, &clock).await.unwrap();
        let cluster = cluster(&mut second.engine);
        let streams: Vec<&str> =
            cluster.quarantined.iter().map(|listed| listed.stream.as_str()).collect();
        assert_eq!(streams, ["future/thing", "orders/s1", "worker/s1"]);
        let problem = &cluster.quarantined[1].problem;
        assert!(problem.starts_with("record 1 of 1 cannot be read"), "{problem}");
        assert!(problem.contains("takes no attempts until it is resumed"), "{problem}");
        assert_eq!(cluster.jobs[&JobState::Received], 1);
    }

    #[tokio::test]
    async fn a_stale_log_stays_stale_where_its_record_cannot_be_read() {
        for stale in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let config = config(folder.path());
            let clock = Clock::start();
            let mut first = recover(&config, &clock).await.unwrap();
            let started = Record::EpochStarted { epoch: Epoch(1), start: first.log.start, stale };
            let entry = votum_driver::entry(clock.wall(), &started);
            first.journal.append(Entry { payload: b"nothing".to_vec(), ..entry });
            drop(first);

            for _ in 0..2 {
                let mut next = recover(&config, &clock).await.unwrap();
                assert!(next.log.epoch > Epoch(1));
                assert_eq!(cluster(&mut next.engine).stale, stale);
            }
        }
    }

    #[tokio::test]
    async fn a_damaged_record_of_the_cluster_is_told_once_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clock = Clock::start();
        let mut first = recover(&config, &clock).await.unwrap();
        first.journal.append(unreadable(cluster_stream()));
        drop(first);
        let mut second = recover(&config, &clock).await.unwrap();
        let listed = cluster(&mut second.engine).quarantined;
        assert_eq!(listed.len(), 1);
        assert!(listed[0].problem.ends_with("it was replaced"), "{listed:?}");
        drop(second);
        let mut third = recover(&config, &clock).await.unwrap();
        assert_eq!(cluster(&mut third.engine).quarantined, []);
    }

    #[tokio::test]
    async fn a_damaged_frame_refuses_the_start_with_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clock = Clock::start();
        let mut first = recover(&config, &clock).await.unwrap();
        for number in 0..3 {
            let job = JobId::new(format!("sales-{number}")).unwrap();
            let lsn = first.journal.append(votum_driver::entry(clock.wall(), &received(&job)));
            first.durable.wait_for(|durable| *durable >= lsn).await.unwrap();
        }
        drop(first);
        let journal = folder.path().join(JOURNAL_FOLDER);
        let segments = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
        let segment = segments.filter(|path| path.is_file());
        let segment = segment.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let at = bytes.windows(7).position(|seen| seen == b"sales-1").unwrap();
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).unwrap();

        let refused = format!("{:#}", recover(&config, &clock).await.unwrap_err());
        assert!(refused.contains(&segment.display().to_string()), "{refused}");
        assert!(refused.contains("is damaged at offset"), "{refused}");
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

    fn ask(engine: &mut Engine, question: Question) -> Answer {
        let (reply, _caller) = Replies::default().register();
        let Reaction { actions, .. } = engine.step(Moment::START, Event::Asked { reply, question });
        let answer = actions.into_iter().find_map(|action| match action {
            Action::Reply { answer, .. } => Some(answer),
            Action::Send { .. }
            | Action::SendDurable { .. }
            | Action::JobChanged { .. }
            | Action::Refuse { .. }
            | Action::Post(_)
            | Action::Recall { .. }
            | Action::RecallForced { .. }
            | Action::LookUp { .. }
            | Action::StartAgain
            | Action::Raise { .. } => None,
        });
        answer.expect("a question is answered in its step")
    }

    fn cluster(engine: &mut Engine) -> Cluster {
        let answer = ask(engine, Question::ShowCluster);
        let Answer::Cluster(cluster) = answer else { panic!("{answer:?}") };
        cluster
    }

    fn shown(engine: &mut Engine, job: &JobId) -> JobView {
        let jobs = vec![job.clone()];
        let answer = ask(engine, Question::ShowJobs { jobs });
        let Answer::Jobs(jobs) = answer else { panic!("{answer:?}") };
        jobs.into_iter().next().unwrap()
    }

    fn received(job: &JobId) -> Record {
        let schedule = votum_schedule::Record::Received {
            job: job.clone(),
            spec: Arc::new(spec("sales", "s1")),
            submission: submission(),
            in_line: None,
        };
        let record = JobRecord {
            job: job.clone(),
            schedule: Some(schedule),
            commit: None,
            prepared: None,
            settle: None,
            ruling: None,
            closing: None,
        };
        Record::Job(Box::new(record))
    }

    /// A frame whose checksum holds and whose content means nothing (V3).
    fn unreadable(stream: Stream) -> Entry {
        Entry {
            stream,
            urgency: Urgency::Forced,
            version: 1,
            bearing: Bearing::Continues,
            keys: Vec::new(),
            payload: b"no record".to_vec(),
        }
    }

    pub(crate) fn config(folder: &Path) -> Config {
        Config {
            disk_reserve: 0,
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: folder.to_owned(),
            lease: Duration::from_secs(15),
            heartbeat_interval: Duration::from_secs(3),
            stop_grace: Duration::from_secs(10),
            lost_after: Duration::from_secs(3600),
            jobs_open_max: 10,
            tombstones_kept: Duration::from_secs(3600),
            otel_endpoint: None,
            lazy_sync: Duration::from_millis(100),
            protection: crate::Protection::default(),
            limits: crate::ClientLimits::default(),
            protocols: votum_wire::Versions::OURS,
        }
    }
}
