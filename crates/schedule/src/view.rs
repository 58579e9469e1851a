//! What people are shown: plain values, computed when somebody looks.

use std::collections::BTreeSet;

use votum_ids::{AttemptId, JobId, TaskId, WorkerId};
use votum_job::{JobSpec, StagedOutput};
use votum_machine::{Moment, WallTime};

use crate::{
    Attempt, Drain, KnownCheckpoint, Pause, Registration, ReportView, Scheduler, Submission,
    active_job::{ActiveJob, Phase, TaskState},
    agenda::Due,
    roster::{Liveness, Session, Worker},
};

/// A job that is not over, with every task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// The job as a whole.
    pub summary: JobSummary,
    /// Its tasks, by name.
    pub tasks: Vec<TaskView>,
}

/// A job that is not over, as one line; costs the same however many tasks it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSummary {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub state: JobState,
    /// When it was received.
    pub received: WallTime,
    /// When it fails unless it is decided; none once that is settled.
    pub deadline: Option<Moment>,
    /// How many tasks it has.
    pub tasks: usize,
    /// How many are staged.
    pub staged: usize,
    /// How many have a live attempt.
    pub live: usize,
    /// Why its abort was asked for: a stable word and a sentence.
    pub failure: Option<(String, String)>,
    /// Why nothing of it is placed, the first reason first; empty unless it is held.
    pub holds: Vec<Pause>,
}

/// Where a job stands, as far as the scheduler knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobState {
    /// It waits for its concurrency key.
    Queued,
    /// Nothing of it was started.
    Received,
    /// Its tasks run, or wait to run.
    Running,
    /// Everything is staged, and a person is asked to approve it.
    Awaiting,
    /// Everything is staged, and it was offered for commit.
    Offered,
    /// Its abort was asked for.
    Failing,
    /// Its abort is durable.
    Aborting,
    /// Its commit is durable.
    Committing,
}

/// One task of a job that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// The task.
    pub task: TaskId,
    /// Where it stands.
    pub state: TaskStanding,
    /// Who has its live attempt, or holds its outputs.
    pub worker: Option<WorkerId>,
    /// All attempts, the first one first.
    pub attempts: Vec<Attempt>,
    /// What is staged of it.
    pub outputs: Vec<StagedOutput>,
    /// Who else holds what is staged of it.
    pub replicas: BTreeSet<WorkerId>,
    /// What its live attempt has said of itself.
    pub report: Option<ReportView>,
    /// When it is tried again.
    pub retry_at: Option<Moment>,
    /// Where its next attempt would go on.
    pub checkpoint: Option<KnownCheckpoint>,
    /// Why it does not run: one sentence; none if it does, or did.
    pub waits: Option<String>,
}

/// Where a task stands before the vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStanding {
    /// Some predecessor is not staged.
    Waiting,
    /// It waits for a worker.
    Ready,
    /// It was given to a worker.
    Starting,
    /// Its program runs.
    Running,
    /// It failed and will be tried again.
    Retrying,
    /// Its outputs are sealed.
    Staged,
    /// It will not be tried again.
    Failed,
    /// Its job ended before it did.
    Cancelled,
}

/// A worker as the coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// How it introduced itself last.
    pub registration: Registration,
    /// Whether it can be used.
    pub state: WorkerState,
    /// When its last frame came.
    pub heard: Moment,
    /// Free bytes of its staging; 0 if unknown.
    pub free_bytes: u64,
    /// How many attempts it could take.
    pub free_slots: u32,
    /// What runs there.
    pub running: Vec<AttemptId>,
    /// Jobs that have outputs staged there.
    pub holds: Vec<JobId>,
    /// Those of them that are aborted and only keep it, for a rescue.
    pub keeps: Vec<JobId>,
    /// Why it takes no attempts, if an operator wants it so.
    pub drain: Option<Drain>,
    /// Whether it has a session.
    pub connected: bool,
    /// How many earlier installations of its name were removed.
    pub removals: usize,
}

/// Whether a worker can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerState {
    /// It takes attempts.
    Ready,
    /// It takes no further attempts; something still runs there or is staged there.
    Draining,
    /// It takes no further attempts, and nothing of any open job is there.
    Drained,
    /// It is connected and says what it has.
    Reconciling,
    /// It has been silent for longer than its lease.
    Suspect,
    /// It is not connected, and not yet lost.
    Absent,
    /// It has been silent for so long that its work runs elsewhere.
    Lost,
}

impl Scheduler {
    /// Returns one job with all its tasks; none if it is over or was never received.
    #[must_use]
    pub fn job(&self, now: Moment, id: &JobId) -> Option<JobView> {
        let job = self.jobs.get(id)?;
        let tasks = (0..job.tasks.len()).map(|task| self.task_view(now, job, task)).collect();
        Some(JobView { summary: self.summarise(job), tasks })
    }

    /// Returns one task of a job.
    #[must_use]
    pub fn task(&self, now: Moment, id: &JobId, task: &TaskId) -> Option<TaskView> {
        let job = self.jobs.get(id)?;
        Some(self.task_view(now, job, job.graph.position(task)?))
    }

