//! Jobs as tests write them: small shell scripts that leave real files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use votum_ids::{Existing, OutputName, StepName, Target, TargetKind, TaskId, WorkerId};
use votum_job::{
    CheckpointPolicy, Compensation, Concurrency, ConcurrencyKey, ConcurrencyPolicy, EffectSpec,
    EffectWork, FlatMap, HealthCheck, InputSpec, JobSpec, OnExhausted, OnUnknown, OnUnreachable,
    OutputSpec, Placement, Program, RETENTION_DEFAULT, Resources, RetryPolicy, Step, TaskSpec,
    Trigger,
};

/// A job while it is written.
#[derive(Debug, Clone)]
pub struct JobDraft(JobSpec);

/// A task while it is written.
#[derive(Debug, Clone)]
pub struct TaskDraft {
    id: TaskId,
    spec: TaskSpec,
}

impl JobDraft {
    /// Begins a job without tasks.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(JobSpec {
            display_name: name.to_owned(),
            description: String::new(),
            labels: BTreeMap::new(),
            params: BTreeMap::new(),
            env: BTreeMap::new(),
            timeout: Duration::from_mins(10),
            retention: RETENTION_DEFAULT,
            prepare_timeout: Duration::from_secs(20),
            approval: None,
            dry_vote: None,
            on_exhausted: OnExhausted::Abort,
            keep_staged: Duration::ZERO,
            concurrency: None,
            tasks: FlatMap::new(),
            effects: BTreeMap::new(),
        })
    }

    /// Adds a task.
    #[must_use]
    pub fn task(mut self, task: TaskDraft) -> Self {
        self.0.tasks.insert(task.id, task.spec);
        self
    }

    /// Adds an effect that runs a script on any worker, tried often.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn effect(self, name: &str, after: Trigger, script: &str) -> Self {
        let work = EffectWork::Program {
            placement: Placement::default(),
            program: shell(script),
            env: BTreeMap::new(),
        };
        self.effect_of(name, after, work, OFTEN)
    }

    /// Adds an effect with its number of tries.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn effect_of(mut self, name: &str, after: Trigger, work: EffectWork, tries: u32) -> Self {
        let effect = EffectSpec {
            after,
            needs: BTreeSet::new(),
            work,
            timeout: Duration::from_secs(20),
            retry: soon(tries),
            on_unknown: OnUnknown::Repeat,
        };
        self.0.effects.insert(TaskId::new(name).expect("the test gives a name"), effect);
        self
    }

    /// Changes an effect that was added before.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn alter_effect(mut self, name: &str, change: impl FnOnce(&mut EffectSpec)) -> Self {
        let name = TaskId::new(name).expect("the test gives a name");
        change(self.0.effects.get_mut(&name).expect("the effect was added"));
        self
    }

    /// Sets how long a round waits for its votes.
    #[must_use]
    pub fn votes_within(mut self, limit: Duration) -> Self {
        self.0.prepare_timeout = limit;
        self
    }

    /// Lets it run beside no other job of this key.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn keyed(mut self, key: &str, policy: ConcurrencyPolicy) -> Self {
        let key = ConcurrencyKey::new(key).expect("the test gives a key");
        self.0.concurrency = Some(Concurrency { key, policy });
        self
    }

    /// Finishes it.
    #[must_use]
    pub fn spec(self) -> JobSpec {
        self.0
    }

    /// Writes the job most tests need: t1 on s1 and t2 on s2 feed t3 on s3, and each publishes
    /// `<target>` on its worker. `runs` is where each run of a task leaves a line.
    #[must_use]
    pub fn trio(name: &str, target: &str, runs: &Path) -> Self {
        Self::trio_with(name, target, runs, "true")
    }

    /// Writes the same job with a command that t3 runs before it writes anything.
    #[must_use]
    pub fn trio_with(name: &str, target: &str, runs: &Path, before_t3: &str) -> Self {
        let first = |id: &str, worker: &str| {
            TaskDraft::new(id).on(worker).counted(runs).writes("rows", target).publishes(target)
        };
        let third = TaskDraft::new("t3")
            .on("s3")
            .counted(runs)
            .runs(before_t3)
            .reads("left", "t1", "rows")
            .reads("right", "t2", "rows")
            .writes("rows", target)
            .runs("cat \"$VOTUM_INPUT_LEFT\" \"$VOTUM_INPUT_RIGHT\" | cksum > sum")
            .runs("sed 's/^/sum /' sum >> \"$VOTUM_OUTPUT_ROWS\"")
            .publishes(target);
        Self::new(name).task(first("t1", "s1")).task(first("t2", "s2")).task(third)
    }
}

