//! Everything that has a form on the wire survives it, and nothing meaningless gets in.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod fuzzing;
mod histories;
mod limits;
mod samples;
mod shape;

use std::collections::BTreeSet;

use votum_wire::{ATTEMPTS_SHOWN_MAX, AttemptView, Fault, JobView, Malformed, Translate as _};

use crate::{
    samples::{Sample, samples},
    shape::{Change, changes, fields_set, fields_there_are},
};

#[test]
fn every_value_survives_the_wire() {
    for sample in samples() {
        assert_eq!((sample.reread)(&sample.bytes), Ok(true), "{}", sample.name);
    }
}

#[test]
fn only_the_newest_attempts_cross_the_wire_and_the_rest_is_counted() {
    let mut view = samples::job();
    let task = &mut view.tasks[0];
    let last = task.attempts.last().unwrap().clone();
    let all = u32::try_from(ATTEMPTS_SHOWN_MAX).unwrap() + 5;
    task.attempts = (1..=all).map(|number| AttemptView { number, ..last.clone() }).collect();
    task.omitted_attempts = 0;
    let seen = JobView::from_proto(view.to_proto()).unwrap();
    let task = &seen.tasks[0];
    assert_eq!((task.attempts.len(), task.omitted_attempts), (ATTEMPTS_SHOWN_MAX, 5));
    assert_eq!((task.attempts[0].number, task.tries()), (6, all as usize));
}

#[test]
fn every_field_of_every_message_is_translated() {
    let mut seen = BTreeSet::new();
    for Sample { name, bytes, .. } in samples() {
        fields_set(name, &bytes, &mut seen);
    }
    let missing: Vec<String> = fields_there_are()
        .into_iter()
        .filter(|field| !seen.contains(field))
        .filter(|field| !ELSEWHERE.iter().any(|message| field.starts_with(message)))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "no sample sets these");
}

#[test]
fn the_list_of_other_messages_is_exact() {
    let fields = fields_there_are();
    for message in ELSEWHERE {
        assert!(fields.iter().any(|field| field.starts_with(message)), "{message} is gone");
    }
}

#[test]
fn unknown_values_are_malformed_with_their_field() {
    let mut tried = 0;
    for sample in samples() {
        for (field, bytes) in changes(sample.name, &sample.bytes, Change::UnknownValue) {
            let Err(Malformed { field: path, fault }) = (sample.reread)(&bytes) else {
                panic!("{} took an unknown {field}", sample.name)
            };
            assert_eq!(fault, Fault::UnknownValue(shape::UNKNOWN), "{}: {path}", sample.name);
            assert_eq!(last_part(&path), field, "{}: {path}", sample.name);
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} enumerations were tried");
}

#[test]
fn unset_choices_are_malformed_with_their_field() {
    let mut tried = 0;
    for sample in samples() {
        for (field, bytes) in changes(sample.name, &sample.bytes, Change::UnsetChoice) {
            let Err(Malformed { field: path, fault }) = (sample.reread)(&bytes) else {
                panic!("{} went without its {field}", sample.name)
            };
            assert_eq!(fault, Fault::Missing, "{}: {path}", sample.name);
            assert_eq!(last_part(&path), field, "{}: {path}", sample.name);
            tried += 1;
        }
    }
    assert!(tried > 40, "only {tried} choices were tried");
}

#[test]
fn no_cut_off_field_makes_the_reader_panic() {
    for sample in samples() {
        for (_, bytes) in changes(sample.name, &sample.bytes, Change::UnsetField) {
            // Some fields may be absent; none may do harm by being so.
            let _ = (sample.reread)(&bytes);
        }
    }
}

/// Returns the last field of a path, without its index.
fn last_part(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or(path);
    last.split('[').next().unwrap_or(last)
}

/// Messages that are wrapped and unwrapped where they are used, or translated by `votum-transfer`.
const ELSEWHERE: [&str; 34] = [
    "votum.v1.ApproveJobResponse.",
    "votum.v1.BackupEnd.",
    "votum.v1.BackupStoreResponse.",
    "votum.v1.DryVoteJobResponse.",
    "votum.v1.ForceParticipantResponse.",
    "votum.v1.GetCaseResponse.",
    "votum.v1.GetJobResponse.",
    "votum.v1.ListCasesRequest.",
    "votum.v1.WatchJobRequest.",
    "votum.v1.WatchJobResponse.",
    "votum.v1.CancelJobResponse.",
    "votum.v1.DeleteWorkerResponse.",
    "votum.v1.DrainWorkerResponse.",
    "votum.v1.PauseJobResponse.",
    "votum.v1.UnpauseJobResponse.",
    "votum.v1.RetryJobResponse.",
    "votum.v1.GetTxnRequest.",
    "votum.v1.GetTxnResponse.",
    "votum.v1.ListTxnsRequest.",
    "votum.v1.GetWorkerRequest.",
    "votum.v1.GetWorkerResponse.",
    "votum.v1.ListEventsRequest.",
    "votum.v1.ListJobsRequest.",
    "votum.v1.ListOutputsRequest.",
    "votum.v1.ListOutputsResponse.",
    "votum.v1.ListWorkersRequest.",
    "votum.v1.ResumeWorkerRequest.",
    "votum.v1.ResumeWorkerResponse.",
    "votum.v1.SubmitJobRequest.",
    "votum.worker.v1.GetArtifactResponse.",
    "votum.worker.v1.ManifestEntry.",
    "votum.worker.v1.ManifestFile.",
    "votum.worker.v1.ManifestLink.",
    "votum.worker.v1.ReadArtifactResponse.",
];
