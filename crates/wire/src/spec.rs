//! A job as it was asked for: defaults are filled in where it is read.
//!
//! Reading a whole job collects every problem instead of stopping at the first,
//! because a person has to mend them.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{OutputName, SecretName, TaskId};
use votum_job::{
    APPROVAL_DEFAULT, CheckpointPolicy, Compensation, Concurrency, EffectSpec, FlatMap,
    GRACE_PERIOD_DEFAULT, HealthCheck, InputSpec, JobSpec, OutputSpec, PREPARE_TIMEOUT_DEFAULT,
    Placement, RETENTION_DEFAULT, Resources, RetryPolicy, TIMEOUT_DEFAULT, TaskSpec,
};
use votum_proto::v1;

use crate::{
    Fault, Malformed, Translate,
    hook::{effect_from_proto, effect_to_proto},
    names::{read_worker_name, worker_name},
    program::{program_from_proto, program_to_proto},
    time::{duration, read_duration_if_any},
    translate::{Numbered as _, count, enumerated_if_any, number, parse, read_if_any, set},
};

/// Writes a job.
#[must_use]
pub fn job_spec_to_proto(spec: &JobSpec) -> v1::JobSpec {
    let task = |(id, spec)| task_to_proto(id, spec);
    v1::JobSpec {
        display_name: spec.display_name.clone(),
        description: spec.description.clone(),
        labels: spec.labels.clone(),
        params: spec.params.clone(),
        timeout: duration(spec.timeout),
        env: spec.env.clone(),
        tasks: spec.tasks.iter().map(task).collect(),
        commit: Some(v1::CommitPolicy {
            prepare_timeout: duration(spec.prepare_timeout),
            require_approval: spec.approval.is_some(),
            approval_timeout: spec.approval.and_then(duration),
            dry_vote_interval: spec.dry_vote.and_then(duration),
        }),
        retention: duration(spec.retention),
        on_exhausted: spec.on_exhausted.number(),
        keep_staged: duration(spec.keep_staged),
        concurrency: spec.concurrency.as_ref().map(Translate::to_proto),
        effects: spec.effects.iter().map(|(name, effect)| effect_to_proto(name, effect)).collect(),
    }
}

/// Reads a job and fills in defaults.
///
/// # Errors
/// Every field that means nothing, in the order of the message.
pub fn job_spec_from_proto(proto: v1::JobSpec) -> Result<JobSpec, Vec<Malformed>> {
    let mut found = Found::default();
    let timeout = found.note(read_duration_if_any("timeout", proto.timeout)).flatten();
    let mut tasks = BTreeMap::new();
    for (i, task) in proto.tasks.into_iter().enumerate() {
        let Some(id) = found.note(parse::<TaskId>(&format!("tasks[{i}].task_id"), &task.task_id))
        else {
            continue;
        };
        let field = format!("tasks.{id}");
        let name = id.to_string();
        let Some(task) = found.read_task(&field, task) else { continue };
        if tasks.insert(id, task).is_some() {
            found.0.push(Malformed::new(field, Fault::Twice(name)));
        }
    }
    let commit = proto.commit.unwrap_or_default();
    let prepare_timeout = found
        .note(read_duration_if_any("commit.prepare_timeout", commit.prepare_timeout))
        .flatten();
    let approval = found
        .note(read_duration_if_any("commit.approval_timeout", commit.approval_timeout))
        .flatten();
    let dry_vote = found
        .note(read_duration_if_any("commit.dry_vote_interval", commit.dry_vote_interval))
        .flatten();
    let retention = found.note(read_duration_if_any("retention", proto.retention)).flatten();
    let on_exhausted = found.note(enumerated_if_any("on_exhausted", proto.on_exhausted)).flatten();
    let keep_staged = found.note(read_duration_if_any("keep_staged", proto.keep_staged)).flatten();
    let concurrency =
        found.note(read_if_any::<Concurrency>("concurrency", proto.concurrency)).flatten();
    let effects = found.read_effects(proto.effects);
    found.finish(JobSpec {
        display_name: proto.display_name,
        description: proto.description,
        labels: proto.labels,
        params: proto.params,
        env: proto.env,
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        prepare_timeout: prepare_timeout.unwrap_or(PREPARE_TIMEOUT_DEFAULT),
        approval: approval.or(commit.require_approval.then_some(APPROVAL_DEFAULT)),
        dry_vote,
        on_exhausted: on_exhausted.unwrap_or_default(),
        keep_staged: keep_staged.unwrap_or_default(),
        concurrency,
        tasks: tasks.into(),
        effects,
    })
}