impl TaskDraft {
    /// Begins a task of an empty script that may run anywhere.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let spec = TaskSpec {
            timeout: Duration::from_mins(2),
            grace_period: Duration::from_millis(500),
            retry: RetryPolicy {
                attempts: 5,
                backoff: Duration::from_millis(50),
                backoff_max: Duration::from_millis(200),
                never_on: BTreeSet::new(),
            },
            ..TaskSpec::of(Program::Script {
                text: String::new(),
                interpreter: vec!["sh".to_owned(), "-eu".to_owned()],
            })
        };
        Self { id: TaskId::new(id).expect("the test gives a name"), spec }
    }

    /// Undoes the task by a script, tried often.
    #[must_use]
    pub fn compensated(mut self, script: &str) -> Self {
        self.spec.compensate = Some(Box::new(Compensation {
            program: shell(script),
            timeout: Duration::from_secs(20),
            retry: soon(OFTEN),
            elsewhere: false,
        }));
        self
    }

    /// Begins a task of steps, each a script.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn of_steps(id: &str, steps: &[(&str, String)]) -> Self {
        let mut task = Self::new(id);
        let step = |(name, text): &(&str, String)| Step {
            name: StepName::new(name).expect("the test gives a name"),
            program: Program::Script {
                text: text.clone(),
                interpreter: vec!["sh".to_owned(), "-eu".to_owned()],
            },
        };
        task.spec.program = Program::Steps(steps.iter().map(step).collect());
        task
    }

    /// Says when its state is sealed, and where it is kept.
    #[must_use]
    pub fn saves(mut self, policy: CheckpointPolicy) -> Self {
        self.spec.checkpoint = Some(policy);
        self
    }

    /// Pins it to a worker.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn on(mut self, worker: &str) -> Self {
        self.spec.placement.worker = Some(WorkerId::new(worker).expect("the test gives a name"));
        self
    }

    /// Lets it run only where a label is.
    #[must_use]
    pub fn where_labelled(mut self, key: &str, value: &str) -> Self {
        self.spec.placement.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a line to its script.
    #[must_use]
    pub fn runs(mut self, line: &str) -> Self {
        if let Program::Script { text, .. } = &mut self.spec.program {
            text.push_str(line);
            text.push('\n');
        }
        self
    }

    /// Lets each run leave a line in `<runs>/<job>.<task>`, outside of its staging.
    #[must_use]
    pub fn counted(self, runs: &Path) -> Self {
        let runs = runs.display();
        self.runs(&format!("echo \"$VOTUM_ATTEMPT\" >> {runs}/$VOTUM_JOB_ID.$VOTUM_TASK_ID"))
    }

    /// Declares an output, and writes into it who it is from.
    #[must_use]
    pub fn writes(self, name: &str, path: &str) -> Self {
        let variable = name.to_uppercase().replace('-', "_");
        let line = "job=$VOTUM_JOB_ID task=$VOTUM_TASK_ID token=$VOTUM_FENCING_TOKEN";
        self.leaves(name, path).runs(&format!("echo \"{line}\" > \"$VOTUM_OUTPUT_{variable}\""))
    }

    /// Declares an output that its script writes itself.
    #[must_use]
    pub fn leaves(mut self, name: &str, path: &str) -> Self {
        let spec = OutputSpec {
            path: path.to_owned(),
            optional: false,
            bytes_max: None,
            publish: None,
            replicas: 1,
        };
        self.spec.outputs.insert(output(name), spec);
        self
    }

    /// Lets what it leaves lie on so many workers before the vote.
    #[must_use]
    pub fn replicated(mut self, replicas: u32) -> Self {
        for output in self.spec.outputs.values_mut() {
            output.replicas = replicas;
        }
        self
    }

    /// Publishes its only output, a file.
    #[must_use]
    pub fn publishes(self, target: &str) -> Self {
        self.publishes_if(target, Existing::Replace)
    }

    /// Publishes its only output, a file, and says what one that stands there means.
    ///
    /// # Panics
    /// If it has no output.
    #[must_use]
    pub fn publishes_if(mut self, target: &str, existing: Existing) -> Self {
        let path = target.to_owned();
        let kind = TargetKind::File;
        let target = Target { path, kind, mode: None, existing, generations_kept: None };
        self.spec.outputs.values_mut().next().expect("it has an output").publish = Some(target);
        self
    }

    /// Lets so many earlier generations stay at each of its targets.
    #[must_use]
    pub fn keeping(mut self, generations: u32) -> Self {
        let targets = self.spec.outputs.values_mut().filter_map(|output| output.publish.as_mut());
        targets.for_each(|target| target.generations_kept = Some(generations));
        self
    }

    /// Declares an output, writes into it who it is from, and publishes it with a mode.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn writes_and_publishes(self, name: &str, target: &str, mode: u32) -> Self {
        let mut task = self.writes(name, target);
        let path = target.to_owned();
        let (kind, existing) = (TargetKind::File, Existing::Replace);
        let target = Target { path, kind, mode: Some(mode), existing, generations_kept: None };
        let spec = task.spec.outputs.get_mut(&output(name)).expect("just declared");
        spec.publish = Some(target);
        task
    }

    /// Reads an output of another task.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn reads(mut self, name: &str, task: &str, from: &str) -> Self {
        let task = TaskId::new(task).expect("the test gives a name");
        let source = InputSpec::TaskOutput { task, output: output(from) };
        self.spec.inputs.insert(output(name), source);
        self
    }

    /// Waits for another task.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    pub fn needs(mut self, task: &str) -> Self {
        self.spec.needs.insert(TaskId::new(task).expect("the test gives a name"));
        self
    }

    /// Lets no two attempts of it run at once, and says what becomes of one that cannot be reached.
    #[must_use]
    pub fn exclusive(mut self, on_unreachable: OnUnreachable) -> Self {
        self.spec.exclusive = true;
        self.spec.on_unreachable = on_unreachable;
        self
    }

    /// Limits what one attempt may use.
    #[must_use]
    pub fn limited(mut self, resources: Resources) -> Self {
        self.spec.resources = resources;
        self
    }

    /// Lets its worker run a health command beside it.
    #[must_use]
    pub fn checked_by(mut self, health: HealthCheck) -> Self {
        self.spec.health = Some(health);
        self
    }

    /// Limits how long one attempt may run, and how long it may take to end then.
    #[must_use]
    pub fn ends_within(mut self, timeout: Duration, grace: Duration) -> Self {
        self.spec.timeout = timeout;
        self.spec.grace_period = grace;
        self
    }

    /// Allows so many attempts.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.spec.retry.attempts = attempts;
        self
    }
}

fn output(name: &str) -> OutputName {
    OutputName::new(name).expect("the test gives a name")
}

fn shell(script: &str) -> Program {
    let interpreter = vec!["sh".to_owned(), "-eu".to_owned()];
    Program::Script { text: script.to_owned(), interpreter }
}

fn soon(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        backoff: Duration::from_millis(50),
        backoff_max: Duration::from_millis(500),
        never_on: BTreeSet::new(),
    }
}

/// More tries than a test ever takes from a hook.
const OFTEN: u32 = 100;
