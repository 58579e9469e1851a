//! Attempts that are ended before their time leave no process.

use std::{fs, time::Duration};

use rustix::process::Signal;
use votum_process::{Exit, StopSignal};

use crate::world::{Attempt, is_alive, kill};

#[tokio::test]
async fn a_task_that_minds_the_signal_ends_by_itself() {
    let attempt = Attempt::of_script(
        "trap 'cat reason > seen; exit 9' TERM; echo $$ > up; while :; do sleep 0.01; done",
    );
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    let ended = supervised.stop(LONG, "cancelled by ann", &attempt.work("reason")).await.unwrap();

    assert_eq!(ended.exit, Exit::Code(9));
    // The reason stood there before the signal came.
    assert_eq!(fs::read_to_string(attempt.work("seen")).unwrap(), "cancelled by ann");
    assert!(!is_alive(pids[0]));
}

#[tokio::test]
async fn a_task_is_asked_by_the_signal_it_chose() {
    let script = "trap 'exit 9' USR1; trap '' TERM; echo $$ > up; while :; do sleep 0.01; done";
    let mut attempt = Attempt::of_script(script);
    attempt.launch.stop_signal = StopSignal::Usr1;
    let supervised = attempt.start().await;
    attempt.numbers("up").await;

    let ended = supervised.stop(LONG, "", &attempt.work("reason")).await.unwrap();

    assert_eq!(ended.exit, Exit::Code(9));
}

#[tokio::test]
async fn a_task_that_ignores_the_signal_is_killed() {
    let attempt = Attempt::of_script("trap '' TERM; sleep 600 & echo $$ $! > up; wait; sleep 600");
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    let ended = supervised.stop(SHORT, "", &attempt.work("reason")).await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn a_stopped_task_hears_that_it_is_to_end() {
    let attempt = Attempt::of_script("trap 'exit 9' TERM; echo $$ > up; kill -STOP $$; sleep 600");
    let supervised = attempt.start().await;
    attempt.numbers("up").await;

    let ended = supervised.stop(LONG, "", &attempt.work("reason")).await.unwrap();

    assert!(matches!(ended.exit, Exit::Code(9) | Exit::Signal(15)), "{ended:?}");
}

#[tokio::test]
async fn what_a_task_leaves_running_is_killed() {
    // One in the group, one in a session of its own, one forked twice, all deaf.
    let attempt = Attempt::of_script(
        "trap '' TERM HUP
         sleep 600 & a=$!
         setsid sh -c 'echo $$ > b; exec sleep 600' &
         (setsid sh -c '(echo $$ > c; exec sleep 600) & echo $! > d; exit 0' &)
         until [ -s b ] && [ -s c ] && [ -s d ]; do sleep 0.01; done
         echo $a $(cat b) $(cat d) > up; exit 3",
    );

    let ended = attempt.start().await.exited().await.unwrap();

    let pids = attempt.numbers("up").await;
    assert_eq!((ended.exit, pids.len()), (Exit::Code(3), 3));
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn children_that_keep_forking_are_outrun() {
    let fork = "while :; do setsid sleep 0.05 & sleep 0.001; done";
    let attempt =
        Attempt::of_script(&format!("trap '' TERM; setsid sh -c '{fork}' & echo $! > up; wait"));
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    let ended = supervised.kill().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(!is_alive(pids[0]));
}

#[tokio::test]
async fn an_orphan_that_ends_early_leaves_no_zombie() {
    let attempt = Attempt::of_script(
        "(sh -c 'echo $$ > orphan' &); until [ -e go ]; do sleep 0.01; done; exit 4",
    );
    let supervised = attempt.start().await;
    let pids = attempt.numbers("orphan").await;

    let path = format!("/proc/{}", pids[0]);
    crate::world::until("the orphan was reaped", || !fs::exists(&path).unwrap()).await;

    fs::write(attempt.work("go"), "").unwrap();
    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Code(4));
}

#[tokio::test]
async fn a_supervisor_passes_the_signal_on_and_records() {
    let attempt =
        Attempt::of_script("trap 'exit 9' TERM; echo $$ > up; while :; do sleep 0.01; done");
    let supervised = attempt.start().await;
    attempt.numbers("up").await;

    kill(supervised.identity().supervisor.pid, Signal::TERM);

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Code(9));
}

#[tokio::test]
async fn a_supervisor_that_was_stopped_still_kills() {
    let attempt = Attempt::of_script("echo $$ > up; sleep 600");
    let supervised = attempt.start().await;
    attempt.numbers("up").await;
    kill(supervised.identity().supervisor.pid, Signal::STOP);

    let ended = supervised.kill().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
}

#[tokio::test]
async fn stopping_what_has_ended_changes_nothing() {
    let attempt = Attempt::of_script("exit 6");
    let supervised = attempt.start().await;
    let first = supervised.exited().await.unwrap();

    let second = supervised.stop(LONG, "late", &attempt.work("reason")).await.unwrap();

    assert_eq!(first, second);
}

/// A grace that no test waits for.
const LONG: Duration = Duration::from_secs(60);

/// A grace that is over before the task minds.
const SHORT: Duration = Duration::from_millis(100);
