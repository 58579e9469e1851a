//! Checkpoints of running attempts: in order, durable before they are told of, and bounded.

use votum_ids::{CheckpointId, Digest};
use votum_job::{CheckpointPolicy, HeldCheckpoint, Program, ResumePoint, TaskSignal};

use super::*;
use crate::action::SealOrder;

fn id(counter: u64, sequence: u64) -> CheckpointId {
    CheckpointId { attempt: attempt(counter), sequence }
}

fn held(counter: u64, sequence: u64) -> HeldCheckpoint {
    HeldCheckpoint {
        id: id(counter, sequence),
        digest: Digest([u8::try_from(sequence).unwrap(); 32]),
        bytes: 9,
        steps: 0,
        read_token: "token".to_owned(),
    }
}

fn asks(request: &str) -> CheckpointEvent {
    CheckpointEvent::Asked(Ask::Task { request: request.to_owned() })
}

impl Alice {
    /// A worker on which the first attempt runs, with this policy.
    fn running(policy: Option<CheckpointPolicy>) -> Self {
        let mut alice = Self::admitted();
        let mut order = assignment(1);
        order.spec.checkpoint = policy;
        alice.hear(1, FromCoordinator::Start(Box::new(order)));
        alice.happen(1, fetched(BTreeMap::new()));
        alice.happen(1, AttemptEvent::Started { pid: 42 });
        alice
    }

    fn save(&mut self, event: CheckpointEvent) -> Vec<Action> {
        self.step(Event::Checkpoint(attempt(1), event))
    }
}

fn told(held: &HeldCheckpoint) -> Action {
    Action::Send(FromWorker::CheckpointHeld(held.clone()))
}

fn answered(request: &str, text: &str) -> Action {
    let requests = vec![request.to_owned()];
    Action::Answer { attempt: attempt(1), requests, text: text.to_owned() }
}

fn sequence_of(actions: &[Action]) -> Option<u64> {
    let order = |action: &Action| {
        if let Action::SealCheckpoint(order) = action { Some(order.id.sequence) } else { None }
    };
    actions.iter().find_map(order)
}

#[test]
fn a_checkpoint_is_forced_before_anybody_is_told() {
    let mut alice = Alice::running(None);
    let asked = alice.save(asks("a"));
    let order = SealOrder { id: id(1, 1), steps: 0, whole: false, bytes_max: None, unless: None };
    assert_eq!(asked, [Action::SealCheckpoint(order)]);

    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert_eq!(sealed, [told(&held(1, 1)), answered("a", "sealed 1")]);
    let record = alice.records.last().unwrap();
    assert_eq!(*record, Record::CheckpointHeld { held: held(1, 1) });
    assert!(record.forced());
}

#[test]
fn whoever_asks_meanwhile_is_served_by_the_next() {
    let mut alice = Alice::running(None);
    alice.save(asks("a"));
    assert_eq!(alice.save(asks("b")), []);
    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert_eq!(sequence_of(&sealed), Some(2));
    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 2)));
    assert!(sealed.contains(&answered("b", "sealed 2")), "{sealed:?}");
}

#[test]
fn the_last_two_checkpoints_of_a_task_are_kept() {
    let mut alice = Alice::running(None);
    for sequence in 1..=3 {
        alice.save(asks("a"));
        let sealed = alice.save(CheckpointEvent::Sealed(held(1, sequence)));
        let removed = sealed.contains(&Action::RemoveCheckpoint(id(1, 1)));
        assert_eq!(removed, sequence == 3);
    }
    let alice = alice.restarted();
    let known: Vec<u64> = (1..=3).filter(|n| alice.engine.knows_checkpoint(&id(1, *n))).collect();
    assert_eq!(known, [2, 3]);
}

#[test]
fn a_failed_checkpoint_leaves_the_attempt_alone() {
    let mut alice = Alice::running(None);
    alice.save(asks("a"));
    let (kind, message) = (FailureKind::StorageFailed, "no space".to_owned());
    let failed = alice.save(CheckpointEvent::Failed { kind, message });
    assert_eq!(failed, [answered("a", "failed no space")]);
    assert!(alice.engine.attempts.find(&attempt(1)).unwrap().is_running());
}

