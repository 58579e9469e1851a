//! An aborted job that keeps what it staged, and the job that takes it over.

use std::sync::Arc;

use votum_job::{Assignment, InputSource};

use votum_wire::view::{OutputState, TaskState};

use super::*;
use crate::record::JobRecord;

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
    let answered = world.frame(FromWorker::Commit(Reply::Inquired { txn, committed: false }));
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
    let retry = Event::Asked {
        reply: world.replies.register().0,
        question: Question::Steer {
            job: other(),
            by: "ana".to_owned(),
            wish: Wish::Retry { task: None },
        },
    };
    let _retried = world.step(retry);
    let again = started(&mut world);
    assert_eq!(again.inputs, []);
    assert_eq!(again.spec.program, Program::Command(vec!["true".to_owned()]));
}

#[test]
fn what_is_kept_is_given_up_durably_before_anybody_discards() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);

    let released = world.cancel();
    let record = released.record.as_ref().unwrap();
    assert!(record.forced());
    assert_eq!(record.bearing(), Bearing::Closes);
    assert_eq!(*steered(&released), Answer::KeptReleased { job: job() });
    assert!(released.actions.iter().any(|action| matches!(
        action,
        Action::SendDurable { frame: FromCoordinator::Commit(Message::Release { .. }), .. }
    )));
    world.settle(Event::Tick);
    assert_eq!(world.state(), None);

    let again = world.cancel();
    assert_eq!(again.record, None);
    assert_eq!(*steered(&again), Answer::Refused(Refusal::NotOpen { job: job() }));
}

#[test]
fn a_history_tells_for_ever_who_gave_up_what() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _released = world.cancel();

    let view = view::job::closed(ANCHOR, &job(), &records_of(&world.records, &job())).unwrap();
    let release = view.kept_release.unwrap();
    assert_eq!((release.by.as_str(), release.at), ("ana", ANCHOR));
    assert_eq!(release.kept, [(task(), s1())].into());
    assert_eq!((view.state, view.kept_until), (JobState::Aborted, None));
}

#[test]
fn what_is_asked_right_after_a_restart_waits_for_the_keeping() {
    for wanted in ["cancel", "rescue"] {
        let mut world = World::new();
        staged(&mut world);
        let _cancelled = world.cancel();
        world.settle(Event::Tick);
        world.restart(ANCHOR);
        let early =
            if wanted == "cancel" { world.cancel() } else { rescue(&mut world, Intent::Receive) };
        assert_eq!((early.record, early.actions), (None, Vec::new()));
        let settled = world.settle(Event::Tick);
        assert!(settled.actions.iter().any(|action| matches!(
            action,
            Action::Reply { answer: Answer::KeptReleased { .. } | Answer::Rescued { .. }, .. }
        )));
    }
}

#[test]
fn what_a_rescue_takes_over_is_neither_given_up_nor_rescued_twice() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    let refused = Answer::Refused(Refusal::AlreadyRescued { job: job(), successor: other() });
    for _before_and_after_a_restart in 0..2 {
        world.settle(Event::Tick);
        let released = world.cancel();
        assert_eq!((released.record.as_ref(), steered(&released)), (None, &refused));
        let second = rescue_by(&mut world, Intent::Receive, &job(), &third(), 3);
        assert_eq!((second.record.as_ref(), steered(&second)), (None, &refused));
        let again = rescue(&mut world, Intent::Receive);
        assert!(matches!(steered(&again), Answer::Rescued { duplicate: true, .. }));
        let view = world.engine.view(Moment::START, &job()).unwrap();
        assert_eq!(view.rescued_by, Some(other()));
        world.restart(ANCHOR);
    }
}

#[test]
fn a_keeping_outlasts_its_time_while_a_rescue_is_open() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    let late = acts_at(&mut world.engine, Moment::START.after(KEPT * 2));
    assert!(!late.iter().any(lets_discard));

    // A coordinator that returns only then knows it as well.
    world.restart(ANCHOR.after(KEPT * 2));
    let resumed = acts_at(&mut world.engine, Moment::START);
    assert!(!resumed.iter().any(lets_discard));
    assert_eq!(world.state(), Some(JobState::Aborted));
}

