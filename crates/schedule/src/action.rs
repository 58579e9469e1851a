//! What the scheduler asks for.

use std::time::Duration;

use votum_ids::{
    AttemptId, Digest, FencingToken, JobId, OutputName, Target, TaskId, WorkerId, WorkerUid,
};
use votum_job::{Assignment, DryVoteRequest, ResumePoint};

use crate::DryVote;

/// What the scheduler asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Order a worker to run an attempt; asked for again at its next inventory.
    Start(Box<Assignment>),
    /// Order a worker to end an attempt, and report its end.
    Stop {
        /// Whom.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
        /// For the task and for people.
        reason: String,
        /// It will be gone on with: what it has done by now is sealed first, if it saves anything.
        checkpoint_first: bool,
    },
    /// Tell a worker that its report is durable. Waits for the sync of the report's record.
    Acknowledge {
        /// Whom.
        worker: WorkerId,
        /// Whose end.
        attempt: AttemptId,
    },
    /// Tell a worker that nobody wants an attempt: end it and discard what it staged.
    Discard {
        /// Whom.
        worker: WorkerId,
        /// Which.
        attempt: AttemptId,
    },
    /// Order a worker to copy a checkpoint from one of its holders.
    Replicate {
        /// Whom.
        worker: WorkerId,
        /// Which, and who has it.
        point: Box<ResumePoint>,
    },
    /// Ask a worker what stands in the way of its part in a vote.
    DryVote {
        /// Whom.
        worker: WorkerId,
        /// What it holds or is to publish.
        request: Box<DryVoteRequest>,
    },
    /// Report: a dry vote is over.
    DryVoted {
        /// The job.
        job: JobId,
        /// What it came to; none: a vote or the end of the job has overtaken it.
        came_to: Option<DryVote>,
    },
    /// Report: every task is staged and every holder reconciled: a round can be opened.
    AllStaged {
        /// The job.
        job: JobId,
        /// Who holds what; one entry a worker.
        holdings: Vec<Holding>,
        /// How long a round waits for every vote.
        prepare_timeout: Duration,
    },
    /// Report: after AllStaged something that was staged got lost; the round cannot go on.
    Withdraw {
        /// The job.
        job: JobId,
    },
    /// Report: the job cannot succeed.
    Fail {
        /// The job.
        job: JobId,
        /// Stable word for programs, such as `EXIT_CODE` or `DEADLINE_EXCEEDED`.
        reason: String,
        /// One sentence for people: which task, where, after how many attempts.
        message: String,
    },
    /// Report: another job was received in the place of this one, which shall abort.
    Replace {
        /// The job.
        job: JobId,
        /// The other one.
        by: JobId,
        /// Who handed that one in.
        who: String,
    },
    /// Report: these jobs wait in line, and others before them than they did.
    LineMoved {
        /// Those next in line.
        jobs: Vec<JobId>,
    },
    /// Report: nothing of an aborting job runs on any worker that can be heard.
    Stopped {
        /// The job.
        job: JobId,
    },
    /// Report: a worker became ready, suspect, lost, or changed its registration.
    WorkerChanged {
        /// Who.
        worker: WorkerId,
    },
}

/// What one worker holds for a job whose tasks are all staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub worker: WorkerId,
    /// Its installation.
    pub uid: WorkerUid,
    /// Where it serves artifacts, as `host:port`.
    pub address: String,
    /// Its sealed outputs.
    pub outputs: Vec<HeldOutput>,
}

/// One sealed output that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOutput {
    /// The task that made it.
    pub task: TaskId,
    /// Its name in the task.
    pub output: OutputName,
    /// Of the attempt that sealed it.
    pub token: FencingToken,
    /// Of its manifest.
    pub digest: Digest,
    /// Where it becomes visible.
    pub target: Option<Target>,
    /// Whether others hold it as well, and may publish it instead.
    pub replaceable: bool,
}
