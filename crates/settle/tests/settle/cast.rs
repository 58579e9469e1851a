//! The cast: decided jobs, workers and reports, written as short texts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use uuid::Uuid;
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{
    AttemptEnd, Compensation, EffectSpec, EffectWork, Failure, FailureKind, FlatMap, JobSpec,
    OnExhausted, OnUnknown, Placement, Program, RetryPolicy, TaskSpec, Trigger, Usage,
};
use votum_machine::WallTime;
use votum_settle::{Event, Facts, Host, Started, Verdict};

/// The one job of the transcripts.
pub(crate) fn job() -> JobId {
    JobId::new("sales").unwrap()
}

pub(crate) fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

/// A worker's first installation, or another one: `alice`, `alice=2`.
pub(crate) fn host(text: &str) -> Host {
    let (name, uid) = text.split_once('=').unwrap_or((text, "1"));
    Host { worker: worker(name), uid: WorkerUid(Uuid::from_u128(uid.parse().unwrap())) }
}

/// Reads `1.2`.
pub(crate) fn token(text: &str) -> FencingToken {
    let (epoch, counter) = text.split_once('.').unwrap();
    FencingToken { epoch: Epoch(epoch.parse().unwrap()), counter: counter.parse().unwrap() }
}

/// Reads `mail#1.2`, a try of the job `sales`.
pub(crate) fn attempt(text: &str) -> AttemptId {
    let (hook, number) = text.split_once('#').unwrap();
    AttemptId { job: job(), task: task(hook), token: token(number) }
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

/// Reads a decision on a job that is described by lines such as
///
/// - `task reserve after extract`, and with a compensation any of `undone`, `elsewhere`,
///   `on alice`, `attempts 3`, `backoff 2s`;
/// - `effect mail at commit` with any of `webhook`, `needs log`, `park`, `on alice`,
///   `attempts 3`, `backoff 2s`;
/// - `started reserve by alice 1.1 1.2`.
pub(crate) fn decision(name: &JobId, verdict: &str, lines: &[&str]) -> Event {
    let mut spec = JobSpec {
        display_name: "sales".into(),
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
    let mut started = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["task", name, options @ ..] => {
                spec.tasks.insert(task(name), task_spec(name, options));
            }
            ["effect", name, "at", trigger, options @ ..] => {
                spec.effects.insert(task(name), effect(name, trigger, options));
            }
            ["started", of, "by", at, tokens @ ..] => {
                let attempt = |number: &&str| {
                    let token = token(number);
                    AttemptId { job: name.clone(), task: task(of), token }
                };
                let attempts = tokens.iter().map(attempt).collect();
                started.push(Started { task: task(of), attempts, host: host(at) });
            }
            other => panic!("no line {other:?}"),
        }
    }
    let verdict = match verdict {
        "commit" => Verdict::Commit,
        "abort" => Verdict::Abort,
        other => panic!("no verdict {other:?}"),
    };
    let facts = Facts {
        verdict,
        decided: WallTime(1_000_000),
        uid: Uuid::from_u128(7),
        announcement: format!("{{\"job\":\"{name}\",\"decision\":\"{}\"}}", verdict.word()),
    };
    let (spec, facts) = (Arc::new(spec), Box::new(facts));
    Event::Decided { job: name.clone(), spec, facts, started }
}

fn task_spec(name: &str, options: &[&str]) -> TaskSpec {
    let mut spec = TaskSpec::of(Program::Command(vec!["true".into()]));
    let mut undo = Compensation {
        program: Program::Command(vec!["undo".into(), name.into()]),
        timeout: Duration::from_mins(5),
        retry: retry(),
        elsewhere: false,
    };
    let mut undone = false;
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap();
        match *word {
            "undone" => undone = true,
            "elsewhere" => undo.elsewhere = true,
            "after" => {
                spec.needs.insert(task(value()));
            }
            "on" => spec.placement.worker = Some(worker(value())),
            "attempts" => undo.retry.attempts = value().parse().unwrap(),
            "backoff" => undo.retry.backoff = duration(value()),
            other => panic!("a task has no {other:?}"),
        }
    }
    spec.compensate = undone.then(|| Box::new(undo));
    spec
}

fn effect(name: &str, trigger: &str, options: &[&str]) -> EffectSpec {
    let after = match trigger {
        "commit" => Trigger::Commit,
        "abort" => Trigger::Abort,
        "end" => Trigger::End,
        other => panic!("no trigger {other:?}"),
    };
    let program = Program::Command(vec!["send".into(), name.into()]);
    let placement = Placement::default();
    let mut effect = EffectSpec {
        after,
        needs: Default::default(),
        work: EffectWork::Program { placement, program, env: BTreeMap::new() },
        timeout: Duration::from_mins(5),
        retry: retry(),
        on_unknown: OnUnknown::Repeat,
    };
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap();
        match *word {
            "webhook" => {
                let url = format!("https://hooks.example.org/{name}");
                effect.work = EffectWork::Webhook { url, headers: BTreeMap::new() };
            }
            "park" => effect.on_unknown = OnUnknown::Park,
            "needs" => {
                effect.needs.insert(task(value()));
            }
            "on" => {
                let EffectWork::Program { placement, .. } = &mut effect.work else { panic!() };
                placement.worker = Some(worker(value()));
            }
            "attempts" => effect.retry.attempts = value().parse().unwrap(),
            "backoff" => effect.retry.backoff = duration(value()),
            other => panic!("an effect has no {other:?}"),
        }
    }
    effect
}

fn retry() -> RetryPolicy {
    RetryPolicy { attempts: 3, backoff: Duration::from_secs(2), ..RetryPolicy::default() }
}

/// Reads how a program ended: `sealed`, `exit 3`, `signal 9`, `interrupted` and so on.
pub(crate) fn end(words: &[&str]) -> AttemptEnd {
    match words {
        ["sealed"] => AttemptEnd::Sealed { outputs: Vec::new(), usage: Usage::default() },
        ["exit", code] => failed(FailureKind::ExitCode(code.parse().unwrap())),
        ["signal", signal] => failed(FailureKind::Signal(signal.parse().unwrap())),
        ["interrupted"] => failed(FailureKind::Interrupted),
        ["storage"] => failed(FailureKind::StorageFailed),
        ["spawn"] => failed(FailureKind::SpawnFailed),
        other => panic!("no end {other:?}"),
    }
}

pub(crate) fn failed(kind: FailureKind) -> AttemptEnd {
    let message = match kind {
        FailureKind::ExitCode(code) => format!("exit code {code}"),
        FailureKind::Signal(signal) => format!("ended by signal {signal}"),
        other => other.reason().to_owned(),
    };
    let stderr_tail = "sending\nno such account\n".into();
    let failure = Failure { kind, message, stderr_tail };
    AttemptEnd::Failed { failure, usage: Usage::default() }
}
