//! Requests that mean nothing, come too late or too large: each with its code, and nobody is disturbed.

use std::{fs, time::Duration};

use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use votum_proto::v1::{
    CancelJobRequest, DeleteJobRequest, GetJobRequest, ListEventsRequest, ListJobsRequest,
    PauseJobRequest, WatchJobRequest, job_service_client::JobServiceClient,
};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, eventually, programs, request};
use votum_wire::{JobState, Problem, Reason, request::SubmitJob};

use crate::patient;

#[test]
fn a_name_that_means_nothing_is_malformed_and_an_unknown_one_not_found() {
    let cluster = patient();
    for name in ["", "jobs", "jobs/", "jobs/a b", "jobs/../etc", "workers/s1", "jobs/a/tasks/b"] {
        for (call, status) in refusals(&cluster, name) {
            assert_eq!(status.code(), Code::InvalidArgument, "{call} {name:?}: {status}");
            let problem = Problem::from_status(&status);
            assert_eq!(problem.reason, Reason::Malformed, "{call} {name:?}");
            assert!(!problem.fields.is_empty(), "{call} {name:?}: {problem:#?}");
        }
    }
    for (call, status) in refusals(&cluster, "jobs/nightly-aaaaaaaa") {
        assert_eq!(status.code(), Code::NotFound, "{call}: {status}");
        assert_eq!(Problem::from_status(&status).reason, Reason::JobNotFound, "{call}");
    }
}

#[test]
fn a_page_is_bounded_and_its_token_cannot_be_made_up() {
    let cluster = patient();
    let task = TaskDraft::new("t1").runs("true");
    let job = cluster.submit(&JobDraft::new("listed").task(task).spec());
    let list = |size, token: &str| {
        let wanted = ListJobsRequest {
            page_size: size,
            page_token: token.to_owned(),
            ..ListJobsRequest::default()
        };
        cluster.block_on(async { client(&cluster).await.list_jobs(wanted).await })
    };
    let negative = list(-1, "").unwrap_err();
    assert_eq!(negative.code(), Code::InvalidArgument, "{negative}");
    for forged in ["x", "AAAA", "eyJhZnRlciI6ImEifQ", &"a".repeat(10_000)] {
        let refused = Problem::from_status(&list(10, forged).unwrap_err());
        assert_eq!(refused.reason, Reason::PageTokenInvalid, "{forged:.20}: {refused:#?}");
    }
    // More than there may be on a page is less than was asked for, not an error (AIP-158).
    let jobs = list(i32::MAX, "").unwrap().into_inner().jobs;
    assert_eq!(jobs.len(), 1);
    cluster.ended(&job);
}

#[test]
fn a_token_is_good_for_its_filter_only_and_a_wrong_filter_is_told_its_place() {
    let cluster = patient();
    for name in ["even", "odd", "even"] {
        let job =
            cluster.submit(&JobDraft::new(name).task(TaskDraft::new("t").runs("true")).spec());
        cluster.ended(&job);
    }
    let list = |filter: &str, page_size, page_token: &str| {
        let (filter, page_token) = (filter.to_owned(), page_token.to_owned());
        let wanted = ListJobsRequest { filter, page_size, page_token, ..Default::default() };
        let listed = cluster.block_on(async { client(&cluster).await.list_jobs(wanted).await });
        listed.map(tonic::Response::into_inner)
    };
    let first = list("name = even", 1, "").unwrap();
    let rest = list("name = even", 5, &first.next_page_token).unwrap();
    assert_eq!((first.jobs.len(), rest.jobs.len()), (1, 1));
    let other = list("name = odd", 5, &first.next_page_token).unwrap_err();
    assert_eq!(Problem::from_status(&other).reason, Reason::PageTokenInvalid);
    let wrong = Problem::from_status(&list("name = even AND nmae = odd", 5, "").unwrap_err());
    assert_eq!((wrong.reason, wrong.code), (Reason::FilterInvalid, Code::InvalidArgument));
    assert_eq!(wrong.metadata["position"], "16");
}

#[test]
fn a_request_whose_time_is_over_is_given_up_and_can_be_repeated() {
    let cluster = patient();
    let spec = JobDraft::trio("hurried", "rows.txt", &cluster.runs()).spec();
    let id = request();
    let submission =
        SubmitJob { spec: spec.clone(), job: None, request: Some(id), validate_only: false };
    let submission = submission.to_proto();
    let status = cluster.block_on(async {
        let mut hurried = Request::new(submission);
        hurried.set_timeout(Duration::from_nanos(1));
        client(&cluster).await.submit_job(hurried).await.unwrap_err()
    });
    // Either side may notice first that nobody waits for the answer.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    let first = cluster.try_submit(&spec, id).unwrap().job.unwrap().job;
    let again = cluster.try_submit(&spec, id).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.job.unwrap().job, first);
    assert_eq!(cluster.jobs().len(), 1);
}

