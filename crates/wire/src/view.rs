//! What people are shown: plain values that the coordinator composes and clients read.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;
use votum_commit::{Cause, Decision, Vote};
use votum_ids::{
    ClusterId, Digest, Epoch, FencingToken, Incarnation, JobId, OutputName, TaskId, WorkerId,
    WorkerUid,
};
use votum_job::{ConcurrencyKey, Failure, JobSpec, SelfReport, Usage};
use votum_machine::WallTime;

use crate::{
    ApprovalView, DryVoteView, LimitUse, PauseView, forced::ForcedView, hook::HookView,
    names::AttemptName, rescue::KeptReleaseView,
};

/// A received job and everything known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its name for ever.
    pub job: JobId,
    /// Never reused.
    pub uid: Uuid,
    /// Of the spec.
    pub display_name: String,
    /// As received, defaults filled in; absent in a basic view.
    pub spec: Option<Arc<JobSpec>>,
    /// Where it stands.
    pub state: JobState,
    /// One sentence for people: what it does or waits for.
    pub state_message: String,
    /// Set once the decision is durable.
    pub decision: Option<Decision>,
    /// Why it aborts.
    pub cause: Option<Cause>,
    /// One per task of the spec, by name.
    pub tasks: Vec<TaskView>,
    /// Who takes part in the current or deciding round; empty in a basic view.
    pub participants: Vec<ParticipantView>,
    /// Received durably.
    pub created: WallTime,
    /// First task started.
    pub started: Option<WallTime>,
    /// The current or deciding round was opened.
    pub prepared: Option<WallTime>,
    /// Decision durable.
    pub decided: Option<WallTime>,
    /// Every participant has applied the decision.
    pub ended: Option<WallTime>,
    /// Who submitted it.
    pub creator: String,
    /// Why nothing of it is placed: the first reason; absent unless it is held.
    pub pause: Option<PauseView>,
    /// What else holds it, later reasons last.
    pub further_pauses: Vec<PauseView>,
    /// The aborted job whose staged outputs it takes over.
    pub rescued_from: Option<JobId>,
    /// Until when an aborted job keeps what is staged, for a rescue.
    pub kept_until: Option<WallTime>,
    /// Who gave up what it kept before that time was over; shown for ever.
    pub kept_release: Option<KeptReleaseView>,
    /// The last job that took over what it kept.
    pub rescued_by: Option<JobId>,
    /// What it waits behind, while it is QUEUED.
    pub queue: Option<QueueView>,
    /// What is known beyond that, if a record of it cannot be read.
    pub quarantine: Option<QuarantineView>,
    /// The workers that cannot read their own records of it, by name.
    pub worker_damages: Vec<WorkerDamage>,
    /// What its decision leaves to do, by name; empty before it.
    pub hooks: Vec<HookView>,
    /// What people have forced, oldest first.
    pub forced: Vec<ForcedView>,
    /// Lost workers whose publication a decided commit waits for: a person decides.
    pub held_back: Vec<WorkerId>,
    /// What a person is asked before it commits; none unless that has come.
    pub approval: Option<ApprovalView>,
    /// The last dry vote; absent in a basic view.
    pub dry_vote: Option<DryVoteView>,
}

/// What a job waits behind whose concurrency key another one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// What it waits for.
    pub key: ConcurrencyKey,
    /// Who has it; none: the job itself has it next.
    pub holder: Option<JobId>,
    /// How many others wait before it; not all are counted.
    pub ahead: usize,
}

/// What is known of a job whose records cannot all be read (V3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineView {
    /// How many records the log has of it.
    pub records: u64,
    /// Those that cannot be read, oldest first; at most [`DAMAGES_MAX`].
    pub damages: Vec<RecordDamage>,
    /// Where it stood at the record before the first of them; none if that is the first of all.
    pub last_state: Option<JobState>,
    /// When that record was made.
    pub last_recorded: Option<WallTime>,
    /// Who may hold something of it, by name.
    pub holders: Vec<JobHolder>,
}

/// A record whose checksum holds and whose content means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordDamage {
    /// Which record of its stream, counted from 1.
    pub number: u64,
    /// Its number in the log.
    pub lsn: u64,
    /// Format version that it says.
    pub version: u16,
    /// What kind of record it was, if that can be seen.
    pub kind: Option<String>,
    /// Whether something waited for it to be durable, as for every decision.
    pub forced: bool,
    /// Why it cannot be read.
    pub problem: String,
}

/// A worker that may hold something of a quarantined job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHolder {
    /// Who.
    pub worker: WorkerId,
    /// What, and who says so.
    pub holding: String,
}

