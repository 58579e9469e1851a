//! How often a worker looks for what old attempts have left.

use super::*;

#[test]
fn logs_are_looked_for_as_often_as_they_expire() {
    for (retention, interval) in [
        (Duration::from_hours(7 * 24), PRUNE_INTERVAL),
        (Duration::from_mins(20), Duration::from_mins(20)),
        (Duration::ZERO, PRUNE_INTERVAL_MIN),
    ] {
        let mut alice = Alice::new();
        alice.engine.keep_logs_for(retention);
        alice.tick();

        let early = alice.pass(interval - Duration::from_millis(1));
        let due = alice.pass(Duration::from_millis(1));

        let looks = |actions: &[Action]| {
            actions.iter().filter(|action| matches!(action, Action::PruneLogs { .. })).count()
        };
        assert_eq!((looks(&early), looks(&due)), (0, 1), "{retention:?}");
    }
}
