//! What must run again, and what must not: retries, lost outputs, outputs that came out differently (R5).

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{Digest, OutputName, TaskId};
use votum_job::{AttemptEnd, Failure, InputSpec, StagedOutput};
use votum_machine::WallTime;

use crate::{
    active_job::{ActiveJob, Blame, Fallout, TaskState},
    attempt::{Attempt, Outcome},
    retry::Verdict,
};

impl ActiveJob {
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

    pub(crate) fn stage(&mut self, position: usize, fallout: &mut Fallout) {
        self.tasks[position].state = TaskState::Staged;
        self.staged += 1;
        for &successor in self.graph.successors(position) {
            self.tasks[successor].awaited -= 1;
            fallout.touched.insert(successor);
        }
    }

    pub(crate) fn unstage(&mut self, position: usize, fallout: &mut Fallout) {
        self.tasks[position].state = TaskState::Pending;
        self.staged -= 1;
        fallout.touched.insert(position);
        for &successor in self.graph.successors(position) {
            self.tasks[successor].awaited += 1;
            fallout.touched.insert(successor);
        }
    }

    pub(crate) fn retry_or_fail(
        &mut self,
        at: WallTime,
        position: usize,
        failure: &Failure,
        fallout: &mut Fallout,
    ) {
        fallout.touched.insert(position);
        if self.was_set_aside(position, failure) {
            self.tasks[position].state = TaskState::Pending;
            return self.demand_inputs(position, fallout);
        }
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
            self.hold_if_exhausted(at, position, fallout);
        } else {
            self.demand_inputs(position, fallout);
        }
    }

    /// Lets every predecessor run again whose outputs are gone and are read once more.
    pub(crate) fn demand_inputs(&mut self, position: usize, fallout: &mut Fallout) {
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
    pub(crate) fn compare_digests(&mut self, at: WallTime, position: usize, fallout: &mut Fallout) {
        let sealed = self.tasks[position].attempts.last().map_or(&[][..], Attempt::held_outputs);
        let digests: BTreeMap<OutputName, Digest> =
            sealed.iter().map(|output| (output.name.clone(), output.digest)).collect();
        let earlier = self.tasks[position].digests.replace(digests.clone());
        let Some(earlier) = earlier else { return };
        let names: BTreeSet<&OutputName> = earlier.keys().chain(digests.keys()).collect();
        let differs = |name: &&&OutputName| earlier.get(**name) != digests.get(**name);
        let changed: Vec<&OutputName> = names.iter().filter(differs).copied().collect();
        self.contents += u32::from(!changed.is_empty());
        let name = self.graph.name(position).clone();
        let readers = self.graph.successors(position).iter().copied();
        let mut reached: Vec<usize> = readers
            .filter(|&reader| changed.iter().any(|output| self.reads(reader, &name, output)))
            .collect();
        let before = fallout.fenced.len() + fallout.outdated.len();
        let mut fenced = BTreeSet::new();
        while let Some(consumer) = reached.pop() {
            if !fenced.insert(consumer) {
                continue;
            }
            self.fence(at, consumer, fallout);
            let further = self.graph.successors(consumer).iter().copied();
            reached.extend(further.filter(|&reader| self.sources(reader).contains(&consumer)));
        }
        if fallout.fenced.len() + fallout.outdated.len() > before {
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
        self.spoil_checkpoints(position);
        match self.tasks[position].state {
            // Its successor must not meet it: it ends first (R3).
            TaskState::Live if self.task_spec(position).acts_outside() => {
                self.tasks[position].outdated = true;
                fallout.outdated.insert(position);
                fallout.touched.insert(position);
                return;
            }
            TaskState::Live => {
                self.close(position, at, Outcome::Superseded);
                self.tasks[position].state = TaskState::Pending;
            }
            TaskState::Staged => {
                self.drop_replicas(position, fallout);
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

    /// Takes the end of an attempt whose inputs came out differently: whatever it is, nobody
    /// wants what it made, and the task runs again at nobody's expense.
    pub(crate) fn end_outdated(
        &mut self,
        at: WallTime,
        position: usize,
        end: &AttemptEnd,
        fallout: &mut Fallout,
    ) {
        let outcome = match end {
            AttemptEnd::Sealed { .. } => Outcome::Superseded,
            AttemptEnd::Failed { failure, usage } => {
                Outcome::Failed { failure: failure.clone(), usage: *usage }
            }
        };
        self.close(position, at, outcome);
        self.tasks[position].state = TaskState::Pending;
        if let Some(attempt) = self.tasks[position].attempts.last() {
            fallout.fenced.push((attempt.worker.clone(), attempt.id.clone()));
        }
        self.demand_inputs(position, fallout);
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

/// Why an exclusive attempt is stopped whose inputs came out differently.
pub(crate) const OUTDATED: &str = "what it read was made again differently";
/// Longest piece of a task's standard error that is quoted in a sentence.
const LAST_WORDS_MAX: usize = 200;
