//! The cast: jobs, workers and reports, written as short texts.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;
use votum_ids::{
    AttemptId, CheckpointId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName,
    RequestId, Target, TargetKind, TaskId, WorkerId, WorkerUid,
};
use votum_job::{
    AttemptEnd, CheckpointPolicy, Concurrency, ConcurrencyKey, ConcurrencyPolicy, Failure,
    FailureKind, FlatMap, HeldCheckpoint, InputSpec, JobSpec, OnExhausted, OnUnreachable,
    OutputSpec, Program, StagedOutput, TaskSpec, Usage,
};
use votum_schedule::{Registration, Submission};

pub(crate) fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

/// Reads `extract#1.2`, an attempt of the job `sales`, or `nightly/extract#1.2`.
pub(crate) fn attempt(text: &str) -> AttemptId {
    let (path, token) = text.split_once('#').unwrap();
    let (job_name, task) = path.split_once('/').unwrap_or(("sales", path));
    let (epoch, counter) = token.split_once('.').unwrap();
    AttemptId {
        job: job(job_name),
        task: TaskId::new(task).unwrap(),
        token: FencingToken {
            epoch: Epoch(epoch.parse().unwrap()),
            counter: counter.parse().unwrap(),
        },
    }
}

/// Reads `3s`, `500ms`, `2h` or `5m`.
pub(crate) fn duration(text: &str) -> Duration {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_mins(number),
        "h" => Duration::from_hours(number),
        other => panic!("no unit {other:?}"),
    }
}

/// Reads a job: one task a line, and `timeout 1h`, `approval 24h`, `dry-vote 1h` or `key nightly`
/// and its policy for the job itself.
///
/// A task is its name and then any of `on alice`, `label role=etl`,
/// `reads extract.rows`, `after extract`, `makes rows`, `publishes rows`, `attempts 3`,
/// `backoff 2s`, `timeout 5m`, `never 3`, `exclusive wait`, `memory 1024`, `replicate yes`.
pub(crate) fn spec(name: &str, lines: &[&str]) -> JobSpec {
    let mut spec = JobSpec {
        display_name: name.into(),
        description: String::new(),
        labels: BTreeMap::new(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        timeout: Duration::from_hours(24),
        retention: Duration::from_hours(24),
        prepare_timeout: Duration::from_secs(60),
        approval: None,
        dry_vote: None,
        on_exhausted: OnExhausted::Abort,
        keep_staged: Duration::ZERO,
        concurrency: None,
        tasks: FlatMap::new(),
        effects: BTreeMap::new(),
    };
    for line in lines {
        let mut words = line.split_whitespace();
        match words.next().unwrap() {
            "exhausted" => spec.on_exhausted = OnExhausted::Pause,
            "approval" => spec.approval = Some(duration(words.next().unwrap())),
            "key" => {
                let key = ConcurrencyKey::new(words.next().unwrap()).unwrap();
                let policy = match words.next().unwrap() {
                    "queue" => ConcurrencyPolicy::Queue,
                    "replace" => ConcurrencyPolicy::Replace,
                    other => panic!("the scheduler knows nothing of {other:?}"),
                };
                spec.concurrency = Some(Concurrency { key, policy });
            }
            "dry-vote" => spec.dry_vote = Some(duration(words.next().unwrap())),
            "timeout" => spec.timeout = duration(words.next().unwrap()),
            task => {
                spec.tasks.insert(TaskId::new(task).unwrap(), task_spec(task, words));
            }
        }
    }
    spec
}

fn task_spec<'a>(name: &str, mut words: impl Iterator<Item = &'a str>) -> TaskSpec {
    let program = Program::Command(vec!["true".into()]);
    let mut task = TaskSpec { timeout: Duration::from_hours(1), ..TaskSpec::of(program) };
    while let Some(word) = words.next() {
        let value = words.next().unwrap();
        match word {
            "on" => task.placement.worker = Some(worker(value)),
            "label" => {
                let (key, value) = value.split_once('=').unwrap();
                task.placement.labels.insert(key.into(), value.into());
            }
            "reads" => {
                let (source, output) = value.split_once('.').unwrap();
                let input = InputSpec::TaskOutput {
                    task: TaskId::new(source).unwrap(),
                    output: OutputName::new(output).unwrap(),
                };
                let read_as = OutputName::new(format!("{source}-{output}")).unwrap();
                task.inputs.insert(read_as, input);
            }
            "after" => {
                task.needs.insert(TaskId::new(value).unwrap());
            }
            "makes" => {
                task.outputs.insert(OutputName::new(value).unwrap(), output_spec(value, None));
            }
            "publishes" => {
                let path = format!("/srv/{name}/{value}");
                let output = output_spec(value, Some(path));
                task.outputs.insert(OutputName::new(value).unwrap(), output);
            }
            "replicas" => {
                for output in task.outputs.values_mut() {
                    output.replicas = value.parse().unwrap();
                }
            }
            "memory" => task.resources.memory_bytes = Some(value.parse().unwrap()),
            "replicate" => {
                let replicate = value == "yes";
                let policy = CheckpointPolicy { replicate, ..CheckpointPolicy::default() };
                task.checkpoint = Some(policy);
            }
            "attempts" => task.retry.attempts = value.parse().unwrap(),
            "backoff" => task.retry.backoff = duration(value),
            "never" => {
                task.retry.never_on.insert(value.parse().unwrap());
            }
            "timeout" => task.timeout = duration(value),
            "exclusive" => {
                task.exclusive = true;
                task.on_unreachable = match value {
                    "wait" => OnUnreachable::Wait,
                    "proceed" => OnUnreachable::Proceed,
                    other => panic!("nothing is done by {other:?}"),
                };
            }
            other => panic!("a task has no {other:?}"),
        }
    }
    task
}

