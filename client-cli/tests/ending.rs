//! How commands end that wait for a job: by what it comes to, by a person, or by Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::{
    fs,
    path::Path,
    process::{Child, Output},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use self::cluster::{Cluster, code, ended, text};

#[test]
fn a_commit_held_back_and_then_forced_tells_by_exit_codes() {
    let cluster = Cluster::start_with(Path::new(env!("CARGO_BIN_EXE_votum")), &["--no-restart"]);
    let gate = cluster.folder.path().join("gate");
    let job = cluster.job_file(&format!(
        "version: 1\nname: halves\ntasks:\n  left: {{ worker: s1, run: 'echo x > $VOTUM_OUTPUT_X', \
         outputs: {{ x: {{ path: x, publish: {{ file: halves/x }} }} }} }}\n  \
         right: {{ worker: s3, run: 'until [ -e {} ]; do sleep 0.1; done; echo y > $VOTUM_OUTPUT_Y', \
         outputs: {{ y: {{ path: y, publish: {{ file: halves/y }} }} }} }}\n",
        gate.display()
    ));
    assert_eq!(code(&cluster.run(&["submit", &job, "-o", "name"])), Some(0));
    until(|| {
        let tasks = cluster.json(&["show", "halves"])["tasks"].clone();
        tasks[0]["state"] == "TASK_STATE_STAGED" && tasks[1]["state"] == "TASK_STATE_RUNNING"
    });
    // The vote lasts until s1 goes on; s3 promises meanwhile, and is then gone for good.
    kill_process(cluster.pid("s1"), Signal::STOP).unwrap();
    fs::write(gate, "").unwrap();
    until(|| {
        let shown = text(&cluster.run(&["show", "halves", "--json"]));
        shown.contains("VOTE_YES")
    });
    kill_process(cluster.pid("s3"), Signal::KILL).unwrap();
    kill_process(cluster.pid("s1"), Signal::CONT).unwrap();

    let held = cluster.run(&["wait", "halves", "--timeout", "2m"]);
    assert_eq!(code(&held), Some(10), "{}", said(&held));
    let watched = cluster.run(&["watch", "halves", "--timeout", "2m"]);
    assert_eq!(code(&watched), Some(10), "{}", said(&watched));
    assert!(cluster.published("s1", "halves/x").exists() && !seen(&cluster, "s3", "halves/y"));
    // What was promised has come, although not everything is visible.
    assert_eq!(code(&cluster.run(&["wait", "halves", "--for", "prepared"])), Some(0));
    assert_eq!(code(&cluster.run(&["wait", "halves", "--for", "state=committing"])), Some(0));

    let name = cluster.json(&["show", "halves"])["name"].as_str().unwrap().to_owned();
    let name = name.trim_start_matches("jobs/");
    let force = ["txn", "force", name, "--worker", "s3", "--reason", "it burnt", "--confirm", name];
    let forced = cluster.run(&force);
    assert_eq!(code(&forced), Some(0), "{}", said(&forced));
    let mixed = cluster.run(&["wait", "halves", "--timeout", "1m"]);
    assert_eq!(code(&mixed), Some(9), "{}", said(&mixed));
    assert!(text(&mixed).starts_with("MIXED halves-"), "{}", text(&mixed));
    assert_eq!(code(&cluster.run(&["watch", "halves"])), Some(9));
    assert_eq!(code(&cluster.run(&["wait", "halves", "--for", "ended"])), Some(0));
    let doctor = cluster.run(&["doctor"]);
    assert_eq!(code(&doctor), Some(1), "{}", text(&doctor));
    assert!(text(&doctor).contains("do: start it again; if it is gone for good:"), "{doctor:?}");
    cluster.stop();
}

#[test]
fn ctrl_c_stops_looking_and_the_job_goes_on() {
    let cluster = Cluster::start();
    let endless = cluster.job_file(
        "version: 1\nname: endless\ntasks:\n  wait: { worker: s1, grace_period: 1s, \
         run: 'echo here; tail -f /dev/null' }\n",
    );
    assert_eq!(code(&cluster.run(&["submit", &endless, "--id", "endless-first"])), Some(0));
    assert_eq!(code(&cluster.run(&["wait", "endless-first", "--for", "state=running"])), Some(0));
    let commands: [&[&str]; 4] = [
        &["watch", "endless-first"],
        &["wait", "endless-first"],
        &["logs", "endless-first", "-f"],
        &["run", &endless, "--id", "endless-again"],
    ];
    for arguments in commands {
        let ended = interrupted(&cluster, arguments);
        assert_eq!(code(&ended), Some(130), "{arguments:?}: {}", said(&ended));
        let words = said(&ended);
        assert!(arguments[0] == "logs" || words.contains("on"), "{arguments:?}: {words}");
    }
    for job in ["endless-again", "endless-first"] {
        assert_eq!(code(&cluster.run(&["wait", job, "--timeout", "2s"])), Some(124), "{job}");
        let cancelled = cluster.run(&["cancel", job]);
        assert_eq!(code(&cancelled), Some(0), "{}", said(&cancelled));
        assert_eq!(code(&cluster.run(&["wait", job])), Some(8));
    }
    cluster.stop();
}

#[test]
fn the_first_of_several_jobs_is_enough_if_any_is_wanted() {
    let cluster = Cluster::start();
    let endless = cluster.job_file(
        "version: 1\nname: endless\ntasks: { wait: { command: [tail, -f, /dev/null], \
         grace_period: 1s } }\n",
    );
    assert_eq!(code(&cluster.run(&["submit", &endless, "-o", "name"])), Some(0));
    let quick = cluster.job_file("version: 1\nname: quick\ntasks: { t: { run: 'true' } }\n");
    assert_eq!(code(&cluster.run(&["submit", &quick, "-o", "name"])), Some(0));
    let any = cluster.run(&["wait", "endless", "quick", "--any", "--timeout", "1m"]);
    assert_eq!(code(&any), Some(0), "{}", said(&any));
    assert!(text(&any).starts_with("committed quick-"), "{}", text(&any));
    let all = cluster.run(&["wait", "endless", "quick", "--all", "--timeout", "1s"]);
    assert_eq!(code(&all), Some(124));
    assert!(said(&all).contains("not yet after 1s: endless-"), "{}", said(&all));
    // Where none can come any more, the first that was named tells why.
    assert_eq!(code(&cluster.run(&["cancel", "endless"])), Some(0));
    let none = cluster.run(&["wait", "endless", "quick", "--any", "--for", "state=quarantined"]);
    assert_eq!(code(&none), Some(8), "{}", said(&none));
    assert_eq!(code(&cluster.run(&["wait", "quick", "--for", "aborted"])), Some(6));
    cluster.stop();
}

/// Begins a command, and presses Ctrl-C as soon as it listens.
fn interrupted(cluster: &Cluster, arguments: &[&str]) -> Output {
    let child = cluster.begin(arguments);
    until(|| listens(&child));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    ended(child)
}

/// Says whether a process has taken the signal of Ctrl-C into its own hands.
fn listens(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & (1 << (Signal::INT.as_raw() - 1)) != 0
}

/// Asks again and again, for a minute.
#[expect(clippy::disallowed_methods, reason = "it looks again a little later")]
fn until(is: impl Fn() -> bool) {
    let is_so = || {
        thread::sleep(Duration::from_millis(20));
        is()
    };
    assert!((0..3000).any(|_| is_so()), "it did not come to this");
}

fn seen(cluster: &Cluster, worker: &str, target: &str) -> bool {
    cluster.published(worker, target).exists()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
