//! A job whose records cannot be read: nothing of it is decided, and nobody else notices.

use std::sync::Arc;

use serde_json::{Value, json};
use votum_journal::{Lsn, Stored};
use votum_wire::UnreadableJob;

use super::*;
use crate::recovery::take_up;

#[test]
fn a_quarantined_job_answers_ask_again_and_keeps_everything() {
    let (stored, attempt) = committed();
    let received_and_assigned = &stored[..3];
    let damaged = damage(received_and_assigned, 1, b"nothing");
    let mut engine = restarted(&damaged);
    let prepared = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let page = Inventory {
        attempts: vec![listed(attempt)],
        prepared: vec![prepared.clone()],
        ..Inventory::default()
    };
    let said = settle(&mut engine, frame(FromWorker::Inventory(page)));
    let undecided = Message::Undecided { txn: prepared };
    assert_eq!(frames(&said), [FromCoordinator::Commit(undecided)]);

    let view = engine.view(Moment::START, &job()).unwrap();
    assert_eq!((view.state, view.decision), (JobState::Quarantined, None));
    assert_eq!(view.creator, "ana");
    let found = view.quarantine.unwrap();
    assert_eq!((found.records, found.damages[0].number), (3, 2));
    assert_eq!(found.last_state, Some(JobState::Received));
    assert_eq!(found.holders.len(), 1);
    assert!(found.holders[0].holding.contains("in doubt"), "{:?}", found.holders);
}

#[test]
fn nothing_is_done_with_a_quarantined_job_and_its_id_stays_taken() {
    let (stored, _attempt) = committed();
    let mut engine = restarted(&damage(&stored[..3], 0, b"nothing"));
    let quarantined = |answer: &Answer| {
        matches!(answer, Answer::Refused(Refusal::Quarantined { problem, .. })
            if problem == "record 1 of 3 cannot be read")
    };
    let reply = || Replies::default().register().0;
    let by = || "ana".to_owned();
    for event in [
        Event::Asked {
            reply: reply(),
            question: Question::Cancel { job: job(), by: by(), reason: String::new() },
        },
        Event::Asked {
            reply: reply(),
            question: Question::Steer { job: job(), by: by(), wish: pause() },
        },
        Event::Asked {
            reply: reply(),
            question: Question::Rescue {
                intent: Intent::Receive,
                from: job(),
                job: JobId::new("sales-2").unwrap(),
                submission: submission(),
            },
        },
    ] {
        let reaction = engine.step(Moment::START, event);
        assert_eq!(reaction.record, None);
        assert!(quarantined(steered(&reaction)), "{reaction:?}");
    }
    let event = Event::Asked {
        reply: reply(),
        question: Question::Submit {
            intent: Intent::Receive,
            job: job(),
            spec: Arc::new(spec("sales", "s1")),
            submission: submission(),
        },
    };
    let reaction = engine.step(Moment::START, event);
    assert!(matches!(steered(&reaction), Answer::Refused(Refusal::IdTaken { .. })));
}

#[test]
fn a_quarantined_job_is_a_case_with_its_evidence() {
    let (stored, _attempt) = committed();
    let decided = &stored[..=decision_at(&stored)];
    let mut engine = restarted(&damage(decided, 1, b"nothing"));
    let cases = engine.cases(Moment::START);
    let [case] = cases.as_slice() else { panic!("{cases:?}") };
    assert_eq!(case.name.to_string(), "sales-1/log:damaged");
    let legal = [votum_wire::CaseAction::Commit];
    assert_eq!((case.reason.as_str(), case.actions.as_slice()), ("QUARANTINED", &legal[..]));
    for known in ["record 2 of", "COMMIT of round 1.1 can be read", "s1 is told the commit"] {
        assert!(case.evidence.iter().any(|one| one.text.contains(known)), "{known}: {case:#?}");
    }
    let question = Question::Resolve {
        job: job(),
        subject: votum_wire::Subject::Log,
        action: votum_wire::CaseAction::GiveUp,
        by: "ana".to_owned(),
        reason: "tired of it".to_owned(),
    };
    let reply = Replies::default().register().0;
    let refused = engine.step(Moment::START, Event::Asked { reply, question });
    assert_eq!(refused.record, None);
    assert!(matches!(
        steered(&refused),
        Answer::Refused(Refusal::IllegalResolution { legal, .. }) if legal == &["commit"]
    ));
}

