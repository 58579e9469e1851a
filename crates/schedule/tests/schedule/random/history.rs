//! What the records tell, and what of it must never be: runs without a cause, readers of what is gone.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{Epoch, FencingToken, JobId, TaskId};
use votum_job::{AttemptEnd, InputSpec};
use votum_schedule::{Outcome, Record};

use super::Chaos;

impl Chaos {
    /// Checks that no sealed task runs again without a loss or a change (R5).
    pub(super) fn check_records(&mut self) {
        for (_, record) in &self.world.records[self.records_checked..].to_vec() {
            self.follow_approvals(record);
            self.replicas.follow(record);
            self.keys.follow(record);
            match record {
                Record::Paused { job, .. } => {
                    self.paused.insert(job.clone());
                }
                Record::Unpaused { job, .. } => {
                    self.paused.remove(job);
                }
                Record::Assigned { attempt, .. } => {
                    // What runs already, by an assignment that the log lost, goes on.
                    let adopted = attempt.token.epoch < self.world.epoch;
                    assert!(
                        adopted || !self.paused.contains(&attempt.job),
                        "{attempt} is placed while its job is paused, seed {}:\n{}",
                        self.seed,
                        self.world.told
                    );
                    let task = (attempt.job.clone(), attempt.task.clone());
                    let again = self.sealed.contains_key(&task);
                    assert!(
                        !again || self.excused.contains_key(&task),
                        "{attempt} runs again, seed {}:\n{}",
                        self.seed,
                        self.world.told
                    );
                }
                Record::Ended { attempt, end: AttemptEnd::Sealed { outputs, .. }, .. } => {
                    let task = (attempt.job.clone(), attempt.task.clone());
                    let digests: BTreeMap<_, _> =
                        outputs.iter().map(|output| (output.name.clone(), output.digest)).collect();
                    let excuse = self.excused.get(&task);
                    // One that began before its input was made anew has read what is gone.
                    if excuse.is_some_and(|since| *since < attempt.token) {
                        self.excused.remove(&task);
                    }
                    let earlier = self.sealed.insert(task, digests.clone());
                    if earlier.is_some_and(|earlier| earlier != digests) {
                        for reader in self.readers(&attempt.job, &attempt.task) {
                            self.excuse(reader, attempt.token);
                        }
                    }
                }
                Record::Lost { job, staged, attempts, .. } => {
                    for task in staged {
                        self.excuse((job.clone(), task.clone()), FIRST);
                    }
                    self.lost.extend(attempts.iter().cloned());
                }
                Record::CheckpointHeld { held, .. } => {
                    let first = self.heard.insert(held.id.clone());
                    assert!(
                        !first || !self.lost.contains(&held.id.attempt),
                        "{} counts, and its attempt was given up before, seed {}:\n{}",
                        held.id,
                        self.seed,
                        self.world.told
                    );
                }
                _ => {}
            }
        }
        self.records_checked = self.world.records.len();
    }

    fn excuse(&mut self, task: (JobId, TaskId), since: FencingToken) {
        let excuse = self.excused.entry(task).or_insert(since);
        *excuse = since.max(*excuse);
    }

    /// Draws the conclusions of the records anew, after some were lost.
    pub(super) fn recount(&mut self) {
        self.sealed.clear();
        self.paused.clear();
        self.excused.clear();
        self.lost.clear();
        self.heard.clear();
        self.approvals.clear();
        let counts = self.replicas.counts;
        self.records_checked = 0;
        self.check_records();
        self.replicas.counts = counts;
    }

    fn readers(&self, job: &JobId, task: &TaskId) -> BTreeSet<(JobId, TaskId)> {
        let spec = self.world.scheduler.spec(job).unwrap();
        let mut reached = BTreeSet::new();
        let mut next = vec![task.clone()];
        while let Some(source) = next.pop() {
            for (name, reader) in &spec.tasks {
                let reads = |input: &InputSpec| matches!(input, InputSpec::TaskOutput { task, .. } if *task == source);
                if reader.inputs.values().any(reads) && reached.insert((job.clone(), name.clone()))
                {
                    next.push(name.clone());
                }
            }
        }
        reached
    }

    /// Checks that everything that is to be committed was built on what is to be committed.
    pub(super) fn check_consistency(&self, job: &JobId) {
        let view = self.world.scheduler.job(self.world.now(), job).unwrap();
        let outputs = |task: &TaskId| {
            let task = view.tasks.iter().find(|view| view.task == *task).unwrap();
            match &task.attempts.last().unwrap().outcome {
                Outcome::Sealed { outputs, .. } => outputs.clone(),
                other => panic!("{} is {other:?}", task.task),
            }
        };
        for task in &view.tasks {
            let attempt = task.attempts.last().unwrap();
            let sim = &self.workers[&attempt.worker];
            let Some(known) = sim.attempts.get(&attempt.id) else { continue };
            for ((source, name), digest) in &known.consumed {
                let now = outputs(source);
                let now = now.iter().find(|output| output.name == *name).unwrap().digest;
                assert_eq!(
                    now, *digest,
                    "{} read another {source}.{name}, seed {}:\n{}",
                    attempt.id, self.seed, self.world.told
                );
            }
        }
    }
}

/// Smaller than any token.
const FIRST: FencingToken = FencingToken { epoch: Epoch(0), counter: 0 };
