//! An aborted job that keeps what it staged, and the job that takes it over.

use votum_job::{Assignment, InputSource};

use super::*;

#[test]
fn an_abort_that_keeps_ends_the_round_and_discards_nothing() {
    let mut world = World::new();
    let attempt = staged(&mut world);
    let cancelled = world.cancel();
    assert!(cancelled.record.as_ref().is_some_and(Record::forced));
    assert!(cancelled.actions.iter().any(|action| matches!(
        action,
        Action::Send { frame: FromCoordinator::Commit(Message::RoundEnded { .. }), .. }
    )));
    let settled = world.settle(Event::Tick);
    assert!(![cancelled.actions, settled.actions].concat().iter().any(lets_discard));
    assert_eq!(world.state(), Some(JobState::Aborted));

    // Whoever missed it and asks later is told the same, and keeps it as well.
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let answered = world.frame(FromWorker::Commit(Reply::Inquired { txn }));
    assert!(
        answered.sends(|frame| {
            matches!(frame, FromCoordinator::Commit(Message::RoundEnded { .. }))
        })
    );
    let listed = votum_job::ListedAttempt {
        attempt,
        number: 1,
        state: votum_job::AttemptState::Ended(sealed()),
    };
    let page = Inventory { attempts: vec![listed], ..Inventory::default() };
    assert!(!world.frame(FromWorker::Inventory(page)).actions.iter().any(lets_discard));
}

#[test]
fn what_is_kept_is_released_when_its_time_is_over() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let early = Moment::START.after(KEPT / 2);
    assert!(!acts_at(&mut world.engine, early).iter().any(lets_discard));
    assert_eq!(world.state(), Some(JobState::Aborted));
    assert!(acts_at(&mut world.engine, Moment::START.after(KEPT)).iter().any(lets_discard));
    assert_eq!(world.state(), None);
}

#[test]
fn a_rescue_takes_over_what_is_kept_under_a_token_of_its_own() {
    let mut world = World::new();
    let kept = staged(&mut world);
    let early = rescue(&mut world, Intent::Check);
    assert!(matches!(steered(&early), Answer::Refused(Refusal::NotAborted { .. })));
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let planned = rescue(&mut world, Intent::Check);
    assert_eq!(planned.record, None);
    let Answer::Rescued { plan, job: None, .. } = steered(&planned) else { panic!("{planned:?}") };
    assert_eq!((plan[0].holder.clone(), plan[0].runs.as_str()), (Some(s1()), ""));

    let received = rescue(&mut world, Intent::Receive);
    assert!(received.record.as_ref().is_some_and(Record::forced));
    let assignment = started(&mut world);
    assert_eq!(assignment.attempt.job, other());
    assert!(assignment.attempt.token > kept.token);
    let InputSource::Staged { attempt, digest, .. } = &assignment.inputs[0].source else {
        panic!("{assignment:?}")
    };
    assert_eq!((attempt, *digest), (&kept, Digest([7; 32])));
    let text = format!("{:?}", assignment.spec.program);
    assert!(text.contains("VOTUM_INPUT_REPORT") && text.contains("VOTUM_OUTPUT_REPORT"), "{text}");
}

#[test]
fn what_cannot_be_taken_over_runs_as_usual_also_after_a_restart() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    let taking = started(&mut world);
    let records = world.records.clone();
    let mut engine = engine(Epoch(2));
    for (at, record) in records.clone() {
        if let Record::Registered(registration) = record {
            engine.register(at, registration).unwrap();
        }
    }
    for id in [job(), other()] {
        let of_job = records.iter().filter_map(|(at, record)| match record {
            Record::Job(record) if record.job == id => {
                Some(Stamped { at: *at, record: (**record).clone() })
            }
            _ => None,
        });
        engine.resume(&id, of_job.collect()).unwrap();
        let _settled = acts_at(&mut engine, Moment::START);
        assert_eq!(
            engine.view(Moment::START, &id).map(|view| (view.rescued_from, view.kept_until)),
            world.engine.view(Moment::START, &id).map(|view| (view.rescued_from, view.kept_until))
        );
    }

    let failure = votum_job::Failure {
        kind: votum_job::FailureKind::InputUnavailable,
        message: "it is not held".to_owned(),
        stderr_tail: String::new(),
    };
    let end = AttemptEnd::Failed { failure, usage: Usage::default() };
    world.frame(FromWorker::Ended { attempt: taking.attempt, end });
    let retry = Event::Steer {
        reply: world.replies.register().0,
        job: other(),
        by: "ana".to_owned(),
        wish: Wish::Retry { task: None },
    };
    let _retried = world.step(retry);
    let again = started(&mut world);
    assert_eq!(again.inputs, []);
    assert_eq!(again.spec.program, Program::Command(vec!["true".to_owned()]));
}

/// Receives a job that keeps what it stages, and stages everything of it.
fn staged(world: &mut World) -> AttemptId {
    let mut spec = spec("sales", "s1");
    spec.keep_staged = KEPT;
    let event = Event::Submit {
        reply: world.replies.register().0,
        intent: Intent::Receive,
        job: job(),
        spec: Box::new(spec),
        submission: submission(),
    };
    let _received = world.step(event);
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt: attempt.clone(), end: sealed() });
    attempt
}

/// Ticks until nothing is due at a moment.
fn acts_at(engine: &mut Engine, now: Moment) -> Vec<Action> {
    let mut actions = Vec::new();
    while engine.next_deadline().is_some_and(|due| due <= now) {
        actions.extend(engine.step(now, Event::Tick).actions);
    }
    actions
}

fn rescue(world: &mut World, intent: Intent) -> Reaction<Record, Action> {
    let request = RequestId(Uuid::from_u128(2));
    let submission = Submission { request, ..submission() };
    let reply = world.replies.register().0;
    world.step(Event::Rescue { reply, intent, from: job(), job: other(), submission })
}

fn started(world: &mut World) -> Assignment {
    let settled = world.settle(Event::Tick);
    let order = settled.actions.into_iter().find_map(|action| match action {
        Action::Send { frame: FromCoordinator::Start(assignment), .. } => Some(*assignment),
        _ => None,
    });
    order.expect("the task is placed on the only worker")
}

fn lets_discard(action: &Action) -> bool {
    match action {
        Action::Send { frame, .. } | Action::SendDurable { frame, .. } => matches!(
            frame,
            FromCoordinator::Discard { .. }
                | FromCoordinator::Commit(Message::Abort { .. } | Message::Release { .. })
        ),
        _ => false,
    }
}

fn other() -> JobId {
    JobId::new("sales-2").unwrap()
}

fn s1() -> WorkerId {
    WorkerId::new("s1").unwrap()
}

const KEPT: Duration = Duration::from_secs(3600);
