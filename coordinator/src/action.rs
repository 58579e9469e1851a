//! What the coordinator asks its shell to do.

use std::collections::BTreeMap;

use votum_commit::{Heuristic, Installation};
use votum_driver::Awaits;
use votum_ids::{JobId, TxnId, WorkerId, WorkerUid};
use votum_wire::{
    Behind, CaseName, FromCoordinator, QuarantinedStream, Subject, Versions,
    view::{JobState, JobView, WorkerState, WorkerView},
};

use crate::replies::ReplyId;

/// What the coordinator asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Send to a worker, if it is connected; every sender asks again by itself.
    Send {
        /// To whom.
        worker: WorkerId,
        /// What.
        frame: FromCoordinator,
    },
    /// Send once the latest facts are durable: what lets a worker forget or stop repeating.
    SendDurable {
        /// To whom.
        worker: WorkerId,
        /// What.
        frame: FromCoordinator,
    },
    /// End the session of a worker that is not admitted, and say why.
    Refuse {
        /// Whose session it is.
        installation: Installation,
        /// Why.
        refusal: Refusal,
    },
    /// Answer a client.
    Reply {
        /// Whom.
        reply: ReplyId,
        /// What.
        answer: Answer,
    },
    /// Send the request of a webhook; comes back as `Answered`.
    Post(Box<votum_settle::Post>),
    /// Look up what became of a job that is not open, for a worker that is in doubt about it.
    Recall {
        /// Who asked.
        from: Installation,
        /// About which round.
        txn: TxnId,
    },
    /// Look up where what was forced about a job that is not open belongs; comes back as
    /// `ForcedRecalled`.
    RecallForced {
        /// Who has told it.
        from: Installation,
        /// What was forced.
        heuristic: Box<Heuristic>,
    },
    /// Look up whether the journal knows how a job ended; comes back as `LookedUp`.
    LookUp {
        /// The job.
        job: JobId,
    },
    /// Start again from the log, as after a restart of the daemon.
    StartAgain,
    /// Wake whoever watches the job.
    JobChanged {
        /// The job.
        job: JobId,
    },
    /// Somebody must look: the protocol excludes this.
    Raise {
        /// What was seen.
        alarm: String,
    },
}

impl Awaits for Action {
    fn awaits_lazy_records(&self) -> bool {
        match self {
            Self::SendDurable { .. }
            | Self::Refuse { .. }
            | Self::Reply { .. }
            | Self::Recall { .. }
            | Self::RecallForced { .. }
            | Self::LookUp { .. }
            | Self::StartAgain
            | Self::JobChanged { .. } => true,
            Self::Send { .. } | Self::Post(_) | Self::Raise { .. } => false,
        }
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The job is durable; `duplicate` if the request had been received before.
    Received {
        /// The job.
        job: Box<JobView>,
        /// The same request had been received before.
        duplicate: bool,
    },
    /// The job would be received.
    Valid,
    /// The abort is durable, or was before.
    Cancelling(Box<JobView>),
    /// It is durable that what the aborted job kept is given up; its records tell what that was.
    KeptReleased {
        /// The job.
        job: JobId,
    },
    /// What was wished of the job is durable, or was before.
    Steered(Box<JobView>),
    /// The approval of the job, or its refusal, is durable.
    Approved(Box<JobView>),
    /// What a dry vote came to.
    DryVoted(votum_wire::DryVoteView),
    /// What a rescue makes of each task, and the durable job if one was received.
    Rescued {
        /// What becomes of each task.
        plan: Vec<votum_wire::rescue::RescuedTask>,
        /// The job.
        job: Option<Box<JobView>>,
        /// The same request had been received before.
        duplicate: bool,
    },
    /// The job is forgotten, durably.
    Deleted,
    /// The jobs asked for that are open.
    Jobs(Vec<JobView>),
    /// The jobs that may be wanted.
    Chosen(Vec<JobId>),
    /// The open transactions asked for.
    Txns(Vec<votum_wire::txn::TxnView>),
    /// Every worker.
    Workers(Vec<WorkerView>),
    /// The order about the worker is durable.
    Ordered(Box<WorkerView>),
    /// The cluster.
    Cluster(Cluster),
    /// The cluster in numbers.
    Figures(Box<crate::figures::Figures>),
    /// Every case.
    Cases(Vec<votum_wire::CaseView>),
    /// The case is decided, durably.
    Resolved,
    /// What was forced is durable.
    Forced(Box<JobView>),
    /// Nothing was changed, and why.
    Refused(Refusal),
}

/// The cluster as a whole, as far as the engine knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// How many open jobs are in each state.
    pub jobs: BTreeMap<JobState, u64>,
    /// How many of the aborted ones keep what they staged for a rescue.
    pub kept: u64,
    /// How many workers are in each state.
    pub workers: BTreeMap<WorkerState, u64>,
    /// Streams with a record that cannot be read (V3), at most [`STREAMS_MAX`].
    ///
    /// [`STREAMS_MAX`]: votum_wire::view::STREAMS_MAX
    pub quarantined: Vec<QuarantinedStream>,
    /// How many open jobs are MIXED.
    pub mixed: u64,
    /// A worker knows a newer log than this one: nothing is admitted or aborted (C6).
    pub stale: bool,
}

