//! A dry vote: what a round would ask of each worker, asked without a promise and without a record.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use votum_ids::{Digest, FencingToken, JobId, OutputName, Target, TaskId, WorkerId};

/// Asks a worker what stands in the way of its part in a vote; it promises nothing by its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryVoteRequest {
    /// The job.
    pub job: JobId,
    /// Which dry vote; the answer to an earlier one is ignored.
    pub id: FencingToken,
    /// What the worker holds or is to publish.
    pub candidates: Vec<Candidate>,
    /// How many bytes tasks may still need there that have not begun.
    pub bytes_wanted: u64,
}

/// One output that a round would name for a worker, or will once its task has made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The task.
    pub task: TaskId,
    /// Its output.
    pub output: OutputName,
    /// Where it becomes visible, if it does.
    pub target: Option<Target>,
    /// What is sealed of it; nothing while its task still runs.
    pub sealed: Option<SealedAs>,
}

/// Names the sealed bytes of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedAs {
    /// Of the attempt that sealed it.
    pub token: FencingToken,
    /// Of its manifest.
    pub digest: Digest,
}

/// What a worker found in a dry vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryVoteAnswer {
    /// The job.
    pub job: JobId,
    /// Which dry vote.
    pub id: FencingToken,
    /// What stands in the way; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub omitted: u32,
    /// What stands at each target by now.
    pub bases: Vec<Base>,
}

/// Something that stands in the way of a commit, or may surprise whoever wants it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Where.
    pub worker: WorkerId,
    /// Whose output it concerns; none: the worker as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Which output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputName>,
    /// Where that is to become visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// A word for programs: that of the No which the worker would vote, [`NOT_REACHABLE`],
    /// [`NOT_ASKED`] or [`BASE_CHANGED`].
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

impl Finding {
    /// Says whether a round of votes would fail on it; anything else is only worth a look.
    #[must_use]
    pub fn is_obstacle(&self) -> bool {
        self.reason != BASE_CHANGED && self.reason != NOT_ASKED
    }
}

/// What stands at the target of an output, recognised and not described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The task.
    pub task: TaskId,
    /// Its output.
    pub output: OutputName,
    /// Changes with what stands there; none: nothing does.
    pub content: Option<Digest>,
}

/// Most findings of one dry vote that are kept and shown.
pub const FINDINGS_MAX: usize = 64;
/// The worker cannot be asked, or did not answer in time.
pub const NOT_REACHABLE: &str = "NOT_REACHABLE";
/// The worker's program is older than dry votes.
pub const NOT_ASKED: &str = "NOT_ASKED";
/// What stands at the target is not what stood there when the job first looked.
pub const BASE_CHANGED: &str = "BASE_CHANGED";
/// The first version of the session's protocol that has dry votes.
pub const DRY_VOTE_PROTOCOL: u32 = 3;
/// Dry votes of one job are at least this far apart.
pub const DRY_VOTE_INTERVAL_MIN: Duration = Duration::from_secs(1);
