//! A job is one trace: its spans reach a collector, its programs go on with it, and nobody waits for that.

use std::{collections::BTreeSet, fs, net::TcpListener, time::Duration};

use serde_json::Value;
use votum_tests::{
    Cluster, Exposition, JobDraft, TaskDraft, Timing, eventually, programs, request,
};
use votum_wire::{JobState, request::SubmitJob};

use crate::{
    open_gate,
    receiver::{Receiver, Reply},
    wait_for_file,
};

#[test]
fn a_job_is_one_trace_from_its_caller_to_its_programs() {
    let collector = Receiver::start(vec![Reply::Status(200)]);
    let cluster = traced(&address_of(&collector));
    let task = TaskDraft::new("t1")
        .on("s1")
        .writes("rows", "rows.txt")
        .runs("echo \"$TRACEPARENT\" > \"$VOTUM_OUTPUT_ROWS\"; echo a-word-of-the-program")
        .publishes("rows.txt");
    let spec = JobDraft::new("traced").task(task).spec();
    let submission = SubmitJob { spec, job: None, request: Some(request()), validate_only: false };
    let submitted = cluster.client().submit_below(&submission, Some(CALLER));
    let job = cluster.block_on(submitted).unwrap().job.unwrap().job;
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    let spans = whole_trace(&collector);
    let mut names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let whole =
        ["apply", "attempt", "decide", "job", "prepare", "publish", "submit", "task", "vote"];
    assert_eq!(names, whole);
    for span in &spans {
        assert_eq!(span["traceid"], "4bf92f3577b34da6a3ce929d0e0e4736", "{span}");
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("starttimeunixnano") <= time("endtimeunixnano"), "{span}");
        assert_attributes(span);
    }
    assert_eq!(named(&spans, "job")["parentspanid"], "00f067aa0ba902b7");
    for (below, above) in [
        ("submit", "job"),
        ("task", "job"),
        ("attempt", "task"),
        ("prepare", "job"),
        ("vote", "prepare"),
        ("decide", "job"),
        ("apply", "job"),
        ("publish", "apply"),
    ] {
        let (below, above) = (named(&spans, below), named(&spans, above));
        assert_eq!(below["parentspanid"], above["spanid"], "{below}");
    }
    let told = fs::read_to_string(cluster.root("s1").join("rows.txt")).unwrap();
    let attempt = named(&spans, "attempt")["spanid"].as_str().unwrap();
    assert_eq!(told.trim(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{attempt}-01"));
    let seen = Exposition::of(cluster.address()).unwrap();
    assert!(seen.value("votum_trace_spans_total{fate=\"sent\"}") > 8.5);
}

#[test]
fn a_coordinator_that_restarts_goes_on_with_the_trace() {
    let collector = Receiver::start(vec![Reply::Status(200)]);
    let mut cluster = traced(&address_of(&collector));
    let gate = wait_for_file(&cluster, "gate");
    let draft = JobDraft::trio_with("traced", "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    let spans = whole_trace(&collector);
    let traces: BTreeSet<&str> =
        spans.iter().map(|span| span["traceid"].as_str().unwrap()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let tasks: Vec<&Value> = spans.iter().filter(|span| span["name"] == "task").collect();
    assert_eq!(tasks.len(), 3, "those of before the restart are remembered: {spans:#?}");
    for name in ["vote", "publish"] {
        let of_workers = spans.iter().filter(|span| span["name"] == name).count();
        assert_eq!(of_workers, 3, "{name}: {spans:#?}");
    }
    // The attempt that ran over the restart is below its task.
    let third = attribute(&spans, "attempt", "votum.task.id", "t3");
    let above = attribute(&spans, "task", "votum.task.id", "t3");
    assert_eq!(third["parentspanid"], above["spanid"]);
}

#[test]
fn a_collector_that_is_gone_keeps_nobody_waiting() {
    let cluster = traced("http://127.0.0.1:1");
    for name in ["alone", "again"] {
        let job = cluster.submit(&JobDraft::trio(name, "rows.txt", &cluster.runs()).spec());
        assert_eq!(cluster.ended(&job).state, JobState::Committed);
    }
    eventually("the loss is counted", LIMIT, || {
        let seen = Exposition::of(cluster.address()).ok()?;
        (seen.sum("votum_trace_spans_total", &["fate=\"failed\""]) > 1.5).then_some(())
    });
}

#[test]
fn a_collector_that_never_answers_keeps_nobody_waiting() {
    // Its connections are accepted by the kernel, and nobody reads from them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut cluster = traced(&format!("http://{}", deaf.local_addr().unwrap()));
    let job = cluster.submit(&JobDraft::trio("deaf", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let left = cluster.coordinator().terminate(LIMIT);
    assert!(left.success(), "{left}");
}

/// Starts a cluster whose coordinator tells a collector what happens.
fn traced(endpoint: &str) -> Cluster {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    cluster.coordinator().add_argument(&format!("--otel-endpoint={endpoint}"));
    cluster.start_all();
    cluster
}

fn address_of(collector: &Receiver) -> String {
    collector.url().replace("/hook", "")
}

/// Waits for the last span of a job, and returns all of them.
#[track_caller]
fn whole_trace(collector: &Receiver) -> Vec<Value> {
    eventually("the whole trace arrives", LIMIT, || {
        let spans = spans(collector);
        spans.iter().any(|span| span["name"] == "job").then_some(spans)
    })
}

#[track_caller]
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap()
}

#[track_caller]
fn attribute<'a>(spans: &'a [Value], name: &str, key: &str, value: &str) -> &'a Value {
    let told = |span: &&Value| {
        let attributes = span["attributes"].as_array().unwrap();
        let mut told = attributes.iter().filter(|one| one["key"] == key);
        span["name"] == name && told.any(|one| one["value"]["stringvalue"] == value)
    };
    spans.iter().find(told).unwrap()
}

/// Checks that only ids, numbers and words of the program are told.
#[track_caller]
fn assert_attributes(span: &Value) {
    let known = [
        "votum.job.id",
        "votum.task.id",
        "votum.worker",
        "votum.attempt.number",
        "votum.round",
        "votum.vote",
        "votum.decision",
        "votum.job.outcome",
    ];
    for attribute in span["attributes"].as_array().unwrap() {
        assert!(known.contains(&attribute["key"].as_str().unwrap()), "{span}");
    }
    assert!(!span.to_string().contains("a-word-of-the-program"), "{span}");
}

/// Returns every span that has come so far; the receiver remembers requests in lower case.
fn spans(collector: &Receiver) -> Vec<Value> {
    let mut spans = Vec::new();
    for request in collector.requests() {
        assert!(request.starts_with("post /v1/traces "), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let found = body["resourcespans"][0]["scopespans"][0]["spans"].as_array().unwrap();
        spans.extend(found.iter().cloned());
    }
    spans
}

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const LIMIT: Duration = Duration::from_mins(1);