/// Why a request changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// No open job of this id; it may be closed or never have existed.
    #[error("there is no open job {job}")]
    NotOpen {
        /// The job.
        job: JobId,
    },
    /// A record of the job cannot be read: nothing is done with it (V3).
    #[error("{job} is quarantined: {problem}")]
    Quarantined {
        /// The job.
        job: JobId,
        /// Which records, in a few words.
        problem: String,
    },
    /// The commit is decided.
    #[error("{job} is decided to commit; a commit cannot be cancelled")]
    AlreadyCommitting {
        /// The job.
        job: JobId,
    },
    /// The job is decided: nothing of it can be held or tried again.
    #[error("{job} is {}: no task of it is run any more", .state.word())]
    Decided {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// Only a job that has ended, and of which nothing is owed, can be deleted.
    #[error("{job} is {}, and open", .state.word())]
    NotEnded {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
        /// What keeps it open after its end; empty before.
        why: String,
    },
    /// Only an aborted job can be rescued.
    #[error("{job} is {}; only an aborted job can be rescued", .state.word())]
    NotAborted {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// Nothing that the job staged is kept.
    #[error("nothing that {job} staged is kept")]
    NothingKept {
        /// The job.
        job: JobId,
    },
    /// Another job takes over what the job keeps.
    #[error("{job} is rescued by {successor}")]
    AlreadyRescued {
        /// The job.
        job: JobId,
        /// The other one.
        successor: JobId,
    },
    /// There is no such case, or it is decided.
    #[error("there is no open case {job}/{subject}")]
    NoCase {
        /// The job.
        job: JobId,
        /// What of it.
        subject: Subject,
    },
    /// What the log knows does not allow what was wanted of a case.
    #[error("the log does not allow this for {job}/{subject}")]
    IllegalResolution {
        /// The job.
        job: JobId,
        /// What of it.
        subject: Subject,
        /// What it allows.
        legal: Vec<&'static str>,
    },
    /// Something has to be known, or settled, before a person can decide the case.
    #[error("{case} cannot be decided yet: {why}")]
    NotSettled {
        /// The case.
        case: CaseName,
        /// What is missing.
        why: String,
    },
    /// Nobody waits for the worker to publish anything of the job.
    #[error("{worker} cannot be given up for {job}: {why}")]
    NothingOwed {
        /// The job.
        job: JobId,
        /// The worker.
        worker: WorkerId,
        /// Why not.
        why: String,
    },
    /// Nothing is decided about the job.
    #[error("{job} is {}; nothing is decided", .state.word())]
    NotDecided {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// The abort of the job is recorded.
    #[error("the abort of {job} is recorded")]
    AbortRecorded {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// The worker is not lost.
    #[error("worker {worker} is not lost, and publishes what it promised of {job}")]
    WorkerNotLost {
        /// The job.
        job: JobId,
        /// The worker.
        worker: WorkerId,
    },
    /// The job is not held.
    #[error("{job} is not paused")]
    NotPaused {
        /// The job.
        job: JobId,
    },
    /// Nobody is asked to approve the job.
    #[error("{job} is {}; it does not wait for an approval", .state.word())]
    NotAwaitingApproval {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// What the job has staged is not what was looked at.
    #[error("what {job} has staged is {etag}, not {given}")]
    StaleEtag {
        /// The job.
        job: JobId,
        /// What is staged.
        etag: String,
        /// What was looked at.
        given: String,
    },
    /// A vote on the job or its decision is on its way.
    #[error("{job} is {}; it is too late for a dry vote", .state.word())]
    VoteUnderWay {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// So many clients wait for a dry vote that no further one is taken.
    #[error("{max} clients wait for dry votes, as many as are allowed")]
    TooManyDryVotes {
        /// The limit.
        max: usize,
    },
    /// No task waits for another attempt.
    #[error("nothing of {job} waits for another attempt")]
    NothingToRetry {
        /// The job.
        job: JobId,
        /// The only task that was asked for.
        task: Option<votum_ids::TaskId>,
    },
    /// The job has no such task.
    #[error("{job} has no task {task}")]
    NoSuchTask {
        /// The job.
        job: JobId,
        /// The task.
        task: votum_ids::TaskId,
    },
    /// The id belongs to another job.
    #[error("the job id {job} is taken")]
    IdTaken {
        /// The job.
        job: JobId,
    },
    /// Another job has the concurrency key, and this one does not wait for it.
    #[error("{holder} has the concurrency key {key}")]
    KeyHeld {
        /// The key.
        key: votum_job::ConcurrencyKey,
        /// Who has it.
        holder: JobId,
    },
    /// The request was used for another spec.
    #[error("request {request} was used before with another spec, for job {job}")]
    RequestReused {
        /// The request.
        request: votum_ids::RequestId,
        /// Its job.
        job: JobId,
    },
    /// A task is pinned to a worker that this cluster has never seen.
    #[error("tasks.{task}.worker: no worker named {worker} was ever seen by this cluster")]
    NoSuchWorker {
        /// The task.
        task: votum_ids::TaskId,
        /// The worker.
        worker: WorkerId,
    },
    /// A task is pinned to a worker that an operator has deleted.
    #[error("tasks.{task}.worker: worker {worker} was deleted")]
    WorkerDeleted {
        /// The task.
        task: votum_ids::TaskId,
        /// The worker.
        worker: WorkerId,
    },
    /// Several tasks cannot be where they are pinned to.
    #[error("{first}; {} more like it", others.len())]
    Misplaced {
        /// What is told at length.
        first: Box<Self>,
        /// At least one.
        others: Vec<Self>,
    },
    /// A target lies below none of the worker's publish roots.
    #[error("tasks.{task}.outputs.{output}.publish: {path} lies below no publish root of {worker}")]
    OutsideRoots {
        /// The task.
        task: votum_ids::TaskId,
        /// Its output.
        output: votum_ids::OutputName,
        /// The target.
        path: String,
        /// The worker.
        worker: WorkerId,
    },
    /// There is no such worker, or it was deleted.
    #[error("there is no worker {worker}")]
    NoWorker {
        /// The name.
        worker: WorkerId,
        /// Whether there was one, which an operator has deleted.
        deleted: bool,
    },
    /// The worker is connected, so it is not gone for good.
    #[error("worker {worker} is connected")]
    WorkerConnected {
        /// The worker.
        worker: WorkerId,
        /// How many attempts run there.
        running: usize,
        /// How many open jobs have outputs staged there.
        holding: usize,
    },
    /// The vote or the commit of some jobs depends on the worker.
    #[error("worker {worker} is part of a vote or a commit that is not over")]
    WorkerInDoubt {
        /// The worker.
        worker: WorkerId,
        /// The jobs, by name.
        jobs: Vec<JobId>,
    },
    /// The name belongs to another installation.
    #[error("the name {worker} belongs to another installation, {holder}")]
    NameTaken {
        /// The name.
        worker: WorkerId,
        /// Whose it is.
        holder: WorkerUid,
    },
    /// An operator has removed the installation for good.
    #[error("installation {uid} of worker {worker} was removed")]
    WorkerRemoved {
        /// Its name.
        worker: WorkerId,
        /// The installation.
        uid: WorkerUid,
        /// Who removed it.
        by: String,
        /// Why.
        reason: String,
    },
    /// Worker and coordinator have no version of the session's protocol in common.
    #[error("worker {worker} speaks protocol {theirs}, this coordinator {ours}")]
    ProtocolMismatch {
        /// The worker.
        worker: WorkerId,
        /// What it speaks.
        theirs: Versions,
        /// What this coordinator speaks.
        ours: Versions,
        /// Who must be upgraded.
        behind: Behind,
    },
    /// So many installations of one name were removed that no further one is recorded.
    #[error("{max} installations named {worker} were removed, as many as are recorded")]
    TooManyRemovals {
        /// The name.
        worker: WorkerId,
        /// The limit.
        max: usize,
    },
    /// The log of this coordinator is behind what a worker has seen.
    #[error("this coordinator's log is older than what its workers have seen; it admits no jobs")]
    LogStale,
    /// As many jobs are open as the configuration allows.
    #[error("{max} jobs are open, as many as are allowed")]
    TooManyJobs {
        /// The limit.
        max: usize,
    },
}