    /// Returns one job as one line.
    #[must_use]
    pub fn summary(&self, id: &JobId) -> Option<JobSummary> {
        self.jobs.get(id).map(|job| self.summarise(job))
    }

    /// Returns the jobs that are not over, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.keys()
    }

    /// Returns what was asked for.
    #[must_use]
    pub fn spec(&self, id: &JobId) -> Option<&JobSpec> {
        self.jobs.get(id).map(|job| &*job.spec)
    }

    /// Returns who handed a job in.
    #[must_use]
    pub fn submission(&self, id: &JobId) -> Option<&Submission> {
        self.jobs.get(id).map(|job| &job.submission)
    }

    /// Returns every worker that was ever given an attempt of the job, or has a checkpoint or a
    /// replica of it.
    #[must_use]
    pub fn involved(&self, id: &JobId) -> BTreeSet<WorkerId> {
        let tasks = || self.jobs.get(id).into_iter().flat_map(|job| &job.tasks);
        let runners = tasks().flat_map(|task| &task.attempts).map(|attempt| &attempt.worker);
        let known = tasks().flat_map(|task| &task.checkpoints);
        let moved = tasks().flat_map(|task| &task.attempts);
        let moved = moved.flat_map(|attempt| &attempt.moved_from);
        let replicas = tasks().flat_map(|task| task.replicas.keys());
        let copies = self.copies.range((id.clone(), 0)..=(id.clone(), usize::MAX));
        let copying = copies.flat_map(|(_, copying)| copying.workers());
        let others = moved.chain(replicas).chain(copying);
        runners.chain(known.flat_map(|known| known.holders.keys())).chain(others).cloned().collect()
    }

    /// Says whether a worker of this name has joined and was not removed.
    #[must_use]
    pub fn is_known_worker(&self, worker: &WorkerId) -> bool {
        self.roster.get(worker).is_some_and(|worker| !worker.is_removed())
    }

    /// Says whether a worker of this name was known and an operator has removed it.
    #[must_use]
    pub fn is_removed_worker(&self, worker: &WorkerId) -> bool {
        self.roster.get(worker).is_some_and(Worker::is_removed)
    }

    /// Returns one worker, unless it was removed.
    #[must_use]
    pub fn worker(&self, worker: &WorkerId) -> Option<WorkerView> {
        let known = self.roster.get(worker).filter(|worker| !worker.is_removed());
        known.map(|worker| self.worker_view(worker))
    }

    /// Returns what a worker said of itself when it was admitted last, unless it was removed.
    #[must_use]
    pub fn registration(&self, worker: &WorkerId) -> Option<&Registration> {
        let known = self.roster.get(worker).filter(|worker| !worker.is_removed());
        known.map(|worker| &worker.registration)
    }

    /// Returns every worker that has joined and was not removed, by name.
    pub fn workers(&self) -> impl Iterator<Item = WorkerView> {
        self.roster.present().map(|(_, worker)| self.worker_view(worker))
    }

    fn summarise(&self, job: &ActiveJob) -> JobSummary {
        let (state, failure) = match &job.phase {
            Phase::Running if job.since.is_none() => (JobState::Queued, None),
            Phase::Running if job.offered => (JobState::Offered, None),
            Phase::Running if job.awaits_approval() => (JobState::Awaiting, None),
            Phase::Running if job.begun => (JobState::Running, None),
            Phase::Running => (JobState::Received, None),
            Phase::Failing(blame) => {
                (JobState::Failing, Some((blame.reason.clone(), blame.message.clone())))
            }
            Phase::Aborting { .. } => (JobState::Aborting, None),
            Phase::Committing => (JobState::Committing, None),
        };
        JobSummary {
            job: job.id.clone(),
            state,
            received: job.received,
            deadline: {
                let work = self.agenda.moment(&Due::Deadline(job.id.clone()));
                work.or_else(|| self.agenda.moment(&Due::Approval(job.id.clone())))
            },
            tasks: job.tasks.len(),
            staged: job.staged,
            live: job.live,
            failure,
            holds: self.holds(&job.id).to_vec(),
        }
    }

    fn task_view(&self, now: Moment, job: &ActiveJob, position: usize) -> TaskView {
        let task = &job.tasks[position];
        let state = standing(job, position);
        let last = task.attempts.last();
        let worker = match state {
            TaskStanding::Starting | TaskStanding::Running | TaskStanding::Staged => {
                last.map(|attempt| attempt.worker.clone())
            }
            TaskStanding::Waiting
            | TaskStanding::Ready
            | TaskStanding::Retrying
            | TaskStanding::Failed
            | TaskStanding::Cancelled => None,
        };
        let retry_at = self.agenda.moment(&Due::Retry(job.id.clone(), position));
        TaskView {
            task: job.graph.name(position).clone(),
            state,
            worker,
            attempts: task.attempts.clone(),
            outputs: last.map_or_else(Vec::new, |attempt| attempt.held_outputs().to_vec()),
            replicas: task.replicas.keys().cloned().collect(),
            report: self.report_view(now, job, position),
            retry_at: retry_at.filter(|_| state == TaskStanding::Retrying),
            checkpoint: task.last_checkpoint().cloned(),
            waits: self.why_waiting(now, job, position, state, retry_at),
        }
    }

    /// Shows what the last attempt of a task has said of itself; it is heard of until the next
    /// attempt begins or the job is over, and how fast it gets on until its own end.
    fn report_view(&self, now: Moment, job: &ActiveJob, position: usize) -> Option<ReportView> {
        let pace = self.paces.get(&(job.id.clone(), position))?;
        if let Some(live) = job.live_attempt(position).filter(|live| pace.is_of(&live.id)) {
            let heard = self.roster.get(&live.worker).is_some_and(is_heard);
            // Who knows whether what cannot be heard still gets on.
            return Some(if heard { pace.view(now) } else { pace.last_words() });
        }
        let last = job.tasks[position].attempts.last()?;
        pace.is_of(&last.id).then(|| pace.last_words())
    }

    fn worker_view(&self, worker: &Worker) -> WorkerView {
        let live = |(job, task): &(JobId, usize)| {
            let attempt = self.jobs.get(job)?.live_attempt(*task)?;
            Some(attempt.id.clone())
        };
        let staged = |(job, task): &&(JobId, usize)| {
            let held = self.jobs.get(job).and_then(|job| job.held_attempt(*task));
            held.is_some_and(|attempt| !attempt.held_outputs().is_empty())
        };
        let held = worker.held.iter().filter(staged).chain(&worker.replicas);
        let holds: BTreeSet<JobId> = held.map(|(job, _)| job.clone()).collect();
        let keeping = |id: &&JobId| {
            let job = self.jobs.get(*id).filter(|job| job.live == 0);
            job.is_some_and(|job| matches!(job.phase, Phase::Aborting { .. }))
        };
        let (state, idle) = (state(worker), worker.live.is_empty() && holds.is_empty());
        WorkerView {
            registration: worker.registration.clone(),
            state: if idle && state == WorkerState::Draining {
                WorkerState::Drained
            } else {
                state
            },
            heard: worker.heard,
            free_bytes: worker.free_bytes,
            free_slots: worker.free_slots(),
            running: worker.live.iter().filter_map(live).collect(),
            keeps: holds.iter().filter(keeping).cloned().collect(),
            holds: holds.into_iter().collect(),
            drain: worker.orders.drain.clone(),
            connected: worker.session != Session::Absent,
            removals: worker.orders.removed.len(),
        }
    }
}

