//! What becomes of a job's records, questions and answers is one trace.

use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;
use votum_commit::{Cause, Share, Vote};
use votum_ids::{Epoch, RequestId, WorkerUid};
use votum_job::{Failure, Usage};

use super::*;
use crate::{
    engine::tests::submission,
    traces::{Tracer, export::Fates, span::request},
};

#[test]
fn a_commit_is_one_trace_from_submission_to_acknowledgement() {
    let mut job = followed();
    let mut spans = received(&mut job);
    spans.extend(job.durable(at(2)));
    spans.extend(job.record(at(3), &schedule(assigned(1, "s1"))));
    spans.extend(job.record(at(40), &schedule(ended(1, sealed()))));
    spans.extend(voted_yes(&mut job));
    spans.extend(job.record(at(60), &commit(decided())));
    spans.extend(job.say(at(63), &message_commit()));
    spans.extend(job.hear(at(70), &installation(), &Reply::Acked { txn: txn(1) }));
    spans.extend(job.hear(at(71), &installation(), &Reply::Acked { txn: txn(1) }));
    spans.extend(job.record(at(72), &closed(Decision::Commit)));

    let told: Vec<_> = spans.iter().map(|span| (span.name, span.began.0, span.ended.0)).collect();
    let whole = [
        ("submit", 1, 2),
        ("attempt", 3, 40),
        ("vote", 50, 55),
        ("prepare", 50, 60),
        ("task", 3, 40),
        ("decide", 60, 63),
        ("publish", 63, 70),
        ("apply", 60, 72),
        ("job", 1, 72),
    ];
    assert_eq!(told, whole);
    assert!(job.is_over());
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
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
        assert_eq!(named(below).parent, Some(named(above).id), "{below} below {above}");
    }
    assert_eq!(named("job").parent, None);
    assert!(spans.iter().all(|span| span.failure.is_none()), "{spans:#?}");
}

#[test]
fn ids_are_the_same_after_a_restart() {
    let mut before = followed();
    let _submit = received(&mut before);
    let _nothing = before.record(at(3), &schedule(assigned(1, "s1")));
    let whole = before.record(at(40), &schedule(ended(1, sealed())));

    let mut after = followed();
    let attempt = Attempt {
        id: attempt(1),
        number: 1,
        worker: worker("s1"),
        uid: installation().uid,
        assigned: at(3),
        started: None,
        ended: None,
        set_aside: false,
        outcome: Outcome::Live,
        comeback: None,
        moved_from: Vec::new(),
    };
    after.resume_task(task(), &[attempt]);
    assert_eq!(after.record(at(40), &schedule(ended(1, sealed()))), whole);
    assert!(traceparent(&after.context, &attempt_id()).contains(&hex_of(&whole[0])));
}

