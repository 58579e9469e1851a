//! Staged outputs that are lost are made again; what was made of them stays, or is made again too (R5).

use std::time::Duration;

use votum_ids::{JobId, WorkerId};
use votum_tests::{
    Cluster, JobDraft, TaskDraft, Timing, Visible, content_of, eventually, programs,
};
use votum_wire::{JobState, JobView, TaskState};

use crate::{open_gate, wait_for_file};

#[test]
fn a_staged_output_of_a_lost_worker_is_made_elsewhere() {
    let mut cluster = two_makers();
    let first = made_anew(&cluster).leaves("rows", "first.txt").runs(SAME).publishes("first.txt");
    let (job, lost) = submitted(&cluster, first);
    cluster.worker(&lost).kill();
    cluster.wait_for("t1 is staged elsewhere", &job, |view| {
        is_made(view) && holder(view) != Some(lost.as_str())
    });
    open_gate(&cluster, "gate");
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    // What t2 has read came out the same, so it is not run again.
    assert_eq!((cluster.runs_of(&job, "t1"), cluster.runs_of(&job, "t2")), (2, 1));
    let first = content_of(&cluster.root(holder(&view).unwrap()).join("first.txt")).unwrap();
    assert_eq!(first.0, "always the same\n");

    // What the lost one had staged is not wanted any more.
    cluster.worker(&lost).start();
    cluster.wait_until_staging_is_empty();
    assert_eq!(content_of(&cluster.root(&lost).join("first.txt")), None);
}

#[test]
fn outputs_that_never_come_out_the_same_end_the_job() {
    let mut cluster = two_makers();
    let first = made_anew(&cluster).writes("rows", "first.txt").publishes("first.txt");
    let (job, mut lost) = submitted(&cluster, first);
    let mut losses = 0;
    let view = loop {
        cluster.worker(&lost).kill();
        losses += 1;
        // Each loss changes what t2 has read, so that it begins again.
        let view = cluster.wait_for("t2 reads what t1 made elsewhere, or never", &job, |view| {
            let begun = cluster.runs_of(&job, "t2") == losses + 1;
            view.state.is_final() || (is_made(view) && holder(view) != Some(lost.as_str()) && begun)
        });
        // Late, and with outputs that nobody wants any more.
        cluster.worker(&lost).start();
        cluster.wait_until_ready();
        if view.state.is_final() {
            break view;
        }
        assert!(losses < LOSSES_MAX, "nobody ends it: {view:#?}");
        lost = holder(&view).unwrap().to_owned();
    };

    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert_eq!(view.cause.as_ref().unwrap().reason, "NONDETERMINISTIC", "{view:#?}");
    assert!(losses > 1, "{view:#?}");
    for target in ["first.txt", "second.txt"] {
        assert_eq!(cluster.visible(&job, target), Visible::Nothing);
    }
    cluster.wait_until_nothing_runs(&job);
    cluster.wait_until_staging_is_empty();
}

/// Starts a cluster in which only s1 and s2 make what s3 reads.
fn two_makers() -> Cluster {
    let mut cluster = Cluster::prepared(&programs!(), Timing::HASTY);
    for maker in ["s1", "s2"] {
        cluster.worker(maker).add_argument("--label=makes=rows");
    }
    cluster.start_all();
    cluster
}

fn made_anew(cluster: &Cluster) -> TaskDraft {
    TaskDraft::new("t1").where_labelled("makes", "rows").counted(&cluster.runs())
}

/// Waits until t2 runs on s3 with what t1 made; returns where that is.
fn submitted(cluster: &Cluster, first: TaskDraft) -> (JobId, String) {
    let second = TaskDraft::new("t2")
        .on("s3")
        .reads("rows", "t1", "rows")
        .counted(&cluster.runs())
        .runs(&wait_for_file(cluster, "gate"))
        .writes("copy", "second.txt")
        .publishes("second.txt");
    let job = cluster.submit(&JobDraft::new("repeated").task(first).task(second).spec());
    eventually("t2 runs", LIMIT, || (cluster.runs_of(&job, "t2") == 1).then_some(()));
    let maker = holder(&cluster.job(&job)).unwrap().to_owned();
    (job, maker)
}

fn is_made(view: &JobView) -> bool {
    view.tasks[0].state == TaskState::Staged
}

fn holder(view: &JobView) -> Option<&str> {
    view.tasks[0].worker.as_ref().map(WorkerId::as_str)
}

const SAME: &str = "echo always the same > \"$VOTUM_OUTPUT_ROWS\"";
const LIMIT: Duration = Duration::from_mins(1);
/// More than a job allows.
const LOSSES_MAX: usize = 6;
