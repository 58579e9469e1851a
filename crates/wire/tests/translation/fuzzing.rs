//! Damaged messages: refused with a place, or read; never a panic.

use prost::Message as _;
use votum_fuzz::{Door, feed};
use votum_ids::JobId;
use votum_job::Graph;
use votum_machine::WallTime;
use votum_proto::v1;
use votum_wire::{
    Filter,
    filter::Facts,
    request::{ListJobs, SubmitJob, Wanted},
};

use crate::samples::{self, samples};

#[test]
fn fuzz_every_message() {
    let samples = samples();
    // The first byte chooses the reader, so that one kind of message is read as another too.
    let seeds: Vec<Vec<u8>> =
        (0..).zip(&samples).map(|(kind, sample)| named(kind, &sample.bytes)).collect();
    let door = Door { name: "messages", rounds: 20_000, corpus: None };
    feed(door, &seeds, |input| {
        let Some((kind, bytes)) = input.split_first() else { return };
        let _refused_or_read = (samples[usize::from(*kind) % samples.len()].reread)(bytes);
    });
}

#[test]
fn fuzz_the_submission_of_a_job() {
    let submission =
        SubmitJob { spec: samples::spec(), job: None, request: None, validate_only: false };
    let door = Door { name: "submit", rounds: 5_000, corpus: None };
    feed(door, &[submission.to_proto().encode_to_vec()], |input| {
        let Ok(proto) = v1::SubmitJobRequest::decode(input) else { return };
        let Ok(SubmitJob { spec, .. }) = SubmitJob::read(proto) else { return };
        let _refused_or_taken = Graph::check(&spec);
    });
}

#[test]
fn fuzz_the_tokens_of_pages() {
    let detail = votum_wire::request::Detail::Full;
    let first = ListJobs::read(ListJobs::request(&Wanted::default(), detail, 7, None)).unwrap();
    let door = Door { name: "pages", rounds: 20_000, corpus: None };
    feed(door, &[first.token_after("nightly-1").into_bytes()], |input| {
        let token = Some(String::from_utf8_lossy(input).into_owned());
        let _refused_or_read =
            ListJobs::read(ListJobs::request(&Wanted::default(), detail, 7, token));
    });
}

#[test]
fn fuzz_the_filters_of_lists() {
    let seeds = [
        "state = RUNNING AND (labels.team = sales OR NOT by:ci*) AND received > -24h",
        "labels:env labels.\"a b\" != '*x' paused=false",
        "((name=\"a\\\"b\")) AND ended <= 2026-11-20T18:30:00.5+01:00 AND NOT ended:*",
    ]
    .map(|text| text.as_bytes().to_vec());
    let job = JobId::new("nightly-1").expect("it is short and plain");
    let door = Door { name: "filters", rounds: 50_000, corpus: None };
    feed(door, &seeds, |input| {
        let text = String::from_utf8_lossy(input);
        match text.parse::<Filter>() {
            Ok(filter) => {
                assert_eq!(filter.text(), text);
                let facts = Facts::unknown(&job, WallTime(5));
                let _open_or_not = filter.judge(&facts, WallTime(u64::MAX));
            }
            // Whoever shows the place cuts the text there.
            Err(invalid) => assert!(text.is_char_boundary(invalid.at), "{invalid}: {text}"),
        }
    });
}

fn named(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], bytes].concat()
}