#[test]
fn a_step_that_is_not_durable_ends_the_attempt() {
    let mut alice = Alice::running(None);
    let step = Ask::Step { request: "step-1".to_owned(), done: 1 };
    let asked = alice.save(CheckpointEvent::Asked(step));
    assert!(matches!(&asked[..], [Action::SealCheckpoint(order)] if order.steps == 1));
    let (kind, message) = (FailureKind::StorageFailed, "no space".to_owned());
    let failed = alice.save(CheckpointEvent::Failed { kind, message });
    assert!(matches!(&failed[..], [Action::Answer { .. }, Action::Stop { .. }]), "{failed:?}");
    let ended = alice.happen(1, interrupted());
    assert_eq!(failure_of(&ended), Some((attempt(1), FailureKind::StorageFailed)));
}

#[test]
fn a_task_of_steps_saves_scratch_and_outputs_as_well() {
    let mut alice = Alice::admitted();
    let mut order = assignment(1);
    order.spec.program = Program::Steps(Vec::new());
    alice.hear(1, FromCoordinator::Start(Box::new(order)));
    let resumed = Resumed { sequence: 4, steps: 2 };
    alice.happen(1, AttemptEvent::Fetched { inputs: BTreeMap::new(), resumed });
    let asked = alice.save(asks("a"));
    let order = SealOrder { id: id(1, 5), steps: 2, whole: true, bytes_max: None, unless: None };
    assert_eq!(asked, [Action::SealCheckpoint(order)]);
}

#[test]
fn at_the_interval_a_task_is_signalled_or_sealed_as_it_is() {
    let every = Some(Duration::from_secs(40));
    let mut alice = Alice::running(Some(CheckpointPolicy { every, ..Default::default() }));
    let due = alice.pass(Duration::from_secs(40));
    assert_eq!(sequence_of(&due), Some(1));

    let signal = Some(TaskSignal::Usr1);
    let mut alice = Alice::running(Some(CheckpointPolicy { every, signal, ..Default::default() }));
    let due = alice.pass(Duration::from_secs(40));
    assert!(due.contains(&Action::Signal { attempt: attempt(1), signal: TaskSignal::Usr1 }));
}

#[test]
fn what_nobody_wants_saves_nothing_any_more() {
    let mut alice = Alice::running(None);
    alice.save(asks("a"));
    alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) });
    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert_eq!(sealed, [Action::RemoveCheckpoint(id(1, 1))]);
}

#[test]
fn a_checkpoint_outlives_its_attempt_and_goes_with_its_job() {
    let mut alice = Alice::running(None);
    alice.save(asks("a"));
    alice.save(CheckpointEvent::Sealed(held(1, 1)));
    alice.happen(1, interrupted());
    alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(1) });

    let mut alice = alice.restarted();
    let listed = alice.connect(1);
    let page = votum_wire::Inventory { checkpoints: vec![held(1, 1)], ..Default::default() };
    assert!(listed.contains(&Action::Send(FromWorker::Inventory(page))), "{listed:?}");

    let released = alice.hear(1, FromCoordinator::Commit(Message::Release { job: job() }));
    assert!(released.contains(&Action::RemoveCheckpoints(job())), "{released:?}");
    let record = alice.records.last().unwrap();
    assert_eq!(*record, Record::CheckpointsReleased { job: job(), rest: Rest::Nothing });
    assert!(!alice.restarted().engine.knows_checkpoint(&id(1, 1)));
}

#[test]
fn an_adopted_attempt_counts_its_checkpoints_on() {
    let mut alice = Alice::running(None);
    alice.save(asks("a"));
    alice.save(CheckpointEvent::Sealed(held(1, 1)));
    let mut alice = alice.restarted();
    let (assignment, elapsed) = (Box::new(assignment(1)), Duration::ZERO);
    alice.step(Event::Adopted { assignment, pid: Some(42), elapsed });
    assert_eq!(sequence_of(&alice.save(asks("b"))), Some(2));
}

#[test]
fn a_copy_that_is_here_is_reported_again() {
    let mut alice = Alice::admitted();
    let copied = held(7, 3);
    let point = Box::new(ResumePoint {
        id: copied.id.clone(),
        digest: copied.digest,
        bytes: 9,
        steps: 0,
        holders: Vec::new(),
    });
    let ordered = alice.hear(1, FromCoordinator::Replicate(point.clone()));
    assert_eq!(ordered, [Action::Replicate(point.clone())]);
    assert_eq!(alice.step(Event::CheckpointArrived(copied.clone())), [told(&copied)]);
    assert_eq!(alice.hear(1, FromCoordinator::Replicate(point)), [told(&copied)]);
}

