//! An attempt whose lease nobody renews does not outlive it.

use std::time::Duration;

use votum_process::{Exit, Found, renew};

use crate::world::{Attempt, is_alive};

#[tokio::test]
async fn an_attempt_ends_when_nobody_renews_its_lease() {
    let mut attempt = Attempt::of_script(
        "trap '' TERM; setsid sleep 600 & echo $$ $! > up; while :; do sleep 0.01; done",
    );
    let lease = attempt.work("lease");
    renew(&lease, || SHORT).unwrap();
    attempt.launch.lease = Some(lease);
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    let ended = supervised.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::LeaseEnded);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn an_attempt_goes_on_while_its_lease_is_renewed() {
    let mut attempt = Attempt::of_script("until [ -e go ]; do sleep 0.01; done; exit 7");
    let lease = attempt.work("lease");
    renew(&lease, || SHORT).unwrap();
    attempt.launch.lease = Some(lease.clone());
    let supervised = attempt.start().await;
    let mut ticks = tokio::time::interval(SHORT / 10);
    for _ in 0..30 {
        ticks.tick().await;
        renew(&lease, || SHORT).unwrap();
    }
    std::fs::write(attempt.work("go"), "").unwrap();

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Code(7));
}

#[tokio::test]
async fn a_task_without_a_lease_in_time_is_never_run() {
    let mut attempt = Attempt::of_script("echo ran > ran");
    attempt.launch.lease = Some(attempt.work("lease"));
    let supervised = attempt.start().await;

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::LeaseEnded);
    assert!(!attempt.work("ran").exists());
    let Found::Ended(found) = attempt.find().await else { panic!("it has ended") };
    assert_eq!(found.exit, Exit::LeaseEnded);
}

/// Long against what starts a process, also on a busy machine.
const SHORT: Duration = Duration::from_secs(2);
