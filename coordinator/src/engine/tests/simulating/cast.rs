//! The job that is played: one task that acts outside, two that publish, effects of each kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;
use votum_commit::Installation;
use votum_ids::{Existing, OutputName, Target, TargetKind, TaskId, WorkerId, WorkerUid};
use votum_job::{
    Compensation, EffectSpec, EffectWork, JobSpec, OnUnknown, OutputSpec, Placement, Program,
    RetryPolicy, TaskSpec, Trigger,
};

/// Books something outside; its compensation gives it back.
pub(super) const BOOK: &str = "book";

/// Makes the job: `book` on a; then `load` and `report` anywhere, each with an output.
pub(super) fn job_spec() -> JobSpec {
    let retry = RetryPolicy {
        attempts: 40,
        backoff: Duration::from_secs(1),
        backoff_max: Duration::from_secs(5),
        never_on: BTreeSet::new(),
    };
    let mut book = TaskSpec { retry: retry.clone(), ..task_on("a") };
    book.compensate = Some(Compensation {
        program: program(),
        timeout: Duration::from_mins(1),
        retry: retry.clone(),
        elsewhere: false,
    });
    let publishing = |name: &str| TaskSpec {
        needs: BTreeSet::from([task(BOOK)]),
        outputs: BTreeMap::from([(OutputName::new(name).unwrap(), output(name))]),
        placement: Placement::default(),
        ..task_on("a")
    };
    let tasks = BTreeMap::from([
        (task(BOOK), book),
        (task("load"), publishing("rows")),
        (task("report"), publishing("pages")),
    ]);
    let effect = |after, needs: &[&str], work: EffectWork| EffectSpec {
        on_unknown: match work {
            EffectWork::Program { .. } => OnUnknown::Repeat,
            EffectWork::Webhook { .. } => OnUnknown::Park,
        },
        after,
        needs: needs.iter().map(|name| task(name)).collect(),
        work,
        timeout: Duration::from_mins(1),
        retry: retry.clone(),
    };
    let on = |worker: &str| EffectWork::Program {
        placement: placement(worker),
        program: program(),
        env: BTreeMap::new(),
    };
    let webhook =
        EffectWork::Webhook { url: "http://127.0.0.1:1/".to_owned(), headers: BTreeMap::new() };
    let effects = BTreeMap::from([
        (task("announce"), effect(Trigger::Commit, &[], on("b"))),
        (task("invoice"), effect(Trigger::Commit, &["announce"], webhook)),
        (task("page"), effect(Trigger::Abort, &[], on("a"))),
        (task("sweep"), effect(Trigger::End, &[], on("b"))),
    ]);
    JobSpec {
        timeout: Duration::from_hours(1),
        prepare_timeout: Duration::from_secs(20),
        tasks,
        effects,
        ..super::super::spec("sales", "a")
    }
}

pub(super) fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

/// One of the two workers.
pub(super) fn installation(name: &str) -> Installation {
    let uid = WorkerUid(Uuid::from_u128(name.bytes().map(u128::from).sum()));
    Installation { worker: WorkerId::new(name).unwrap(), uid }
}

fn task_on(worker: &str) -> TaskSpec {
    let retry =
        RetryPolicy { attempts: 2, backoff: Duration::from_secs(1), ..RetryPolicy::default() };
    TaskSpec {
        placement: placement(worker),
        timeout: Duration::from_mins(10),
        grace_period: Duration::from_secs(1),
        retry,
        ..TaskSpec::of(program())
    }
}

fn placement(worker: &str) -> Placement {
    Placement { worker: Some(WorkerId::new(worker).unwrap()), labels: BTreeMap::new() }
}

fn program() -> Program {
    Program::Command(vec!["true".to_owned()])
}

fn output(name: &str) -> OutputSpec {
    let target = Target {
        path: name.to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
    };
    OutputSpec {
        path: name.to_owned(),
        optional: false,
        bytes_max: None,
        replicas: 1,
        publish: Some(target),
    }
}
