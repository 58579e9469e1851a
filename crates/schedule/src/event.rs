//! What the scheduler reacts to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use votum_ids::{AttemptId, CheckpointId, Incarnation, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{
    AttemptEnd, Comeback, ConcurrencyKey, DryVoteAnswer, HeldCheckpoint, JobSpec, ListedAttempt,
    SelfReport,
};

use crate::{Drain, LiveAttempts, Moved, Removal, Submission};

/// What happens to the scheduler.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A checked job was handed in.
    Submitted {
        /// The job.
        job: JobId,
        /// What was asked for; already checked.
        spec: Arc<JobSpec>,
        /// Who, when and under which request.
        submission: Submission,
    },
    /// A worker opened a session; nothing is placed on it before its inventory ended.
    Joined(Registration),
    /// The worker lists an attempt that it knows of.
    Listed {
        /// Who.
        worker: WorkerId,
        /// What.
        listed: ListedAttempt,
    },
    /// The worker's inventory is complete: what it did not list, it does not have.
    InventoryEnded {
        /// Who.
        worker: WorkerId,
    },
    /// A frame of any kind came from the worker; renews its lease.
    Heard {
        /// Who.
        worker: WorkerId,
        /// Its staging's free space, if the frame says so.
        free_bytes: Option<u64>,
    },
    /// The worker's session ended; means nothing but that it cannot be reached right now.
    Disconnected {
        /// Who.
        worker: WorkerId,
        /// Whose session it was; that of an older start is ignored.
        incarnation: Incarnation,
    },
    /// The program of an attempt runs.
    Started {
        /// On whose session it was said.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
    },
    /// The program of an attempt said something of itself.
    Reported {
        /// Who passes it on.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
        /// Everything that it has said so far.
        report: Box<SelfReport>,
        /// How long ago it said the last of it.
        age: Duration,
    },
    /// An attempt ended.
    Ended {
        /// On whose session it was said.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
        /// How.
        end: AttemptEnd,
    },
    /// An operator wants a worker to take no further attempts.
    DrainOrdered {
        /// Whom.
        worker: WorkerId,
        /// Who ordered it and why, and how long what runs may go on.
        drain: Drain,
    },
    /// An operator wants a drained worker to take attempts again.
    ResumeOrdered {
        /// Whom.
        worker: WorkerId,
    },
    /// An operator removes the installation that bears a name, for good; it is not connected.
    RemovalOrdered {
        /// Whom.
        worker: WorkerId,
        /// Who ordered it and why.
        removal: Removal,
    },
    /// A worker obeys the order to discard an attempt.
    Discarded {
        /// On whose session it was said.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
        /// What it was by then.
        comeback: Comeback,
    },
    /// A worker has a whole checkpoint, by its report or by its inventory.
    CheckpointHeld {
        /// Who.
        worker: WorkerId,
        /// What it tells of it.
        held: HeldCheckpoint,
    },
    /// A checkpoint that a worker had is damaged or gone.
    CheckpointGone {
        /// Who.
        worker: WorkerId,
        /// Which.
        id: CheckpointId,
    },
    /// A person gives up what an aborted job keeps.
    ReleaseAsked {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// Another job was received that takes over what an aborted one keeps.
    RescueReceived {
        /// The aborted job.
        job: JobId,
        /// The other one.
        by: JobId,
    },
    /// The commit coordinator reports that a holder no longer has its share.
    ShareLost {
        /// The job.
        job: JobId,
        /// Who.
        worker: WorkerId,
        /// The installation that lost it.
        uid: WorkerUid,
    },
    /// A person wants a dry vote to be held; the report of one that is held already answers it.
    DryVoteAsked {
        /// The job.
        job: JobId,
    },
    /// A worker has answered in a dry vote.
    DryVoteAnswered {
        /// Who.
        worker: WorkerId,
        /// What it found.
        answer: Box<DryVoteAnswer>,
    },
    /// A person approves what is staged; ignored unless that is waited for.
    Approved {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// Others publish what a lost holder had promised: its outputs are with them from here on.
    PublisherReplaced {
        /// The job.
        job: JobId,
        /// Who is lost.
        worker: WorkerId,
        /// Which installation.
        uid: WorkerUid,
        /// Whose outputs are where.
        moved: Vec<Moved>,
    },
    /// A person wants a job to be held; ignored once its end is asked for.
    PauseAsked {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
        /// Why, for people and for the tasks.
        reason: String,
        /// What becomes of the attempts that are live.
        live: LiveAttempts,
    },
    /// A person lets a job go on; ignored unless it is held.
    UnpauseAsked {
        /// The job.
        job: JobId,
        /// Who.
        by: String,
    },
    /// A person wants tasks to be tried at once; ignored where none is to be tried again.
    RetryAsked {
        /// The job.
        job: JobId,
        /// Only this one; every one if absent.
        task: Option<TaskId>,
        /// Who.
        by: String,
    },
    /// The abort of a job is durable: stop whatever runs.
    Aborting {
        /// The job.
        job: JobId,
        /// The cause as one sentence, told to what still runs.
        why: String,
    },
    /// The commit of a job is durable: nothing of it is ever run again.
    Committing {
        /// The job.
        job: JobId,
    },
    /// Nothing of a job is under way any longer: whoever waits for its key is next.
    KeyFreed {
        /// The job.
        job: JobId,
        /// Its key.
        key: ConcurrencyKey,
    },
    /// A job is forgotten of which nobody knows that it is over: it keeps its key until it is freed.
    SetAside {
        /// The job.
        job: JobId,
        /// Its key.
        key: ConcurrencyKey,
    },
    /// The job is over: forget it.
    Closed {
        /// The job.
        job: JobId,
    },
    /// Time has passed; does the one most urgent thing that is due.
    Tick,
}

/// A worker as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Registration {
    /// Its name.
    pub worker: WorkerId,
    /// Its installation.
    pub uid: WorkerUid,
    /// This start of its daemon.
    pub incarnation: Incarnation,
    /// Version of the daemon.
    pub version: String,
    /// At most this many attempts at a time.
    pub slots: u32,
    /// For placement.
    pub labels: BTreeMap<String, String>,
    /// Where it serves artifacts and logs, as `host:port`.
    pub artifact_address: String,
    /// Absolute paths below which it publishes.
    pub publish_roots: Vec<String>,
    /// The version of the session's protocol that was chosen; 0 in records from before the choice.
    #[serde(default)]
    pub protocol: u32,
}
