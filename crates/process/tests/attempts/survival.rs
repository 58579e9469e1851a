//! What is found after the daemon, the supervisor or the machine died.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use rustix::process::{Pid, Signal, test_kill_process_group};
use serde_json::{Value, json};
use votum_process::{Exit, Found, Supervised, SupervisionError, find, start};

use crate::world::{Attempt, PROGRAM, attempt_id, is_alive, kill, supervisor, until};

#[tokio::test]
async fn a_task_survives_the_death_of_its_daemon() {
    let attempt = Attempt::of_script(WAITING);
    let daemon = daemon_with(&attempt);
    let pids = attempt.numbers("up").await;

    kill_and_reap(daemon);

    let adopted = running(attempt.find().await);
    assert_eq!(adopted.task().unwrap().unwrap().pid, pids[0]);
    fs::write(attempt.work("go"), "").unwrap();
    assert_eq!(adopted.exited().await.unwrap().exit, Exit::Code(42));
}

#[tokio::test]
async fn an_exit_is_recorded_while_no_daemon_lives() {
    let attempt = Attempt::of_script(WAITING);
    let daemon = daemon_with(&attempt);
    attempt.numbers("up").await;
    kill_and_reap(daemon);

    fs::write(attempt.work("go"), "").unwrap();
    until("the exit is recorded", || attempt.dir().join("exit.json").exists()).await;

    let Found::Ended(ended) = attempt.find().await else { panic!("it has ended") };
    assert_eq!(ended.exit, Exit::Code(42));
    assert_eq!(ended.stdout_bytes, 6);
}

#[tokio::test]
async fn an_adopted_attempt_can_be_stopped() {
    let attempt = Attempt::of_script(WAITING);
    let daemon = daemon_with(&attempt);
    let pids = attempt.numbers("up").await;
    kill_and_reap(daemon);

    let ended = running(attempt.find().await).kill().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(!is_alive(pids[0]));
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_attempt_along() {
    // One in the group, one in a session of its own, one with neither session nor environment.
    let attempt = Attempt::of_script(
        "sleep 600 & a=$!
         setsid sh -c 'echo $$ > b; env -i sleep 600' &
         setsid sleep 600 & c=$!
         until [ -s b ]; do sleep 0.01; done; echo $$ $a $(cat b) $c > up; wait",
    );
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    kill(supervised.identity().supervisor.pid, Signal::KILL);

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Vanished);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn orphans_of_a_dead_leader_are_ended() {
    let attempt = Attempt::of_script("env -i sleep 600 & sleep 600 & echo $$ $! > up; wait");
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;
    // Stopped, so that it can neither reap the leader nor kill the rest.
    let pid = supervised.identity().supervisor.pid;
    kill(pid, Signal::STOP);
    kill(pids[0], Signal::KILL);
    kill(pid, Signal::KILL);
    until("the supervisor is dead", || !is_alive(pid)).await;

    let Found::Ended(ended) = attempt.find().await else { panic!("its supervisor is dead") };

    assert_eq!(ended.exit, Exit::Vanished);
    let group = Pid::from_raw(pids[0]).unwrap();
    until("the group is reaped", || test_kill_process_group(group).is_err()).await;
}

#[tokio::test]
async fn a_task_whose_note_was_lost_is_found_by_its_mark() {
    let attempt = Attempt::of_script("echo $$ > up; exec sleep 600");
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;
    fs::remove_file(attempt.dir().join("task.json")).unwrap();

    kill(supervised.identity().supervisor.pid, Signal::KILL);

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Vanished);
    assert!(!is_alive(pids[0]));
}

