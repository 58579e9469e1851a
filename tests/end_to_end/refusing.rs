//! Bad input is refused with its reason and its place, and changes nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration as Wait,
};

use prost_types::Duration;
use tonic::{Code, transport::Endpoint};
use votum_proto::v1::{
    Command, FileTarget, InputSpec, JobSpec, OutputSpec, Placement, PublishTarget, Resources,
    RetryPolicy, Script, SubmitJobRequest, TaskOutputRef, TaskSpec, input_spec::Source,
    job_service_client::JobServiceClient, publish_target::Target, task_spec::Action,
};
use votum_tests::Cluster;
use votum_wire::{Problem, Reason};

use crate::patient;

#[test]
fn a_bad_job_is_refused_where_it_is_bad_and_changes_nothing() {
    let cluster = patient();
    for case in cases() {
        let problem = refusal(&cluster, case.request);
        assert_eq!(problem.reason, case.reason, "{}: {problem:#?}", case.name);
        assert_eq!(problem.code, case.reason.code(), "{}: {problem:#?}", case.name);
        let places: Vec<&str> = problem.fields.iter().map(|field| field.field.as_str()).collect();
        let place = places.first().copied().unwrap_or_default();
        assert!(place.starts_with(case.place), "{}: {places:?}", case.name);
    }
    assert_nothing_changed(&cluster);
}

#[test]
fn a_value_that_is_not_allowed_is_refused_with_its_field() {
    let cluster = patient();
    let mut taken = Vec::new();
    for (name, request) in values() {
        let Err(status) = submit(&cluster, request) else {
            taken.push(name);
            continue;
        };
        let problem = Problem::from_status(&status);
        assert_eq!(problem.code, Code::InvalidArgument, "{name}: {problem:#?}");
        let place = problem.fields.first().map(|field| field.field.as_str()).unwrap_or_default();
        assert!(place.starts_with("spec.tasks"), "{name}: {problem:#?}");
    }
    assert_eq!(taken, [""; 0]);
    assert_nothing_changed(&cluster);
}

#[test]
fn a_worker_nobody_has_seen_is_refused() {
    let cluster = patient();
    let mut task = task("t1");
    task.placement =
        Some(Placement { worker: "workers/nobody".to_owned(), ..Placement::default() });
    let problem = refusal(&cluster, submission([task]));
    assert_eq!((problem.code, problem.reason), (Code::FailedPrecondition, Reason::NoSuchWorker));
    assert_eq!(problem.metadata["worker"], "nobody");
    assert_nothing_changed(&cluster);
}

#[test]
fn a_target_outside_the_roots_is_refused() {
    let cluster = patient();
    let mut task = publishing("t1", "/etc/votum-was-here");
    task.placement = Some(Placement { worker: "workers/s1".to_owned(), ..Placement::default() });
    let problem = refusal(&cluster, submission([task]));
    assert_eq!(problem.code, Code::FailedPrecondition);
    assert_eq!(problem.reason, Reason::PublishRootNotAllowed);
    assert_eq!(problem.metadata["path"], "/etc/votum-was-here");
    assert_nothing_changed(&cluster);
}

#[test]
fn a_message_beyond_the_limit_is_refused() {
    let cluster = patient();
    let mut task = task("t1");
    task.action = Some(Action::Script(Script { text: "#".repeat(5 << 20), interpreter: vec![] }));
    let status = submit(&cluster, submission([task])).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_nothing_changed(&cluster);
}

#[test]
fn bytes_that_mean_nothing_do_not_disturb_anybody() {
    let cluster = patient();
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"]
    {
        let mut connection = TcpStream::connect(cluster.address()).unwrap();
        connection.set_read_timeout(Some(Wait::from_secs(5))).unwrap();
        // The other side may hang up at any byte.
        let _ = connection.write_all(garbage);
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let _ = connection.read_to_end(&mut Vec::new());
    }
    // Well framed, but no message: field 1 is said to be longer than what follows.
    let status = cluster.block_on(async {
        let channel = endpoint(&cluster).connect().await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(SUBMIT);
        let request = tonic::Request::new(b"\x0a\xff\xff\xff\x7fnonsense".to_vec());
        client.unary(request, path, bytes_as_they_are::Raw).await.unwrap_err()
    });
    assert!(matches!(status.code(), Code::Internal | Code::InvalidArgument), "{status}");
    assert_nothing_changed(&cluster);
}

