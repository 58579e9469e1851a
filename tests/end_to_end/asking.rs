//! The API over HTTP: what a script with curl is promised, on the listener of gRPC.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tonic::{Code, transport::Endpoint};
use votum_tests::{Cluster, JobDraft, TaskDraft};
use votum_wire::JobState;

use crate::{not_run, open_gate, patient, wait_for_file};

#[test]
fn a_job_is_handed_in_and_followed_with_json_alone() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let script = format!("{gate}; echo hello; echo one > $VOTUM_OUTPUT_DIR/rows");
    let body = json!({"spec": {"displayName": "by-json", "tasks": [{
        "taskId": "t1",
        "script": {"text": script},
        "outputs": [{"name": "rows", "publish": {"file": {"path": "by-json"}}}],
    }]}});
    let submitted = ask(&cluster, "POST", "jobs", Some(&body));
    assert_eq!(submitted.status, 200, "{submitted:?}");
    let name = submitted.json["job"]["name"].as_str().unwrap().to_owned();
    let listed = ask(
        &cluster,
        "GET",
        "jobs?pageSize=1&states=JOB_STATE_RUNNING&states=JOB_STATE_RECEIVED",
        None,
    );
    assert_eq!(listed.json["jobs"][0]["name"], name.as_str(), "{listed:?}");

    let found = ask(&cluster, "GET", "jobs?filter=name%3Dby-json%20NOT%20ended%3A*", None);
    assert_eq!(found.json["jobs"][0]["name"], name.as_str(), "{found:?}");

    let mut watch = Events::of(&cluster, &format!("{name}/watch"));
    let mut logs = Events::of(&cluster, &format!("{name}/logs?follow=true"));
    assert!(watch.next().unwrap()["job"]["state"].is_string());
    open_gate(&cluster, "gate");
    let states: Vec<Value> = std::iter::from_fn(|| watch.next()).collect();
    assert_eq!(states.last().unwrap()["job"]["state"], "JOB_STATE_COMMITTED");
    assert_eq!(logs.next().unwrap()["data"], "aGVsbG8K", "base64 of what was written");
    assert_eq!(logs.next(), None);

    let shown = ask(&cluster, "GET", &name, None);
    assert_eq!(shown.json["job"]["tasks"][0]["outputs"][0]["state"], "OUTPUT_STATE_PUBLISHED");
    let basic = ask(&cluster, "GET", &format!("{name}?view=JOB_VIEW_BASIC"), None);
    assert!(basic.json["job"]["spec"].is_null());
}

#[test]
fn a_job_is_steered_with_json_alone() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let task = TaskDraft::new("t1").on("s1").runs(&gate).writes("rows", "a").publishes("a");
    let job = cluster.submit(&JobDraft::new("steered").task(task).spec());
    let path = |deed: &str| format!("jobs/{job}/{deed}");
    let paused = ask(&cluster, "POST", &path("pause"), Some(&json!({"reason": "lunch"})));
    assert_eq!(paused.json["job"]["pause"]["reason"], "lunch", "{paused:?}");
    let unpaused = ask(&cluster, "POST", &path("unpause"), None);
    assert!(unpaused.json["job"]["pause"].is_null(), "{unpaused:?}");
    let cancelled = ask(&cluster, "POST", &path("cancel"), Some(&json!({"reason": "wrong day"})));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);

    let drained = ask(&cluster, "POST", "workers/s2/drain", Some(&json!({"reason": "disk"})));
    assert_eq!(drained.json["worker"]["drain"]["reason"], "disk", "{drained:?}");
    assert_eq!(ask(&cluster, "POST", "workers/s2/resume", None).status, 200);
    for path in ["workers", "workers/s1", "cases", "txns", "cluster"] {
        assert_eq!(ask(&cluster, "GET", path, None).status, 200, "{path}");
    }
}

#[test]
fn every_refusal_has_a_status_and_a_reason() {
    let cluster = patient();
    let job = cluster.submit(&JobDraft::trio("refusing", "refusing", &cluster.runs()).spec());
    cluster.ended(&job);
    let paused = json!({"reason": "late"});
    let misspelt = json!({"reasn": "late"});
    let body = Some(&paused);
    for (method, path, body, status, reason) in [
        ("GET", "jobs/none".to_owned(), None, 404, "JOB_NOT_FOUND"),
        ("GET", "jobs/None!".to_owned(), None, 400, "MALFORMED"),
        ("GET", "jobs?pageSize=-1".to_owned(), None, 400, "MALFORMED"),
        ("GET", "jobs?size=1".to_owned(), None, 400, "MALFORMED"),
        ("GET", "jobs?filter=stat%20%3D%20RUNNING".to_owned(), None, 400, "FILTER_INVALID"),
        ("POST", format!("jobs/{job}/pause"), body, 400, "ALREADY_DECIDED"),
        ("POST", format!("jobs/{job}/cancel"), Some(&misspelt), 400, "MALFORMED"),
        ("GET", "nothing".to_owned(), None, 404, "NO_SUCH_CALL"),
    ] {
        let answer = ask(&cluster, method, &path, body);
        let found = (answer.status, &answer.json["error"]["reason"]);
        assert_eq!(found, (status, &json!(reason)), "{path}: {answer:?}");
    }
    let missing = ask(&cluster, "GET", "jobs/none", None).json;
    assert_eq!(missing["error"]["code"], "NOT_FOUND");
    assert_eq!(missing["error"]["metadata"]["job"], "none");
}

