//! The jobs that are played, and who plays them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;
use votum_commit::Installation;
use votum_ids::{Existing, OutputName, Target, TargetKind, TaskId, WorkerId, WorkerUid};
use votum_job::{
    Compensation, EffectSpec, EffectWork, FlatMap, InputSpec, JobSpec, OnUnknown, OutputSpec,
    Placement, Program, RetryPolicy, TaskSpec, Trigger,
};

use super::{
    dice::Dice,
    play::{Play, Shape},
};

/// Books something outside; its compensation gives it back.
pub(super) const BOOK: &str = "book";
/// The task that fails where one is meant to.
pub(super) const LOAD: &str = "load";

/// Returns the job of a play.
pub(super) fn job_spec(play: &Play) -> JobSpec {
    let mut dice = Dice::of(play.seed, 0x6361_7374);
    let spec = match play.shape {
        Shape::Saga => saga(),
        Shape::Replicated => replicated(&mut dice),
        Shape::Drawn => drawn(&mut dice),
    };
    // A short one makes rounds overlap with late votes of earlier ones.
    let prepare_timeout = match play.shape {
        Shape::Saga => 20,
        Shape::Replicated | Shape::Drawn => *dice.one_of(&[20, 20, 2]),
    };
    JobSpec {
        timeout: Duration::from_mins(10),
        prepare_timeout: Duration::from_secs(prepare_timeout),
        approval: play.approval.map(|_| Duration::from_mins(2)),
        ..spec
    }
}

/// Returns who takes part.
pub(super) fn workers(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Saga => &["a", "b"],
        Shape::Replicated | Shape::Drawn => &["a", "b", "c"],
    }
}

/// Makes the job: `book` on a; then `load` and `report` anywhere, each with an output.
fn saga() -> JobSpec {
    let publishing = |name: &str| TaskSpec {
        needs: BTreeSet::from([task(BOOK)]),
        outputs: FlatMap::from([(output(name), published(name, 1))]),
        ..task_on(None)
    };
    let tasks = FlatMap::from([
        (task(BOOK), booking()),
        (task(LOAD), publishing("rows")),
        (task("report"), publishing("pages")),
    ]);
    JobSpec { tasks, effects: effects(), ..super::super::spec("sales", "a") }
}

/// Makes the job: `load` on a and `report` on b, both held by others as well.
fn replicated(dice: &mut Dice) -> JobSpec {
    let replicas = 2 + u32::try_from(dice.below(2)).unwrap();
    let publishing = |name: &str, worker: &str| TaskSpec {
        outputs: FlatMap::from([(output(name), published(name, replicas))]),
        ..task_on(Some(worker))
    };
    let tasks = FlatMap::from([
        (task(LOAD), publishing("rows", "a")),
        (task("report"), publishing("pages", "b")),
    ]);
    JobSpec { tasks, ..super::super::spec("sales", "a") }
}

/// Draws up to four tasks in an order that the seed decides.
fn drawn(dice: &mut Dice) -> JobSpec {
    let names = [LOAD, "sort", "join", "report"];
    let count = 1 + dice.below(names.len());
    let replicas = *dice.one_of(&[1, 1, 1, 2, 2, 3]);
    let mut tasks: FlatMap<TaskId, TaskSpec> = FlatMap::new();
    for (at, name) in names[..count].iter().enumerate() {
        let place = *dice.one_of(&[None, None, Some("a"), Some("b"), Some("c")]);
        let mut spec = task_on(place);
        for earlier in &names[..at] {
            if !dice.once_in(3) {
                continue;
            }
            let given = tasks[&task(earlier)].outputs.keys().next().cloned();
            match given.filter(|_| !dice.once_in(3)) {
                Some(given) => {
                    let source =
                        InputSpec::TaskOutput { task: task(earlier), output: given.clone() };
                    spec.inputs.insert(given, source);
                }
                None => drop(spec.needs.insert(task(earlier))),
            }
        }
        for number in 0..*dice.one_of(&[0, 1, 1, 1, 2]) {
            let name = format!("{name}-{number}");
            let mut made = published(&name, replicas);
            if dice.once_in(4) {
                made.publish = None;
            }
            spec.outputs.insert(output(&name), made);
        }
        spec.exclusive = dice.once_in(8);
        tasks.insert(task(name), spec);
    }
    if dice.once_in(4) {
        for spec in tasks.values_mut() {
            spec.needs.insert(task(BOOK));
        }
        tasks.insert(task(BOOK), booking());
    }
    let effects = if dice.once_in(3) { effects() } else { BTreeMap::new() };
    JobSpec { tasks, effects, ..super::super::spec("sales", "a") }
}

fn booking() -> TaskSpec {
    let mut book = TaskSpec { retry: patient(), ..task_on(Some("a")) };
    book.compensate = Some(Box::new(Compensation {
        program: program(),
        timeout: Duration::from_mins(1),
        retry: patient(),
        elsewhere: false,
    }));
    book
}

fn effects() -> BTreeMap<TaskId, EffectSpec> {
    let effect = |after, needs: &[&str], work: EffectWork| EffectSpec {
        on_unknown: match work {
            EffectWork::Program { .. } => OnUnknown::Repeat,
            EffectWork::Webhook { .. } => OnUnknown::Park,
        },
        after,
        needs: needs.iter().map(|name| task(name)).collect(),
        work,
        timeout: Duration::from_mins(1),
        retry: patient(),
    };
    let on = |worker: &str| EffectWork::Program {
        placement: placement(Some(worker)),
        program: program(),
        env: BTreeMap::new(),
    };
    let webhook =
        EffectWork::Webhook { url: "http://127.0.0.1:1/".to_owned(), headers: BTreeMap::new() };
    BTreeMap::from([
        (task("announce"), effect(Trigger::Commit, &[], on("b"))),
        (task("invoice"), effect(Trigger::Commit, &["announce"], webhook)),
        (task("page"), effect(Trigger::Abort, &[], on("a"))),
        (task("sweep"), effect(Trigger::End, &[], on("b"))),
    ])
}

pub(super) fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

/// One of the workers.
pub(super) fn installation(name: &str) -> Installation {
    let uid = WorkerUid(Uuid::from_u128(name.bytes().map(u128::from).sum()));
    Installation { worker: WorkerId::new(name).unwrap(), uid }
}

fn task_on(worker: Option<&str>) -> TaskSpec {
    let retry =
        RetryPolicy { attempts: 2, backoff: Duration::from_secs(1), ..RetryPolicy::default() };
    TaskSpec {
        placement: placement(worker),
        timeout: Duration::from_mins(5),
        grace_period: Duration::from_secs(1),
        retry,
        ..TaskSpec::of(program())
    }
}

fn patient() -> RetryPolicy {
    RetryPolicy {
        attempts: 40,
        backoff: Duration::from_secs(1),
        backoff_max: Duration::from_secs(5),
        never_on: BTreeSet::new(),
    }
}

fn placement(worker: Option<&str>) -> Placement {
    let worker = worker.map(|worker| WorkerId::new(worker).unwrap());
    Placement { worker, labels: BTreeMap::new() }
}

fn program() -> Program {
    Program::Command(vec!["true".to_owned()])
}

fn output(name: &str) -> OutputName {
    OutputName::new(name).unwrap()
}

fn published(name: &str, replicas: u32) -> OutputSpec {
    let target = Target {
        path: name.to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    OutputSpec {
        path: name.to_owned(),
        optional: false,
        bytes_max: None,
        replicas,
        publish: Some(target),
    }
}
