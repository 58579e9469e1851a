//! A worker that dies between its decision to stop an attempt and the report of the end.

use std::time::Duration;

use votum_job::{Failure, FailureKind};
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{JobState, JobView, Outcome};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_deaf_task_times_out_although_its_daemon_is_killed_meanwhile() {
    let mut cluster = patient();
    let deaf = format!("trap 'touch {}' TERM; while :; do sleep 0.05; done", told(&cluster));
    let deaf = TaskDraft::new("t1").on("s1").attempts(1).runs(&deaf).ends_within(SECOND, SECOND);
    let job = cluster.submit(&JobDraft::new("deaf").task(deaf).spec());
    eventually("it is asked to end", LIMIT, || told_exists(&cluster));
    cluster.worker("s1").kill();
    cluster.worker("s1").start();

    let failure = only_failure(&cluster.ended(&job));
    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
    assert_eq!(failure.message, "it did not end within 1 s");
    cluster.wait_until_nothing_runs(&job);
}

#[test]
fn a_task_that_obeys_while_no_daemon_lives_has_timed_out() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    // What it does at its end would be a success if nobody knew of the timeout.
    let obeys = format!("trap 'touch {}; {gate}; exit 0' TERM; ", told(&cluster));
    let obeys = obeys + "while :; do sleep 0.05; done";
    let obeys = TaskDraft::new("t1").on("s1").attempts(1).runs(&obeys).ends_within(SECOND, LIMIT);
    let job = cluster.submit(&JobDraft::new("obeys").task(obeys).spec());
    eventually("it is asked to end", LIMIT, || told_exists(&cluster));
    cluster.worker("s1").kill();
    open_gate(&cluster, "gate");
    cluster.wait_until_nothing_runs(&job);
    cluster.worker("s1").start();

    let failure = only_failure(&cluster.ended(&job));
    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
}

fn told(cluster: &Cluster) -> String {
    cluster.home().join("told").display().to_string()
}

fn told_exists(cluster: &Cluster) -> Option<()> {
    cluster.home().join("told").exists().then_some(())
}

/// Returns why the only attempt of an aborted job's only task failed.
fn only_failure(view: &JobView) -> Failure {
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    let [attempt] = view.tasks[0].attempts.as_slice() else { panic!("{view:#?}") };
    let Some(Outcome::Failed(failure)) = &attempt.outcome else { panic!("{attempt:#?}") };
    failure.clone()
}

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_mins(1);