/// Writes a task under its name.
pub(crate) fn task_to_proto(id: &TaskId, spec: &TaskSpec) -> v1::TaskSpec {
    v1::TaskSpec {
        task_id: id.to_string(),
        depends_on: spec.needs.iter().map(TaskId::to_string).collect(),
        placement: (spec.placement != Placement::default()).then(|| spec.placement.to_proto()),
        action: Some(program_to_proto(&spec.program)),
        env: spec.env.clone(),
        inputs: spec.inputs.iter().map(|(name, input)| input_to_proto(name, input)).collect(),
        outputs: spec.outputs.iter().map(|(name, output)| output_to_proto(name, output)).collect(),
        timeout: duration(spec.timeout),
        grace_period: duration(spec.grace_period),
        retry: Some(spec.retry.to_proto()),
        start_timeout: spec.start_timeout.and_then(duration),
        progress_timeout: spec.progress_timeout.and_then(duration),
        health: spec.health.as_ref().map(Translate::to_proto),
        stop_signal: spec.stop_signal.number(),
        checkpoint: spec.checkpoint.as_ref().map(Translate::to_proto),
        resources: (!spec.resources.is_unlimited()).then(|| spec.resources.to_proto()),
        exclusive: spec.exclusive,
        on_unreachable: spec.on_unreachable.number(),
        secrets: spec.secrets.iter().map(SecretName::to_string).collect(),
        compensation: spec.compensate.as_deref().map(Translate::to_proto),
    }
}

/// Reads a task and its name; stops at the first problem.
pub(crate) fn task_from_proto(proto: v1::TaskSpec) -> Result<(TaskId, TaskSpec), Malformed> {
    let id = parse("task_id", &proto.task_id)?;
    let mut found = Found::default();
    let task = found.read_task("", proto);
    match (task, found.0.into_iter().next()) {
        (Some(task), None) => Ok((id, task)),
        (_, Some(first)) => Err(first),
        (None, None) => Err(Malformed::new("", Fault::Missing)),
    }
}

/// The problems found so far.
#[derive(Default)]
struct Found(Vec<Malformed>);

impl Found {
    /// Keeps a problem and goes on.
    fn note<T>(&mut self, result: Result<T, Malformed>) -> Option<T> {
        result.map_err(|malformed| self.0.push(malformed)).ok()
    }