#[tokio::test]
async fn a_reused_process_id_is_never_signalled() {
    let attempt = Attempt::of_script("exit 0");
    attempt.start().await.exited().await.unwrap();
    fs::remove_file(attempt.dir().join("exit.json")).unwrap();
    let mut innocent = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let forged = json!({ "pid": innocent.id(), "start": 1 });
    edit(&attempt.dir().join("identity.json"), |body| {
        body["supervised"]["supervisor"] = forged.clone();
    });
    edit(&attempt.dir().join("task.json"), |body| *body = forged.clone());

    let Found::Ended(ended) = attempt.find().await else { panic!("it was not adopted") };

    assert_eq!(ended.exit, Exit::Vanished);
    assert!(innocent.try_wait().unwrap().is_none(), "the innocent was signalled");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[tokio::test]
async fn an_attempt_of_an_earlier_boot_has_vanished() {
    let attempt = Attempt::of_script(WAITING);
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;
    edit(&attempt.dir().join("launch.json"), |body| body["boot"] = json!("another"));

    let found = attempt.find().await;

    assert!(matches!(found, Found::Ended(ended) if ended.exit == Exit::Vanished));
    assert!(is_alive(pids[0]), "numbers of another boot prove nothing");
    supervised.kill().await.unwrap();
}

#[tokio::test]
async fn an_exit_of_an_earlier_boot_proves_nothing() {
    let attempt = Attempt::of_script("exit 0");
    attempt.start().await.exited().await.unwrap();
    edit(&attempt.dir().join("launch.json"), |body| body["boot"] = json!("another"));

    let whole = attempt.find().await;
    // A power cut may leave the name of a file that was not synced, and nothing in it.
    fs::write(attempt.dir().join("exit.json"), "").unwrap();
    let empty = attempt.find().await;

    for found in [whole, empty] {
        assert!(matches!(found, Found::Ended(ended) if ended.exit == Exit::Vanished));
    }
}

#[tokio::test]
async fn a_late_supervisor_finds_its_attempt_void() {
    let attempt = Attempt::of_script("touch ran");
    let mut daemon = armed_daemon(&attempt, "process.after_launch_file");
    daemon.wait().unwrap();

    let found = attempt.find().await;
    let late = Command::new(PROGRAM).arg("supervise").arg(attempt.dir()).output().unwrap();

    assert!(matches!(found, Found::NeverStarted), "{found:?}");
    assert!(!late.status.success());
    assert!(!attempt.work("ran").exists());
    assert!(matches!(attempt.find().await, Found::NeverStarted));
}

#[tokio::test]
async fn a_daemon_that_dies_while_starting_is_forgiven() {
    let attempt = Attempt::of_script("exit 42");
    let mut daemon = armed_daemon(&attempt, "process.after_supervisor_spawn");
    daemon.wait().unwrap();

    // Whoever comes first decides: the supervisor that was spawned, or the search.
    match attempt.find().await {
        Found::Running(supervised) => {
            assert_eq!(supervised.exited().await.unwrap().exit, Exit::Code(42));
        }
        Found::Ended(ended) => assert_eq!(ended.exit, Exit::Code(42)),
        Found::NeverStarted => assert!(matches!(attempt.find().await, Found::NeverStarted)),
    }
}

#[tokio::test]
async fn a_supervisor_that_dies_after_the_spawn_leaves_no_task() {
    let attempt = Attempt::of_script("echo $$ > up; exec sleep 600");
    let mut daemon = armed_daemon(&attempt, "process.after_spawn");

    let mut said = String::new();
    let mut stdout = BufReader::new(daemon.stdout.take().unwrap());
    while stdout.read_line(&mut said).unwrap() > 0 {}
    daemon.wait().unwrap();

    assert_eq!(said, "started\nVanished\n");
    let left = attempt.work("up");
    let pid = fs::read_to_string(left).ok().and_then(|text| text.trim().parse().ok());
    assert!(pid.is_none_or(|pid| !is_alive(pid)));
}

#[tokio::test]
async fn a_supervisor_that_dies_before_the_record_means_vanished() {
    let attempt = Attempt::of_script("exit 0");
    let mut daemon = armed_daemon(&attempt, "process.before_exit_record");
    daemon.wait().unwrap();

    let found = attempt.find().await;

    assert!(matches!(found, Found::Ended(ended) if ended.exit == Exit::Vanished));
}

#[tokio::test]
async fn looking_again_leaves_the_directory_as_old_as_it_is() {
    for crash in ["process.after_launch_file", "process.before_exit_record"] {
        let attempt = Attempt::of_script("exit 0");
        let mut daemon = armed_daemon(&attempt, crash);
        daemon.wait().unwrap();
        let first = attempt.find().await;
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        File::open(attempt.dir()).unwrap().set_modified(long_ago).unwrap();

        let second = attempt.find().await;

        assert_eq!(format!("{second:?}"), format!("{first:?}"));
        let modified = fs::metadata(attempt.dir()).unwrap().modified().unwrap();
        assert_eq!(modified, long_ago, "after {crash}: its logs would be kept for longer");
    }
}

#[tokio::test]
async fn a_directory_of_another_attempt_is_refused() {
    let attempt = Attempt::of_script(WAITING);
    let supervised = attempt.start().await;

    let found = find(&attempt.dir(), &attempt_id(15)).await;

    assert!(matches!(found, Err(SupervisionError::Foreign { .. })), "{found:?}");
    assert_eq!(supervised.kill().await.unwrap().exit, Exit::Signal(9));
}

#[tokio::test]
async fn a_search_beside_a_start_never_runs_twice() {
    for _ in 0..20 {
        let attempt = Attempt::of_script("echo x >> runs");
        let (program, dir) = (supervisor(), attempt.dir());

        let (started, _found) =
            tokio::join!(start(&program, &dir, &attempt.launch), attempt.find());

        if let Ok(supervised) = started {
            supervised.exited().await.unwrap();
        }
        let runs = fs::read_to_string(attempt.work("runs")).unwrap_or_default();
        assert_eq!(runs.len() / 2, usize::from(matches!(attempt.find().await, Found::Ended(_))));
    }
}

/// Tells its process id, waits to be told to go on, and ends with 42.
const WAITING: &str = "echo $$ > up; until [ -e go ]; do sleep 0.01; done; echo ended; exit 42";

/// Starts the attempt from a daemon that is a process of its own.
fn daemon_with(attempt: &Attempt) -> Child {
    let mut daemon = daemon(attempt).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    daemon
}

fn armed_daemon(attempt: &Attempt, point: &str) -> Child {
    daemon(attempt).env("VOTUM_CRASH_AT", point).spawn().unwrap()
}

fn daemon(attempt: &Attempt) -> Command {
    let launch = attempt.work("../launch");
    fs::write(&launch, serde_json::to_vec(&attempt.launch).unwrap()).unwrap();
    let mut daemon = Command::new(PROGRAM);
    daemon.arg("daemon").arg(attempt.dir()).arg(launch).stdout(Stdio::piped());
    daemon
}

fn kill_and_reap(mut daemon: Child) {
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

fn running(found: Found) -> Supervised {
    let Found::Running(supervised) = found else { panic!("it runs: {found:?}") };
    supervised
}

fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut file["body"]);
    fs::write(path, serde_json::to_vec(&file).unwrap()).unwrap();
}
