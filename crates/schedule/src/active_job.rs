//! One job from its submission to its end: the state of every task, changed by records alone.
//!
//! Whatever a restart must remember is changed here and only by a record, so
//! that the running machine and the replay of its journal cannot differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use votum_ids::{AttemptId, Digest, FencingToken, JobId, OutputName, TaskId, WorkerId, WorkerUid};
use votum_job::{
    AttemptEnd, AttemptState, Comeback, Failure, FailureKind, Graph, HeldCheckpoint, JobSpec,
    OnUnreachable, TaskSpec,
};
use votum_machine::WallTime;

use crate::{
    CorruptSchedule, KeptRelease, KnownCheckpoint, Moved, Replica, Submission,
    approval::Approval,
    attempt::{Attempt, Outcome},
    dry_vote::DryVotes,
    pause::Pause,
    retry::Budget,
};

/// A job that is not over.
#[derive(Debug)]
pub(crate) struct ActiveJob {
    pub(crate) id: JobId,
    /// Counts the jobs in the order of their receipt.
    pub(crate) age: u64,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) submission: Submission,
    pub(crate) received: WallTime,
    /// From when its time counts; none while it waits for its key.
    pub(crate) since: Option<WallTime>,
    /// Its number in the line of its key, if it has one.
    pub(crate) number_in_line: Option<u64>,
    pub(crate) graph: Graph,
    pub(crate) tasks: Vec<ActiveTask>,
    /// Whether anything of it was ever given to a worker.
    pub(crate) begun: bool,
    pub(crate) staged: usize,
    pub(crate) live: usize,
    pub(crate) digest_changes: u32,
    /// How often outputs came out differently when they were made again, read or not: names what
    /// is staged for an approval.
    pub(crate) contents: u32,
    /// How many attempts were heard of again after they were given up.
    pub(crate) comebacks: usize,
    /// The first task that failed for good.
    pub(crate) failed: Option<usize>,
    /// Why nothing of it is placed, the first reason first.
    pub(crate) holds: Vec<Pause>,
    /// Who gave up what it kept after its abort.
    pub(crate) kept_release: Option<KeptRelease>,
    /// The last job that took over what it keeps.
    pub(crate) successor: Option<JobId>,
    /// What dry votes have found.
    pub(crate) dry_votes: DryVotes,
    /// Whether a person was asked to approve what is staged, and has.
    pub(crate) approval: Approval,
    /// Told by events; never recorded here.
    pub(crate) phase: Phase,
    /// Whether the commit coordinator was told that everything is staged.
    pub(crate) offered: bool,
    /// Attempts that a worker lists and the log does not know, until their task can adopt them.
    pub(crate) orphans: BTreeMap<usize, Orphan>,
    /// Checkpoints of such attempts.
    pub(crate) strays: Vec<(WorkerId, HeldCheckpoint)>,
    /// Whether it was received before this start of the coordinator.
    pub(crate) inherited: bool,
}

/// Where a job stands, as far as other machines decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Tasks are placed and run.
    Running,
    /// It cannot succeed; the abort was asked for.
    Failing(Blame),
    /// Its abort is durable.
    Aborting {
        /// Told to what still runs.
        why: String,
        /// Whether it was reported that nothing runs.
        stopped: bool,
    },
    /// Its commit is durable.
    Committing,
}

/// Why a job or a task has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blame {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// One task of an active job.
#[derive(Debug, Default)]
pub(crate) struct ActiveTask {
    pub(crate) state: TaskState,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) budget: Budget,
    /// How many predecessors are not staged.
    pub(crate) awaited: usize,
    /// What its outputs came to when it was last sealed, unless its inputs changed since.
    pub(crate) digests: Option<BTreeMap<OutputName, Digest>>,
    /// Whether its live attempt reads what was made again differently, and is to end first.
    pub(crate) outdated: bool,
    /// What it saved on the way, the last one last.
    pub(crate) checkpoints: Vec<KnownCheckpoint>,
    /// Who else holds what its last attempt sealed.
    pub(crate) replicas: BTreeMap<WorkerId, Replica>,
    /// What was saved under this token or an earlier one was made of other inputs.
    pub(crate) spoilt: Option<FencingToken>,
}

/// Where a task stands; the last attempt says the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// It shall run, once its predecessors are staged and a worker is free.
    #[default]
    Pending,
    /// It shall run again at this time.
    Retrying(WallTime),
    /// Its last attempt is with a worker.
    Live,
    /// Its last attempt is sealed.
    Staged,
    /// It will not be tried again.
    Failed(Blame),
}

/// An attempt that a worker lists and the log does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: AttemptId,
    pub(crate) number: u32,
    pub(crate) state: AttemptState,
}

/// Why a live attempt is not placed elsewhere while its worker is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// No other worker may run the task.
    Pinned,
    /// Its process may have escaped, and must not meet its successor (R3).
    Exclusive,
}