#[test]
fn an_abort_ends_what_is_under_way_and_says_why() {
    let mut job = followed();
    let _submit = received(&mut job);
    let _durable = job.durable(at(2));
    let mut spans = job.record(at(3), &schedule(assigned(1, "s1")));
    spans.extend(job.record(at(9), &schedule(ended(1, failed("word of a program")))));
    spans.extend(job.record(at(10), &schedule(assigned(2, "s2"))));
    let cause = Cause {
        reason: "CANCELLED".to_owned(),
        message: "because of a secret".to_owned(),
        by: "ana".to_owned(),
    };
    spans.extend(job.record(at(12), &commit(CoordinatorRecord::Aborting { job: id(), cause })));
    spans.extend(job.record(at(12), &closed(Decision::Abort)));
    assert!(!job.is_over(), "the decision is not durable");
    spans.extend(job.durable(at(15)));
    assert!(job.is_over());
    let told: Vec<_> =
        spans.iter().map(|span| (span.name, span.ended.0, span.failure.as_deref())).collect();
    let whole = [
        ("attempt", 9, Some("EXIT_CODE")),
        ("attempt", 12, Some("ABORTED")),
        ("task", 12, Some("ABORTED")),
        ("apply", 12, None),
        ("job", 12, Some("ABORTED")),
        ("decide", 15, None),
    ];
    assert_eq!(told, whole);
    let text = request("cluster", &spans).to_string();
    for word in ["program", "secret", "ana"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_round_without_a_decision_ends_with_the_next() {
    let mut job = followed();
    let _submit = received(&mut job);
    let _asked = job.say(at(50), &prepare(1));
    let spans = job.say(at(80), &prepare(2));
    let told: Vec<_> =
        spans.iter().map(|span| (span.name, span.began.0, span.failure.as_deref())).collect();
    assert_eq!(told, [("vote", 50, Some("NO_VOTE")), ("prepare", 50, Some("ROUND_ENDED"))]);
    let late = Reply::Voted { txn: txn(1), vote: Vote::Yes };
    assert_eq!(job.hear(at(81), &installation(), &late), []);
}

#[test]
fn a_full_queue_costs_spans_and_no_time() {
    let (sender, mut queue) = mpsc::channel(1);
    let family = prometheus_client::metrics::family::Family::default();
    let tracer = Tracer::new(sender, Fates(family.clone()));
    let span = received_span();
    tracer.tell(vec![span.clone(), span.clone(), span]);
    assert!(queue.try_recv().is_ok());
    assert!(queue.try_recv().is_err());
    assert_eq!(family.get_or_create(&[("fate", "dropped")]).get(), 2);
}

#[test]
fn who_wants_no_spans_gets_none() {
    let (sender, mut queue) = mpsc::channel(1);
    let tracer = Tracer::new(sender, Fates::default());
    let muted = Context::of(Uuid::nil(), Some(UNSAMPLED));
    let span = Span { context: muted, ..received_span() };
    tracer.tell(vec![span]);
    assert!(queue.try_recv().is_err());
}

fn followed() -> Followed {
    Followed::new(id(), Context::of(Uuid::from_u128(7), None))
}

fn received(job: &mut Followed) -> Vec<Span> {
    let spec = std::sync::Arc::new(crate::engine::tests::spec("sales", "s1"));
    let noted = Noted::Received { job: id(), spec, submission: submission(), in_line: None };
    job.record(at(1), &schedule(noted))
}

fn received_span() -> Span {
    let mut job = followed();
    let _nothing = received(&mut job);
    job.durable(at(2)).remove(0)
}

fn voted_yes(job: &mut Followed) -> Vec<Span> {
    let mut spans = job.say(at(50), &prepare(1));
    let voted = Reply::Voted { txn: txn(1), vote: Vote::Yes };
    spans.extend(job.hear(at(55), &installation(), &voted));
    spans.extend(job.hear(at(56), &installation(), &voted));
    spans
}

fn schedule(noted: Noted) -> JobRecord {
    record(Some(noted), None, None)
}

fn commit(noted: CoordinatorRecord) -> JobRecord {
    record(None, Some(noted), None)
}

fn closed(decision: Decision) -> JobRecord {
    let closing = Closing {
        job: id(),
        display_name: "sales".to_owned(),
        decision,
        received: at(1),
        request: RequestId(Uuid::nil()),
        uid: Uuid::nil(),
        retention: Duration::ZERO,
        round: None,
        mixed: false,
        filed: None,
    };
    record(None, Some(CoordinatorRecord::Ended { job: id() }), Some(closing))
}

fn record(
    schedule: Option<Noted>,
    commit: Option<CoordinatorRecord>,
    closing: Option<Closing>,
) -> JobRecord {
    JobRecord { job: id(), schedule, commit, prepared: None, settle: None, ruling: None, closing }
}

fn assigned(counter: u32, name: &str) -> Noted {
    let (attempt, worker, uid) = (attempt(counter), worker(name), installation().uid);
    Noted::Assigned { attempt, number: counter, worker, uid, exclusive: false }
}

fn ended(counter: u32, end: AttemptEnd) -> Noted {
    Noted::Ended { attempt: attempt(counter), end, said: None }
}

fn sealed() -> AttemptEnd {
    AttemptEnd::Sealed { outputs: Vec::new(), usage: Usage::default() }
}

fn failed(message: &str) -> AttemptEnd {
    let failure = Failure {
        kind: FailureKind::ExitCode(3),
        message: message.to_owned(),
        stderr_tail: message.to_owned(),
    };
    AttemptEnd::Failed { failure, usage: Usage::default() }
}

fn decided() -> CoordinatorRecord {
    let share = Share { holder: installation(), address: String::new(), pledges: Vec::new() };
    CoordinatorRecord::CommitDecided { txn: txn(1), shares: vec![share] }
}

fn prepare(counter: u64) -> Message {
    let (holder, pledges, peers) = (installation(), Vec::new(), Vec::new());
    Message::Prepare { txn: txn(counter), holder, pledges, peers }
}

fn message_commit() -> Message {
    Message::Commit { txn: txn(1), holder: installation(), pledges: Vec::new() }
}

fn txn(counter: u64) -> TxnId {
    TxnId { job: id(), epoch: Epoch(1), counter }
}

fn attempt(counter: u32) -> AttemptId {
    let token = FencingToken { epoch: Epoch(1), counter: u64::from(counter) };
    AttemptId { job: id(), task: task(), token }
}

fn attempt_id() -> AttemptId {
    attempt(1)
}

fn installation() -> Installation {
    Installation { worker: worker("s1"), uid: WorkerUid(Uuid::nil()) }
}

fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

fn id() -> JobId {
    crate::engine::tests::job()
}

fn task() -> TaskId {
    TaskId::new("report").unwrap()
}

fn hex_of(span: &Span) -> String {
    crate::traces::context::hex(&span.id)
}

fn at(millis: u64) -> WallTime {
    WallTime(millis)
}

const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
