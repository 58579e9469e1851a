//! Who was frozen is not given up for it, and who was given up publishes nothing.

use std::time::Duration;

use votum_tests::{
    Cluster, Content, JobDraft, TaskDraft, Timing, Visible, content_of, eventually, let_pass,
    programs,
};
use votum_wire::{JobState, WorkerState};

use crate::{hasty, open_gate, wait_for_file};

#[test]
fn a_coordinator_that_stood_still_expires_nobody() {
    let mut cluster = hasty();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("frozen", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.coordinator().freeze();
    let_pass(Timing::HASTY.lease * 3 + Timing::HASTY.stop_grace);
    cluster.coordinator().thaw();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for task in &view.tasks {
        assert_eq!(task.attempts.len(), 1, "{task:#?}");
    }
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn a_worker_that_stood_still_for_less_than_its_lease_restarts_nothing() {
    let timing = Timing { lease: Duration::from_secs(10), ..Timing::HASTY };
    let mut cluster = Cluster::started(&programs!(), timing);
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("paused", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s3").freeze();
    eventually("s3 is suspect", LIMIT, || {
        let workers = cluster.block_on(cluster.client().workers()).unwrap();
        (workers[2].state == WorkerState::Suspect).then_some(())
    });
    cluster.worker("s3").thaw();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for task in &view.tasks {
        assert_eq!(task.attempts.len(), 1, "{task:#?}");
        assert_eq!(cluster.runs_of(&job, task.task.as_str()), 1);
    }
}

#[test]
fn a_late_result_of_a_superseded_attempt_is_fenced() {
    let mut cluster = hasty();
    let task = TaskDraft::new("t1")
        .counted(&cluster.runs())
        .runs(&wait_for_file(&cluster, "gate"))
        .writes("rows", "rows.txt")
        .publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("fenced").task(task).spec());
    eventually("t1 runs", LIMIT, || (cluster.runs_of(&job, "t1") == 1).then_some(()));
    let first = cluster.job(&job).tasks[0].worker.clone().unwrap();
    cluster.worker(first.as_str()).freeze();
    eventually("t1 runs elsewhere", LIMIT, || (cluster.runs_of(&job, "t1") == 2).then_some(()));
    // Both attempts end well, and the first one's worker does not know yet that it is fenced.
    open_gate(&cluster, "gate");
    cluster.worker(first.as_str()).thaw();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let second = view.tasks[0].worker.clone().unwrap();
    assert_ne!(first, second);
    let published = content_of(&cluster.root(second.as_str()).join("rows.txt")).unwrap();
    let token = view.tasks[0].attempts[1].token.to_string();
    assert_eq!(published.token(), Some(token.as_str()), "{published:?}");
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&job);
    let fenced = cluster.root(first.as_str()).join("rows.txt");
    assert_eq!(content_of(&fenced).as_ref().and_then(Content::job), None);
}

#[test]
fn a_silent_worker_is_shown_as_lost_and_welcomed_back() {
    let mut cluster = hasty();
    cluster.worker("s2").freeze();
    eventually("s2 is lost", LIMIT, || {
        let workers = cluster.block_on(cluster.client().workers()).unwrap();
        (workers[1].state == WorkerState::Lost).then_some(())
    });
    cluster.worker("s2").thaw();
    cluster.wait_until_ready();
}

const LIMIT: Duration = Duration::from_mins(1);