fn output_spec(name: &str, publish: Option<String>) -> OutputSpec {
    OutputSpec {
        path: name.into(),
        optional: false,
        bytes_max: None,
        replicas: 1,
        publish: publish.map(|path| Target {
            path,
            kind: TargetKind::File,
            mode: None,
            existing: Existing::Replace,
            generations_kept: None,
        }),
    }
}

pub(crate) fn submission() -> Submission {
    Submission {
        uid: Uuid::from_u128(7),
        by: "carol".into(),
        request: RequestId(Uuid::from_u128(8)),
        spec_digest: Digest([9; 32]),
        rescue: None,
        traceparent: None,
    }
}

pub(crate) fn registration(name: &str, uid: u128, incarnation: u128, slots: u32) -> Registration {
    Registration {
        worker: worker(name),
        uid: WorkerUid(Uuid::from_u128(uid)),
        incarnation: Incarnation(Uuid::from_u128(incarnation)),
        version: "0.1.0".into(),
        slots,
        labels: BTreeMap::new(),
        artifact_address: format!("{name}:7171"),
        publish_roots: vec!["/srv".into()],
        protocol: 3,
    }
}

/// A checkpoint of 100 bytes, from a text such as `load#1.1@7`.
pub(crate) fn held(text: &str) -> HeldCheckpoint {
    HeldCheckpoint {
        id: checkpoint(text),
        digest: Digest([7; 32]),
        bytes: 100,
        steps: 0,
        read_token: "secret".into(),
    }
}

/// Reads the name of a checkpoint.
pub(crate) fn checkpoint(text: &str) -> CheckpointId {
    let (of, sequence) = text.split_once('@').unwrap();
    CheckpointId { attempt: attempt(of), sequence: sequence.parse().unwrap() }
}

/// Seals every output that the task declares; `content` makes their digests.
pub(crate) fn sealed(spec: &TaskSpec, content: u8) -> AttemptEnd {
    let output = |name: &OutputName| StagedOutput {
        name: name.clone(),
        digest: Digest([content; 32]),
        files: 1,
        bytes: 100,
        read_token: "secret".into(),
    };
    let outputs = spec.outputs.keys().map(output).collect();
    AttemptEnd::Sealed { outputs, usage: Usage::default() }
}

pub(crate) fn failed(kind: FailureKind) -> AttemptEnd {
    let message = match kind {
        FailureKind::ExitCode(code) => format!("exit code {code}"),
        FailureKind::Interrupted => "the machine was restarted".into(),
        other => format!("{other:?}"),
    };
    let stderr_tail = "reading\nno such column\n".into();
    let failure = Failure { kind, message, stderr_tail };
    AttemptEnd::Failed { failure, usage: Usage::default() }
}
