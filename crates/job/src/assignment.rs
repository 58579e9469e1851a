//! The order to run one attempt: everything a worker needs, and nothing it must look up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use votum_ids::{AttemptId, Digest, FencingToken, OutputName, WorkerId};

use crate::{ResumePoint, TaskSpec};

/// The order to run one attempt on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which attempt; its token fences every earlier one of the task.
    pub attempt: AttemptId,
    /// Counts the attempts of the task from 1, for people.
    pub number: u32,
    /// Who shall run it.
    pub worker: WorkerId,
    /// The job's display name.
    pub job_name: String,
    /// What to run.
    pub spec: TaskSpec,
    /// The job's environment; the task's wins.
    pub job_env: BTreeMap<String, String>,
    /// The job's parameters.
    pub params: BTreeMap<String, String>,
    /// Where each input is.
    pub inputs: Vec<ResolvedInput>,
    /// The attempt may run this long: the task's timeout, or less when the job ends before.
    pub time_limit: Duration,
    /// Where to go on, the last one first; the first one that is sound counts.
    #[serde(default)]
    pub resume: Vec<ResumePoint>,
    /// What it is run for.
    #[serde(default, skip_serializing_if = "Role::is_task")]
    pub role: Role,
}

/// What an attempt is run for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To stage the outputs of a task.
    #[default]
    Task,
    /// To try an effect, or the compensation of the task that the attempt names.
    Hook(Box<HookRole>),
}

/// What a try of a hook is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRole {
    /// The same at every try, and for nothing else ever.
    pub key: String,
    /// The decision: `commit` or `abort`.
    pub verdict: String,
    /// The job and its decision as JSON.
    pub announcement: String,
    /// The attempts that a compensation undoes; empty for an effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<FencingToken>,
}

impl Role {
    /// Says whether it is run to stage the outputs of a task.
    #[must_use]
    pub fn is_task(&self) -> bool {
        match self {
            Self::Task => true,
            Self::Hook(_) => false,
        }
    }
}

/// An input and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedInput {
    /// The name the task reads it under.
    pub name: OutputName,
    /// Where it is.
    pub source: InputSource,
}

/// Where the bytes of an input are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// A staged output; fetched from its holder unless that is this worker.
    Staged {
        /// The worker that holds it.
        holder: WorkerId,
        /// Where the holder serves artifacts, as `host:port`.
        address: String,
        /// The attempt that sealed it.
        attempt: AttemptId,
        /// Its name in that task.
        output: OutputName,
        /// What must arrive.
        digest: Digest,
        /// All bytes.
        bytes: u64,
        /// Lets the bearer read this artifact and no other.
        read_token: String,
    },
    /// A path on the worker itself.
    WorkerPath(String),
}
