//! Whether the clocks agree: nothing that is decided rests on them, but deadlines and all that is
//! shown do.

use std::time::Duration;

use votum_machine::WallTime;
use votum_wire::WorkerView;

use super::findings::Findings;

/// Compares this machine's clock with what the coordinator answered between two looks at it.
pub(super) fn of_coordinator(
    before: WallTime,
    answered: Option<WallTime>,
    after: WallTime,
    findings: &mut Findings,
) {
    let Some(answered) = answered else {
        let advice = "upgrade the coordinator";
        return findings.look("clocks", "the coordinator does not tell its time", advice);
    };
    // It answered at some moment between the two.
    let own = before.0.midpoint(after.0);
    let doubt = Duration::from_millis(after.0.saturating_sub(before.0).div_ceil(2));
    let (ahead, word) = if own >= answered.0 {
        (own - answered.0, "ahead of")
    } else {
        (answered.0 - own, "behind")
    };
    let skew = Duration::from_millis(ahead);
    let found = format!(
        "this machine's is {} {word} the coordinator's, give or take {}",
        amount(skew),
        amount(doubt)
    );
    if skew > SKEW_MAX.saturating_add(doubt) {
        findings.look("clocks", found, ADVICE);
    } else {
        findings.ok("clocks", found);
    }
}

/// Tells of workers whose clocks differ from the coordinator's, and of the others together.
pub(super) fn of_workers(workers: &[WorkerView], findings: &mut Findings) {
    let known = workers.iter().filter_map(|view| Some((&view.worker, view.clock_ahead_ms?)));
    let (far, near): (Vec<_>, Vec<_>) =
        known.partition(|(_, ahead)| Duration::from_millis(ahead.unsigned_abs()) > SKEW_MAX);
    if let Some(most) = near.iter().map(|(_, ahead)| ahead.unsigned_abs()).max() {
        let found = format!(
            "those of {} workers are within {} of the coordinator's",
            near.len(),
            amount(Duration::from_millis(most))
        );
        findings.ok("clocks", found);
    }
    for (worker, ahead) in far {
        let word = if ahead > 0 { "ahead of" } else { "behind" };
        let skew = amount(Duration::from_millis(ahead.unsigned_abs()));
        findings.look("clocks", format!("{worker}'s is {skew} {word} the coordinator's"), ADVICE);
    }
}

/// To the millisecond while that says something.
fn amount(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else if duration < Duration::from_mins(1) {
        format!("{:.3} s", duration.as_secs_f64())
    } else {
        crate::display::amount::duration(duration)
    }
}

/// Clocks that differ by more are worth a look.
const SKEW_MAX: Duration = Duration::from_secs(1);
const ADVICE: &str = "let the machines keep time (chrony, systemd-timesyncd), and start the daemon \
                      again: it counts from the time at its start";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Grade;

    fn compared(before: u64, answered: u64, after: u64) -> (Grade, String) {
        let mut findings = Findings::default();
        let (before, answered) = (WallTime(before), Some(WallTime(answered)));
        of_coordinator(before, answered, WallTime(after), &mut findings);
        let [finding] = findings.all() else { panic!("{findings:?}") };
        (finding.grade, finding.found.clone())
    }

    #[test]
    fn a_small_difference_is_told_to_the_millisecond() {
        let (grade, found) = compared(10_000, 10_007, 10_004);
        assert_eq!(grade, Grade::Ok);
        assert_eq!(found, "this machine's is 5 ms behind the coordinator's, give or take 2 ms");
    }

    #[test]
    fn only_a_difference_beyond_doubt_is_worth_a_look() {
        assert_eq!(compared(10_000, 8_500, 10_000).0, Grade::Look);
        assert_eq!(compared(9_000, 8_500, 11_000).0, Grade::Ok, "it may have answered at once");
        let (grade, found) = compared(300_000, 10_000, 300_000);
        assert_eq!(grade, Grade::Look);
        assert!(found.starts_with("this machine's is 4m 50s ahead of"), "{found}");
    }
}
