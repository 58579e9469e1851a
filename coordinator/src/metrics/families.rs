//! Every metric of the coordinator, with its name, its help and its labels.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use votum_ids::Epoch;
use votum_machine::Moment;
use votum_metrics::{ANSWER_SECONDS, Exposition, Store, WORK_SECONDS};

use super::phases::Phases;

/// One label whose value is a word of the program.
pub(super) type Word = [(&'static str, &'static str); 1];
/// Two labels whose values are words of a short list.
pub(super) type Words = [(&'static str, Cow<'static, str>); 2];
/// What an RPC was and came to.
pub(super) type RpcWords = [(&'static str, Cow<'static, str>); 3];
/// Seconds or another number that is not whole.
pub(super) type FloatGauge = Gauge<f64, AtomicU64>;

/// The metrics of one coordinator; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(super) jobs_received: Counter,
    pub(super) jobs_decided: Family<Words, Counter>,
    pub(super) job_duration: Family<Word, Histogram>,
    pub(super) attempts: Family<Word, Counter>,
    pub(super) staged_bytes: Counter,
    pub(super) votes: Family<Word, Counter>,
    pub(super) phase_duration: Family<Word, Histogram>,
    pub(super) deliveries: Family<Word, Counter>,
    pub(super) hooks: Family<Words, Counter>,
    pub(super) sessions: Counter,
    pub(super) alarms: Counter,
    pub(crate) spans: Family<Word, Counter>,
    pub(super) rpcs: Family<RpcWords, Counter>,
    pub(super) rpc_duration: Family<Words, Histogram>,
    pub(super) gauges: Gauges,
    pub(super) store: Store,
    pub(super) phases: Arc<Mutex<Phases>>,
}

/// What is asked of the engine when somebody looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauges {
    pub(super) jobs: Family<Word, Gauge>,
    pub(super) tasks: Family<Word, Gauge>,
    pub(super) workers: Family<Word, Gauge>,
    pub(super) cases: Family<Word, Gauge>,
    pub(super) mixed: Gauge,
    pub(super) kept: Gauge,
    pub(super) in_doubt: Gauge,
    pub(super) oldest_in_doubt: FloatGauge,
    pub(super) log_stale: Gauge,
    pub(super) unreadable_streams: Gauge,
    pub(super) events_waiting: Gauge,
    pub(super) epoch: Gauge,
    pub(super) recovery: FloatGauge,
}

impl Metrics {
    /// Makes every metric, and what shows them.
    pub(crate) fn shown(flushes: Histogram) -> (Self, Arc<Exposition>) {
        let mut exposition = Exposition::new("coordinator", env!("CARGO_PKG_VERSION"));
        let metrics = Self::new(exposition.registry(), flushes);
        (metrics, Arc::new(exposition))
    }

    fn new(registry: &mut Registry, flushes: Histogram) -> Self {
        let work: fn() -> Histogram = || Histogram::new(WORK_SECONDS);
        let answer: fn() -> Histogram = || Histogram::new(ANSWER_SECONDS);
        let metrics = Self {
            jobs_received: Counter::default(),
            jobs_decided: Family::default(),
            job_duration: Family::new_with_constructor(work),
            attempts: Family::default(),
            staged_bytes: Counter::default(),
            votes: Family::default(),
            phase_duration: Family::new_with_constructor(answer),
            deliveries: Family::default(),
            hooks: Family::default(),
            sessions: Counter::default(),
            alarms: Counter::default(),
            spans: Family::default(),
            rpcs: Family::default(),
            rpc_duration: Family::new_with_constructor(answer),
            gauges: Gauges::default(),
            store: Store::registered(registry, flushes),
            phases: Arc::default(),
        };
        metrics.register_jobs(registry);
        metrics.register_commit(registry);
        metrics.register_surroundings(registry);
        metrics
    }

    /// Notes the start of the daemon: its epoch, and how long the journal took.
    pub(crate) fn recovered(&self, epoch: Epoch, now: Moment) {
        self.gauges.epoch.set(i64::try_from(epoch.0).unwrap_or(i64::MAX));
        self.gauges.recovery.set(now.elapsed().as_secs_f64());
    }

