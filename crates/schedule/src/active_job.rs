//! One job from its submission to its end: the state of every task, changed by records alone.
//!
//! Whatever a restart must remember is changed here and only by a record, so
//! that the running machine and the replay of its journal cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{AttemptId, Digest, JobId, OutputName, TaskId, WorkerId, WorkerUid};
use votum_job::{
    AttemptEnd, AttemptState, Failure, FailureKind, Graph, InputSpec, JobSpec, StagedOutput,
    TaskSpec,
};
use votum_machine::WallTime;

use crate::{
    CorruptSchedule, Submission,
    attempt::{Attempt, Outcome},
    retry::{Budget, Verdict},
};

/// A job that is not over.
#[derive(Debug)]
pub(crate) struct ActiveJob {
    pub(crate) id: JobId,
    /// Counts the jobs in the order of their receipt.
    pub(crate) age: u64,
    pub(crate) spec: Box<JobSpec>,
    pub(crate) submission: Submission,
    pub(crate) received: WallTime,
    pub(crate) graph: Graph,
    pub(crate) tasks: Vec<ActiveTask>,
    /// Whether anything of it was ever given to a worker.
    pub(crate) begun: bool,
    pub(crate) staged: usize,
    pub(crate) live: usize,
    pub(crate) digest_changes: u32,
    /// The first task that failed for good.
    pub(crate) failed: Option<usize>,
    /// Told by events; never recorded here.
    pub(crate) phase: Phase,
    /// Whether the commit coordinator was told that everything is staged.
    pub(crate) offered: bool,
    /// Attempts that a worker lists and the log does not know, until their task can adopt them.
    pub(crate) orphans: BTreeMap<usize, Orphan>,
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

/// What a record changed.
#[derive(Debug, Default)]
pub(crate) struct Fallout {
    /// Tasks whose state is not what it was.
    pub(crate) touched: BTreeSet<usize>,
    /// Attempts that nobody wants any longer, and who has them.
    pub(crate) fenced: Vec<(WorkerId, AttemptId)>,
}

impl ActiveJob {
    pub(crate) fn new(
        id: JobId,
        age: u64,
        received: WallTime,
        spec: Box<JobSpec>,
        submission: Submission,
    ) -> Result<Self, CorruptSchedule> {
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
        Ok(Self {
            id,
            age,
            spec,
            submission,
            received,
            graph,
            tasks,
            begun: false,
            staged: 0,
            live: 0,
            digest_changes: 0,
            failed: None,
            phase: Phase::Running,
            offered: false,
            orphans: BTreeMap::new(),
            inherited: false,
        })
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
            outcome: Outcome::Live,
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

    /// Applies the record that a worker's attempts are over and its staged outputs gone.
    pub(crate) fn lose(
        &mut self,
        at: WallTime,
        worker: &WorkerId,
        attempts: &[AttemptId],
        staged: &[TaskId],
    ) -> Result<Fallout, CorruptSchedule> {
        let gone = self.check_loss(worker, attempts, staged)?;
        let mut fallout = Fallout::default();
        for &position in &gone {
            fallout.touched.insert(position);
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
        self.phase == Phase::Running && task.state == TaskState::Pending && task.awaited == 0
    }

    /// Returns the last attempt if it is live.
    pub(crate) fn live_attempt(&self, position: usize) -> Option<&Attempt> {
        self.tasks[position].attempts.last().filter(|attempt| attempt.is_live())
    }

    /// Returns the last attempt if its worker holds what it sealed.
    pub(crate) fn held_attempt(&self, position: usize) -> Option<&Attempt> {
        self.tasks[position].attempts.last().filter(|attempt| attempt.is_held())
    }

    /// Says whether somebody still has to read or publish what the task sealed (R5).
    pub(crate) fn is_needed(&self, position: usize) -> bool {
        let name = self.graph.name(position);
        let outputs = &self.spec.tasks[name].outputs;
        let published = |output: &StagedOutput| {
            outputs.get(&output.name).is_some_and(|spec| spec.publish.is_some())
        };
        let sealed = match self.tasks[position].attempts.last().map(|attempt| &attempt.outcome) {
            Some(Outcome::Sealed { outputs, .. }) => outputs.as_slice(),
            Some(Outcome::Live | Outcome::Failed { .. } | Outcome::Lost | Outcome::Superseded)
            | None => &[],
        };
        sealed.iter().any(published)
            || self.graph.successors(position).iter().any(|&successor| {
                self.tasks[successor].state != TaskState::Staged
                    && sealed.iter().any(|output| self.reads(successor, name, &output.name))
            })
    }

    fn reads(&self, consumer: usize, source: &TaskId, wanted: &OutputName) -> bool {
        self.task_spec(consumer).inputs.values().any(|input| match input {
            InputSpec::TaskOutput { task, output } => task == source && output == wanted,
            InputSpec::WorkerPath(_) => false,
        })
    }

    fn live_position(&self, id: &AttemptId) -> Result<usize, CorruptSchedule> {
        let position = self.position(&id.task)?;
        match self.live_attempt(position) {
            Some(attempt) if attempt.id == *id => Ok(position),
            Some(_) | None => Err(CorruptSchedule::NotLive { attempt: id.clone() }),
        }
    }

    /// Ends the live attempt; whoever calls says what the task becomes.
    fn close(&mut self, position: usize, at: WallTime, outcome: Outcome) {
        if let Some(attempt) = self.tasks[position].attempts.last_mut() {
            attempt.close(at, outcome);
            self.live -= 1;
        }
    }

    fn stage(&mut self, position: usize, fallout: &mut Fallout) {
        self.tasks[position].state = TaskState::Staged;
        self.staged += 1;
        for &successor in self.graph.successors(position) {
            self.tasks[successor].awaited -= 1;
            fallout.touched.insert(successor);
        }
    }

    fn unstage(&mut self, position: usize, fallout: &mut Fallout) {
        self.tasks[position].state = TaskState::Pending;
        self.staged -= 1;
        fallout.touched.insert(position);
        for &successor in self.graph.successors(position) {
            self.tasks[successor].awaited += 1;
            fallout.touched.insert(successor);
        }
    }

    fn retry_or_fail(
        &mut self,
        at: WallTime,
        position: usize,
        failure: &Failure,
        fallout: &mut Fallout,
    ) {
        fallout.touched.insert(position);
        let policy = &self.spec.tasks[self.graph.name(position)].retry;
        let state = match self.tasks[position].budget.charge(failure.kind, policy) {
            Verdict::Retry(wait) if wait.is_zero() => TaskState::Pending,
            Verdict::Retry(wait) => TaskState::Retrying(at.after(wait)),
            Verdict::Final => TaskState::Failed(self.blame(position, failure)),
        };
        let failed = matches!(state, TaskState::Failed(_));
        self.tasks[position].state = state;
        if failed {
            self.failed.get_or_insert(position);
        } else {
            self.demand_inputs(position, fallout);
        }
    }

    /// Lets every predecessor run again whose outputs are gone and are read once more.
    fn demand_inputs(&mut self, position: usize, fallout: &mut Fallout) {
        let mut wanting = vec![position];
        while let Some(consumer) = wanting.pop() {
            for source in self.sources(consumer) {
                let gone = self.tasks[source].attempts.last().is_some_and(|last| !last.is_held());
                if gone && self.tasks[source].state == TaskState::Staged && self.is_needed(source) {
                    self.unstage(source, fallout);
                    wanting.push(source);
                }
            }
        }
    }

    /// Returns the tasks whose outputs this one reads.
    pub(crate) fn sources(&self, consumer: usize) -> BTreeSet<usize> {
        let inputs = self.task_spec(consumer).inputs.values();
        let sources = inputs.filter_map(|input| match input {
            InputSpec::TaskOutput { task, .. } => self.graph.position(task),
            InputSpec::WorkerPath(_) => None,
        });
        sources.collect()
    }

    /// Compares with the last sealing; what came out differently is kept from mixing (R5).
    fn compare_digests(&mut self, at: WallTime, position: usize, fallout: &mut Fallout) {
        let sealed = self.tasks[position].attempts.last().map_or(&[][..], Attempt::held_outputs);
        let digests: BTreeMap<OutputName, Digest> =
            sealed.iter().map(|output| (output.name.clone(), output.digest)).collect();
        let earlier = self.tasks[position].digests.replace(digests.clone());
        let Some(earlier) = earlier else { return };
        let names: BTreeSet<&OutputName> = earlier.keys().chain(digests.keys()).collect();
        let differs = |name: &&&OutputName| earlier.get(**name) != digests.get(**name);
        let changed: Vec<&OutputName> = names.iter().filter(differs).copied().collect();
        let name = self.graph.name(position).clone();
        let readers = self.graph.successors(position).iter().copied();
        let mut reached: Vec<usize> = readers
            .filter(|&reader| changed.iter().any(|output| self.reads(reader, &name, output)))
            .collect();
        let before = fallout.fenced.len();
        let mut fenced = BTreeSet::new();
        while let Some(consumer) = reached.pop() {
            if !fenced.insert(consumer) {
                continue;
            }
            self.fence(at, consumer, fallout);
            let further = self.graph.successors(consumer).iter().copied();
            reached.extend(further.filter(|&reader| self.sources(reader).contains(&consumer)));
        }
        if fallout.fenced.len() > before {
            self.digest_changes += 1;
        }
        for consumer in fenced {
            if self.tasks[consumer].state == TaskState::Pending {
                self.demand_inputs(consumer, fallout);
            }
        }
    }

    /// Takes back what a task made of inputs that came out differently.
    fn fence(&mut self, at: WallTime, position: usize, fallout: &mut Fallout) {
        // With other inputs other outputs are expected; they prove nothing.
        self.tasks[position].digests = None;
        match self.tasks[position].state {
            TaskState::Live => {
                self.close(position, at, Outcome::Superseded);
                self.tasks[position].state = TaskState::Pending;
            }
            TaskState::Staged => {
                self.unstage(position, fallout);
                if let Some(attempt) = self.tasks[position].attempts.last_mut() {
                    attempt.outcome = Outcome::Superseded;
                }
            }
            TaskState::Pending | TaskState::Retrying(_) | TaskState::Failed(_) => return,
        }
        fallout.touched.insert(position);
        if let Some(attempt) = self.tasks[position].attempts.last() {
            fallout.fenced.push((attempt.worker.clone(), attempt.id.clone()));
        }
    }

    fn blame(&self, position: usize, failure: &Failure) -> Blame {
        let attempts = &self.tasks[position].attempts;
        let place = attempts.last().map_or_else(String::new, |last| format!(" on {}", last.worker));
        let count = match attempts.len() {
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        };
        let last_words = failure.stderr_tail.lines().rev().find(|line| !line.trim().is_empty());
        let last_words = last_words.map_or_else(String::new, |line| {
            format!(" ({})", line.trim().chars().take(LAST_WORDS_MAX).collect::<String>())
        });
        let (task, message) = (self.graph.name(position), &failure.message);
        Blame {
            reason: failure.kind.reason().to_owned(),
            message: format!("task {task} failed{place} after {count}: {message}{last_words}"),
        }
    }
}

impl Fallout {
    fn of(position: usize) -> Self {
        Self { touched: BTreeSet::from([position]), fenced: Vec::new() }
    }
}

fn worker_lost(worker: &WorkerId) -> Failure {
    Failure {
        kind: FailureKind::WorkerLost,
        message: format!("worker {worker} was lost"),
        stderr_tail: String::new(),
    }
}

/// Longest piece of a task's standard error that is quoted in a sentence.
const LAST_WORDS_MAX: usize = 200;
