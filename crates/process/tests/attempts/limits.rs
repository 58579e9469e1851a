//! Attempts in control groups: limited, counted, ended whole; and without any.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;
use votum_process::{Cgroups, Exit, Found, Limits};

use crate::world::{Attempt, is_alive, kill};

#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
/// Groups below a name that no daemon has, or nothing where none may be made.
fn cgroups() -> Option<Cgroups> {
    let cgroups = Cgroups::detect("votum-process-test");
    let complete = cgroups.limits_memory() && cgroups.limits_processes() && cgroups.limits_cpu();
    if !complete {
        println!("NOT RUN: this user may make no control groups here, or not all that are needed");
    }
    complete.then_some(cgroups)
}

fn limited(script: &str, limits: Limits, cgroups: Cgroups) -> Attempt {
    let mut attempt = Attempt::of_script(script);
    attempt.launch.limits = limits;
    attempt.launch.cgroups = cgroups;
    // Tests share the parent group, and an attempt's token names its own.
    attempt.launch.attempt.token.counter = u64::from(std::process::id())
        + u64::from(attempt.launch.work_dir.to_string_lossy().bytes().map(u32::from).sum::<u32>());
    attempt
}

#[tokio::test]
async fn a_task_that_takes_too_much_memory_is_killed() {
    let Some(cgroups) = cgroups() else { return };
    let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
    let attempt = limited("tail /dev/zero", limits, cgroups);

    let ended = attempt.start().await.exited().await.unwrap();

    assert!(matches!(ended.exit, Exit::Code(137) | Exit::Signal(9)), "{ended:?}");
    assert!(ended.oom_kills > 0, "{ended:?}");
    assert!((1 << 20..=33 << 20).contains(&ended.memory_peak), "{ended:?}");
}

#[tokio::test]
async fn a_fork_bomb_stays_below_its_number_of_processes() {
    let Some(cgroups) = cgroups() else { return };
    let limits = Limits { processes: Some(16), ..Limits::default() };
    // Each process that cannot fork any more ends, which frees a place for the next.
    let bomb = "bomb() { bomb | bomb & }; bomb 2> /dev/null; echo $$ > up; sleep 600";
    let attempt = limited(bomb, limits, cgroups);
    let supervised = attempt.start().await;
    attempt.numbers("up").await;

    let ended = supervised.kill().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(matches!(attempt.find().await, Found::Ended(_)));
}

#[tokio::test]
async fn what_runs_within_an_attempt_shares_its_limits_and_its_end() {
    let Some(cgroups) = cgroups() else { return };
    let limits = Limits { processes: Some(24), ..Limits::default() };
    let outer = limited("echo $$ > up; exec sleep 600", limits, cgroups.clone());
    let owner = outer.start().await;
    let [task] = outer.numbers("up").await[..] else { panic!("one number") };
    // A session each, and processes that keep their places: only the group holds them together.
    let bomb = "i=0; while [ $i -lt 64 ]; do i=$((i+1)); setsid sleep 600 & done 2> /dev/null";
    for _ in 0..2 {
        let mut inner = limited(&format!("{bomb}; wait"), limits, cgroups.clone());
        inner.launch.cgroups = cgroups.within(&outer.launch.attempt);
        let ended = inner.start().await;
        let ended = timeout(Duration::from_secs(2), ended.exited()).await;
        let ended = match ended {
            Ok(ended) => ended.unwrap(),
            Err(_) => {
                let Found::Running(inner) = inner.find().await else { panic!("it runs") };
                inner.kill().await.unwrap()
            }
        };
        assert!(ended.forks_refused > 0, "{ended:?}");
        assert!(is_alive(task), "the end of one within is not that of the task");
    }
    let mut inner = limited("echo $$ > up; exec sleep 600", limits, cgroups.clone());
    inner.launch.cgroups = cgroups.within(&outer.launch.attempt);
    let running = inner.start().await;
    inner.numbers("up").await;

    owner.kill().await.unwrap();

    assert_eq!(running.exited().await.unwrap().exit, Exit::Signal(9));
}

#[tokio::test]
async fn a_share_of_a_core_slows_a_busy_task() {
    let Some(cgroups) = cgroups() else { return };
    let limits = Limits { cpu_millis: Some(200), ..Limits::default() };
    let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let attempt = limited(busy, limits, cgroups);

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(0));
    assert!(ended.elapsed >= ended.cpu * 2, "{ended:?}");
}

#[tokio::test]
async fn nothing_is_left_when_a_grouped_supervisor_is_killed() {
    let Some(cgroups) = cgroups() else { return };
    let script = "setsid env -i sleep 600 & echo $$ $! > up; wait";
    let attempt = limited(script, Limits::default(), cgroups);
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    kill(supervised.identity().supervisor.pid, Signal::KILL);

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Vanished);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn a_limit_that_nothing_can_keep_is_refused() {
    for limits in [
        Limits { memory_bytes: Some(1 << 30), ..Limits::default() },
        Limits { processes: Some(9), ..Limits::default() },
        Limits { cpu_millis: Some(100), ..Limits::default() },
    ] {
        let attempt = limited("touch ran", limits, Cgroups::default());

        let ended = attempt.start().await.exited().await.unwrap();

        assert!(
            matches!(&ended.exit, Exit::SpawnFailed { reason, .. }
            if reason.starts_with("this machine cannot limit")),
            "{ended:?}"
        );
        assert!(!attempt.work("ran").exists());
    }
}

#[tokio::test]
async fn a_file_grows_to_its_limit_and_no_further() {
    let limits = Limits { file_bytes: Some(1 << 20), ..Limits::default() };
    let attempt = limited("exec head -c 10G /dev/zero > big", limits, Cgroups::default());

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(25));
    assert_eq!(std::fs::metadata(attempt.work("big")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn the_memory_of_a_task_without_groups_is_looked_at() {
    let attempt = Attempt::of_script("sleep 0.2; exit 0");

    let ended = attempt.start().await.exited().await.unwrap();

    assert!(ended.memory_peak > 0, "{ended:?}");
}
