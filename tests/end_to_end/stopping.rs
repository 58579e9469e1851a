//! A worker that dies while an attempt begins, or between its decision to stop one and the report.

use std::time::Duration;

use votum_job::{Failure, FailureKind};
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually, signal_of};
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

#[test]
fn a_crash_before_the_program_runs_costs_no_attempt() {
    let mut cluster = patient();
    let points = [
        "worker.fetch.after_places",
        "process.after_launch_file",
        "process.after_supervisor_spawn",
    ];
    for point in points {
        cluster.worker("s1").kill();
        cluster.worker("s1").start_with(&[("VOTUM_CRASH_AT", point)]);
        let task = TaskDraft::new("t1").on("s1").counted(&cluster.runs());
        let mut spec = JobDraft::new("begins").task(task.writes("rows", "rows.txt")).spec();
        let retry = &mut spec.tasks.values_mut().next().unwrap().retry;
        // Neither an attempt of the user's nor his backoff is spent on a crash.
        (retry.attempts, retry.backoff, retry.backoff_max) = (1, HOUR, HOUR);
        let job = cluster.submit(&spec);
        let status = cluster.worker("s1").wait_for_exit(LIMIT);
        assert_eq!(signal_of(status), Some(9), "{point} was not reached");
        cluster.worker("s1").start();

        let view = cluster.ended(&job);
        assert_eq!(view.state, JobState::Committed, "{point}: {view:#?}");
        assert_eq!(cluster.runs_of(&job, "t1"), 1, "{point}");
        for attempt in &view.tasks[0].attempts {
            if let Some(Outcome::Failed(failure)) = &attempt.outcome {
                assert_eq!(failure.kind, FailureKind::Interrupted, "{point}: {view:#?}");
            }
        }
    }
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
const HOUR: Duration = Duration::from_hours(1);
