//! Attempts that the worker decides to end, and the daemon's end in the midst of that.

use super::*;

/// An attempt whose program runs.
fn running(alice: &mut Alice, order: Assignment) {
    alice.hear(1, FromCoordinator::Start(Box::new(order)));
    alice.happen(1, fetched(BTreeMap::new()));
    alice.happen(1, AttemptEvent::Started { pid: 42 });
}

/// The same worker after a crash; it finds that the program has ended as `end` says.
fn found_ended(alice: Alice, end: AttemptEvent) -> Option<(AttemptId, FailureKind)> {
    let mut alice = alice.restarted();
    alice.connect(1);
    let order = Box::new(assignment(1));
    alice.step(Event::Adopted { assignment: order, pid: None, elapsed: Duration::ZERO });
    failure_of(&alice.happen(1, end))
}

#[test]
fn the_cause_of_a_stop_is_recorded_before_it_is_carried_out() {
    let mut alice = Alice::admitted();
    running(&mut alice, assignment(1));

    let asked = alice.pass(Duration::from_mins(1));

    let stop = asked.iter().find(|action| matches!(action, Action::Stop { .. })).unwrap();
    assert!(stop.awaits_lazy_records());
    let Some(Record::StopDecided { kind, grace, .. }) = alice.records.last() else {
        panic!("{:?}", alice.records)
    };
    assert_eq!((*kind, *grace), (FailureKind::TimedOut, assignment(1).spec.grace_period));
}

#[test]
fn every_cause_of_a_stop_outlives_the_daemon() {
    type Decide = fn(&mut Alice);
    let causes: [(Decide, FailureKind); 6] = [
        (|alice| drop(alice.pass(Duration::from_mins(1))), FailureKind::TimedOut),
        (|alice| drop(alice.hear(1, stop(1))), FailureKind::Stopped),
        (
            |alice| {
                let abort = Message::Abort { job: job() };
                alice.hear(1, FromCoordinator::Commit(abort));
            },
            FailureKind::Stopped,
        ),
        (
            |alice| {
                alice.step(Event::Terminated(Parting::TasksStop));
                alice.tick();
            },
            FailureKind::Interrupted,
        ),
        (
            |alice| {
                let message = "disk full".to_owned();
                let kind = FailureKind::DiskFull;
                alice.happen(1, AttemptEvent::LimitReached { kind, message });
            },
            FailureKind::DiskFull,
        ),
        (
            |alice| {
                for _ in 0..3 {
                    let verdict = Err("exit code 1".to_owned());
                    alice.happen(1, AttemptEvent::HealthChecked { verdict });
                }
            },
            FailureKind::Unhealthy,
        ),
    ];
    for (decide, kind) in causes {
        let mut alice = Alice::admitted();
        let mut order = assignment(1);
        order.spec.health = Some(votum_job::HealthCheck {
            command: vec!["true".to_owned()],
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 3,
        });
        running(&mut alice, order);
        decide(&mut alice);
        let end = AttemptEvent::Exited { usage: usage() };
        assert_eq!(found_ended(alice, end), Some((attempt(1), kind)));
    }
}

#[test]
fn several_exclusive_attempts_end_with_one_lease() {
    let mut alice = Alice::admitted();
    for counter in [1, 2] {
        let mut order = assignment(counter);
        order.spec.exclusive = true;
        order.attempt.task = votum_ids::TaskId::new(format!("t{counter}")).unwrap();
        alice.hear(1, FromCoordinator::Start(Box::new(order)));
    }
    let asked = alice.pass(LEASE);
    let stops = asked.iter().filter(|action| matches!(action, Action::Stop { .. }));
    assert_eq!(stops.count(), 2);
    let decided =
        alice.records.iter().filter(|record| matches!(record, Record::StopDecided { .. }));
    assert_eq!(decided.count(), 2);
}

#[test]
fn what_is_found_running_though_it_should_end_is_stopped_again() {
    let mut alice = Alice::admitted();
    running(&mut alice, assignment(1));
    alice.hear(1, stop(1));
    let mut alice = alice.restarted();
    assert_eq!(alice.engine.cut_off().collect::<Vec<_>>(), [&attempt(1)]);
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Live]);

    let order = Box::new(assignment(1));
    let adopted = Event::Adopted { assignment: order, pid: Some(42), elapsed: Duration::ZERO };
    let asked = alice.step(adopted);

    let [Action::Stop { grace, reason, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((*grace, reason.as_str()), (Duration::from_secs(1), "stopped: cancelled by bob"));
}

#[test]
fn a_replayed_stop_yields_to_what_came_after_it() {
    let mut alice = Alice::admitted();
    running(&mut alice, assignment(1));
    alice.hear(1, stop(1));
    alice.happen(1, interrupted());
    let mut alice = alice.restarted();
    let [AttemptState::Ended(AttemptEnd::Failed { failure, .. })] = &listed(&alice.connect(1))[..]
    else {
        panic!("it has ended")
    };
    assert_eq!(failure.kind, FailureKind::Stopped);
}