/// What a record changed.
#[derive(Debug, Default)]
pub(crate) struct Fallout {
    /// Tasks whose state is not what it was.
    pub(crate) touched: BTreeSet<usize>,
    /// Attempts that nobody wants any longer, and who has them.
    pub(crate) fenced: Vec<(WorkerId, AttemptId)>,
    /// Tasks whose live attempt must end before another one begins.
    pub(crate) outdated: BTreeSet<usize>,
}

impl ActiveJob {
    pub(crate) fn new(
        id: JobId,
        age: u64,
        received: WallTime,
        mut spec: Arc<JobSpec>,
        submission: Submission,
    ) -> Result<Self, CorruptSchedule> {
        // A limit is asked of the worker like a label: only who can keep it gets the task.
        let is_limited = |task: &TaskSpec| task.resources.required_labels().next().is_some();
        if spec.tasks.values().any(is_limited) {
            for task in Arc::make_mut(&mut spec).tasks.values_mut() {
                task.placement.labels.extend(task.resources.required_labels());
            }
        }
        let graph = match Graph::check(&spec) {
            Ok(graph) => graph,
            Err(problems) => return Err(CorruptSchedule::InvalidSpec { job: id, problems }),
        };
        let tasks = (0..graph.len())
            .map(|task| ActiveTask {
                awaited: graph.predecessors(task).len(),
                ..ActiveTask::default()
            })
            .collect();
        let mut job = Self {
            id,
            age,
            spec,
            submission,
            received,
            since: Some(received),
            number_in_line: None,
            graph,
            tasks,
            begun: false,
            staged: 0,
            live: 0,
            digest_changes: 0,
            contents: 0,
            comebacks: 0,
            failed: None,
            holds: Vec::new(),
            kept_release: None,
            successor: None,
            dry_votes: DryVotes::default(),
            approval: Approval::default(),
            phase: Phase::Running,
            offered: false,
            orphans: BTreeMap::new(),
            strays: Vec::new(),
            inherited: false,
        };
        job.expect_kept();
        Ok(job)
    }

    /// Says whether a worker has listed a later attempt of the task, which proves that this one
    /// was over before the log lost its end.
    pub(crate) fn is_superseded(&self, task: usize, live: &Attempt) -> bool {
        self.orphans.get(&task).is_some_and(|orphan| orphan.attempt.token > live.id.token)
    }

    /// Applies the record that an attempt was given to a worker.
    pub(crate) fn assign(
        &mut self,
        at: WallTime,
        id: &AttemptId,
        number: u32,
        worker: &WorkerId,
        uid: WorkerUid,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.position(&id.task)?;
        let set_aside = self.sets_aside();
        let task = &mut self.tasks[position];
        match task.state {
            TaskState::Pending | TaskState::Retrying(_) => {}
            TaskState::Live | TaskState::Staged | TaskState::Failed(_) => {
                return Err(CorruptSchedule::NotPending { attempt: id.clone() });
            }
        }
        if task.attempts.last().is_some_and(|last| last.id.token >= id.token) {
            return Err(CorruptSchedule::StaleToken { attempt: id.clone() });
        }
        task.attempts.push(Attempt {
            id: id.clone(),
            number,
            worker: worker.clone(),
            uid,
            assigned: at,
            started: None,
            ended: None,
            set_aside,
            outcome: Outcome::Live,
            comeback: None,
            moved_from: Vec::new(),
        });
        task.state = TaskState::Live;
        self.live += 1;
        self.begun = true;
        Ok(Fallout::of(position))
    }

    /// Applies the record that the program of an attempt runs.
    pub(crate) fn start(
        &mut self,
        at: WallTime,
        id: &AttemptId,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.live_position(id)?;
        if let Some(attempt) = self.tasks[position].attempts.last_mut() {
            attempt.started = Some(at);
        }
        Ok(Fallout::of(position))
    }

    /// Applies the record of an attempt's end as its worker reports it.
    pub(crate) fn end(
        &mut self,
        at: WallTime,
        id: &AttemptId,
        end: &AttemptEnd,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.live_position(id)?;
        let mut fallout = Fallout::of(position);
        if std::mem::take(&mut self.tasks[position].outdated) {
            self.end_outdated(at, position, end, &mut fallout);
            return Ok(fallout);
        }
        match end {
            AttemptEnd::Sealed { outputs, usage } => {
                let outcome =
                    Outcome::Sealed { outputs: outputs.clone(), usage: *usage, held: true };
                self.close(position, at, outcome);
                self.stage(position, &mut fallout);
                self.compare_digests(at, position, &mut fallout);
            }
            AttemptEnd::Failed { failure, usage } => {
                let outcome = Outcome::Failed { failure: failure.clone(), usage: *usage };
                self.close(position, at, outcome);
                self.retry_or_fail(at, position, failure, &mut fallout);
            }
        }
        Ok(fallout)
    }

    /// Applies the record that an attempt which nobody wants was heard of again.
    pub(crate) fn come_back(
        &mut self,
        at: WallTime,
        id: &AttemptId,
        comeback: Comeback,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.position(&id.task)?;
        let attempts = &mut self.tasks[position].attempts;
        match attempts.iter_mut().rfind(|attempt| attempt.id == *id) {
            Some(attempt) if attempt.may_come_back() => attempt.comeback = Some((at, comeback)),
            Some(_) | None => return Err(CorruptSchedule::NotGivenUp { attempt: id.clone() }),
        }
        self.comebacks += 1;
        Ok(Fallout::default())
    }