#[test]
fn a_strangers_page_cannot_ask() {
    let cluster = patient();
    let address = cluster.address();
    for (headers, status) in [
        (format!("host: {address}\r\norigin: http://{address}"), 200),
        (format!("host: {address}\r\norigin: https://evil.example"), 403),
        ("host: rebound.example\r\norigin: http://rebound.example".to_owned(), 403),
    ] {
        let request =
            format!("GET /api/v1/jobs HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n");
        assert_eq!(Answer::to(address, &request).status, status, "{headers}");
    }
    let body = r#"{"reason": "x"}"#;
    let plain = format!(
        "POST /api/v1/jobs/none/cancel HTTP/1.1\r\nhost: {address}\r\ncontent-type: text/plain\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(Answer::to(address, &plain).status, 415);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let cluster = patient();
    let body = json!({"spec": {"displayName": "large", "description": "x".repeat(5 << 20)}});
    let answer = ask(&cluster, "POST", "jobs", Some(&body));
    assert_eq!((answer.status, &answer.json["error"]["reason"]), (413, &json!("BODY_TOO_LARGE")));
}

#[test]
fn an_unknown_grpc_method_is_still_unimplemented() {
    let cluster = patient();
    let endpoint = Endpoint::from_shared(format!("http://{}", cluster.address())).unwrap();
    let channel = cluster.block_on(endpoint.connect()).unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    for path in ["/votum.v1.NoService/Nothing", "/votum.v1.JobService/Nothing"] {
        let answer = cluster.block_on(async {
            client.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            client.unary(tonic::Request::new(()), path.parse().unwrap(), codec).await
        });
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
}

#[test]
fn readers_of_events_that_read_nothing_keep_nobody_waiting() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let task = TaskDraft::new("t1").on("s1").runs(&gate).writes("rows", "a").publishes("a");
    let job = cluster.submit(&JobDraft::new("unread").task(task).spec());
    let name = format!("jobs/{job}/watch");
    let unread: Vec<Events> = (0..50).map(|_| Events::of(&cluster, &name)).collect();
    let all: Vec<Events> = (0..50).map(|_| Events::of(&cluster, "jobs:watch")).collect();
    let mut read = Events::of(&cluster, &name);
    open_gate(&cluster, "gate");
    let states: Vec<Value> = std::iter::from_fn(|| read.next()).collect();
    assert_eq!(states.last().unwrap()["job"]["state"], "JOB_STATE_COMMITTED");
    assert_eq!(ask(&cluster, "GET", "cluster", None).status, 200);
    drop((unread, all));
}

#[test]
fn silence_on_a_connection_is_not_waited_for() {
    let cluster = patient();
    let mut silent = TcpStream::connect(cluster.address()).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut nothing = [0; 1];
    assert!(matches!(silent.read(&mut nothing), Ok(0) | Err(_)), "it was closed");
    let mut well = TcpStream::connect(cluster.address()).unwrap();
    well.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    well.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok\n"), "{text}");
}

#[test]
fn the_examples_with_curl_do_what_the_document_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        return not_run("the examples with curl need curl");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/page.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples: Vec<&str> = page.split("```sh\n").skip(1).collect();
    let examples = examples.iter().map(|rest| rest.split("```").next().unwrap());
    let cluster = patient();
    let mut said = Vec::new();
    for example in examples {
        let run = Command::new("sh")
            .args(["-euc", example])
            .env("VOTUM_ADDRESS", format!("http://{}", cluster.address()))
            .output()
            .unwrap();
        assert!(run.status.success(), "{example}: {run:?}");
        said.push(String::from_utf8(run.stdout).unwrap());
    }
    assert!(said[0].contains("JOB_STATE_RECEIVED"), "{said:?}");
    assert!(said[1].contains("JOB_STATE_COMMITTED") && said[1].contains("event: end"), "{said:?}");
    assert!(said[2].contains("aGVsbG8K") && said[2].contains("commit_decided"), "{said:?}");
    assert!(said[3].contains("\"reason\":\"ALREADY_DECIDED\""), "{said:?}");
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    fn to(address: &str, request: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        // A body that is too large is not read to its end.
        let _ = stream.write_all(request.as_bytes());
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let status = text.split(' ').nth(1).unwrap_or_else(|| panic!("{text:?}")).parse().unwrap();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Self { status, json: serde_json::from_str(body).unwrap_or(Value::Null) }
    }
}

fn ask(cluster: &Cluster, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let request = format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{kind}\
         content-length: {}\r\n\r\n{body}",
        cluster.address(),
        body.len()
    );
    Answer::to(cluster.address(), &request)
}

/// The events of a stream, read as they come.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    fn of(cluster: &Cluster, path: &str) -> Self {
        let mut stream = TcpStream::connect(cluster.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let host = cluster.address();
        // Of HTTP 1.0, so that the stream comes without chunks.
        write!(stream, "GET /api/v1/{path} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
        Self { stream, text: String::new() }
    }

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with("event: end") {
                    return None;
                }
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(data) = data {
                    return Some(serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the stream broke off: {:?}", self.text);
            self.text.push_str(str::from_utf8(&bytes[..count]).unwrap());
        }
    }
}