struct Case {
    name: &'static str,
    request: SubmitJobRequest,
    reason: Reason,
    place: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |name, request, reason, place| Case { name, request, reason, place };
    let after = |id: &str, other: &str| TaskSpec { depends_on: vec![other.to_owned()], ..task(id) };
    let mut no_source = task("t1");
    no_source.inputs = vec![InputSpec { name: "rows".to_owned(), source: None }];
    let mut outside = task("t1");
    outside.outputs = vec![output("rows", "../rows")];
    let mut reads = task("t2");
    let source = TaskOutputRef { task_id: "t1".to_owned(), output: "none".to_owned() };
    reads.inputs =
        vec![InputSpec { name: "rows".to_owned(), source: Some(Source::TaskOutput(source)) }];
    let two_writers = [publishing("t1", "one.txt"), publishing("t2", "one.txt")].map(|task| {
        let placement = Placement { worker: "workers/s1".to_owned(), ..Placement::default() };
        TaskSpec { placement: Some(placement), ..task }
    });
    let mut large = task("t1");
    large.env = [("LARGE".to_owned(), "x".repeat((1 << 20) + 1))].into();
    let many = (0..100_000).map(|i| task(&format!("t{i}")));
    let no_spec = SubmitJobRequest { spec: None, ..submission([]) };
    let odd_request =
        SubmitJobRequest { request_id: "no uuid".to_owned(), ..submission([task("t1")]) };
    let odd_id = SubmitJobRequest { job_id: "../etc".to_owned(), ..submission([task("t1")]) };
    vec![
        case("no spec", no_spec, Reason::Malformed, "spec"),
        case("no tasks", submission([]), Reason::InvalidSpec, "spec.tasks"),
        case("request id", odd_request, Reason::Malformed, "request_id"),
        case("job id", odd_id, Reason::Malformed, "job_id"),
        case("task name", submission([task("Not a name")]), Reason::InvalidSpec, "spec.tasks"),
        case(
            "cycle",
            submission([after("t1", "t2"), after("t2", "t1")]),
            Reason::DependencyCycle,
            "spec.tasks",
        ),
        case("unknown task", submission([after("t1", "t9")]), Reason::UnknownTask, "spec.tasks"),
        case(
            "unknown output",
            submission([task("t1"), reads]),
            Reason::UnknownOutput,
            "spec.tasks",
        ),
        case("twice", submission([task("t1"), task("t1")]), Reason::DuplicateName, "spec.tasks"),
        case("no source", submission([no_source]), Reason::InvalidSpec, "spec.tasks"),
        case("outside", submission([outside]), Reason::InvalidSpec, "spec.tasks"),
        case("two writers", submission(two_writers), Reason::PublishConflict, "spec.tasks"),
        case("large", submission([large]), Reason::SpecTooLarge, "spec"),
        case("many", submission(many), Reason::SpecTooLarge, "spec"),
    ]
}