/// A worker that cannot read its own records of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerDamage {
    /// Who.
    pub worker: WorkerId,
    /// Why.
    pub problem: String,
}

/// A job of which a worker cannot read its own records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDamage {
    /// Which.
    pub job: JobId,
    /// Why.
    pub problem: String,
}

/// Most damaged records that are shown of one job.
pub const DAMAGES_MAX: usize = 16;

impl JobView {
    /// Returns the word for where it stands: that of its state, with `MIXED` where a forced
    /// outcome contradicts the decision, or `PAUSED` while it is held;
    /// `PAUSING` while what was asked to stop for that still runs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.state {
            JobState::Committed if self.is_mixed() => return "COMMITTED, MIXED",
            JobState::Aborted if self.is_mixed() => return "ABORTED, MIXED",
            JobState::Committed
            | JobState::Aborted
            | JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing
            | JobState::Committing
            | JobState::Aborting
            | JobState::Quarantined => {}
        }
        if !self.is_held() {
            return self.state.word();
        }
        let live = |task: &TaskView| matches!(task.state, TaskState::Starting | TaskState::Running);
        let stops = self.holds().any(|hold| hold.stop_running);
        if stops && self.tasks.iter().any(live) { "PAUSING" } else { "PAUSED" }
    }

    /// Says whether its records are gone, so that nothing but its end is known.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        let ended = matches!(self.state, JobState::Committed | JobState::Aborted);
        ended && self.tasks.is_empty() && self.quarantine.is_none()
    }

    /// Says whether it aborts, or aborted, because somebody cancelled it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.reason == CANCELLED)
    }

    /// Says whether it is held and not decided.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let undecided = matches!(
            self.state,
            JobState::Received | JobState::Queued | JobState::Running | JobState::AwaitingApproval
        );
        self.pause.is_some() && undecided
    }

    /// Returns everything that holds it, the first reason first.
    pub fn holds(&self) -> impl Iterator<Item = &PauseView> {
        self.pause.iter().chain(&self.further_pauses)
    }

    /// Leaves out the spec, attempts, outputs, participants and holders.
    #[must_use]
    pub fn basic(mut self) -> Self {
        self.spec = None;
        self.participants.clear();
        self.dry_vote = None;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.holders.clear();
        }
        for task in &mut self.tasks {
            task.attempts.clear();
            task.omitted_attempts = 0;
            task.outputs.clear();
            task.waits = None;
        }
        for hook in &mut self.hooks {
            hook.trials.clear();
        }
        for forced in &mut self.forced {
            forced.evidence.clear();
        }
        self
    }
}

/// The life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Durable, nothing started.
    Received,
    /// Another job has its concurrency key; nothing of it runs, and its time does not count.
    Queued,
    /// Tasks run.
    Running,
    /// Everything is staged, and a person is asked; nobody has promised anything.
    AwaitingApproval,
    /// A round of votes is being collected.
    Preparing,
    /// Commit is durable; participants make their outputs visible.
    Committing,
    /// Final: all outputs are visible everywhere.
    Committed,
    /// Abort is durable; participants discard their outputs.
    Aborting,
    /// Final: no output is visible anywhere.
    Aborted,
    /// A record of it cannot be read: nothing more happens to it by itself.
    Quarantined,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 10] = [
        Self::Received,
        Self::Queued,
        Self::Running,
        Self::AwaitingApproval,
        Self::Preparing,
        Self::Committing,
        Self::Committed,
        Self::Aborting,
        Self::Aborted,
        Self::Quarantined,
    ];

    /// Says whether the job leaves this state by itself no more: whoever waits can stop.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Committed | Self::Aborted | Self::Quarantined => true,
            Self::Received
            | Self::Queued
            | Self::Running
            | Self::AwaitingApproval
            | Self::Preparing
            | Self::Committing
            | Self::Aborting => false,
        }
    }

    /// Returns the word for people and programs, such as `RUNNING`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Preparing => "PREPARING",
            Self::Committing => "COMMITTING",
            Self::Committed => "COMMITTED",
            Self::Aborting => "ABORTING",
            Self::Aborted => "ABORTED",
            Self::Quarantined => "QUARANTINED",
        }
    }
}

/// The state of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its name in the job.
    pub task: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// Of the current or last attempt.
    pub worker: Option<WorkerId>,
    /// Oldest first; empty in a basic view. Only the newest [`ATTEMPTS_SHOWN_MAX`] cross the wire.
    pub attempts: Vec<AttemptView>,
    /// How many earlier ones are left out.
    pub omitted_attempts: u32,
    /// What is staged or published; empty in a basic view.
    pub outputs: Vec<OutputView>,
    /// Earliest start of the next attempt while retrying.
    pub retry_at: Option<WallTime>,
    /// What its running attempt has said of itself.
    pub report: Option<ReportView>,
    /// Where its next attempt would go on.
    pub checkpoint: Option<CheckpointView>,
    /// Why it does not get on: one sentence; none in a basic view.
    pub waits: Option<String>,
}

