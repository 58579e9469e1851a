//! Workers and coordinator upgraded one after the other, while tasks run.

use std::time::Duration;

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, PROTOCOLS_VARIABLE, TaskDraft, eventually};
use votum_wire::{JobState, Versions, WorkerState};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_rolling_upgrade_loses_nothing_and_repeats_nothing() {
    let mut cluster = patient();
    let job = gated_trio(&cluster);
    let runs = |cluster: &Cluster, task| cluster.runs_of(&job, task);
    eventually("every task runs", LIMIT, || {
        TASKS.iter().all(|task| runs(&cluster, task) == 1).then_some(())
    });
    for worker in ["s1", "s2"] {
        restart_as(&mut cluster, worker, &spoken(0, 1));
        wait_for_protocol(&cluster, worker, OURS);
    }
    restart_as(&mut cluster, "coordinator", &spoken(0, 1));
    for worker in ["s1", "s2"] {
        wait_for_protocol(&cluster, worker, OURS + 1);
    }
    wait_for_protocol(&cluster, "s3", OURS);
    restart_as(&mut cluster, "s3", &spoken(0, 1));
    wait_for_protocol(&cluster, "s3", OURS + 1);
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for task in TASKS {
        assert_eq!(cluster.runs_of(&job, task), 1, "{task}");
        assert_eq!(cluster.sealings(&job, task), 1, "{task}");
    }
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&job);
}

#[test]
fn a_worker_upgraded_too_far_waits_for_its_coordinator() {
    let mut cluster = patient();
    restart_as(&mut cluster, "s1", &spoken(1, 1));
    says(&mut cluster, "s1", "upgrade the coordinator first");
    restart_as(&mut cluster, "coordinator", &spoken(0, 1));
    wait_for_protocol(&cluster, "s1", OURS + 1);
    restart_as(&mut cluster, "coordinator", &spoken(1, 1));
    says(&mut cluster, "s2", "upgrade the worker");
    restart_as(&mut cluster, "s2", &spoken(1, 1));
    wait_for_protocol(&cluster, "s2", OURS + 1);
}

/// Three tasks, one a worker, that run until the gate opens.
fn gated_trio(cluster: &Cluster) -> JobId {
    let gate = wait_for_file(cluster, "gate");
    let task = |id: &str, worker: &str| {
        TaskDraft::new(id)
            .on(worker)
            .counted(&cluster.runs())
            .runs(&gate)
            .writes("rows", "rows.txt")
            .publishes("rows.txt")
    };
    let tasks = [task("t1", "s1"), task("t2", "s2"), task("t3", "s3")];
    let draft = tasks.into_iter().fold(JobDraft::new("upgraded"), JobDraft::task);
    cluster.submit(&draft.spec())
}

/// Ends a daemon as an upgrade does, and starts it as another version of itself.
fn restart_as(cluster: &mut Cluster, name: &str, protocols: &str) {
    let daemon = cluster.daemon(name);
    assert!(daemon.terminate(LIMIT).success());
    daemon.set_variable(PROTOCOLS_VARIABLE, protocols);
    daemon.start();
}

/// Writes the versions from so many after ours to so many after ours.
fn spoken(oldest: u32, newest: u32) -> String {
    format!("{}-{}", OURS + oldest, OURS + newest)
}

#[track_caller]
fn wait_for_protocol(cluster: &Cluster, worker: &str, protocol: u32) {
    let what = format!("{worker} is ready and speaks version {protocol}");
    eventually(&what, LIMIT, || {
        let shown = cluster.shown(worker)?;
        (shown.state == WorkerState::Ready && shown.protocol == protocol).then_some(())
    });
}

#[track_caller]
fn says(cluster: &mut Cluster, name: &str, words: &str) {
    let what = format!("{name} says: {words}");
    eventually(&what, LIMIT, || cluster.daemon(name).log().contains(words).then_some(()));
}

const OURS: u32 = Versions::OURS.newest();
const TASKS: [&str; 3] = ["t1", "t2", "t3"];
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
