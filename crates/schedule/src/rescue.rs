//! The rescue of an aborted job: what it left staged is taken over instead of being made again.
//!
//! A rescue is a job of its own, and every rule of the commit protocol holds for it unchanged:
//! each task is staged by an attempt of its own, under a token of its own. The first attempt of a
//! task that the aborted job had staged does not run the task's program, though: it takes the
//! kept outputs as its inputs, checked against their digests like every input, copies them to
//! where its own outputs lie, and is sealed. Where that fails the task runs as usual.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use votum_ids::{AttemptId, Digest, JobId, OutputName, TaskId, WorkerId, WorkerUid};
use votum_job::{
    Assignment, FailureKind, InputSource, InputSpec, Program, ResolvedInput, StagedOutput,
    TaskSpec, mangled,
};

use crate::{
    Attempt, Scheduler,
    active_job::{ActiveJob, Phase},
    attempt::Outcome,
};

/// What a job takes over from an aborted one of the same spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescue {
    /// The aborted job.
    pub from: JobId,
    /// What it had staged, by task.
    pub kept: BTreeMap<TaskId, Kept>,
}

/// What one task of an aborted job has staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Who sealed it.
    pub attempt: AttemptId,
    /// Who holds it.
    pub worker: WorkerId,
    /// On which installation.
    pub uid: WorkerUid,
    /// What was sealed.
    pub outputs: Vec<StagedOutput>,
}

/// What a rescue makes of one task, as far as can be told beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescuePlan {
    /// The task.
    pub task: TaskId,
    /// Who holds what is taken over; none: the task runs again.
    pub holder: Option<WorkerId>,
    /// Why it runs again; none if it is taken over.
    pub runs: Option<String>,
}

impl Scheduler {
    /// Returns what is kept of an aborted job of which nothing runs any more; none of any other.
    #[must_use]
    pub fn rescuable(&self, id: &JobId) -> Option<Rescue> {
        let job = self.jobs.get(id)?;
        if !matches!(job.phase, Phase::Aborting { .. }) || job.live > 0 {
            return None;
        }
        let kept = (0..job.tasks.len()).filter_map(|task| {
            let attempt = job.held_attempt(task)?;
            let kept = Kept {
                attempt: attempt.id.clone(),
                worker: attempt.worker.clone(),
                uid: attempt.uid,
                outputs: attempt.held_outputs().to_vec(),
            };
            Some((job.graph.name(task).clone(), kept))
        });
        Some(Rescue { from: id.clone(), kept: kept.collect() })
    }

    /// Says for every task of an aborted job whether a rescue takes it over or runs it again.
    #[must_use]
    pub fn rescue_plan(&self, rescue: &Rescue) -> Vec<RescuePlan> {
        let Some(job) = self.jobs.get(&rescue.from) else { return Vec::new() };
        let reachable = |task: &usize| {
            let kept = rescue.kept.get(job.graph.name(*task));
            kept.is_some_and(|kept| self.is_reachable(kept))
        };
        let mut taken: BTreeSet<usize> = (0..job.tasks.len()).filter(reachable).collect();
        loop {
            let outdated = taken.iter().copied().find(|task| !job.sources(*task).is_subset(&taken));
            match outdated {
                Some(task) => taken.remove(&task),
                None => break,
            };
        }
        let plan = |task: usize| {
            let name = job.graph.name(task).clone();
            let kept = rescue.kept.get(&name);
            let runs = match kept {
                _ if taken.contains(&task) => None,
                None => Some("it was not staged".to_owned()),
                Some(kept) if !self.is_reachable(kept) => {
                    let what = if self.is_removed_worker(&kept.worker) {
                        "was deleted"
                    } else {
                        "is gone"
                    };
                    Some(format!("worker {}, which held its outputs, {what}", kept.worker))
                }
                Some(_) => Some("what it reads is made again".to_owned()),
            };
            let holder = kept.filter(|_| runs.is_none()).map(|kept| kept.worker.clone());
            RescuePlan { task: name, holder, runs }
        };
        (0..job.tasks.len()).map(plan).collect()
    }

