//! What is done around the decision instead of before it: effects, and the undoing of tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use votum_ids::TaskId;

use crate::{Placement, Program, RetryPolicy};

/// Work that cannot be undone, so that it is begun only after the decision is durable.
///
/// It is done at least once, always under the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectSpec {
    /// Which decision it belongs to.
    pub after: Trigger,
    /// Effects of the same job that come first; one that does not run counts as done.
    pub needs: BTreeSet<TaskId>,
    /// What is done.
    pub work: EffectWork,
    /// How long one try may take.
    pub timeout: Duration,
    /// When a failed try is followed by another.
    pub retry: RetryPolicy,
    /// What follows a try of which nobody can say whether it took effect.
    pub on_unknown: OnUnknown,
}

/// Which decision an effect belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Only a committed job has it.
    Commit,
    /// Only an aborted job has it.
    Abort,
    /// Every job has it, when all its other effects and compensations are over.
    End,
}

/// What an effect does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectWork {
    /// Runs a program on a worker.
    Program {
        /// Which workers may run it.
        placement: Placement,
        /// What to run; no steps.
        program: Program,
        /// Its environment; wins over the job's.
        env: BTreeMap<String, String>,
    },
    /// Sends an HTTP POST from the coordinator; 2xx means that it is done.
    Webhook {
        /// Where to; `http` or `https`.
        url: String,
        /// Sent beside those that Votum sets.
        headers: BTreeMap<String, String>,
    },
}

/// What follows a try of which nobody can say whether it took effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// The same again: the receiver knows a repeated key.
    #[default]
    Repeat,
    /// A person decides.
    Park,
}

/// What undoes the effects that a task had outside of its staging, if the job aborts.
///
/// It runs once per task that may have started, under the key of the task, and must bear to be
/// repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensation {
    /// What to run; no steps.
    pub program: Program,
    /// How long one try may take.
    pub timeout: Duration,
    /// When a failed try is followed by another.
    pub retry: RetryPolicy,
    /// Whether another worker may run it that the task's placement allows; else only the worker
    /// of the task's last attempt.
    pub elsewhere: bool,
}

impl EffectSpec {
    /// Returns the longest text that it carries beyond names and numbers, for bounds.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&String, &String)> {
        match &self.work {
            EffectWork::Program { env, .. } => env.iter(),
            EffectWork::Webhook { headers, .. } => headers.iter(),
        }
    }
}

/// Default of [`EffectSpec::timeout`] and [`Compensation::timeout`].
pub const HOOK_TIMEOUT_DEFAULT: Duration = Duration::from_mins(5);

/// Default of [`EffectSpec::retry`] and [`Compensation::retry`].
#[must_use]
pub fn hook_retry_default() -> RetryPolicy {
    RetryPolicy { attempts: 10, ..RetryPolicy::default() }
}