#[test]
fn a_rescue_that_has_committed_ends_the_keeping_for_good() {
    for crash in [false, true] {
        let mut world = rescued();
        // Before the keeping is closed, neither wish finds it.
        let second = rescue_by(&mut world, Intent::Receive, &job(), &third(), 3);
        assert_eq!(second.record, None);
        if crash {
            world.restart(ANCHOR);
            world.engine.resume_rescues(|_| Some(votum_commit::Decision::Commit));
        }
        let settled = world.settle(Event::Tick);
        assert!(settled.actions.iter().any(lets_discard), "{crash}");
        assert_eq!(world.state(), None);
        let second = rescue_by(&mut world, Intent::Receive, &job(), &third(), 4);
        assert_eq!(*steered(&second), Answer::Refused(Refusal::NotOpen { job: job() }));
        let view = view::job::closed(ANCHOR, &job(), &records_of(&world.records, &job())).unwrap();
        assert_eq!(view.rescued_by, Some(other()));
    }
}

#[test]
fn a_rescue_of_a_rescue_settles_the_whole_line() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    let taking = started(&mut world);
    world.frame(FromWorker::Ended { attempt: taking.attempt.clone(), end: sealed() });
    let _cancelled = world.cancel_of(&other());
    world.settle(Event::Tick);

    let received = rescue_by(&mut world, Intent::Receive, &other(), &third(), 3);
    assert!(received.record.is_some(), "{received:?}");
    let again = started(&mut world);
    let InputSource::Staged { attempt, .. } = &again.inputs[0].source else { panic!("{again:?}") };
    assert_eq!(*attempt, taking.attempt);
    let refused = rescue_by(&mut world, Intent::Receive, &job(), &fourth(), 4);
    let successor = third();
    assert_eq!(
        *steered(&refused),
        Answer::Refused(Refusal::AlreadyRescued { job: job(), successor })
    );
    commit(&mut world, &again);
    world.settle(Event::Tick);
    for id in [job(), other(), third()] {
        assert_eq!(world.engine.view(Moment::START, &id), None, "{id}");
    }
}

#[test]
fn what_a_removed_worker_held_is_planned_to_run_again() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let worker = s1();
    world.settle(Event::SessionClosed { worker, incarnation: hello().incarnation });
    let removed = Event::Asked {
        reply: world.replies.register().0,
        question: Question::Operate {
            worker: s1(),
            operation: crate::question::Operation::Remove,
            by: "ana".to_owned(),
            reason: String::new(),
        },
    };
    world.settle(removed);
    let rescue = world.engine.scheduler.rescuable(&job()).unwrap();
    let plan = world.engine.scheduler.rescue_plan(&rescue);
    assert_eq!(plan[0].holder, None);
    assert_eq!(
        plan[0].runs.as_deref(),
        Some("worker s1, which held its outputs, was deleted"),
        "{plan:?}"
    );
}

#[test]
fn a_rescue_whose_note_was_lost_is_noted_after_the_restart() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    world.restart(ANCHOR);
    let settled = world.settle(Event::Tick);
    let noted = |record: &Record| match record {
        Record::Job(record) => {
            matches!(record.schedule, Some(votum_schedule::Record::Rescued { .. }))
        }
        _ => false,
    };
    assert_eq!(settled.records.iter().filter(|record| noted(record)).count(), 1);
    world.restart(ANCHOR);
    assert!(!world.settle(Event::Tick).records.iter().any(noted));
}