/// Jobs of one or more tasks with one value each that is not allowed.
fn values() -> Vec<(String, SubmitJobRequest)> {
    let mut cases = Vec::new();
    let mut case = |name: String, tasks: Vec<TaskSpec>| {
        cases.push((name, submission(tasks)));
    };
    for name in ["", ".", "..", "a/b", "a\0b", "a\nb", "é", &"a".repeat(256)] {
        case(format!("task {name:?}"), vec![task(name)]);
        let outputs = vec![output(name, "rows.txt")];
        case(format!("output {name:?}"), vec![TaskSpec { outputs, ..task("t1") }]);
    }
    for path in ["/abs", "a/../../x", "a//b", "./a", "a\0b"] {
        let outputs = vec![output("rows", path)];
        case(format!("path {path:?}"), vec![TaskSpec { outputs, ..task("t1") }]);
    }
    for argv in [vec![], vec![""], vec!["true", "a\0b"]] {
        let argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
        let name = format!("argv {argv:?}");
        case(
            name,
            vec![TaskSpec { action: Some(Action::Command(Command { argv })), ..task("t1") }],
        );
    }
    for (key, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0"), ("VOTUM_JOB_ID", "x")]
    {
        let env = [(key.to_owned(), value.to_owned())].into();
        case(format!("variable {key:?}={value:?}"), vec![TaskSpec { env, ..task("t1") }]);
    }
    let env = (0..257).map(|number| (format!("V{number}"), String::new())).collect();
    case("257 variables".to_owned(), vec![TaskSpec { env, ..task("t1") }]);
    for (seconds, nanos) in [(0, 0), (-1, 0), (i64::MAX, 0), (1, -1), (1, i32::MAX)] {
        let timeout = Some(Duration { seconds, nanos });
        case(format!("timeout {seconds} {nanos}"), vec![TaskSpec { timeout, ..task("t1") }]);
    }
    for max_attempts in [-1, 101, i32::MAX] {
        let retry = Some(RetryPolicy { max_attempts, ..RetryPolicy::default() });
        case(format!("{max_attempts} attempts"), vec![TaskSpec { retry, ..task("t1") }]);
    }
    for bytes in [0, -1] {
        let resources = Some(Resources { memory_bytes: Some(bytes), ..Resources::default() });
        case(format!("memory {bytes}"), vec![TaskSpec { resources, ..task("t1") }]);
    }
    case("policy 99".to_owned(), vec![TaskSpec { on_unreachable: 99, ..task("t1") }]);
    case("no action".to_owned(), vec![TaskSpec { action: None, ..task("t1") }]);
    let itself = vec!["t1".to_owned()];
    case("waits for itself".to_owned(), vec![TaskSpec { depends_on: itself, ..task("t1") }]);
    case("10,001 tasks".to_owned(), (0..=10_000).map(|i| task(&format!("t{i}"))).collect());
    let nested = [publishing("t1", "rows"), publishing("t2", "rows/more.txt")].map(|task| {
        let placement = Placement { worker: "workers/s1".to_owned(), ..Placement::default() };
        TaskSpec { placement: Some(placement), ..task }
    });
    case("a target within another".to_owned(), nested.into());
    cases
}

fn submission(tasks: impl IntoIterator<Item = TaskSpec>) -> SubmitJobRequest {
    let display_name = "bad".to_owned();
    let tasks = tasks.into_iter().collect();
    let spec = JobSpec { display_name, tasks, ..JobSpec::default() };
    SubmitJobRequest { spec: Some(spec), ..SubmitJobRequest::default() }
}

fn task(id: &str) -> TaskSpec {
    let action = Some(Action::Command(Command { argv: vec!["true".to_owned()] }));
    TaskSpec { task_id: id.to_owned(), action, ..TaskSpec::default() }
}

fn publishing(id: &str, path: &str) -> TaskSpec {
    let target = FileTarget { path: path.to_owned(), ..FileTarget::default() };
    let publish = Some(PublishTarget { target: Some(Target::File(target)) });
    TaskSpec { outputs: vec![OutputSpec { publish, ..output("rows", "rows.txt") }], ..task(id) }
}

fn output(name: &str, path: &str) -> OutputSpec {
    OutputSpec { name: name.to_owned(), path: path.to_owned(), ..OutputSpec::default() }
}

fn endpoint(cluster: &Cluster) -> Endpoint {
    Endpoint::from_shared(format!("http://{}", cluster.address())).unwrap()
}

fn submit(cluster: &Cluster, request: SubmitJobRequest) -> Result<(), tonic::Status> {
    cluster.block_on(async {
        let channel = endpoint(cluster).connect().await.unwrap();
        JobServiceClient::new(channel).submit_job(request).await.map(|_| ())
    })
}

#[track_caller]
fn refusal(cluster: &Cluster, request: SubmitJobRequest) -> Problem {
    Problem::from_status(&submit(cluster, request).unwrap_err())
}

#[track_caller]
fn assert_nothing_changed(cluster: &Cluster) {
    assert_eq!(cluster.jobs(), []);
}

const SUBMIT: &str = "/votum.v1.JobService/SubmitJob";

/// A codec that sends and receives bytes as they are.
mod bytes_as_they_are {
    use prost::bytes::{Buf, BufMut};
    use tonic::{
        Status,
        codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    };

    #[derive(Debug, Default)]
    pub(super) struct Raw;

    impl Codec for Raw {
        type Encode = Vec<u8>;
        type Decode = Vec<u8>;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Raw {
        type Item = Vec<u8>;
        type Error = Status;

        fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
            out.put_slice(&item);
            Ok(())
        }
    }

    impl Decoder for Raw {
        type Item = Vec<u8>;
        type Error = Status;

        fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
            let mut bytes = vec![0; from.remaining()];
            from.copy_to_slice(&mut bytes);
            Ok(Some(bytes))
        }
    }
}
