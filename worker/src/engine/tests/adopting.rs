//! What becomes of an attempt that an earlier start of the daemon ran (R6).

use super::*;

/// The attempt runs, and the daemon is killed and started again.
fn restarted_while_it_ran(counter: u64) -> Alice {
    let mut alice = Alice::admitted();
    run(&mut alice, counter);
    alice.restarted()
}

fn run(alice: &mut Alice, counter: u64) {
    alice.start(counter);
    alice.happen(counter, fetched(BTreeMap::new()));
    alice.happen(counter, AttemptEvent::Started { pid: 42 });
}

fn adopted(counter: u64, elapsed: Duration) -> Event {
    Event::Adopted { assignment: Box::new(assignment(counter)), pid: Some(42), elapsed }
}

fn adopt(alice: &mut Alice, counter: u64) -> Vec<Action> {
    let mut actions = alice.step(adopted(counter, Duration::from_secs(20)));
    actions.extend(alice.tick());
    actions
}

fn stops(actions: &[Action], counter: u64) -> bool {
    actions.iter().any(|action| {
        matches!(action, Action::Stop { attempt: stopped, .. } if *stopped == attempt(counter))
    })
}

#[test]
fn what_proved_to_run_goes_on_after_a_restart() {
    let mut alice = restarted_while_it_ran(1);

    assert_eq!(adopt(&mut alice, 1), []);

    let said = alice.connect(1);
    assert_eq!(listed(&said), [AttemptState::Live]);
    let started = FromWorker::Started { attempt: attempt(1), pid: 42 };
    assert_eq!(said.last(), Some(&Action::Send(started)));
    let exited = alice.happen(1, AttemptEvent::Exited { usage: usage() });
    assert_eq!(exited, [Action::Seal(Box::new(assignment(1)))]);
    let sealed = alice.happen(1, AttemptEvent::Sealed { outputs: staged() });
    assert_eq!(sealed, [sealed_report(1)]);
}

#[test]
fn a_restart_gives_no_attempt_more_time() {
    let mut alice = restarted_while_it_ran(1);
    adopt(&mut alice, 1);
    let left = assignment(1).time_limit - Duration::from_secs(20);

    let before = alice.pass(left - Duration::from_millis(1));
    let after = alice.pass(Duration::from_millis(1));

    assert!(!stops(&before, 1), "{before:?}");
    assert!(stops(&after, 1), "{after:?}");
    let actions = alice.connect(1);
    assert_eq!(listed(&actions), [AttemptState::Live], "until it is gone");
    let actions = alice.happen(1, interrupted());
    assert_eq!(failure_of(&actions), Some((attempt(1), FailureKind::TimedOut)));
}

#[test]
fn what_ended_while_no_daemon_lived_is_sealed() {
    let mut alice = restarted_while_it_ran(1);
    let assignment = Box::new(assignment(1));
    alice.step(Event::Adopted { assignment: assignment.clone(), pid: None, elapsed: INTERVAL });

    let exited = alice.happen(1, AttemptEvent::Exited { usage: usage() });

    assert_eq!(exited, [Action::Seal(assignment)]);
    alice.happen(1, AttemptEvent::Sealed { outputs: staged() });
    let end = AttemptEnd::Sealed { outputs: staged(), usage: usage() };
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Ended(end)]);
}

#[test]
fn an_adopted_attempt_can_be_cancelled() {
    let mut alice = restarted_while_it_ran(1);
    adopt(&mut alice, 1);
    alice.connect(1);

    let stopped = alice.hear(1, stop(1));

    assert!(stops(&stopped, 1), "{stopped:?}");
    let actions = alice.happen(1, interrupted());
    assert_eq!(failure_of(&actions), Some((attempt(1), FailureKind::Stopped)));
}

#[test]
fn an_attempt_that_nobody_wants_is_not_gone_on_with() {
    let mut alice = Alice::admitted();
    run(&mut alice, 1);
    alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) });
    let mut alice = alice.restarted();

    let actions = adopt(&mut alice, 1);

    assert!(stops(&actions, 1), "{actions:?}");
    assert_eq!(listed(&alice.connect(1)), []);
    assert_eq!(alice.happen(1, interrupted()), [Action::Discard(attempt(1))]);
}

#[test]
fn an_attempt_whose_record_was_lost_is_adopted() {
    let mut alice = Alice::new();
    alice.tick();

    adopt(&mut alice, 1);

    let accepted = Record::Accepted { attempt: attempt(1), number: 1, hook: false };
    assert_eq!(alice.records, [accepted]);
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Live]);
}

#[test]
fn of_two_attempts_only_the_newest_goes_on() {
    for order in [[1, 2], [2, 1]] {
        let mut alice = Alice::new();
        alice.tick();

        let actions: Vec<Action> =
            order.into_iter().flat_map(|counter| adopt(&mut alice, counter)).collect();

        assert!(stops(&actions, 1), "{actions:?}");
        assert!(!stops(&actions, 2), "{actions:?}");
        assert_eq!(listed(&alice.connect(1)), [AttemptState::Live]);
    }
}

#[test]
fn a_worker_that_is_replaced_leaves_its_tasks_alone() {
    let mut alice = Alice::admitted();
    run(&mut alice, 1);

    let asked = alice.step(Event::Terminated(Parting::TasksGoOn));

    assert_eq!(asked, [Action::Exit]);
    let mut alice = alice.restarted();
    adopt(&mut alice, 1);
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Live]);
}

#[test]
fn a_failure_after_adoption_survives_the_next_restart() {
    let mut alice = restarted_while_it_ran(1);
    let before = vec![Record::Accepted { attempt: attempt(1), number: 1, hook: false }];
    adopt(&mut alice, 1);
    alice.happen(1, interrupted());
    alice.records.splice(0..0, before);

    let mut alice = alice.restarted();

    let AttemptState::Ended(AttemptEnd::Failed { failure, .. }) = &listed(&alice.connect(1))[0]
    else {
        panic!("it has ended");
    };
    assert_eq!(failure.kind, FailureKind::Interrupted);
}