#[test]
fn a_commit_that_can_be_read_is_delivered_and_never_closed() {
    let (stored, _attempt) = committed();
    let decided = decision_at(&stored);
    let mut engine = taken_up(&damage(&stored[..=decided], 1, b"nothing"));
    let said = settle(&mut engine, Event::SessionOpened(hello()));
    let commit =
        |frame: &FromCoordinator| matches!(frame, FromCoordinator::Commit(Message::Commit { .. }));
    assert!(frames(&said).iter().any(commit), "{said:?}");
    let view = engine.view(Moment::START, &job()).unwrap();
    assert_eq!(view.decision, Some(votum_commit::Decision::Commit));
    assert!(view.state_message.ends_with("is delivered: waits for s1"), "{}", view.state_message);

    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let acked = settle(&mut engine, frame(FromWorker::Commit(Reply::Acked { txn })));
    assert_eq!((acked.records.len(), frames(&acked).len()), (0, 0));
    let view = engine.view(Moment::START, &job()).unwrap();
    assert_eq!(view.state, JobState::Quarantined);
    assert!(view.participants[0].acknowledged);
}

#[test]
fn a_commit_that_a_worker_was_told_is_adopted() {
    let (stored, attempt) = committed();
    let decided = decision_at(&stored);
    let mut engine = restarted(&damage(&stored[..=decided], decided, b"nothing"));
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let pledge = votum_commit::Pledge {
        task: task(),
        output: output_name(),
        token: attempt.token,
        digest: Digest([7; 32]),
        replaceable: false,
        target: None,
    };
    let round = votum_wire::CommittedRound { txn, pledges: vec![pledge] };
    let page = Inventory { committed: vec![round], ..Inventory::default() };
    let said = settle(&mut engine, frame(FromWorker::Inventory(page)));
    assert!(said.records.iter().any(Record::forced), "{said:?}");
    let view = engine.view(Moment::START, &job()).unwrap();
    assert_eq!(view.decision, Some(votum_commit::Decision::Commit));
    assert_eq!(view.state, JobState::Quarantined);
}

#[test]
fn what_a_worker_cannot_read_is_shown_with_its_job() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let problem = "record 2 of 3 cannot be read".to_owned();
    let unreadable = vec![UnreadableJob { job: job(), problem: problem.clone() }];
    let page = Inventory { unreadable, ..Inventory::default() };
    world.frame(FromWorker::Inventory(page));
    let view = world.engine.view(Moment::START, &job()).unwrap();
    assert_eq!(view.worker_damages.len(), 1);
    assert_eq!(view.worker_damages[0].problem, problem);
    assert_eq!(world.engine.shown_workers()[0].damages[0].problem, problem);

    world.settle(Event::SessionOpened(hello()));
    let view = world.engine.view(Moment::START, &job()).unwrap();
    assert_eq!(view.worker_damages, [], "it lists everything again");
}

#[test]
fn a_record_of_another_job_is_never_taken_for_one_of_this() {
    let (stored, _attempt) = committed();
    let text = String::from_utf8(stored[0].payload.clone()).unwrap();
    let other = text.replace("sales-1", "rents-1");
    let engine = restarted(&damage(&stored[..3], 0, other.as_bytes()));
    let found = engine.quarantined_of(&job()).unwrap();
    assert_eq!(found.damages[0].problem, "it speaks of another job, rents-1");
    assert_eq!(found.damages[0].kind.as_deref(), Some("received"));
    assert!(engine.view(Moment::START, &JobId::new("rents-1").unwrap()).is_none());
}

#[test]
fn no_damage_to_one_record_stops_a_start_or_discards_anything() {
    let (stored, attempt) = committed();
    let decided = decision_at(&stored);
    let mut quarantined = 0;
    for at in 0..=decided {
        let contents = mutations(&stored[at].payload);
        assert!(contents.len() > 10, "record {at}");
        for content in contents {
            let damaged = damage(&stored[..=decided], at, &content);
            let mut engine = restarted(&damaged);
            if engine.quarantined_of(&job()).is_none() {
                continue; // It can still be read: it says something else, and that is replayed.
            }
            quarantined += 1;
            let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
            let page = Inventory {
                attempts: vec![listed(attempt.clone())],
                prepared: vec![txn],
                ..Inventory::default()
            };
            let said = settle(&mut engine, frame(FromWorker::Inventory(page)));
            for frame in frames(&said) {
                let keeps = matches!(
                    frame,
                    FromCoordinator::Commit(Message::Commit { .. } | Message::Undecided { .. })
                );
                assert!(keeps, "{frame:?} after {}", String::from_utf8_lossy(&content));
            }
        }
    }
    assert!(quarantined > 100, "{quarantined}");
}

