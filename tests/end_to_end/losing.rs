//! Machines that go away, for a while or for good.

use std::time::Duration;

use votum_ids::WorkerId;
use votum_tests::{Content, JobDraft, TaskDraft, Visible, content_of, eventually};
use votum_wire::{JobState, TaskState};

use crate::{hasty, open_gate, patient, wait_for_file};

#[test]
fn finished_tasks_are_not_run_again_when_a_worker_restarts() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("third", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s3").kill();
    cluster.worker("s3").start();
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    for task in ["t1", "t2"] {
        assert_eq!(cluster.runs_of(&job, task), 1, "{task}");
        assert_eq!(cluster.sealings(&job, task), 1, "{task}");
    }
    assert_eq!(cluster.sealings(&job, "t3"), 1);
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&job);
}

#[test]
fn a_finished_task_is_not_run_again_when_its_own_worker_restarts() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("first", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    for worker in ["s1", "s2"] {
        cluster.worker(worker).kill();
        cluster.worker(worker).start();
    }
    open_gate(&cluster, "gate");

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(&job, task), 1, "{task}");
    }
}

#[test]
fn a_task_of_a_lost_worker_runs_elsewhere() {
    let mut cluster = hasty();
    let first = TaskDraft::new("t1").on("s1").counted(&cluster.runs());
    let first = first.writes("rows", "t1.txt").publishes("t1.txt");
    let anywhere = TaskDraft::new("t3")
        .needs("t1")
        .counted(&cluster.runs())
        .runs(&format!(
            "[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {}; }}",
            wait_for_file(&cluster, "never")
        ))
        .writes("rows", "t3.txt")
        .publishes("t3.txt");
    let job = cluster.submit(&JobDraft::new("moves").task(first).task(anywhere).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    let view = cluster.job(&job);
    let lost = view.tasks[1].worker.clone().unwrap();
    cluster.worker(lost.as_str()).kill();

    let view = cluster.wait_for("t3 is placed again", &job, |view| {
        view.tasks[1].attempts.len() == 2 || view.state.is_final()
    });
    // Where t1 was on the machine that is gone, its output and the job with it wait for it.
    if lost.as_str() == "s1" {
        cluster.worker("s1").start();
    }
    let view = if view.state.is_final() { view } else { cluster.ended(&job) };
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let second = view.tasks[1].worker.clone().unwrap();
    assert_ne!(second, lost);
    let content = content_of(&cluster.root(second.as_str()).join("t3.txt"));
    assert_eq!(content.as_ref().and_then(Content::job), Some(job.as_str()));
    assert_eq!(content_of(&cluster.root(lost.as_str()).join("t3.txt")), None);
    assert_eq!(cluster.runs_of(&job, "t3"), 2);
}

#[test]
fn a_job_pinned_to_a_lost_worker_aborts() {
    let mut cluster = hasty();
    let gate = wait_for_file(&cluster, "never");
    let job =
        cluster.submit(&JobDraft::trio_with("pinned", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s3").kill();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert_eq!(view.cause.unwrap().reason, "WORKER_LOST");
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);

    // What it left behind goes when it comes back.
    cluster.worker("s3").start();
    cluster.wait_until_nothing_runs(&job);
    cluster.wait_until_staging_is_empty();
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);
}

#[test]
fn a_cluster_without_the_named_worker_waits_for_it() {
    let mut cluster = patient();
    cluster.worker("s2").terminate(LIMIT);
    let job = cluster.submit(&JobDraft::trio("waits", "rows.txt", &cluster.runs()).spec());
    let view = cluster.wait_for("t1 is staged and t2 is not placed", &job, |view| {
        view.tasks[0].state == TaskState::Staged && view.tasks[1].state == TaskState::Ready
    });
    assert!(view.state_message.contains("s2"), "{}", view.state_message);

    cluster.worker("s2").start();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.tasks[1].worker, Some(WorkerId::new("s2").unwrap()));
}

const LIMIT: Duration = Duration::from_mins(1);
