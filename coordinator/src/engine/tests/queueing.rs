//! When a key is free, as far as all machines together tell.

use std::sync::Arc;

use votum_job::{Concurrency, ConcurrencyKey, ConcurrencyPolicy};
use votum_journal::Stored;
use votum_wire::{CaseAction, Subject};

use super::{
    quarantining::{damage, frame, settle, stored},
    rescuing::{other, third},
    *,
};
use crate::recovery::take_up;

#[test]
fn a_key_is_free_once_every_participant_has_acknowledged() {
    let mut world = World::new();
    let _received = submit(&mut world, job(), ConcurrencyPolicy::Queue);
    let attempt = world.started_attempt();
    let _received = submit(&mut world, other(), ConcurrencyPolicy::Queue);
    world.settle(Event::Tick);
    assert_eq!(state(&world, &other()), Some(JobState::Queued));
    assert_eq!(world.engine.totals().jobs.get(&JobState::Queued), Some(&1));

    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));
    assert_eq!(state(&world, &job()), Some(JobState::Committing));
    assert_eq!(state(&world, &other()), Some(JobState::Queued));
    let acked = world.frame(FromWorker::Commit(Reply::Acked { txn }));
    assert!(acked.sends(|frame| matches!(frame, FromCoordinator::Start(_))));
    assert_eq!(state(&world, &other()), Some(JobState::Running));
}

#[test]
fn what_is_decided_is_not_replaced_but_waited_for_over_restarts() {
    let mut world = World::new();
    let _received = submit(&mut world, job(), ConcurrencyPolicy::Queue);
    let attempt = world.started_attempt();
    let _received = submit(&mut world, other(), ConcurrencyPolicy::Queue);
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));
    // The step that receives it is the last before a crash.
    let _received = submit(&mut world, third(), ConcurrencyPolicy::Replace);
    world.restart(ANCHOR);
    world.settle(Event::SessionOpened(hello()));
    world.frame(FromWorker::InventoryEnded);
    assert_eq!(state(&world, &job()), Some(JobState::Committing));
    assert_eq!(state(&world, &other()), None, "it was cancelled, and nothing of it ran");
    let queue = world.engine.view(Moment::START, &third()).unwrap().queue.unwrap();
    assert_eq!((queue.holder, queue.ahead), (Some(job()), 0));
    world.frame(FromWorker::Commit(Reply::Acked { txn }));
    assert_eq!(state(&world, &third()), Some(JobState::Running));
}

#[test]
fn who_does_not_wait_is_refused_and_told_who_has_the_key() {
    let mut world = World::new();
    let _received = submit(&mut world, job(), ConcurrencyPolicy::Queue);
    let refused = submit(&mut world, other(), ConcurrencyPolicy::Reject);
    assert_eq!(refused.record, None);
    let held = Refusal::KeyHeld { key: key(), holder: job() };
    assert_eq!(*steered(&refused), Answer::Refused(held));
    let again = submit(&mut world, job(), ConcurrencyPolicy::Queue);
    assert!(matches!(steered(&again), Answer::Received { duplicate: true, .. }));
}

#[test]
fn nobody_is_refused_for_a_job_that_a_start_has_still_to_look_at() {
    let mut world = World::new();
    let (keeps, asked) = (Duration::from_secs(200), ConcurrencyPolicy::Queue);
    let _received = submit_spec(&mut world, job(), asked, |spec| spec.keep_staged = keeps);
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    assert_eq!(state(&world, &job()), Some(JobState::Aborted));
    world.restart(ANCHOR);
    let early = submit(&mut world, other(), ConcurrencyPolicy::Reject);
    assert_eq!((early.record, early.actions), (None, Vec::new()));
    let settled = world.settle(Event::Tick);
    let is_received =
        |action: &Action| matches!(action, Action::Reply { answer: Answer::Received { .. }, .. });
    assert!(settled.actions.iter().any(is_received), "{:#?}", settled.actions);
}

#[test]
fn a_quarantined_job_keeps_its_key_until_a_person_has_settled_it() {
    let mut world = World::new();
    let _received = submit(&mut world, job(), ConcurrencyPolicy::Queue);
    let _attempt = world.started_attempt();
    let _received = submit(&mut world, other(), ConcurrencyPolicy::Queue);
    let mut engine = engine(Epoch(2));
    let damaged = damage(&records_of(&world, &job()), 1, b"nothing");
    let found = take_up(&mut engine, &job(), &damaged).unwrap();
    assert!(take_up(&mut engine, &other(), &records_of(&world, &other())).is_none());
    engine.quarantine(found);
    settle(&mut engine, Event::SessionOpened(hello()));
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    let waits = engine.view(Moment::START, &other()).unwrap();
    assert_eq!(waits.state_message, "waits for sales-1, which holds the key nightly");

    let (by, reason) = ("ana".to_owned(), "it is gone".to_owned());
    let (subject, action) = (Subject::Log, CaseAction::Abort);
    let question = Question::Resolve { job: job(), subject, action, by, reason };
    let reply = Replies::default().register().0;
    settle(&mut engine, Event::Asked { reply, question });
    let runs = engine.view(Moment::START, &other()).unwrap();
    assert_eq!(runs.state, JobState::Running, "{runs:#?}");
}

/// Hands a job with the key in, each under a request of its own.
fn submit(world: &mut World, id: JobId, policy: ConcurrencyPolicy) -> Reaction<Record, Action> {
    submit_spec(world, id, policy, |_| ())
}

/// Does so with a job that says more of itself.
fn submit_spec(
    world: &mut World,
    id: JobId,
    policy: ConcurrencyPolicy,
    say: impl FnOnce(&mut JobSpec),
) -> Reaction<Record, Action> {
    let mut spec = spec("sales", "s1");
    say(&mut spec);
    spec.concurrency = Some(Concurrency { key: key(), policy });
    let number = id.as_str().bytes().map(u128::from).sum();
    let request = RequestId(Uuid::from_u128(number));
    let submission = Submission { request, ..submission() };
    let intent = Intent::Receive;
    let question = Question::Submit { intent, job: id, spec: Arc::new(spec), submission };
    let reply = world.replies.register().0;
    world.step(Event::Asked { reply, question })
}

/// Returns the records of a job as the journal holds them.
fn records_of(world: &World, id: &JobId) -> Vec<Stored> {
    let of_job = world.records.iter().filter(|(_, record)| match record {
        Record::Job(record) => record.job == *id,
        _ => false,
    });
    of_job.zip(1..).map(|((at, record), lsn)| stored(*at, record, lsn)).collect()
}

fn state(world: &World, id: &JobId) -> Option<JobState> {
    world.engine.view(Moment::START, id).map(|view| view.state)
}

fn key() -> ConcurrencyKey {
    ConcurrencyKey::new("nightly").unwrap()
}