    /// Applies the record that a worker's attempts are over and its staged outputs gone.
    pub(crate) fn lose(
        &mut self,
        at: WallTime,
        worker: &WorkerId,
        attempts: &[AttemptId],
        staged: &[TaskId],
        moved: &[Moved],
    ) -> Result<Fallout, CorruptSchedule> {
        let gone = self.check_loss(worker, attempts, staged)?;
        let mut fallout = Fallout::default();
        for moved in moved {
            self.move_outputs(worker, moved, &mut fallout)?;
        }
        for &position in &gone {
            fallout.touched.insert(position);
            self.drop_replicas(position, &mut fallout);
            if let Some(attempt) = self.tasks[position].attempts.last_mut() {
                fallout.fenced.push((worker.clone(), attempt.id.clone()));
                attempt.let_go();
            }
        }
        let failure = worker_lost(worker);
        for id in attempts {
            let position = self.live_position(id)?;
            fallout.fenced.push((worker.clone(), id.clone()));
            self.close(position, at, Outcome::Lost);
            self.tasks[position].outdated = false;
            self.retry_or_fail(at, position, &failure, &mut fallout);
        }
        for position in gone {
            if self.tasks[position].state == TaskState::Staged && self.is_needed(position) {
                self.unstage(position, &mut fallout);
                self.retry_or_fail(at, position, &failure, &mut fallout);
            }
        }
        Ok(fallout)
    }

    /// Returns the tasks whose outputs are lost, if the whole loss can have happened.
    fn check_loss(
        &self,
        worker: &WorkerId,
        attempts: &[AttemptId],
        staged: &[TaskId],
    ) -> Result<Vec<usize>, CorruptSchedule> {
        for id in attempts {
            self.live_position(id)?;
        }
        let held = |name: &TaskId| {
            let position = self.position(name)?;
            match self.held_attempt(position) {
                Some(attempt) if attempt.worker == *worker => Ok(position),
                Some(_) | None => {
                    Err(CorruptSchedule::NotStaged { job: self.id.clone(), task: name.clone() })
                }
            }
        };
        staged.iter().map(held).collect()
    }

    pub(crate) fn position(&self, task: &TaskId) -> Result<usize, CorruptSchedule> {
        let unknown = || CorruptSchedule::UnknownTask { job: self.id.clone(), task: task.clone() };
        self.graph.position(task).ok_or_else(unknown)
    }

    pub(crate) fn task_spec(&self, position: usize) -> &TaskSpec {
        &self.spec.tasks[self.graph.name(position)]
    }

    /// Says whether the task waits for nothing but a worker.
    pub(crate) fn is_ready(&self, position: usize) -> bool {
        let task = &self.tasks[position];
        let waits = task.state == TaskState::Pending && task.awaited == 0;
        self.phase == Phase::Running && self.since.is_some() && waits
    }

    /// Says whether a silent worker is waited for with the live attempt of the task, and why.
    pub(crate) fn tie(&self, position: usize) -> Option<Tie> {
        let spec = self.task_spec(position);
        if spec.placement.worker.is_some() {
            Some(Tie::Pinned)
        } else if spec.acts_outside() && spec.on_unreachable == OnUnreachable::Wait {
            Some(Tie::Exclusive)
        } else {
            None
        }
    }

    /// Returns the last attempt if it is live.
    pub(crate) fn live_attempt(&self, position: usize) -> Option<&Attempt> {
        self.tasks[position].attempts.last().filter(|attempt| attempt.is_live())
    }

    /// Returns the last attempt if its worker holds what it sealed.
    pub(crate) fn held_attempt(&self, position: usize) -> Option<&Attempt> {
        self.tasks[position].attempts.last().filter(|attempt| attempt.is_held())
    }

    fn live_position(&self, id: &AttemptId) -> Result<usize, CorruptSchedule> {
        let position = self.position(&id.task)?;
        match self.live_attempt(position) {
            Some(attempt) if attempt.id == *id => Ok(position),
            Some(_) | None => Err(CorruptSchedule::NotLive { attempt: id.clone() }),
        }
    }

    /// Ends the live attempt; whoever calls says what the task becomes.
    pub(crate) fn close(&mut self, position: usize, at: WallTime, outcome: Outcome) {
        if let Some(attempt) = self.tasks[position].attempts.last_mut() {
            attempt.close(at, outcome);
            self.live -= 1;
        }
    }
}

impl Fallout {
    pub(crate) fn of(position: usize) -> Self {
        Self { touched: BTreeSet::from([position]), ..Self::default() }
    }
}

fn worker_lost(worker: &WorkerId) -> Failure {
    Failure {
        kind: FailureKind::WorkerLost,
        message: format!("worker {worker} was lost"),
        stderr_tail: String::new(),
    }
}
