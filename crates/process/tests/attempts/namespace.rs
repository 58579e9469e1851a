//! An attempt where the session's leader lives in another pid namespace, as in a container.

use std::{fs, process::Command};

use rustix::process::geteuid;

use crate::world::{Attempt, PROGRAM};

#[test]
fn an_attempt_runs_in_a_fresh_pid_namespace() {
    if let Some(reason) = reason_not_to_run() {
        println!("NOT RUN: {reason}");
        return;
    }
    let attempt = Attempt::of_script("echo \"$$\" > up; exit 42");
    let launch = attempt.work("../launch");
    fs::write(&launch, serde_json::to_vec(&attempt.launch).unwrap()).unwrap();

    let daemon = in_a_namespace(PROGRAM).arg("daemon").arg(attempt.dir()).arg(launch).output();

    let daemon = daemon.unwrap();
    let said = String::from_utf8_lossy(&daemon.stdout).into_owned();
    let complaint = fs::read_to_string(attempt.dir().join("supervisor.log")).unwrap_or_default();
    assert_eq!(said, "started\nCode(42)\n", "{complaint}{daemon:?}");
    assert!(attempt.work("up").exists());
}

/// The program becomes the first process of its namespace; its session stays outside.
fn in_a_namespace(program: &str) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(program);
    unshare
}

fn reason_not_to_run() -> Option<&'static str> {
    if !geteuid().is_root() {
        return Some("a pid namespace of one's own needs root");
    }
    let tried = in_a_namespace("true").output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    (!works).then_some("no pid namespace can be made with unshare(1)")
}