/// Returns the records of a job from its receipt to its end, and its attempt.
pub(super) fn committed() -> (Vec<Stored>, AttemptId) {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt: attempt.clone(), end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));
    world.frame(FromWorker::Commit(Reply::Acked { txn }));
    let of_job = world.records.iter().filter(|(_, record)| matches!(record, Record::Job(_)));
    let stored = of_job.zip(1..).map(|((at, record), lsn)| stored(*at, record, lsn));
    (stored.collect(), attempt)
}

/// Returns a record as the journal holds it.
pub(super) fn stored(at: WallTime, record: &Record, lsn: u64) -> Stored {
    let entry = votum_driver::entry(at, record);
    let (urgency, version, payload) = (entry.urgency, entry.version, entry.payload);
    Stored { lsn: Lsn(lsn), epoch: 1, urgency, version, payload }
}

pub(super) fn decision_at(stored: &[Stored]) -> usize {
    let decides =
        |stored: &Stored| String::from_utf8_lossy(&stored.payload).contains("commit_decided");
    stored.iter().position(decides).unwrap()
}

/// Replaces the content of one record.
pub(super) fn damage(stored: &[Stored], at: usize, content: &[u8]) -> Vec<Stored> {
    let mut stored = stored.to_vec();
    stored[at].payload = content.to_vec();
    stored
}

/// Takes the job up in a second start.
pub(super) fn taken_up(stored: &[Stored]) -> Engine {
    let mut engine = engine(Epoch(2));
    if let Some(found) = take_up(&mut engine, &job(), stored) {
        engine.quarantine(found);
    }
    engine.remember_stale_log();
    engine
}

/// Takes the job up in a second start, and meets its worker.
pub(super) fn restarted(stored: &[Stored]) -> Engine {
    let mut engine = taken_up(stored);
    settle(&mut engine, Event::SessionOpened(hello()));
    engine
}

pub(super) fn settle(engine: &mut Engine, event: Event) -> Settled {
    let mut settled = Settled { records: Vec::new(), actions: Vec::new() };
    let mut next = Some(event);
    let mut steps_left = 1_000;
    while let Some(event) = next {
        let reaction = engine.step(Moment::START, event);
        settled.records.extend(reaction.record);
        settled.actions.extend(reaction.actions);
        steps_left -= 1;
        let due = engine.next_deadline().is_some_and(|due| due <= Moment::START);
        next = (due && steps_left > 0).then_some(Event::Tick);
    }
    settled
}

pub(super) fn frame(frame: FromWorker) -> Event {
    Event::Frame { from: installation(), frame }
}

pub(super) fn frames(settled: &Settled) -> Vec<FromCoordinator> {
    let frame = |action: &Action| match action {
        Action::Send { frame, .. } | Action::SendDurable { frame, .. } => Some(frame.clone()),
        _ => None,
    };
    settled.actions.iter().filter_map(frame).collect()
}

pub(super) fn listed(attempt: AttemptId) -> votum_job::ListedAttempt {
    let state = votum_job::AttemptState::Ended(sealed());
    votum_job::ListedAttempt { attempt, number: 1, state }
}

/// Returns contents that a damaged record may have: cut, foreign, and with each of its parts
/// gone, of another kind, or far out of its range.
fn mutations(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut contents: Vec<Vec<u8>> =
        (0..8).map(|eighth| payload[..payload.len() * eighth / 8].to_vec()).collect();
    contents.push(b"[[[[".repeat(10_000));
    let whole: Value = serde_json::from_slice(payload).unwrap();
    let mut paths = Vec::new();
    pointers(&whole, String::new(), &mut paths);
    for path in paths {
        let strange = [
            Value::Null,
            json!(u64::MAX),
            json!(-1),
            json!(""),
            json!("z".repeat(5_000)),
            json!([]),
            json!({}),
        ];
        for value in strange {
            let mut changed = whole.clone();
            *changed.pointer_mut(&path).unwrap() = value;
            contents.push(serde_json::to_vec(&changed).unwrap());
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", ""));
        let mut changed = whole.clone();
        if let Some(Value::Object(fields)) = changed.pointer_mut(above) {
            fields.remove(name);
            contents.push(serde_json::to_vec(&changed).unwrap());
        }
    }
    contents
}

fn pointers(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                pointers(inner, format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                pointers(inner, format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
    found.push(path);
}
