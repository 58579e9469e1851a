//! How many writes are waited for, and in which order: `protocol.md` §4, counted and traced.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use votum_ids::{Existing, JobId};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, Written, eventually, programs};
use votum_wire::JobState;

use crate::patient;

#[test]
fn a_commit_forces_what_the_protocol_says() {
    let cluster = patient();
    let before = cluster.counters().journal.forced_records;
    let job = cluster.submit(&JobDraft::trio("count", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    // Received, and the decision.
    assert_eq!(cluster.counters().journal.forced_records - before, 2);
    assert_eq!(
        forced(&cluster, "coordinator", &job),
        ["job.schedule.received", "job.commit.commit_decided"]
    );
    for worker in ["s1", "s2", "s3"] {
        let forced = forced(&cluster, worker, &job);
        assert_eq!(forced, ["sealed", "participant.prepared", "participant.committed"], "{worker}");
    }
}

#[test]
fn one_no_forces_an_abort_at_the_coordinator_only() {
    let cluster = patient();
    fs::write(cluster.root("s2").join("rows.txt"), "mine\n").unwrap();
    let mut spec = JobDraft::trio("no", "rows.txt", &cluster.runs()).spec();
    for task in spec.tasks.values_mut() {
        for output in task.outputs.values_mut() {
            output.publish.as_mut().unwrap().existing = Existing::Fail;
        }
    }
    let before = cluster.counters().journal.forced_records;
    let job = cluster.submit(&spec);
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    cluster.wait_until_staging_is_empty();

    assert_eq!(cluster.counters().journal.forced_records - before, 2);
    assert_eq!(
        forced(&cluster, "coordinator", &job),
        ["job.schedule.received", "job.commit.aborting"]
    );
    assert_eq!(forced(&cluster, "s2", &job), ["sealed"]);
    for worker in ["s1", "s3"] {
        // The abort may come before this worker has voted; then it has forced nothing.
        let forced = forced(&cluster, worker, &job);
        let expected = ["sealed", "participant.prepared"];
        assert!(forced == expected || forced == expected[..1], "{worker}: {forced:?}");
    }
}

#[test]
fn a_job_that_publishes_nothing_forces_no_decision() {
    let cluster = patient();
    let task = |id: &str, worker: &str| TaskDraft::new(id).on(worker).writes("rows", "rows");
    let joined = task("t3", "s3").reads("left", "t1", "rows").reads("right", "t2", "rows");
    let spec = JobDraft::new("reads").task(task("t1", "s1")).task(task("t2", "s2")).task(joined);
    let before = cluster.counters().journal.forced_records;
    let job = cluster.submit(&spec.spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    assert_eq!(cluster.counters().journal.forced_records - before, 1);
    assert_eq!(forced(&cluster, "coordinator", &job), ["job.schedule.received"]);
    for worker in ["s1", "s2", "s3"] {
        assert_eq!(forced(&cluster, worker, &job), ["sealed"], "{worker}");
    }
    cluster.wait_until_staging_is_empty();
}

#[test]
fn every_promise_leaves_after_the_sync_of_its_record() {
    let traces = Traces::in_folder();
    if !traces.is_possible() {
        println!("NOT RUN: the order of syncs and sends needs strace and the right to trace");
        return;
    }
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    cluster.coordinator().add_argument("--lazy-sync-ms=10000");
    for daemon in ["coordinator", "s1", "s2", "s3"] {
        let trace = traces.file(daemon);
        cluster.daemon(daemon).wrap(&[
            "strace",
            "-f",
            "-s",
            "200000",
            "-e",
            "trace=pwrite64,writev,sendto,sendmsg,fdatasync",
            "-e",
            "signal=none",
            "-o",
            &trace,
        ]);
    }
    cluster.start_all();
    let job = cluster.submit(&JobDraft::trio("traced", "rows.txt", &cluster.runs()).spec());
    cluster.wait_for("it is decided and published", &job, |view| {
        view.participants.len() == 3 && view.participants.iter().all(|one| one.acknowledged)
    });
    let round = round_of(&cluster, &job);
    for daemon in ["coordinator", "s1", "s2", "s3"] {
        eventually("strace has written down the end", LIMIT, || {
            (!traces.read(daemon).is_empty()).then_some(())
        });
    }

    let coordinator = traces.read("coordinator");
    assert_held_back(&coordinator, "\\\"received\\\"", &format!("jobs/{job}"));
    assert_held_back(&coordinator, "\\\"commit_decided\\\"", &round);
    assert_eq!(sends_after_record(&coordinator, "\\\"commit_decided\\\"", &round), 3);
    for worker in ["s1", "s2", "s3"] {
        let trace = traces.read(worker);
        assert_held_back(&trace, "\\\"prepared\\\"", &round);
        assert_held_back(&trace, "\\\"committed\\\"", &round);
    }
}

/// Names the forced records of a job in order, each by the path that leads to its variant.
fn forced(cluster: &Cluster, daemon: &str, job: &JobId) -> Vec<String> {
    let records = cluster.records_of(daemon, job);
    records.iter().filter(|one| one.forced).map(kind).collect()
}

fn kind(one: &Written) -> String {
    let variants = [
        &["job", "schedule", "received"][..],
        &["job", "commit", "commit_decided"],
        &["job", "commit", "aborting"],
        &["sealed"],
        &["participant", "prepared"],
        &["participant", "committed"],
        &["participant", "refused"],
    ];
    let found = variants.iter().find(|names| one.part(names).is_some());
    found.map_or_else(|| one.record.to_string(), |names| names.join("."))
}

/// Returns the id of the round that decided.
fn round_of(cluster: &Cluster, job: &JobId) -> String {
    let records = cluster.records_of("coordinator", job);
    let decided =
        records.iter().find_map(|one| one.part(&["job", "commit", "commit_decided", "txn"]));
    let text = |name: &str| {
        let value = &decided.unwrap()[name];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    format!("{}:{}.{}", text("job"), text("epoch"), text("counter"))
}

/// What strace saw of each daemon.
struct Traces(tempfile::TempDir);

impl Traces {
    fn in_folder() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Says whether this machine has strace and allows tracing.
    fn is_possible(&self) -> bool {
        let traced = Command::new("strace").args(["-o", &self.file("true"), "true"]).output();
        traced.is_ok_and(|output| output.status.success())
    }

    fn file(&self, daemon: &str) -> String {
        self.path(daemon).display().to_string()
    }

    fn path(&self, daemon: &str) -> std::path::PathBuf {
        Path::new(self.0.path()).join(daemon)
    }

    fn read(&self, daemon: &str) -> Vec<Call> {
        let text = fs::read(self.path(daemon)).unwrap();
        calls(&String::from_utf8_lossy(&text))
    }
}

/// One thing that a daemon did.
#[derive(Debug, PartialEq)]
enum Call {
    /// It began to write this to a file.
    Writes(String),
    /// It began to send this.
    Sends(String),
    /// A sync has returned.
    Synced,
}

/// Reads a trace; a call that another thread interrupts stands in two lines.
fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut syncing = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.starts_with("pwrite64(") {
            calls.push(Call::Writes(call.to_owned()));
        } else if ["sendto(", "sendmsg(", "writev("].iter().any(|name| call.starts_with(name)) {
            calls.push(Call::Sends(call.to_owned()));
        } else if call.starts_with("fdatasync(") && call.contains("unfinished") {
            syncing.insert(thread, ());
        } else if call.starts_with("fdatasync(") || call.contains("fdatasync resumed") {
            syncing.remove(thread);
            calls.push(Call::Synced);
        }
    }
    calls
}

/// Asserts that nothing that names `promise` was sent between the write of a record and its sync.
#[track_caller]
fn assert_held_back(calls: &[Call], record: &str, promise: &str) {
    let written = position_of_record(calls, record);
    let synced = calls[written..].iter().position(|call| *call == Call::Synced);
    let synced = written + synced.unwrap_or_else(|| panic!("{record} was never synced"));
    let early: Vec<_> = calls[written..synced].iter().filter(|call| names(call, promise)).collect();
    assert!(early.is_empty(), "sent before {record} was synced: {early:#?}");
    let after = calls[synced..].iter().filter(|call| names(call, promise)).count();
    assert!(after > 0, "{promise} was not sent after {record} was synced");
}

#[track_caller]
fn sends_after_record(calls: &[Call], record: &str, promise: &str) -> usize {
    let written = position_of_record(calls, record);
    calls[written..].iter().filter(|call| names(call, promise)).count()
}

#[track_caller]
fn position_of_record(calls: &[Call], record: &str) -> usize {
    let is_record = |call: &Call| matches!(call, Call::Writes(text) if text.contains(record));
    calls.iter().position(is_record).unwrap_or_else(|| panic!("{record} was never written"))
}

fn names(call: &Call, promise: &str) -> bool {
    matches!(call, Call::Sends(text) if text.contains(promise))
}

const LIMIT: Duration = Duration::from_mins(1);
