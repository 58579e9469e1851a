//! Every metric of the worker, with its name, its help and its labels.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use votum_machine::Moment;
use votum_metrics::{ANSWER_SECONDS, Exposition, Store};

/// One label whose value is a word of the program.
pub(super) type Word = [(&'static str, &'static str); 1];

/// The metrics of one worker; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(super) attempts: Family<Word, Counter>,
    pub(super) staged_bytes: Counter,
    pub(super) checkpoint_bytes: Counter,
    pub(super) artifact_bytes: Family<Word, Counter>,
    pub(super) prepare: Histogram,
    pub(super) publish: Histogram,
    pub(super) sessions: Counter,
    pub(super) alarms: Counter,
    pub(super) store: Store,
    pub(super) gauges: Gauges,
    /// How many rounds are in doubt, and since when the oldest is, by the daemon's clock.
    pub(super) doubt: Arc<Mutex<Doubt>>,
    /// How many steps the engine has taken, for whoever asks whether it lives.
    pub(super) steps: Arc<AtomicU64>,
}

/// What is in doubt here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// How many rounds.
    pub(crate) rounds: usize,
    /// How long the oldest had been in doubt, and when that was said.
    pub(crate) oldest: Option<(std::time::Duration, Moment)>,
}

/// What is read when somebody looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauges {
    pub(super) slots: Gauge,
    pub(super) live: Gauge,
    pub(super) session: Gauge,
    pub(super) free: Gauge,
    pub(super) reserve: Gauge,
    pub(super) in_doubt: Gauge,
    pub(super) oldest_in_doubt: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Makes every metric, and what shows them.
    pub(crate) fn shown(flushes: Histogram) -> (Self, Exposition) {
        let mut exposition = Exposition::new("worker", env!("CARGO_PKG_VERSION"));
        (Self::new(exposition.registry(), flushes), exposition)
    }

    fn new(registry: &mut Registry, flushes: Histogram) -> Self {
        let metrics = Self {
            attempts: Family::default(),
            staged_bytes: Counter::default(),
            checkpoint_bytes: Counter::default(),
            artifact_bytes: Family::default(),
            prepare: Histogram::new(ANSWER_SECONDS),
            publish: Histogram::new(ANSWER_SECONDS),
            sessions: Counter::default(),
            alarms: Counter::default(),
            store: Store::registered(registry, flushes),
            gauges: Gauges::default(),
            doubt: Arc::default(),
            steps: Arc::default(),
        };
        metrics.register_work(registry);
        metrics.register_commit(registry);
        metrics.register_surroundings(registry);
        metrics
    }

    /// Returns how many steps the engine has taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Notes bytes that others were sent.
    pub(crate) fn sent(&self, bytes: u64) {
        self.artifact_bytes.get_or_create(&[("direction", "out")]).inc_by(bytes);
    }

    /// Notes an artifact that has arrived whole.
    pub(crate) fn arrived(&self, bytes: u64) {
        self.artifact_bytes.get_or_create(&[("direction", "in")]).inc_by(bytes);
    }

    pub(super) fn doubt(&self) -> MutexGuard<'_, Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register_work(&self, registry: &mut Registry) {
        registry.register("votum_slots", "Attempts that may run here", self.gauges.slots.clone());
        registry.register(
            "votum_attempts_live",
            "Attempts of which something is under way here",
            self.gauges.live.clone(),
        );
        registry.register(
            "votum_attempts",
            "Attempts that ended here, STAGED or by the reason of their failure",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "votum_staged",
            "Bytes that were sealed here",
            Unit::Bytes,
            self.staged_bytes.clone(),
        );
        registry.register_with_unit(
            "votum_checkpoint",
            "Bytes of checkpoints that were sealed here or arrived",
            Unit::Bytes,
            self.checkpoint_bytes.clone(),
        );
        registry.register_with_unit(
            "votum_artifact",
            "Bytes of artifacts: out as they were sent to others, in when they had arrived whole",
            Unit::Bytes,
            self.artifact_bytes.clone(),
        );
    }

    fn register_commit(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "votum_prepare_duration",
            "From PREPARE to the forced promise: the check of what is staged and of the targets",
            Unit::Seconds,
            self.prepare.clone(),
        );
        registry.register_with_unit(
            "votum_publish_duration",
            "From COMMIT until everything of a job is visible here, durably",
            Unit::Seconds,
            self.publish.clone(),
        );
        registry.register(
            "votum_in_doubt_rounds",
            "Promises whose decision is not known here",
            self.gauges.in_doubt.clone(),
        );
        registry.register_with_unit(
            "votum_oldest_in_doubt",
            "Since the oldest of those promises; 0 if there is none",
            Unit::Seconds,
            self.gauges.oldest_in_doubt.clone(),
        );
        registry.register(
            "votum_alarms",
            "Observations that the protocol excludes",
            self.alarms.clone(),
        );
    }

    fn register_surroundings(&self, registry: &mut Registry) {
        let Gauges { session, free, reserve, .. } = &self.gauges;
        registry.register(
            "votum_session_up",
            "1 while there is a connection to the coordinator",
            session.clone(),
        );
        registry.register(
            "votum_sessions_opened",
            "Connections to the coordinator",
            self.sessions.clone(),
        );
        registry.register_with_unit(
            "votum_shadow_free",
            "Free bytes on the filesystem of the staging",
            Unit::Bytes,
            free.clone(),
        );
        registry.register_with_unit(
            "votum_shadow_reserve",
            "With fewer free bytes attempts are refused and votes are NO",
            Unit::Bytes,
            reserve.clone(),
        );
    }
}
