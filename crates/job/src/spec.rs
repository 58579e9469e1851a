//! What a user asks for: the job as it was written, with defaults filled in.
//!
//! A spec is data. Whether it makes sense is said by the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use votum_ids::{AttemptId, JobId, OutputName, SecretName, StepName, Target, TaskId, WorkerId};

use crate::{
    CheckpointPolicy, Compensation, Concurrency, EffectSpec, FlatMap, HealthCheck, Resources,
    TaskSignal,
};

/// A job: a graph of tasks that commits as a unit. Immutable once received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Stem of the job's id.
    pub display_name: String,
    /// One line for lists and pages.
    pub description: String,
    /// For people and filters.
    pub labels: BTreeMap<String, String>,
    /// Already substituted; tasks see them as `VOTUM_PARAM_<NAME>`.
    pub params: BTreeMap<String, String>,
    /// Environment of every task.
    pub env: BTreeMap<String, String>,
    /// From received, or from having the key that it waited for, to the decision; past it the job
    /// aborts.
    pub timeout: Duration,
    /// How long record and logs are kept after the end.
    pub retention: Duration,
    /// How long a round waits for every vote.
    pub prepare_timeout: Duration,
    /// A person must approve the commit once everything is staged, within so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Duration>,
    /// How often the workers are asked, without a promise, what stands in the way of a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_vote: Option<Duration>,
    /// What it means that a task has failed for the last time.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// How long what is staged outlives an abort, for a rescue; zero: not at all.
    #[serde(default)]
    pub keep_staged: Duration,
    /// Which jobs are not under way beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The nodes of the graph, by name.
    pub tasks: FlatMap<TaskId, TaskSpec>,
    /// What is done only after the decision, by name; no name is also a task's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub effects: BTreeMap<TaskId, EffectSpec>,
}

impl JobSpec {
    /// Makes a job of this name without tasks, with every default; add tasks before it is submitted.
    #[must_use]
    pub fn named(display_name: impl Into<String>) -> Self {
        Self {
            display_name: display_name.into(),
            description: String::new(),
            labels: BTreeMap::new(),
            params: BTreeMap::new(),
            env: BTreeMap::new(),
            timeout: TIMEOUT_DEFAULT,
            retention: RETENTION_DEFAULT,
            prepare_timeout: PREPARE_TIMEOUT_DEFAULT,
            approval: None,
            dry_vote: None,
            on_exhausted: OnExhausted::Abort,
            keep_staged: Duration::ZERO,
            concurrency: None,
            tasks: FlatMap::new(),
            effects: BTreeMap::new(),
        }
    }

    /// Returns how long after its time began to count the job must be decided at the latest: the
    /// wait for a person comes on top of the time that the job itself has.
    #[must_use]
    pub fn time_in_all(&self) -> Duration {
        self.timeout.saturating_add(self.approval.unwrap_or_default())
    }

    /// Returns the job whose targets get back what stood there before, if this is a revert.
    #[must_use]
    pub fn reverts(&self) -> Option<&JobId> {
        self.tasks.values().find_map(|task| match &task.program {
            Program::PutBack(attempt) => Some(&attempt.job),
            Program::Command(_) | Program::Script { .. } | Program::Steps(_) => None,
        })
    }
}

/// A node of the graph: one OS command on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Which workers may run it.
    pub placement: Placement,
    /// Tasks that must be staged first, beyond those that feed it.
    pub needs: BTreeSet<TaskId>,
    /// What to run.
    pub program: Program,
    /// Environment of this task; wins over the job's.
    pub env: BTreeMap<String, String>,
    /// What it reads, by the name it reads it under.
    pub inputs: FlatMap<OutputName, InputSpec>,
    /// What it writes, by name.
    pub outputs: FlatMap<OutputName, OutputSpec>,
    /// How long one attempt may run.
    pub timeout: Duration,
    /// From the order to run an attempt to its program's start; absent: as long as it may run.
    #[serde(default)]
    pub start_timeout: Option<Duration>,
    /// Longest silence of the report file; absent: silence means nothing.
    #[serde(default)]
    pub progress_timeout: Option<Duration>,
    /// A command that tells whether the task is well.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// What asks the program to end.
    #[serde(default)]
    pub stop_signal: TaskSignal,
    /// From the stop signal to SIGKILL.
    pub grace_period: Duration,
    /// When a failed or lost attempt is followed by another.
    pub retry: RetryPolicy,
    /// How progress survives an attempt; absent: an attempt starts from nothing, or with its
    /// first step that is not done.
    #[serde(default)]
    pub checkpoint: Option<CheckpointPolicy>,
    /// What one attempt may use.
    #[serde(default)]
    pub resources: Resources,
    /// Whether an attempt has effects outside of its staging, so that two must never run at once:
    /// the worker itself ends it when its lease is over (R3).
    #[serde(default)]
    pub exclusive: bool,
    /// What becomes of an exclusive attempt whose machine cannot be reached.
    #[serde(default)]
    pub on_unreachable: OnUnreachable,
    /// What its worker hands it that nobody else may see: only the names stand here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<SecretName>,
    /// Undoes the effects that it had outside of its staging, if the job aborts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Box<Compensation>>,
}

