//! What an aborted job keeps is given up by a person, before its time is over.

use std::time::Duration;

use votum_ids::{TaskId, WorkerId};
use votum_tests::{eventually, signal_of};
use votum_wire::{JobState, Reason, WorkerState, operation::DrainWorker};

use crate::{
    patient,
    rescuing::{HOUR, aborted, reason_of, rescue},
};

#[test]
fn what_is_given_up_goes_also_from_a_worker_that_was_away() {
    let mut cluster = patient();
    let job = aborted(&cluster, HOUR);
    let worker = WorkerId::new("s1").unwrap();
    let order = DrainWorker { worker, time_limit: None, reason: String::new() };
    let drained = cluster.block_on(cluster.client().drain_worker(&order)).unwrap();
    assert_eq!(drained.keeps, std::slice::from_ref(&job));
    assert_eq!(drained.state, WorkerState::Draining);
    cluster.worker("s2").kill();

    let view = cluster.block_on(cluster.client().cancel(&job, "needs the space")).unwrap();
    assert_eq!((view.state, view.kept_until), (JobState::Aborted, None));
    let release = view.kept_release.unwrap();
    assert_eq!(release.reason, "needs the space");
    let tasks: Vec<&str> = release.kept.keys().map(TaskId::as_str).collect();
    assert_eq!(tasks, ["t1", "t2"]);
    eventually("nothing keeps the drained worker", LIMIT, || {
        cluster.shown("s1").filter(|view| view.state == WorkerState::Drained)
    });

    cluster.coordinator().kill();
    cluster.coordinator().start();
    let again = cluster.block_on(cluster.client().cancel(&job, "once more")).unwrap();
    assert_eq!(again.kept_release, Some(release));
    assert_eq!(reason_of(rescue(&cluster, &job, false)), Reason::NothingKept);
    cluster.worker("s2").start();
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_coordinator_killed_while_it_gives_up_has_done_so_or_not() {
    let mut cluster = patient();
    for point in ["journal.before_append:2", "journal.after_append:2", "journal.after_sync:2"] {
        let job = aborted(&cluster, HOUR);
        cluster.coordinator().kill();
        cluster.coordinator().start_with(&[("VOTUM_CRASH_AT", point)]);
        let client = cluster.client().clone();
        let asked = job.clone();
        let cancelling = cluster.spawn(async move { client.cancel(&asked, "").await });
        let status = cluster.coordinator().wait_for_exit(LIMIT);
        assert_eq!(signal_of(status), Some(9), "{point}");
        cluster.coordinator().start();

        // The client asks again by itself, and hears of one release.
        let view = cluster.block_on(cancelling).unwrap().unwrap();
        let view = match view.kept_release {
            Some(_) => view,
            None => cluster.block_on(cluster.client().cancel(&job, "")).unwrap(),
        };
        assert!(view.kept_release.is_some(), "{point}: {view:#?}");
        cluster.wait_until_staging_is_empty();
        let given_up = cluster.records_of("coordinator", &job);
        let given_up = given_up
            .iter()
            .filter(|written| written.part(&["job", "schedule", "kept_released"]).is_some());
        assert_eq!(given_up.count(), 1, "{point}");
    }
}

const LIMIT: Duration = Duration::from_mins(1);
