//! Staged outputs that are lost are made again; what was made of them stays, or is made again too (R5).

use std::{fs, time::Duration};

use votum_ids::WorkerId;
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, content_of, eventually};
use votum_wire::{JobState, TaskState, operation::DrainWorker};

use crate::{hasty, open_gate, patient, wait_for_file};

#[test]
fn a_staged_output_of_a_lost_worker_is_made_elsewhere() {
    let mut cluster = hasty();
    let first = TaskDraft::new("t1")
        .counted(&cluster.runs())
        .leaves("rows", "first.txt")
        .runs("echo always the same > \"$VOTUM_OUTPUT_ROWS\"")
        .publishes("first.txt");
    let second = waiting_reader(&cluster).on("s3");
    // Not where the second one runs: only the first one's machine is to be lost.
    drain(&cluster, "s3");
    let job = cluster.submit(&JobDraft::new("elsewhere").task(first).task(second).spec());
    let staged = |view: &votum_wire::JobView| view.tasks[0].state == TaskState::Staged;
    let view = cluster.wait_for("t1 is staged", &job, staged);
    let lost = view.tasks[0].worker.clone().unwrap();
    cluster.block_on(cluster.client().resume_worker(&name("s3"))).unwrap();
    eventually("t2 runs", LIMIT, || (cluster.runs_of(&job, "t2") == 1).then_some(()));

    cluster.worker(lost.as_str()).kill();
    cluster.wait_for("t1 is staged elsewhere", &job, |view| {
        staged(view) && view.tasks[0].worker.as_ref() != Some(&lost)
    });
    open_gate(&cluster, "gate");
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    // What t2 has read came out the same, so it is not run again.
    assert_eq!((cluster.runs_of(&job, "t1"), cluster.runs_of(&job, "t2")), (2, 1));
    let holder = view.tasks[0].worker.clone().unwrap();
    let first = content_of(&cluster.root(holder.as_str()).join("first.txt")).unwrap();
    assert_eq!(first.0, "always the same\n");

    // What the lost one had staged is not wanted any more.
    cluster.worker(lost.as_str()).start();
    cluster.wait_until_staging_is_empty();
    assert_eq!(content_of(&cluster.root(lost.as_str()).join("first.txt")), None);
}

#[test]
fn outputs_that_never_come_out_the_same_end_the_job() {
    let mut cluster = patient();
    let first = TaskDraft::new("t1").on("s1").counted(&cluster.runs());
    let first = first.writes("rows", "first.txt").publishes("first.txt");
    let second = waiting_reader(&cluster).on("s3");
    let job = cluster.submit(&JobDraft::new("different").task(first).task(second).spec());
    let mut losses = 0;
    loop {
        let ran = losses + 1;
        // Each loss changes what t2 has read, so that it begins again.
        cluster.wait_for("t2 runs with what t1 made last, or never again", &job, |view| {
            let runs = (cluster.runs_of(&job, "t1"), cluster.runs_of(&job, "t2"));
            view.state.is_final() || (runs == (ran, ran) && is_running(view))
        });
        if cluster.job(&job).state.is_final() {
            break;
        }
        assert!(losses < LOSSES_MAX, "nobody ends it: {:#?}", cluster.job(&job));
        lose_staging(&mut cluster);
        losses += 1;
    }

    let view = cluster.job(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert_eq!(view.cause.as_ref().unwrap().reason, "NONDETERMINISTIC", "{view:#?}");
    assert!(losses > 1, "{view:#?}");
    for target in ["first.txt", "second.txt"] {
        assert_eq!(cluster.visible(&job, target), Visible::Nothing);
    }
    cluster.wait_until_nothing_runs(&job);
    cluster.wait_until_staging_is_empty();
}

/// A task that reads what t1 makes, and runs until the gate opens.
fn waiting_reader(cluster: &Cluster) -> TaskDraft {
    TaskDraft::new("t2")
        .reads("rows", "t1", "rows")
        .counted(&cluster.runs())
        .runs(&wait_for_file(cluster, "gate"))
        .writes("copy", "second.txt")
        .publishes("second.txt")
}

fn is_running(view: &votum_wire::JobView) -> bool {
    view.tasks[1].state == TaskState::Running
}

/// Lets s1 come back without anything that it had staged.
fn lose_staging(cluster: &mut Cluster) {
    cluster.worker("s1").kill();
    fs::remove_dir_all(cluster.staging("s1")).unwrap();
    cluster.worker("s1").start();
}

fn drain(cluster: &Cluster, worker: &str) {
    let (worker, reason) = (name(worker), "maintenance".to_owned());
    let order = DrainWorker { worker, time_limit: None, reason };
    cluster.block_on(cluster.client().drain_worker(&order)).unwrap();
}

fn name(worker: &str) -> WorkerId {
    WorkerId::new(worker).unwrap()
}

const LIMIT: Duration = Duration::from_mins(1);
/// More than a job allows.
const LOSSES_MAX: usize = 6;
