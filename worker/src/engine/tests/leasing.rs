//! An exclusive attempt ends with the lease of its worker; nothing else does (R3).

use super::*;

impl Alice {
    /// Runs the first attempt; `exclusive` says of which kind it is.
    fn run(&mut self, exclusive: bool) {
        let mut assignment = assignment(1);
        assignment.spec.exclusive = exclusive;
        self.hear(1, FromCoordinator::Start(Box::new(assignment)));
        self.happen(1, fetched(BTreeMap::new()));
        self.happen(1, AttemptEvent::Started { pid: 42 });
    }
}

#[test]
fn an_exclusive_attempt_is_stopped_when_the_lease_ends() {
    let mut alice = Alice::admitted();
    alice.run(true);
    let before = alice.pass(LEASE - Duration::from_millis(1));
    assert!(before.iter().all(|action| matches!(action, Action::Heartbeat { .. })), "{before:?}");
    let stopped = alice.pass(Duration::from_millis(1));
    // Half of what the coordinator waits is left for the kill itself.
    let grace = Duration::from_secs(5);
    let is_stop = |action: &Action| {
        matches!(action, Action::Stop { attempt: which, grace: given, reason }
            if *which == attempt(1) && *given == grace && reason.contains("15 s"))
    };
    assert!(stopped.iter().any(is_stop), "{stopped:?}");
    alice.happen(1, interrupted());
    let Some(Record::Failed { failure, .. }) = alice.records.last() else { panic!("no end") };
    assert_eq!(failure.kind, FailureKind::Interrupted);
    assert!(failure.message.contains("exclusive"), "{failure:?}");
}

#[test]
fn what_is_merely_staged_outlives_the_lease() {
    let mut alice = Alice::admitted();
    alice.run(false);
    let meanwhile = alice.pass(LEASE * 2);
    assert!(!meanwhile.iter().any(|action| matches!(action, Action::Stop { .. })));
}

#[test]
fn a_lease_lasts_from_the_sending_of_what_was_heard() {
    let mut alice = Alice::admitted();
    alice.run(true);
    let sent = alice.now.after(INTERVAL);
    assert_eq!(alice.pass(INTERVAL), [Action::Heartbeat { number: 1 }]);
    alice.pass(INTERVAL / 2);
    let renewed = alice.hear(1, FromCoordinator::HeartbeatAcknowledged { number: 1 });
    let until = sent.after(LEASE).after(Duration::from_secs(5));
    assert_eq!(renewed, [Action::RenewLease { until }]);
    assert_eq!(alice.engine.lapse(), Some(sent.after(LEASE)));
}

#[test]
fn frames_that_come_without_an_answer_renew_nothing() {
    let mut alice = Alice::admitted();
    let greeted = alice.now;
    alice.run(true);
    alice.pass(INTERVAL);
    // It hears the coordinator, and is not heard itself.
    alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(9) });
    assert_eq!(alice.engine.lapse(), Some(greeted.after(LEASE)));
}

#[test]
fn a_reconnection_in_time_saves_an_exclusive_attempt() {
    let mut alice = Alice::admitted();
    alice.run(true);
    alice.step(Event::Disconnected(SessionNumber(1)));
    alice.pass(LEASE - Duration::from_secs(1));
    let actions = alice.connect(1);
    assert!(matches!(actions.first(), Some(Action::RenewLease { .. })), "{actions:?}");
    assert!(matches!(listed(&actions).as_slice(), [AttemptState::Live]));
    let later = alice.pass(Duration::from_secs(2));
    assert!(!later.iter().any(|action| matches!(action, Action::Stop { .. })), "{later:?}");
}

#[test]
fn an_exclusive_attempt_that_is_being_sealed_goes_on() {
    let mut alice = Alice::admitted();
    alice.run(true);
    alice.happen(1, AttemptEvent::Exited { usage: usage() });
    let meanwhile = alice.pass(LEASE * 2);
    assert!(!meanwhile.iter().any(|action| matches!(action, Action::Stop { .. })));
}