    /// Returns what is known of the phases of open commits.
    pub(super) fn phases(&self) -> std::sync::MutexGuard<'_, Phases> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register_jobs(&self, registry: &mut Registry) {
        let Gauges { jobs, tasks, mixed, kept, .. } = &self.gauges;
        registry.register(
            "votum_jobs_received",
            "Jobs that were received durably",
            self.jobs_received.clone(),
        );
        registry.register("votum_jobs", "Open jobs by state", jobs.clone());
        registry.register(
            "votum_jobs_decided",
            "Jobs that were decided, by outcome and the cause of an abort",
            self.jobs_decided.clone(),
        );
        registry.register_with_unit(
            "votum_job_duration",
            "From a job's receipt to its last record, by outcome",
            Unit::Seconds,
            self.job_duration.clone(),
        );
        registry.register(
            "votum_jobs_mixed",
            "Jobs, open or closed, of which a participant stands otherwise than was decided",
            mixed.clone(),
        );
        registry.register(
            "votum_jobs_kept",
            "Aborted jobs that keep what they staged for a rescue",
            kept.clone(),
        );
        registry.register(
            "votum_tasks",
            "Tasks of open jobs: READY waits for a worker, WAITING for another task",
            tasks.clone(),
        );
        registry.register(
            "votum_task_attempts",
            "Attempts that ended, STAGED or by the reason of their failure",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "votum_task_staged",
            "Bytes that attempts sealed, as their workers reported",
            Unit::Bytes,
            self.staged_bytes.clone(),
        );
    }

    fn register_commit(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "votum_commit_phase_duration",
            "prepare: PREPARE to the last vote; decide: the forced write of the decision; \
             apply: the decision to the last acknowledgement",
            Unit::Seconds,
            self.phase_duration.clone(),
        );
        registry.register("votum_votes", "Votes of participants", self.votes.clone());
        registry.register(
            "votum_decision_deliveries",
            "Decisions sent to participants, repetitions included",
            self.deliveries.clone(),
        );
        registry.register(
            "votum_in_doubt_transactions",
            "Open transactions with a participant in doubt that is waited for",
            self.gauges.in_doubt.clone(),
        );
        registry.register_with_unit(
            "votum_oldest_in_doubt",
            "Since the opening of the oldest round with a participant in doubt; 0 if there is none",
            Unit::Seconds,
            self.gauges.oldest_in_doubt.clone(),
        );
        registry.register(
            "votum_hooks",
            "Tries of effects and compensations that ended, by outcome",
            self.hooks.clone(),
        );
        registry.register(
            "votum_cases",
            "Open cases by kind: what only a person can decide",
            self.gauges.cases.clone(),
        );
        registry.register(
            "votum_alarms",
            "Observations that the protocol excludes",
            self.alarms.clone(),
        );
        registry.register(
            "votum_log_stale",
            "1 if this log is older than what workers have seen: nothing is admitted or aborted",
            self.gauges.log_stale.clone(),
        );
    }

    fn register_surroundings(&self, registry: &mut Registry) {
        let Gauges { workers, events_waiting, epoch, recovery, .. } = &self.gauges;
        registry.register("votum_workers", "Workers by state", workers.clone());
        registry.register(
            "votum_sessions_opened",
            "Sessions that workers opened",
            self.sessions.clone(),
        );
        registry.register(
            "votum_events_waiting",
            "Events in front of the loop that decides; it takes up to 256 at a time",
            events_waiting.clone(),
        );
        registry.register(
            "votum_trace_spans",
            "Spans of traces: sent, failed (the collector did not take them), dropped (no room)",
            self.spans.clone(),
        );
        registry.register("votum_epoch", "Raised by one at every start", epoch.clone());
        registry.register_with_unit(
            "votum_recovery_duration",
            "What the last start took until the journal was replayed",
            Unit::Seconds,
            recovery.clone(),
        );
        registry.register(
            "votum_grpc_requests",
            "RPCs that ended, by their code",
            self.rpcs.clone(),
        );
        registry.register_with_unit(
            "votum_grpc_request_duration",
            "From the head of a request to the end of its answer",
            Unit::Seconds,
            self.rpc_duration.clone(),
        );
        registry.register(
            "votum_journal_unreadable_streams",
            "Streams of the journal with a record that cannot be read",
            self.gauges.unreadable_streams.clone(),
        );
    }
}