impl TaskSpec {
    /// Makes a task that runs this, anywhere, once, with nothing to read and nothing to write.
    #[must_use]
    pub fn of(program: Program) -> Self {
        Self {
            placement: Placement::default(),
            needs: BTreeSet::new(),
            program,
            env: BTreeMap::new(),
            inputs: FlatMap::new(),
            outputs: FlatMap::new(),
            timeout: TIMEOUT_DEFAULT,
            start_timeout: None,
            progress_timeout: None,
            health: None,
            stop_signal: TaskSignal::default(),
            grace_period: GRACE_PERIOD_DEFAULT,
            retry: RetryPolicy::default(),
            checkpoint: None,
            resources: Resources::default(),
            exclusive: false,
            on_unreachable: OnUnreachable::default(),
            secrets: BTreeSet::new(),
            compensate: None,
        }
    }

    /// Says whether an attempt may have effects outside of its staging, so that two of them, or
    /// one and its compensation, must never run at once (R3).
    #[must_use]
    pub fn acts_outside(&self) -> bool {
        self.exclusive || self.compensate.is_some()
    }

    /// Returns on how many workers lies what the task makes: its outputs are copied together, and
    /// the largest number among them counts.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.outputs.values().map(|output| output.replicas).max().unwrap_or(1)
    }

    /// Returns every task that must be staged before this one starts.
    #[must_use]
    pub fn predecessors(&self) -> BTreeSet<&TaskId> {
        let fed = self.inputs.values().filter_map(|input| match input {
            InputSpec::TaskOutput { task, .. } => Some(task),
            InputSpec::WorkerPath(_) => None,
        });
        self.needs.iter().chain(fed).collect()
    }
}

/// Chooses workers; empty: any.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Placement {
    /// Exactly this worker: the task is *pinned*.
    pub worker: Option<WorkerId>,
    /// All of these labels must match.
    pub labels: BTreeMap<String, String>,
}

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// An argument vector, no shell; the first is looked up in PATH on the worker.
    Command(Vec<String>),
    /// Text for an interpreter.
    Script {
        /// The text.
        text: String,
        /// Argument vector of the interpreter; the script's path follows it.
        interpreter: Vec<String>,
    },
    /// One after another in one attempt; each is durable before the next begins.
    Steps(Vec<Step>),
    /// Nothing: for each output the worker stages what stood at its target before this attempt of
    /// another job published its output of the same name there.
    PutBack(AttemptId),
}

/// One step of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its task.
    pub name: StepName,
    /// What it runs; no steps of its own.
    pub program: Program,
}

/// What becomes of an exclusive attempt whose machine cannot be reached, so that nobody knows
/// whether its processes are gone (R3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnreachable {
    /// No other attempt starts before the machine or a person has said that it ended.
    #[default]
    Wait,
    /// Another attempt starts after the lease and the grace for stopping.
    Proceed,
}

/// What it means that a task has failed for the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// The job aborts.
    #[default]
    Abort,
    /// The job pauses, so that a person can mend the cause and try again.
    Pause,
}

/// One thing a task reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSpec {
    /// The staged output of a predecessor.
    TaskOutput {
        /// The predecessor.
        task: TaskId,
        /// Its output.
        output: OutputName,
    },
    /// A path that exists on the worker, used where it lies.
    WorkerPath(String),
}

/// One thing a task writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Relative path below the output directory; a directory if it ends in `/`.
    pub path: String,
    /// Whether the task may succeed without it.
    pub optional: bool,
    /// Sealing fails above this size.
    pub bytes_max: Option<u64>,
    /// Where it becomes visible; absent: it only feeds other tasks.
    pub publish: Option<Target>,
    /// On how many workers it lies sealed before the vote, the one that made it included;
    /// 1 to [`REPLICAS_MAX`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub replicas: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(replicas: &u32) -> bool {
    *replicas == 1
}

/// When a failed or lost attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// All attempts, the first included; 1 to 100. Attempts lost with their worker do not count.
    pub attempts: u32,
    /// Wait before the second attempt; doubles with each further one.
    pub backoff: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// Exit codes that are never retried.
    pub never_on: BTreeSet<i32>,
}

impl RetryPolicy {
    /// Returns the wait after so many failures: it doubles up to the longest one.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            never_on: BTreeSet::new(),
        }
    }
}

/// Most workers on which one output lies.
pub const REPLICAS_MAX: u32 = 5;
/// Most earlier generations that a target can be told to keep; without a number it keeps all.
pub const GENERATIONS_KEPT_MAX: u32 = 1000;
/// Default of [`JobSpec::timeout`].
pub const TIMEOUT_DEFAULT: Duration = Duration::from_hours(24);
/// Default of [`JobSpec::retention`].
pub const RETENTION_DEFAULT: Duration = Duration::from_hours(30 * 24);
/// Default of [`JobSpec::prepare_timeout`].
pub const PREPARE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Default of [`JobSpec::approval`] where one is required.
pub const APPROVAL_DEFAULT: Duration = Duration::from_hours(24);
/// Default of [`TaskSpec::grace_period`].
pub const GRACE_PERIOD_DEFAULT: Duration = Duration::from_secs(10);
/// Default interpreter of a script.
pub const INTERPRETER_DEFAULT: [&str; 2] = ["sh", "-eu"];