#[test]
fn a_compressed_request_is_refused_and_the_connection_goes_on() {
    let cluster = patient();
    cluster.block_on(async {
        let channel = channel(&cluster).await;
        let mut compressed = Request::new(ListJobsRequest::default());
        let gzip = MetadataValue::from_static("gzip");
        compressed.metadata_mut().insert("grpc-encoding", gzip);
        let mut client = JobServiceClient::new(channel.clone());
        let status = client.list_jobs(compressed).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
        JobServiceClient::new(channel).list_jobs(ListJobsRequest::default()).await.unwrap();
    });
}

#[test]
fn a_full_cluster_takes_no_job_until_one_has_ended() {
    let mut cluster = configured("[jobs]\nmax_open = 1\n");
    cluster.start_all();
    let gate = cluster.home().join("gate");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let job = cluster
        .submit(&JobDraft::new("first").task(TaskDraft::new("t1").on("s1").runs(&waits)).spec());
    let refused = refusal(&cluster, "second");
    assert_eq!((refused.reason, refused.code), (Reason::QuotaExceeded, Code::ResourceExhausted));
    assert_eq!(refused.metadata["max"], "1");
    assert_eq!(cluster.jobs().len(), 1);
    fs::write(&gate, "").unwrap();
    cluster.ended(&job);
    eventually("there is room again", LIMIT, || {
        cluster.try_submit(&quick("second"), request()).ok().map(|_| ())
    });
}

#[test]
fn a_coordinator_without_room_takes_no_job_and_ends_those_it_has() {
    let mut cluster = configured("");
    cluster.start_all();
    let gate = cluster.home().join("gate");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let task = TaskDraft::new("t1").on("s1").runs(&waits).writes("rows", "a").publishes("a");
    let job = cluster.submit(&JobDraft::new("open").task(task).spec());
    cluster.coordinator().kill();
    // No disk has as much.
    fs::write(cluster.home().join(CONFIG), "[jobs]\ndisk_reserve = \"16000000TiB\"\n").unwrap();
    cluster.coordinator().start();
    cluster.wait_until_ready();

    let refused = refusal(&cluster, "another");
    let expected = (Reason::StorageLow, Code::ResourceExhausted);
    assert_eq!((refused.reason.clone(), refused.code), expected);
    assert!(refused.metadata.contains_key("free"), "{refused:#?}");
    assert_eq!(cluster.jobs().len(), 1);
    fs::write(&gate, "").unwrap();
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
}

/// What every call answers that takes the name of a job.
fn refusals(cluster: &Cluster, name: &str) -> Vec<(&'static str, Status)> {
    let name = || name.to_owned();
    cluster.block_on(async {
        let mut client = client(cluster).await;
        let get = GetJobRequest { name: name(), ..GetJobRequest::default() };
        let cancel = CancelJobRequest { name: name(), ..CancelJobRequest::default() };
        let pause = PauseJobRequest { name: name(), ..PauseJobRequest::default() };
        let events = ListEventsRequest { parent: name(), ..ListEventsRequest::default() };
        vec![
            ("GetJob", client.get_job(get).await.unwrap_err()),
            ("CancelJob", client.cancel_job(cancel).await.unwrap_err()),
            ("PauseJob", client.pause_job(pause).await.unwrap_err()),
            ("ListEvents", client.list_events(events).await.unwrap_err()),
            ("DeleteJob", client.delete_job(DeleteJobRequest { name: name() }).await.unwrap_err()),
            ("WatchJob", client.watch_job(WatchJobRequest { name: name() }).await.unwrap_err()),
        ]
    })
}

#[track_caller]
fn refusal(cluster: &Cluster, name: &str) -> Problem {
    // At once: whoever may ask again later is not answered by the library before that.
    let status = cluster.block_on(async {
        let spec = quick(name);
        let submission = SubmitJob { spec, job: None, request: None, validate_only: false };
        let submission = submission.to_proto();
        client(cluster).await.submit_job(submission).await.unwrap_err()
    });
    Problem::from_status(&status)
}

fn quick(name: &str) -> votum_job::JobSpec {
    JobDraft::new(name).task(TaskDraft::new("t1").on("s1").runs("true")).spec()
}

fn configured(text: &str) -> Cluster {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let file = cluster.home().join(CONFIG);
    fs::write(&file, text).unwrap();
    cluster.coordinator().add_argument(&format!("--config={}", file.display()));
    cluster
}

async fn client(cluster: &Cluster) -> JobServiceClient<Channel> {
    JobServiceClient::new(channel(cluster).await)
}

async fn channel(cluster: &Cluster) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", cluster.address())).unwrap();
    endpoint.connect().await.unwrap()
}

const CONFIG: &str = "coordinator.toml";
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
