//! `votum dev` and the commands against it: real processes, real jobs, real kills.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::{fs, path::Path};

use rustix::process::{Signal, kill_process};

use self::cluster::{Cluster, code, text};

#[test]
fn a_job_runs_on_three_workers_and_nothing_stays_behind() {
    let cluster = Cluster::start();
    let pids = ["coordinator", "s1", "s2", "s3"].map(|name| cluster.pid(name));
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/hello.yaml");
    let ran = cluster.run(&["run", hello.to_str().unwrap(), "-p", "name=Ana"]);
    assert_eq!(code(&ran), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(text(&ran).contains("3 outputs visible on s1, s2, s3"), "{}", text(&ran));
    let letter = fs::read_to_string(cluster.published("s3", "hello/letter.txt")).unwrap();
    assert!(letter.starts_with("Hello, Ana!\nWritten on "), "{letter}");
    let shown = cluster.json(&["show", "@last"]);
    assert_eq!(shown["state"], "JOB_STATE_COMMITTED");
    assert_eq!(cluster.stop(), Some(0));
    for pid in pids {
        assert!(rustix::process::test_kill_process(pid).is_err(), "{pid:?} still runs");
    }
}

#[test]
fn exit_codes_tell_outcomes_apart() {
    let cluster = Cluster::start();
    let fails = cluster.job_file(
        "version: 1\nname: fails\ntasks:\n  good: { worker: s1, run: 'echo x > $VOTUM_OUTPUT_X', \
         outputs: { x: { path: x, publish: { file: fails/x } } } }\n  \
         bad: { worker: s2, needs: [good], run: 'echo no currency >&2; exit 65' }\n",
    );
    let failed = cluster.run(&["run", &fails]);
    assert_eq!(code(&failed), Some(3), "{}", text(&failed));
    assert!(!cluster.published("s1", "fails/x").exists(), "nothing of an aborted job is visible");
    let shown = text(&cluster.run(&["show", "fails"]));
    assert!(shown.contains("stderr: no currency"), "{shown}");

    let endless = cluster.job_file(
        "version: 1\nname: endless\ntasks:\n  wait: { worker: s1, command: [tail, -f, /dev/null], \
         grace_period: 1s }\n",
    );
    assert_eq!(code(&cluster.run(&["submit", &endless, "-o", "name"])), Some(0));
    assert_eq!(code(&cluster.run(&["wait", "endless", "--timeout", "200ms"])), Some(124));
    assert_eq!(code(&cluster.run(&["cancel", "endless", "--reason", "enough"])), Some(0));
    assert_eq!(code(&cluster.run(&["wait", "endless"])), Some(8));
    assert_eq!(code(&cluster.run(&["wait", "endless", "--for", "aborted"])), Some(0));
    assert_eq!(code(&cluster.run(&["cancel", "endless"])), Some(0), "it is what was asked for");

    assert_eq!(code(&cluster.run(&["show", "nobody"])), Some(5));
    assert_eq!(code(&cluster.run(&["worker", "show", "s9"])), Some(5));
    assert_eq!(code(&cluster.run(&["list", "--state", "confused"])), Some(2));
    assert_eq!(code(&cluster.run(&["--address", "127.0.0.1:1", "list"])), Some(7));
    cluster.stop();
}

#[test]
fn one_request_id_makes_one_job() {
    let cluster = Cluster::start();
    let quick = cluster.job_file("version: 1\nname: quick\ntasks: { t: { run: 'true' } }\n");
    let request = ["--request-id", "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b", "-o", "name"];
    let first = cluster.run(&[&["submit", &quick], &request[..]].concat());
    let again = cluster.run(&[&["submit", &quick], &request[..]].concat());
    assert_eq!(text(&first), text(&again));
    let other = cluster.job_file("version: 1\nname: other\ntasks: { t: { run: 'true' } }\n");
    let reused = cluster.run(&[&["submit", &other], &request[..]].concat());
    assert_eq!(code(&reused), Some(6), "{}", text(&reused));
    assert_eq!(cluster.json(&["list"])["jobs"].as_array().unwrap().len(), 1);
    cluster.stop();
}

#[test]
fn a_killed_worker_comes_back_and_its_job_commits() {
    let cluster = Cluster::start();
    let gate = cluster.folder.path().join("gate");
    let counts = cluster.job_file(&format!(
        "version: 1\nname: counts\ntasks:\n  count:\n    worker: s2\n    retry: {{ attempts: 3 }}\n    \
         run: |\n      until [ -e {} ]; do sleep 0.1; done\n      \
         echo \"$VOTUM_ATTEMPT\" > \"$VOTUM_OUTPUT_N\"\n    \
         outputs: {{ n: {{ path: n, publish: {{ file: counts/n }} }} }}\n",
        gate.display()
    ));
    assert_eq!(code(&cluster.run(&["submit", &counts, "-o", "name"])), Some(0));
    let running = || {
        let shown = cluster.json(&["show", "counts"]);
        shown["tasks"][0]["state"] == "TASK_STATE_RUNNING"
    };
    assert!((0..200).any(|_| running()), "the task never ran");
    kill_process(cluster.pid("s2"), Signal::KILL).unwrap();
    fs::write(gate, "").unwrap();
    assert_eq!(code(&cluster.run(&["wait", "counts", "--timeout", "60s"])), Some(0));
    let count = fs::read_to_string(cluster.published("s2", "counts/n")).unwrap();
    assert_eq!(count, "1\n", "the task outlived its worker");
    cluster.stop();
}

#[test]
fn a_deleted_worker_is_not_started_again() {
    let cluster = Cluster::start();
    // It can be deleted between its end and its next start.
    let deleted = |_| {
        // It may be between the two already.
        let _ = kill_process(cluster.last_pid("s3"), Signal::KILL);
        code(&cluster.run(&["worker", "delete", "s3"])) == Some(0)
    };
    assert!((0..50).any(deleted), "{}", cluster.log());
    let stays_away = |_| {
        cluster.run(&["worker", "list"]);
        cluster.log().contains("dev: s3 was deleted and stays away")
    };
    assert!((0..3000).any(stays_away), "{}", cluster.log());
    let since = cluster.log().rsplit_once("s3 was deleted").unwrap().1.to_owned();
    assert!(!since.contains("s3 runs again"), "{since}");
    cluster.stop();
}

#[test]
fn a_cluster_outlives_a_rebuild_of_its_executable() {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("votum");
    fs::copy(env!("CARGO_BIN_EXE_votum"), &program).unwrap();
    let cluster = Cluster::start_from(&program);
    fs::remove_file(&program).unwrap();
    kill_process(cluster.pid("s2"), Signal::KILL).unwrap();
    let log = cluster.folder.path().join("dev.log");
    // Every look at the log waits for an answer, so a slow machine is waited for.
    let told = (0..400).find_map(|_| {
        cluster.run(&["status"]);
        let told = fs::read_to_string(&log).unwrap();
        (told.contains("again, pid") || told.contains("cannot be")).then_some(told)
    });
    let told = told.unwrap();
    assert!(told.contains("s2 runs again"), "{told}");
    cluster.stop();
}