    /// Returns the value if nothing is wrong with it.
    fn finish<T>(self, value: T) -> Result<T, Vec<Malformed>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    /// Reads a task; `None` if something is wrong with it.
    fn read_task(&mut self, field: &str, proto: v1::TaskSpec) -> Option<TaskSpec> {
        let mut inner = Self::default();
        let mut needs = BTreeSet::new();
        for (i, task) in proto.depends_on.iter().enumerate() {
            needs.extend(inner.note(parse::<TaskId>(&format!("depends_on[{i}]"), task)));
        }
        let placement = inner.note(read_if_any::<Placement>("placement", proto.placement));
        let program = inner.note(set("action", proto.action).and_then(program_from_proto));
        let inputs = inner.read_named("inputs", proto.inputs, |input| {
            (input.name.clone(), input_from_proto(input))
        });
        let outputs = inner.read_named("outputs", proto.outputs, |output| {
            (output.name.clone(), output_from_proto(output))
        });
        let timeout = inner.note(read_duration_if_any("timeout", proto.timeout));
        let grace_period = inner.note(read_duration_if_any("grace_period", proto.grace_period));
        let retry = inner.note(read_if_any::<RetryPolicy>("retry", proto.retry));
        let start_timeout = inner.note(read_duration_if_any("start_timeout", proto.start_timeout));
        let progress_timeout =
            inner.note(read_duration_if_any("progress_timeout", proto.progress_timeout));
        let health = inner.note(read_if_any::<HealthCheck>("health", proto.health));
        let stop_signal = inner.note(enumerated_if_any("stop_signal", proto.stop_signal));
        let checkpoint =
            inner.note(read_if_any::<CheckpointPolicy>("checkpoint", proto.checkpoint));
        let resources = inner.note(read_if_any::<Resources>("resources", proto.resources));
        let on_unreachable = inner.note(enumerated_if_any("on_unreachable", proto.on_unreachable));
        let mut secrets = BTreeSet::new();
        for (i, name) in proto.secrets.iter().enumerate() {
            secrets.extend(inner.note(parse::<SecretName>(&format!("secrets[{i}]"), name)));
        }
        let compensate =
            inner.note(read_if_any::<Compensation>("compensation", proto.compensation));
        let below = |malformed: Malformed| {
            if field.is_empty() { malformed } else { malformed.below(field) }
        };
        let sound = inner.0.is_empty();
        self.0.extend(inner.0.into_iter().map(below));
        if !sound {
            return None;
        }
        Some(TaskSpec {
            placement: placement?.unwrap_or_default(),
            needs,
            program: program?,
            env: proto.env,
            inputs,
            outputs,
            timeout: timeout?.unwrap_or(TIMEOUT_DEFAULT),
            grace_period: grace_period?.unwrap_or(GRACE_PERIOD_DEFAULT),
            retry: retry?.unwrap_or_default(),
            start_timeout: start_timeout?,
            progress_timeout: progress_timeout?,
            health: health?,
            stop_signal: stop_signal?.unwrap_or_default(),
            checkpoint: checkpoint?,
            resources: resources?.unwrap_or_default(),
            exclusive: proto.exclusive,
            on_unreachable: on_unreachable?.unwrap_or_default(),
            secrets,
            compensate: compensate?.map(Box::new),
        })
    }

    /// Reads the effects of a job, whose names must not repeat.
    fn read_effects(&mut self, protos: Vec<v1::EffectSpec>) -> BTreeMap<TaskId, EffectSpec> {
        let mut effects = BTreeMap::new();
        for (i, proto) in protos.into_iter().enumerate() {
            let field = format!("effects[{i}].effect_id");
            let Some(name) = self.note(parse::<TaskId>(&field, &proto.effect_id)) else {
                continue;
            };
            let place = format!("effects.{name}");
            let effect = effect_from_proto(proto).map_err(|malformed| malformed.below(&place));
            let Some(effect) = self.note(effect) else { continue };
            let text = name.to_string();
            if effects.insert(name, effect).is_some() {
                self.0.push(Malformed::new(place, Fault::Twice(text)));
            }
        }
        effects
    }

    /// Reads a list whose entries carry their name, which must not repeat.
    fn read_named<P, T>(
        &mut self,
        field: &str,
        protos: Vec<P>,
        read: impl Fn(P) -> (String, Result<T, Malformed>),
    ) -> FlatMap<OutputName, T> {
        let mut values = BTreeMap::new();
        for (i, proto) in protos.into_iter().enumerate() {
            let (name, value) = read(proto);
            let Some(name) = self.note(parse::<OutputName>(&format!("{field}[{i}].name"), &name))
            else {
                continue;
            };
            let place = format!("{field}.{name}");
            let value = value.map_err(|malformed| malformed.below(&place));
            let Some(value) = self.note(value) else { continue };
            let text = name.to_string();
            if values.insert(name, value).is_some() {
                self.0.push(Malformed::new(place, Fault::Twice(text)));
            }
        }
        values.into()
    }
}