impl TaskView {
    /// Returns how many attempts it has had.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.omitted_attempts as usize + self.attempts.len()
    }
}

/// What a task has said of itself, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// Everything that it has said.
    pub report: SelfReport,
    /// When it said the last of it.
    pub at: WallTime,
    /// How much it does, in millionths of a unit each second; without a unit, of the whole.
    pub rate: Option<u64>,
    /// When it will have done everything, if it goes on like this.
    pub end: Option<WallTime>,
}

/// The last sealed state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointView {
    /// Counts the checkpoints of the task, from 1.
    pub sequence: u64,
    /// How many steps of the task are done in it.
    pub steps: u32,
    /// When the coordinator heard of it.
    pub recorded: WallTime,
    /// All bytes.
    pub bytes: u64,
    /// Who has it.
    pub workers: Vec<WorkerId>,
}

/// The life of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Predecessors are not staged yet.
    Waiting,
    /// Could run; no suitable worker has room.
    Ready,
    /// Sent to a worker; inputs are being fetched.
    Starting,
    /// The command runs.
    Running,
    /// Failed or lost; another attempt follows.
    Retrying,
    /// Exited 0; outputs are sealed.
    Staged,
    /// Its worker voted Yes.
    Prepared,
    /// Final: outputs are visible.
    Committed,
    /// Final: the last attempt failed.
    Failed,
    /// Final: stopped or never started because the job aborted.
    Cancelled,
    /// Final: had been staged; outputs were discarded.
    Discarded,
}

impl TaskState {
    /// Returns the word for people and programs, such as `STAGED`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Ready => "READY",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Retrying => "RETRYING",
            Self::Staged => "STAGED",
            Self::Prepared => "PREPARED",
            Self::Committed => "COMMITTED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Discarded => "DISCARDED",
        }
    }
}

/// One execution of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    /// Counts from 1.
    pub number: u32,
    /// Where it runs.
    pub worker: WorkerId,
    /// Fences every earlier attempt of the task.
    pub token: FencingToken,
    /// The command started.
    pub started: Option<WallTime>,
    /// The attempt ended.
    pub ended: Option<WallTime>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it used, if its worker said so.
    pub usage: Option<Usage>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Exit 0 and all outputs sealed.
    Succeeded,
    /// Anything else.
    Failed(Failure),
}

/// A staged or published output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputView {
    /// Its name in the task.
    pub output: OutputName,
    /// Who holds its bytes.
    pub worker: WorkerId,
    /// Where it stands.
    pub state: OutputState,
    /// How many files.
    pub files: u64,
    /// All bytes.
    pub bytes: u64,
    /// Of its manifest.
    pub digest: Digest,
    /// Where it is or will be visible; absent for an intermediate.
    pub publish_path: Option<String>,
}

/// The life of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputState {
    /// In shadow storage.
    Staged,
    /// Its worker promised to publish it.
    Prepared,
    /// Visible.
    Published,
    /// Discarded.
    Discarded,
}

impl OutputState {
    /// Returns the word for people and programs, such as `PUBLISHED`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Staged => "STAGED",
            Self::Prepared => "PREPARED",
            Self::Published => "PUBLISHED",
            Self::Discarded => "DISCARDED",
        }
    }
}

/// One worker's part in the commit of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantView {
    /// Who.
    pub worker: WorkerId,
    /// Its vote, once it is in.
    pub vote: Option<Vote>,
    /// Whether it has said that everything is visible.
    pub acknowledged: bool,
}

/// One worker daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Its name.
    pub worker: WorkerId,
    /// Its installation.
    pub uid: WorkerUid,
    /// The last start of its daemon.
    pub incarnation: Incarnation,
    /// Where it stands.
    pub state: WorkerState,
    /// For placement.
    pub labels: BTreeMap<String, String>,
    /// Version of the daemon.
    pub version: String,
    /// Where it serves artifacts, as `host:port`.
    pub artifact_address: String,
    /// Absolute paths below which it publishes.
    pub publish_roots: Vec<String>,
    /// Its last sign of life since the coordinator started.
    pub last_seen: Option<WallTime>,
    /// What runs on it.
    pub running: Vec<AttemptName>,
    /// At most this many attempts at a time.
    pub slots: u32,
    /// Free bytes of its staging, if it said so.
    pub free_bytes: Option<u64>,
    /// Open jobs whose staged outputs it holds.
    pub holds: Vec<JobId>,
    /// Those of them that are aborted and only keep it, for a rescue.
    pub keeps: Vec<JobId>,
    /// Why it takes no further attempts, if an operator wants it so.
    pub drain: Option<DrainView>,
    /// The version of the session's protocol that was chosen last.
    pub protocol: u32,
    /// Jobs of which it cannot read its own records, by name.
    pub damages: Vec<JobDamage>,
    /// How near its daemon is to its limits, as it said last.
    pub limits: Vec<LimitUse>,
    /// Milliseconds by which its clock was ahead when it was heard last; negative: behind.
    pub clock_ahead_ms: Option<i64>,
}

