//! A client against a coordinator that refuses, breaks off, goes away and comes back.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod case_desk;
mod coordinator;

use std::time::Duration;

use uuid::Uuid;
use votum_client::{Client, ClientError, Options, Until};
use votum_ids::{JobId, RequestId};
use votum_wire::{
    JobState,
    request::{Detail, SubmitJob, Wanted},
    status,
};

use crate::coordinator::{Coordinator, job, spec};

fn options() -> Options {
    Options { timeout: Duration::from_secs(5), patience: Duration::from_secs(20) }
}

fn submission() -> SubmitJob {
    let request = Some(RequestId(Uuid::from_u128(7)));
    SubmitJob { spec: spec(), job: None, request, validate_only: false }
}

#[tokio::test]
async fn a_submission_is_repeated_under_one_request_id() {
    let coordinator = Coordinator::start().await;
    coordinator.answer_next_with([status::recovering(), status::shutting_down()]);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let submitted = client.submit(&submission()).await.unwrap();
    assert_eq!(submitted.job.unwrap().state, JobState::Received);
    let id = Uuid::from_u128(7).to_string();
    assert_eq!(coordinator.request_ids(), vec![id; 3]);
}

#[tokio::test]
async fn a_submission_without_request_id_is_tried_once() {
    let coordinator = Coordinator::start().await;
    coordinator.answer_next_with([status::recovering()]);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let refused = client.submit(&SubmitJob { request: None, ..submission() }).await;
    assert!(matches!(refused, Err(ClientError::Unavailable { .. })), "{refused:?}");
    assert_eq!(coordinator.request_ids().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_at_once() {
    let coordinator = Coordinator::start().await;
    coordinator.answer_next_with([status::log_stale()]);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let refused = client.submit(&submission()).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().reason.as_str(), "LOG_STALE");
    assert_eq!(coordinator.request_ids().len(), 1);
}

#[tokio::test]
async fn a_client_outlives_a_restart_of_the_coordinator() {
    let coordinator = Coordinator::start().await;
    let client = Client::connect(&coordinator.address, options()).unwrap();
    client.submit(&submission()).await.unwrap();
    let address = coordinator.stop().await;
    let again = submission();
    let (submitted, coordinator) =
        tokio::join!(client.submit(&again), Coordinator::start_at(&address));
    submitted.unwrap();
    assert_eq!(coordinator.request_ids().len(), 1);
}

#[tokio::test]
async fn patience_ends_where_nobody_listens() {
    let address = Coordinator::start().await.stop().await;
    let options = Options { patience: Duration::from_millis(200), ..options() };
    let client = Client::connect(&address, options).unwrap();
    let error = client.cluster().await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_watch_goes_on_where_the_stream_broke() {
    let coordinator = Coordinator::start().await;
    let states = [JobState::Received, JobState::Running, JobState::Preparing, JobState::Committed];
    coordinator.live_through(states);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let mut watch = client.watch(&job("sales-1", JobState::Received).job);
    let mut seen = Vec::new();
    while let Some(view) = watch.next().await {
        seen.push(view.unwrap().state);
    }
    assert_eq!(seen, states);
}

#[tokio::test]
async fn a_wait_ends_with_the_state_it_waits_for() {
    let coordinator = Coordinator::start().await;
    coordinator.live_through([JobState::Running, JobState::Committed]);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let id = job("sales-1", JobState::Received).job;
    let ended = client.wait(&id, Until::Ended, Some(Duration::from_secs(20))).await.unwrap();
    assert_eq!(ended.state, JobState::Committed);
}

#[tokio::test]
async fn a_wait_that_is_over_tells_how_far_the_job_is() {
    let coordinator = Coordinator::start().await;
    coordinator.live_through([JobState::Running]);
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let id = job("sales-1", JobState::Received).job;
    let waited = client.wait(&id, Until::Ended, Some(Duration::from_millis(300))).await;
    let Err(ClientError::NotYet { job, .. }) = waited else { panic!("{waited:?}") };
    assert_eq!(job.state, JobState::Running);
}

#[tokio::test]
async fn lists_are_read_over_all_pages() {
    let coordinator = Coordinator::start().await;
    coordinator.has_jobs((0..450).map(|i| job(&format!("sales-{i}"), JobState::Running)));
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let all = client.jobs(&Wanted::default(), Detail::Basic, usize::MAX).await.unwrap();
    assert_eq!(all.len(), 450);
    let some = client.jobs(&Wanted::default(), Detail::Basic, 201).await.unwrap();
    assert_eq!(some.last().unwrap().job.as_str(), "sales-200");
}

#[tokio::test]
async fn people_may_name_a_job_as_they_like() {
    let coordinator = Coordinator::start().await;
    coordinator.has_jobs(["sales-k3", "sales-k2", "stock-a1"].map(|id| job(id, JobState::Running)));
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let id = |text: &str| JobId::new(text).unwrap();
    assert_eq!(client.resolve("jobs/stock-a1").await.unwrap(), id("stock-a1"));
    assert_eq!(client.resolve("sales").await.unwrap(), id("sales-k3"));
    assert_eq!(client.resolve("stock-").await.unwrap(), id("stock-a1"));
    let unclear = client.resolve("sales-").await;
    let Err(ClientError::Ambiguous { candidates, .. }) = unclear else { panic!("{unclear:?}") };
    assert_eq!(candidates, [id("sales-k3"), id("sales-k2")]);
    for unknown in ["nothing", "", "Sales"] {
        let error = client.resolve(unknown).await.unwrap_err();
        assert!(matches!(error, ClientError::NoSuchJob { .. }), "{unknown}: {error:?}");
    }
}

#[tokio::test]
async fn logs_are_seen_once_over_a_broken_stream() {
    let coordinator = Coordinator::start().await;
    let client = Client::connect(&coordinator.address, options()).unwrap();
    let mut logs = client.logs(coordinator::all_logs());
    let mut text = Vec::new();
    while let Some(piece) = logs.next().await {
        text.extend_from_slice(&piece.unwrap().data);
    }
    assert_eq!(String::from_utf8(text).unwrap(), coordinator::LOG);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for address in ["", "http://", "a b:1", "user@host:1", "host:1/path"] {
        let error = Client::connect(address, options()).unwrap_err();
        assert!(matches!(error, ClientError::InvalidAddress { .. }), "{address}");
    }
}