#[test]
fn what_went_with_a_deleted_worker_is_not_shown_as_kept() {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let state = |world: &World| {
        let view = world.engine.view(Moment::START, &job()).unwrap();
        (view.tasks[0].state, view.tasks[0].outputs[0].state)
    };
    assert_eq!(state(&world), (TaskState::Staged, OutputState::Staged));

    world.disconnect();
    let _removed = world.operate(crate::question::Operation::Remove);
    world.settle(Event::Tick);
    assert_eq!(state(&world), (TaskState::Discarded, OutputState::Discarded));
    let planned = rescue(&mut world, Intent::Check);
    // Its task is pinned there: nothing could run it again.
    let Answer::Refused(refusal) = steered(&planned) else { panic!("{planned:?}") };
    assert!(matches!(refusal, Refusal::WorkerDeleted { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("s1 was deleted"), "{refusal}");
}

/// Receives a job that keeps what it stages, and stages everything of it.
fn staged(world: &mut World) -> AttemptId {
    let mut spec = spec("sales", "s1");
    spec.keep_staged = KEPT;
    let event = Event::Asked {
        reply: world.replies.register().0,
        question: Question::Submit {
            intent: Intent::Receive,
            job: job(),
            spec: Arc::new(spec),
            submission: submission(),
        },
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
    rescue_by(world, intent, &job(), &other(), 2)
}

fn rescue_by(
    world: &mut World,
    intent: Intent,
    from: &JobId,
    id: &JobId,
    request: u128,
) -> Reaction<Record, Action> {
    let request = RequestId(Uuid::from_u128(request));
    let submission = Submission { request, ..submission() };
    let reply = world.replies.register().0;
    world.step(Event::Asked {
        reply,
        question: Question::Rescue { intent, from: from.clone(), job: id.clone(), submission },
    })
}

/// An aborted job whose rescue has committed in the step before.
fn rescued() -> World {
    let mut world = World::new();
    staged(&mut world);
    let _cancelled = world.cancel();
    world.settle(Event::Tick);
    let _received = rescue(&mut world, Intent::Receive);
    let taking = started(&mut world);
    commit(&mut world, &taking);
    world
}

/// Stages an attempt, lets its worker vote and publish, and stops at the step that closes its job.
fn commit(world: &mut World, assignment: &Assignment) {
    let attempt = assignment.attempt.clone();
    world.frame(FromWorker::Ended { attempt: attempt.clone(), end: sealed() });
    let epoch = world.engine.commit.phase(&attempt.job).map(|standing| standing.stage);
    let Some(votum_commit::Stage::Preparing { txn, .. }) = epoch else { panic!("{epoch:?}") };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));
    let frame = FromWorker::Commit(Reply::Acked { txn });
    let _closed = world.step(Event::Frame { from: installation(), frame });
}

fn records_of(records: &[(WallTime, Record)], id: &JobId) -> Vec<Stamped<JobRecord>> {
    let of_job = records.iter().filter_map(|(at, record)| match record {
        Record::Job(record) if record.job == *id => {
            Some(Stamped { at: *at, record: (**record).clone() })
        }
        _ => None,
    });
    of_job.collect()
}

impl World {
    /// Starts a coordinator on what was recorded, with nobody connected, and does no step.
    pub(super) fn restart(&mut self, anchor: WallTime) {
        self.epoch += 1;
        self.engine = engine_at(Epoch(self.epoch), anchor);
        for (at, record) in self.records.clone() {
            if let Record::Registered(registration) = record {
                self.engine.register(at, registration).unwrap();
            }
        }
        for id in [job(), other(), third()] {
            let records = records_of(&self.records, &id);
            let is_open = records.last().is_some_and(|last| last.record.closing.is_none());
            if is_open {
                self.engine.resume(&id, records).unwrap();
            }
        }
        self.engine.resume_rescues(|_| None);
    }

    fn cancel_of(&mut self, job: &JobId) -> Reaction<Record, Action> {
        let (reply, by) = (self.replies.register().0, "ana".to_owned());
        self.step(Event::Asked {
            reply,
            question: Question::Cancel { job: job.clone(), by, reason: String::new() },
        })
    }
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

pub(super) fn other() -> JobId {
    JobId::new("sales-2").unwrap()
}

pub(super) fn third() -> JobId {
    JobId::new("sales-3").unwrap()
}

fn fourth() -> JobId {
    JobId::new("sales-4").unwrap()
}

fn s1() -> WorkerId {
    WorkerId::new("s1").unwrap()
}

const KEPT: Duration = Duration::from_secs(200);