/// Why a worker takes no further attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainView {
    /// Who ordered it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When it was ordered.
    pub ordered: WallTime,
    /// When what still runs is stopped and placed elsewhere; never if none.
    pub deadline: Option<WallTime>,
}

/// The life of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerState {
    /// Takes tasks.
    Ready,
    /// Silent, its lease not yet over.
    Suspect,
    /// Its lease is over.
    Lost,
    /// Connected; says what it has, and takes no tasks before that is done.
    Reconciling,
    /// Not connected; its lease is not yet over.
    Absent,
    /// Takes no further attempts; something runs there or is staged there.
    Draining,
    /// Takes no further attempts, and nothing of any open job is there.
    Drained,
}

impl WorkerState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Suspect,
        Self::Lost,
        Self::Reconciling,
        Self::Absent,
        Self::Draining,
        Self::Drained,
    ];

    /// Returns the word for people and programs, such as `READY`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Suspect => "SUSPECT",
            Self::Lost => "LOST",
            Self::Reconciling => "RECONCILING",
            Self::Absent => "ABSENT",
            Self::Draining => "DRAINING",
            Self::Drained => "DRAINED",
        }
    }
}

/// The coordinator and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Never changes.
    pub cluster: ClusterId,
    /// Of this start.
    pub epoch: Epoch,
    /// Version of the daemon.
    pub version: String,
    /// When it started.
    pub started: WallTime,
    /// How many jobs are in each state.
    pub jobs: BTreeMap<JobState, u64>,
    /// How many of the aborted ones keep what they staged for a rescue.
    pub kept: u64,
    /// How many workers are in each state.
    pub workers: BTreeMap<WorkerState, u64>,
    /// Whether a worker knows a newer log than this one (C6).
    pub log_stale: bool,
    /// Streams of the journal with a record that cannot be read (V3); at most [`STREAMS_MAX`].
    pub quarantined: Vec<QuarantinedStream>,
    /// What the journal did since the start.
    pub journal: JournalView,
    /// How many jobs are MIXED, those included that are closed and whose record is kept.
    pub mixed: u64,
    /// What became of the journal's index at the start.
    pub index: IndexState,
    /// How near the daemon is to its limits.
    pub limits: Vec<LimitUse>,
    /// The time by which it reckons, when it answered.
    pub answered: Option<WallTime>,
}

/// A stream of the journal with a record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedStream {
    /// Its name, such as `job/nightly-1`.
    pub stream: String,
    /// Which record, why, and what follows from it.
    pub problem: String,
}

/// Most quarantined streams that are shown at once.
pub const STREAMS_MAX: usize = 100;

/// What the journal did since the start of the daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalView {
    /// Records whose actions waited for a sync.
    pub forced_records: u64,
    /// Syncs.
    pub syncs: u64,
    /// Bytes appended.
    pub bytes: u64,
}

/// What became of the journal's index at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexState {
    /// It went as far as the journal.
    Current,
    /// It was brought up to the journal's end.
    CaughtUp,
    /// It was built again from the journal.
    Rebuilt,
}

impl IndexState {
    /// Returns the word for people and programs, such as `REBUILT`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "CURRENT",
            Self::CaughtUp => "CAUGHT_UP",
            Self::Rebuilt => "REBUILT",
        }
    }
}

/// A piece of what a task wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Who wrote it.
    pub attempt: AttemptName,
    /// Where to.
    pub stream: LogStream,
    /// Position of the piece in the stream; a gap means dropped bytes.
    pub offset: u64,
    /// Raw bytes; not always UTF-8.
    pub data: Bytes,
    /// When they were written, to the second, if that is known.
    pub written: Option<WallTime>,
}

/// Tells standard output from standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Most attempts of one task in a message, with the last words of each.
pub const ATTEMPTS_SHOWN_MAX: usize = 32;
/// The reason in the cause of a job that somebody cancelled.
pub const CANCELLED: &str = "CANCELLED";
