//! Aborted jobs that keep what is staged, and the jobs that take it over.

use std::{collections::BTreeMap, sync::Arc};

use votum_ids::{AttemptId, Digest, JobId, OutputName};
use votum_job::{Assignment, AttemptEnd, FailureKind, InputSource, Program, StagedOutput, Usage};
use votum_schedule::{Event, Submission};

use super::{Chaos, Consumed};
use crate::cast::{failed, job, submission};

/// What an attempt copies instead of running its task's program: by output what it is, or
/// nothing if somebody who was to have it did not.
pub(super) type Copies = Option<BTreeMap<OutputName, Digest>>;

impl Chaos {
    /// Lets a job end of which nothing runs any more, unless it keeps what is staged.
    pub(super) fn stopped(&mut self, job: JobId) {
        let keeps = self.world.scheduler.spec(&job).is_some_and(|spec| !spec.keep_staged.is_zero());
        let rescue = self.world.scheduler.rescuable(&job);
        if keeps && !self.healing && rescue.is_some_and(|rescue| !rescue.kept.is_empty()) {
            self.free_key(&job);
            self.kept.insert(job);
        } else {
            self.close(job);
        }
    }

    /// Hands in a job that takes over what an aborted one keeps, one at a time for each.
    pub(super) fn rescue_any(&mut self) {
        if self.rescues.len() >= RESCUES_MAX {
            return;
        }
        let Some(from) = self.any_kept() else { return };
        let open =
            |by: &JobId| self.world.scheduler.spec(by).is_some() && !self.decided.contains_key(by);
        if self.rescues.iter().any(|(by, rescue)| rescue.from == from && open(by)) {
            return;
        }
        let Some(rescue) = self.world.scheduler.rescuable(&from) else { return };
        let plan = self.world.scheduler.rescue_plan(&rescue);
        let spec = self.world.scheduler.spec(&from).unwrap().clone();
        assert_eq!(plan.len(), spec.tasks.len(), "seed {}", self.seed);
        let by = job(&format!("rescue{}", self.rescues.len() + 1));
        self.rescues.insert(by.clone(), rescue.clone());
        let submission = Submission { rescue: Some(rescue), ..submission() };
        let spec = Arc::new(spec);
        self.world.step(Event::Submitted { job: by.clone(), spec, submission });
        self.durable = self.world.records.len();
        self.world.step(Event::RescueReceived { job: from, by });
    }

    /// Ends the keeping of a job: a person gives up what it keeps, or its time is over.
    pub(super) fn let_go(&mut self) {
        let Some(job) = self.any_kept() else { return };
        if self.random.below(2) == 0 {
            let (by, reason) = ("ana".to_owned(), String::new());
            self.ask(Event::ReleaseAsked { job: job.clone(), by, reason });
        }
        self.close(job);
    }

    /// Ends the keeping of a job that another one has committed in place of.
    pub(super) fn supersede(&mut self, by: &JobId) {
        let from = self.rescues.get(by).map(|rescue| rescue.from.clone());
        if let Some(from) = from.filter(|from| self.kept.contains(from)) {
            self.close(from);
        }
    }

    fn any_kept(&mut self) -> Option<JobId> {
        if self.kept.is_empty() {
            return None;
        }
        let at = usize::try_from(self.random.below(self.kept.len() as u64)).unwrap();
        self.kept.iter().nth(at).cloned()
    }

    /// Says what an attempt copies, if it takes over.
    pub(super) fn copies(&self, assignment: &Assignment) -> Option<Copies> {
        let Program::Script { .. } = &assignment.spec.program else { return None };
        let task = &assignment.attempt.task;
        let kept = &self.rescues[&assignment.attempt.job].kept[task];
        assert!(assignment.resume.is_empty(), "a copy goes on from nothing, seed {}", self.seed);
        assert_eq!(assignment.inputs.len(), kept.outputs.len(), "seed {}", self.seed);
        let copy = |source: &InputSource| {
            let InputSource::Staged { holder, attempt, output, digest, .. } = source else {
                panic!("{source:?} is taken over, seed {}", self.seed)
            };
            assert_eq!(*attempt, kept.attempt, "seed {}", self.seed);
            let held = self.workers[holder].attempts.get(attempt)?.end.as_ref()?;
            let AttemptEnd::Sealed { outputs, .. } = held else { return None };
            let held = outputs.iter().any(|held| held.name == *output && held.digest == *digest);
            held.then(|| (output.clone(), *digest))
        };
        Some(assignment.inputs.iter().map(|input| copy(&input.source)).collect())
    }

    /// Says what was read by the attempt from which this one takes over.
    pub(super) fn read_before(&self, attempt: &AttemptId) -> Consumed {
        let kept = &self.rescues[&attempt.job].kept[&attempt.task];
        self.read[&kept.attempt].clone()
    }

    /// Checks that a coordinator which starts again keeps the same of every job.
    pub(super) fn check_kept(&self, scene: &str) {
        for job in &self.kept {
            let rescue = self.world.scheduler.rescuable(job);
            assert_eq!(rescue, self.world.rescuable_after_replay(job), "{job}, {scene}");
        }
    }
}

/// Ends an attempt that takes over.
pub(super) fn copied(copies: &Copies) -> AttemptEnd {
    let Some(copies) = copies else { return failed(FailureKind::InputUnavailable) };
    let output = |(name, digest): (&OutputName, &Digest)| StagedOutput {
        name: name.clone(),
        digest: *digest,
        files: 1,
        bytes: 100,
        read_token: "secret".to_owned(),
    };
    let outputs = copies.iter().map(output).collect();
    AttemptEnd::Sealed { outputs, usage: Usage::default() }
}

const RESCUES_MAX: usize = 4;