    /// Returns what an attempt of the task takes over instead of running its program.
    pub(crate) fn takeover<'a>(&self, job: &'a ActiveJob, task: usize) -> Option<&'a Kept> {
        let rescue = job.submission.rescue.as_ref()?;
        let kept = rescue.kept.get(job.graph.name(task))?;
        // What was cut off may be tried again; what has failed is not there any more.
        let again = |attempt: &Attempt| match &attempt.outcome {
            Outcome::Live | Outcome::Lost => true,
            Outcome::Failed { failure, .. } => {
                matches!(failure.kind, FailureKind::Interrupted | FailureKind::Stopped)
            }
            Outcome::Sealed { .. } | Outcome::Superseded => false,
        };
        let same = |input: &InputSpec| match input {
            InputSpec::WorkerPath(_) => true,
            InputSpec::TaskOutput { task: source, output } => {
                let earlier = rescue.kept.get(source).map(|kept| digest(&kept.outputs, output));
                let position = job.graph.position(source);
                let held = position.and_then(|source| job.held_attempt(source));
                earlier.is_some() && earlier == held.map(|held| digest(held.held_outputs(), output))
            }
        };
        let unchanged = job.task_spec(task).inputs.values().all(same);
        let untried = job.tasks[task].attempts.iter().all(again);
        (unchanged && untried && self.is_reachable(kept)).then_some(kept)
    }

    /// Says whether what an aborted job staged of a task was lost because its holder was removed.
    #[must_use]
    pub fn is_kept_no_more(&self, id: &JobId, task: &TaskId) -> bool {
        let held = self.jobs.get(id).and_then(|job| job.held_attempt(job.graph.position(task)?));
        held.is_some_and(|held| {
            let holder = self.roster.get(&held.worker);
            !held.held_outputs().is_empty()
                && holder.is_none_or(|worker| worker.is_foreign(held.uid))
        })
    }

    /// Turns the order to run a task into the order to take over what is kept of it.
    pub(crate) fn take_over(&self, kept: &Kept, mut assignment: Assignment) -> Option<Assignment> {
        let holder = self.roster.get(&kept.worker);
        let address = holder.map(|holder| holder.registration.artifact_address.clone());
        let source = |output: &StagedOutput| {
            Some(ResolvedInput {
                name: output.name.clone(),
                source: InputSource::Staged {
                    holder: kept.worker.clone(),
                    address: address.clone()?,
                    attempt: kept.attempt.clone(),
                    output: output.name.clone(),
                    digest: output.digest,
                    bytes: output.bytes,
                    read_token: output.read_token.clone(),
                },
            })
        };
        assignment.inputs = kept.outputs.iter().map(source).collect::<Option<_>>()?;
        let given = |output: &StagedOutput| {
            let (job, task) = (&kept.attempt.job, &kept.attempt.task);
            debug_assert_ne!(*job, assignment.attempt.job, "{task} is taken over by another job");
            let source = InputSpec::TaskOutput { task: task.clone(), output: output.name.clone() };
            (output.name.clone(), source)
        };
        let TaskSpec { placement, outputs, timeout, grace_period, retry, .. } = assignment.spec;
        assignment.spec = TaskSpec {
            placement,
            inputs: kept.outputs.iter().map(given).collect(),
            outputs,
            timeout,
            grace_period,
            retry,
            ..TaskSpec::of(copying(&kept.outputs))
        };
        assignment.job_env = BTreeMap::new();
        // A copy goes on from nothing that the task's own program has saved.
        assignment.resume = Vec::new();
        Some(assignment)
    }

    /// Says whether the installation that holds it is there, or may come back soon.
    fn is_reachable(&self, kept: &Kept) -> bool {
        let holder = self.roster.get(&kept.worker);
        kept.outputs.is_empty()
            || holder.is_some_and(|worker| !worker.is_foreign(kept.uid) && !worker.is_lost())
    }
}

impl ActiveJob {
    /// Expects of what is kept that it comes out as it was (R5).
    pub(crate) fn expect_kept(&mut self) {
        let Some(rescue) = &self.submission.rescue else { return };
        for (name, kept) in &rescue.kept {
            let Some(task) = self.graph.position(name) else { continue };
            let digests = kept.outputs.iter().map(|output| (output.name.clone(), output.digest));
            self.tasks[task].digests = Some(digests.collect());
        }
    }
}

fn digest(outputs: &[StagedOutput], name: &OutputName) -> Option<Digest> {
    outputs.iter().find(|output| output.name == *name).map(|output| output.digest)
}

/// Makes a program that copies each input to the output of the same name, links as they are.
pub(crate) fn copying(outputs: &[StagedOutput]) -> Program {
    let copy = |output: &StagedOutput| {
        let variable = mangled(output.name.as_str());
        format!("cp -R -H -p \"$VOTUM_INPUT_{variable}\" \"$VOTUM_OUTPUT_{variable}\"\n")
    };
    let text = outputs.iter().map(copy).collect();
    Program::Script { text, interpreter: vec!["sh".to_owned(), "-eu".to_owned()] }
}