#[test]
fn a_damaged_checkpoint_is_told_of_and_forgotten() {
    let mut alice = Alice::admitted();
    alice.step(Event::CheckpointArrived(held(7, 3)));
    let spoilt = alice.step(Event::CheckpointSpoilt(id(7, 3)));
    let gone = Action::Send(FromWorker::CheckpointGone(id(7, 3)));
    assert_eq!(spoilt, [gone, Action::RemoveCheckpoint(id(7, 3))]);
    assert!(!alice.restarted().engine.knows_checkpoint(&id(7, 3)));
}

/// The order to stop the first attempt, which will be gone on with.
fn stop_for_later() -> FromCoordinator {
    let (grace, reason) = (Duration::from_secs(4), "the worker is drained".to_owned());
    FromCoordinator::Stop { attempt: attempt(1), grace, reason, checkpoint_first: true }
}

fn hourly(signal: Option<TaskSignal>) -> Option<CheckpointPolicy> {
    let every = Some(Duration::from_secs(50));
    Some(CheckpointPolicy { every, signal, ..CheckpointPolicy::default() })
}

fn stops(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Stop { .. }))
}

#[test]
fn what_will_be_gone_on_with_is_sealed_before_it_is_stopped() {
    let mut alice = Alice::running(hourly(None));
    let asked = alice.hear(1, stop_for_later());
    assert_eq!((sequence_of(&asked), stops(&asked)), (Some(1), false));
    assert_eq!(alice.hear(1, stop_for_later()), []);

    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert_eq!(sealed, [told(&held(1, 1))]);
    assert!(stops(&alice.tick()));
    let ended = alice.happen(1, AttemptEvent::Exited { usage: usage() });
    assert_eq!(failure_of(&ended), Some((attempt(1), FailureKind::Stopped)));
}

#[test]
fn a_program_that_saves_itself_is_asked_to_and_then_stopped() {
    let mut alice = Alice::running(hourly(Some(TaskSignal::Usr1)));
    alice.save(asks("of before"));
    let asked = alice.hear(1, stop_for_later());
    assert_eq!(asked, [Action::Signal { attempt: attempt(1), signal: TaskSignal::Usr1 }]);
    alice.save(asks("of after"));
    // What was being sealed by then is not what was asked for.
    alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert!(!stops(&alice.tick()));
    alice.save(CheckpointEvent::Sealed(held(1, 2)));
    assert!(stops(&alice.tick()));
}

#[test]
fn a_last_checkpoint_is_waited_for_no_longer_than_the_grace() {
    let mut alice = Alice::running(hourly(Some(TaskSignal::Usr1)));
    alice.hear(1, stop_for_later());
    assert!(!stops(&alice.pass(Duration::from_secs(3))));
    assert!(stops(&alice.pass(Duration::from_secs(1))));
}

#[test]
fn a_stop_waits_for_nothing_that_cannot_be_saved() {
    let by_itself = Some(CheckpointPolicy { replicate: true, ..CheckpointPolicy::default() });
    for policy in [None, by_itself] {
        assert!(stops(&Alice::running(policy).hear(1, stop_for_later())));
    }
    let full = || {
        let (kind, message) = (FailureKind::StorageFailed, "the disk is full".to_owned());
        CheckpointEvent::Failed { kind, message }
    };
    for end in [CheckpointEvent::Unchanged, full()] {
        let mut alice = Alice::running(hourly(None));
        alice.hear(1, stop_for_later());
        alice.save(end);
        assert!(stops(&alice.tick()));
    }
}

#[test]
fn a_daemon_that_takes_its_tasks_along_saves_them_first() {
    let mut alice = Alice::running(hourly(None));
    alice.step(Event::Terminated(Parting::TasksStop));
    let asked = alice.tick();
    assert_eq!((sequence_of(&asked), stops(&asked)), (Some(1), false));

    let sealed = alice.save(CheckpointEvent::Sealed(held(1, 1)));
    assert_eq!(sealed, [told(&held(1, 1))]);
    assert!(stops(&alice.tick()));
    let ended = alice.happen(1, AttemptEvent::Exited { usage: usage() });
    assert_eq!(failure_of(&ended), Some((attempt(1), FailureKind::Interrupted)));
    assert!(ended.contains(&Action::Exit), "{ended:?}");
}