impl JobState {
    /// Returns the word of the protocol, as far as the scheduler alone can tell.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Received => "RECEIVED",
            Self::Running | Self::Failing => "RUNNING",
            Self::Awaiting => "AWAITING_APPROVAL",
            Self::Offered => "PREPARING",
            Self::Aborting => "ABORTING",
            Self::Committing => "COMMITTING",
        }
    }
}

impl TaskStanding {
    /// Returns the word of the protocol.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Ready => "READY",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Retrying => "RETRYING",
            Self::Staged => "STAGED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl WorkerState {
    /// Returns the word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Draining => "DRAINING",
            Self::Drained => "DRAINED",
            Self::Reconciling => "RECONCILING",
            Self::Suspect => "SUSPECT",
            Self::Absent => "ABSENT",
            Self::Lost => "LOST",
        }
    }
}

fn standing(job: &ActiveJob, position: usize) -> TaskStanding {
    let over = matches!(job.phase, Phase::Aborting { .. });
    let task = &job.tasks[position];
    match &task.state {
        TaskState::Pending | TaskState::Retrying(_) if over => TaskStanding::Cancelled,
        TaskState::Pending if task.awaited > 0 => TaskStanding::Waiting,
        TaskState::Pending => TaskStanding::Ready,
        TaskState::Retrying(_) => TaskStanding::Retrying,
        TaskState::Live => match job.live_attempt(position).and_then(|live| live.started) {
            Some(_) => TaskStanding::Running,
            None => TaskStanding::Starting,
        },
        TaskState::Staged => TaskStanding::Staged,
        TaskState::Failed(_) => TaskStanding::Failed,
    }
}

fn is_heard(worker: &Worker) -> bool {
    match state(worker) {
        WorkerState::Ready
        | WorkerState::Draining
        | WorkerState::Drained
        | WorkerState::Reconciling => true,
        WorkerState::Suspect | WorkerState::Absent | WorkerState::Lost => false,
    }
}

pub(crate) fn state(worker: &Worker) -> WorkerState {
    match (worker.liveness, &worker.session) {
        (Liveness::Lost | Liveness::GivenUp, _) => WorkerState::Lost,
        (Liveness::Fresh | Liveness::Suspect, Session::Absent) => WorkerState::Absent,
        (Liveness::Suspect | Liveness::Expired, _) => WorkerState::Suspect,
        (Liveness::Fresh, Session::Reconciling { .. }) => WorkerState::Reconciling,
        (Liveness::Fresh, Session::Ready { .. }) if worker.orders.drain.is_some() => {
            WorkerState::Draining
        }
        (Liveness::Fresh, Session::Ready { .. }) => WorkerState::Ready,
    }
}
