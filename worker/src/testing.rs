//! Values that the tests of this crate share: one job, its tasks and its workers.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;
use votum_commit::{Installation, LogPosition, Pledge};
use votum_ids::{
    AttemptId, ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName,
    Target, TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_job::{Assignment, FlatMap, OutputSpec, Program, StagedOutput, TaskSpec, Usage};

pub(crate) fn job() -> JobId {
    JobId::new("sales-7").unwrap()
}

pub(crate) fn output(name: &str) -> OutputName {
    OutputName::new(name).unwrap()
}

/// An attempt of the task `load`, by its counter in epoch 1.
pub(crate) fn attempt(counter: u64) -> AttemptId {
    let token = FencingToken { epoch: Epoch(1), counter };
    AttemptId { job: job(), task: TaskId::new("load").unwrap(), token }
}

pub(crate) fn alice() -> Installation {
    Installation { worker: WorkerId::new("alice").unwrap(), uid: WorkerUid(Uuid::from_u128(1)) }
}

pub(crate) fn log(epoch: u64, lsn: u64) -> LogPosition {
    LogPosition {
        cluster: ClusterId(Uuid::from_u128(7)),
        epoch: Epoch(epoch),
        start: Incarnation(Uuid::from_u128(u128::from(epoch))),
        lsn,
    }
}

pub(crate) fn txn(counter: u64) -> TxnId {
    TxnId { job: job(), epoch: Epoch(1), counter }
}

pub(crate) fn assignment(counter: u64) -> Assignment {
    let rows = OutputSpec {
        path: "rows.csv".to_owned(),
        optional: false,
        bytes_max: None,
        replicas: 1,
        publish: Some(target()),
    };
    Assignment {
        attempt: attempt(counter),
        number: 1,
        worker: alice().worker,
        job_name: "sales".to_owned(),
        spec: TaskSpec {
            outputs: FlatMap::from([(output("rows"), rows)]),
            timeout: Duration::from_mins(1),
            grace_period: Duration::from_secs(10),
            ..TaskSpec::of(Program::Command(vec!["true".to_owned()]))
        },
        job_env: BTreeMap::new(),
        params: BTreeMap::new(),
        inputs: Vec::new(),
        time_limit: Duration::from_mins(1),
        resume: Vec::new(),
        role: votum_job::Role::Task,
    }
}

pub(crate) fn target() -> Target {
    Target {
        path: "rows.csv".to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    }
}

pub(crate) fn staged() -> Vec<StagedOutput> {
    vec![StagedOutput {
        name: output("rows"),
        digest: Digest([5; 32]),
        files: 1,
        bytes: 9,
        read_token: "token".to_owned(),
    }]
}

/// What a round names of the given attempt.
pub(crate) fn pledge(counter: u64) -> Pledge {
    Pledge {
        task: attempt(counter).task,
        output: output("rows"),
        token: attempt(counter).token,
        digest: Digest([5; 32]),
        replaceable: false,
        target: Some(target()),
    }
}

pub(crate) fn usage() -> Usage {
    Usage { cpu_time: Duration::from_secs(2), run_time: Duration::from_secs(3), rss_bytes_max: 0 }
}
