//! What was answered as received is there for ever, and once.

use std::{collections::BTreeSet, time::Duration};

use tokio::task::JoinSet;
use votum_client::ClientError;
use votum_ids::JobId;
use votum_tests::{JobDraft, Visible, eventually, request};
use votum_wire::{JobState, Reason, request::SubmitJob};

use crate::patient;

#[test]
fn a_received_job_survives_a_kill_right_after_the_answer() {
    let mut cluster = patient();
    let spec = JobDraft::trio("kept", "rows.txt", &cluster.runs()).spec();
    let job = cluster.submit(&spec);
    cluster.coordinator().kill();
    cluster.coordinator().start();

    let view = cluster.job(&job);
    assert_eq!(view.job, job);
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn a_repeated_request_returns_the_first_job() {
    let mut cluster = patient();
    let spec = JobDraft::trio("once", "rows.txt", &cluster.runs()).spec();
    let id = request();
    let first = cluster.try_submit(&spec, id).unwrap();
    let again = cluster.try_submit(&spec, id).unwrap();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let after_restart = cluster.try_submit(&spec, id).unwrap();
    let job = first.job.unwrap().job;
    cluster.ended(&job);
    let after_end = cluster.try_submit(&spec, id).unwrap();

    assert!(!first.duplicate);
    for repeated in [again, after_restart, after_end] {
        assert!(repeated.duplicate);
        assert_eq!(repeated.job.unwrap().job, job);
    }
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(&job, task), 1);
    }
}

#[test]
fn a_request_id_with_another_spec_is_refused() {
    let cluster = patient();
    let id = request();
    let first = JobDraft::trio("first", "rows.txt", &cluster.runs()).spec();
    let other = JobDraft::trio("other", "rows.txt", &cluster.runs()).spec();
    cluster.try_submit(&first, id).unwrap();

    let refused = cluster.try_submit(&other, id).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::RequestIdReused);
    assert_eq!(problem.code, tonic::Code::AlreadyExists);
    assert_eq!(cluster.jobs().len(), 1);
}

#[test]
fn a_thousand_submissions_of_one_request_make_one_job() {
    let cluster = patient();
    let spec = JobDraft::trio("many", "rows.txt", &cluster.runs()).spec();
    let submission = SubmitJob { spec, job: None, request: Some(request()), validate_only: false };
    let jobs: BTreeSet<_> = cluster.block_on(async {
        let mut submissions = JoinSet::new();
        for _ in 0..1000 {
            let (client, submission) = (cluster.client().clone(), submission.clone());
            submissions
                .spawn(async move { client.submit(&submission).await.unwrap().job.unwrap().job });
        }
        submissions.join_all().await.into_iter().collect()
    });

    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(cluster.jobs().len(), 1);
    assert_eq!(cluster.ended(jobs.first().unwrap()).state, JobState::Committed);
}

#[test]
fn a_request_outlives_the_retention_of_its_job() {
    let mut cluster = patient();
    let mut spec = JobDraft::trio("removed", "rows.txt", &cluster.runs()).spec();
    spec.retention = Duration::from_secs(1);
    let job = JobId::new("removed-by-hand").unwrap();
    let mut submission =
        SubmitJob { spec, job: Some(job.clone()), request: Some(request()), validate_only: false };
    let client = cluster.client().clone();
    cluster.block_on(client.submit(&submission)).unwrap();
    let ended = cluster.ended(&job);
    eventually("its records are removed", Duration::from_mins(1), || {
        // What has expired is looked for at every start, and then once a minute.
        cluster.coordinator().kill();
        cluster.coordinator().start();
        cluster.glance(&job).filter(|view| view.spec.is_none())
    });

    for _before_and_after_a_restart in 0..2 {
        let again = cluster.block_on(client.submit(&submission)).unwrap();
        let view = again.job.unwrap();
        assert!(again.duplicate);
        assert_eq!((&view.job, view.state), (&job, JobState::Committed));
        assert_eq!((view.uid, view.created), (ended.uid, ended.created));
        assert!(view.state_message.contains("removed"), "{}", view.state_message);
        cluster.coordinator().kill();
        cluster.coordinator().start();
    }
    submission.request = Some(request());
    let refused = cluster.block_on(client.submit(&submission)).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::JobIdTaken);
    assert_eq!(problem.metadata["state"], "COMMITTED");
    assert_eq!(cluster.runs_of(&job, "t1"), 1);
}
