//! What was answered as received is there for ever, and once.

use std::{collections::BTreeSet, thread};

use votum_client::ClientError;
use votum_tests::{JobDraft, Visible, request};
use votum_wire::{JobState, Reason};

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
fn twenty_submissions_of_one_request_make_one_job() {
    let cluster = patient();
    let spec = JobDraft::trio("many", "rows.txt", &cluster.runs()).spec();
    let id = request();
    let jobs: BTreeSet<_> = thread::scope(|scope| {
        let submissions: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| cluster.try_submit(&spec, id).unwrap().job.unwrap().job))
            .collect();
        submissions.into_iter().map(|one| one.join().unwrap()).collect()
    });

    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(cluster.jobs().len(), 1);
    assert_eq!(cluster.ended(jobs.first().unwrap()).state, JobState::Committed);
}