impl Translate for Placement {
    type Proto = v1::Placement;

    fn to_proto(&self) -> v1::Placement {
        v1::Placement {
            worker: self.worker.as_ref().map(worker_name).unwrap_or_default(),
            selector: self.labels.clone(),
        }
    }

    fn from_proto(proto: v1::Placement) -> Result<Self, Malformed> {
        let worker = match proto.worker.as_str() {
            "" => None,
            name => Some(read_worker_name("worker", name)?),
        };
        Ok(Self { worker, labels: proto.selector })
    }
}

impl Translate for RetryPolicy {
    type Proto = v1::RetryPolicy;

    fn to_proto(&self) -> v1::RetryPolicy {
        v1::RetryPolicy {
            max_attempts: i32::try_from(self.attempts).unwrap_or(i32::MAX),
            initial_backoff: duration(self.backoff),
            max_backoff: duration(self.backoff_max),
            fatal_exit_codes: self.never_on.iter().copied().collect(),
        }
    }

    fn from_proto(proto: v1::RetryPolicy) -> Result<Self, Malformed> {
        let default = Self::default();
        let attempts = match proto.max_attempts {
            0 => default.attempts,
            given => number("max_attempts", given)?,
        };
        let backoff = read_duration_if_any("initial_backoff", proto.initial_backoff)?;
        let backoff_max = read_duration_if_any("max_backoff", proto.max_backoff)?;
        Ok(Self {
            attempts,
            backoff: backoff.unwrap_or(default.backoff),
            backoff_max: backoff_max.unwrap_or(default.backoff_max),
            never_on: proto.fatal_exit_codes.into_iter().collect(),
        })
    }
}

fn input_to_proto(name: &OutputName, input: &InputSpec) -> v1::InputSpec {
    let source = match input {
        InputSpec::TaskOutput { task, output } => {
            v1::input_spec::Source::TaskOutput(v1::TaskOutputRef {
                task_id: task.to_string(),
                output: output.to_string(),
            })
        }
        InputSpec::WorkerPath(path) => v1::input_spec::Source::WorkerPath(path.clone()),
    };
    v1::InputSpec { name: name.to_string(), source: Some(source) }
}

fn input_from_proto(proto: v1::InputSpec) -> Result<InputSpec, Malformed> {
    match set("source", proto.source)? {
        v1::input_spec::Source::TaskOutput(from) => Ok(InputSpec::TaskOutput {
            task: parse("task_output.task_id", &from.task_id)?,
            output: parse("task_output.output", &from.output)?,
        }),
        v1::input_spec::Source::WorkerPath(path) => Ok(InputSpec::WorkerPath(path)),
    }
}

fn output_to_proto(name: &OutputName, output: &OutputSpec) -> v1::OutputSpec {
    v1::OutputSpec {
        name: name.to_string(),
        path: output.path.clone(),
        publish: output.publish.as_ref().map(Translate::to_proto),
        optional: output.optional,
        max_bytes: output.bytes_max.map(count),
        // One is what a message without the field says.
        replicas: match output.replicas {
            1 => 0,
            more => i32::try_from(more).unwrap_or(i32::MAX),
        },
    }
}

fn output_from_proto(proto: v1::OutputSpec) -> Result<OutputSpec, Malformed> {
    Ok(OutputSpec {
        path: if proto.path.is_empty() { proto.name } else { proto.path },
        optional: proto.optional,
        bytes_max: proto.max_bytes.map(|bytes| number("max_bytes", bytes)).transpose()?,
        publish: read_if_any("publish", proto.publish)?,
        replicas: number::<_, u32>("replicas", proto.replicas)?.max(1),
    })
}
