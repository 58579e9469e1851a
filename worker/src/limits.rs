//! How long an attempt may take to start, to say something and to end; pure.

use std::time::Duration;

use votum_job::{Assignment, FailureKind};
use votum_machine::Moment;

use crate::attempt::Cause;

/// What an attempt that has not ended must do until when, and how often it was found unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Its inputs must have come, and after that its program must have ended.
    end: Moment,
    /// Its program must run.
    start: Option<Moment>,
    /// Its program must have said something.
    report: Option<Moment>,
    /// Failures of its health command in a row.
    failures: u32,
}

impl Limits {
    /// Begins to count when an attempt was taken on.
    pub(crate) fn accepted(now: Moment, assignment: &Assignment) -> Self {
        Self {
            end: now.after(assignment.time_limit),
            start: assignment.spec.start_timeout.map(|limit| now.after(limit)),
            report: None,
            failures: 0,
        }
    }

    /// The program has run for some time; what it said before the restart is not known here.
    pub(crate) fn adopted(now: Moment, assignment: &Assignment, elapsed: Duration) -> Self {
        let end = now.after(assignment.time_limit.saturating_sub(elapsed));
        Self { end, start: None, report: None, failures: 0 }.reported(now, assignment)
    }

    /// The program is about to run: it has its whole time before it.
    pub(crate) fn fetched(self, now: Moment, assignment: &Assignment) -> Self {
        Self { end: now.after(assignment.time_limit), ..self }
    }

    /// The program runs, and has to say something from now on.
    pub(crate) fn started(self, now: Moment, assignment: &Assignment) -> Self {
        Self { start: None, ..self.reported(now, assignment) }
    }

    /// The program has said something.
    pub(crate) fn reported(self, now: Moment, assignment: &Assignment) -> Self {
        Self { report: assignment.spec.progress_timeout.map(|limit| now.after(limit)), ..self }
    }

    /// The health command has found the program well.
    pub(crate) fn well(self) -> Self {
        Self { failures: 0, ..self }
    }

    /// The health command has failed; says why that ends the attempt, if it does.
    pub(crate) fn unwell(self, assignment: &Assignment, complaint: &str) -> (Self, Option<Cause>) {
        let failures = self.failures.saturating_add(1);
        let allowed = assignment.spec.health.as_ref().map_or(u32::MAX, |health| health.failures);
        let cause = (failures >= allowed).then(|| Cause {
            kind: FailureKind::Unhealthy,
            message: format!("its health command failed {failures} times in a row: {complaint}"),
        });
        (Self { failures, ..self }, cause)
    }

    /// Says when the first limit is reached.
    pub(crate) fn first(&self) -> Moment {
        [self.start, self.report].into_iter().flatten().fold(self.end, Moment::min)
    }

    /// Says why the attempt must end, if it must; `awaited` is what did not happen by the end.
    pub(crate) fn overdue(
        &self,
        now: Moment,
        assignment: &Assignment,
        awaited: &str,
    ) -> Option<Cause> {
        let spec = &assignment.spec;
        let passed = |limit: Option<Moment>| limit.is_some_and(|limit| limit <= now);
        let (kind, what, limit) = if self.end <= now {
            (FailureKind::TimedOut, awaited, Some(assignment.time_limit))
        } else if passed(self.start) {
            (FailureKind::StartTimedOut, "it did not start", spec.start_timeout)
        } else if passed(self.report) {
            (FailureKind::Stuck, "it reported nothing", spec.progress_timeout)
        } else {
            return None;
        };
        let seconds = limit.unwrap_or(Duration::ZERO).as_secs_f64();
        Some(Cause { kind, message: format!("{what} within {seconds} s") })
    }
}

#[cfg(test)]
mod tests {
    use votum_job::HealthCheck;

    use super::*;
    use crate::testing::assignment;

    fn at(seconds: u64) -> Moment {
        Moment::since_start(Duration::from_secs(seconds))
    }

    fn watched() -> Assignment {
        let mut assignment = assignment(1);
        assignment.time_limit = Duration::from_secs(100);
        assignment.spec.start_timeout = Some(Duration::from_secs(10));
        assignment.spec.progress_timeout = Some(Duration::from_secs(20));
        assignment.spec.health = Some(HealthCheck {
            command: vec!["true".to_owned()],
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 2,
        });
        assignment
    }

    fn kind(limits: Limits, now: Moment) -> Option<FailureKind> {
        assert_eq!(limits.overdue(now, &watched(), "x").is_some(), limits.first() <= now);
        limits.overdue(now, &watched(), "x").map(|cause| cause.kind)
    }

    #[test]
    fn a_program_must_start_in_time_whatever_its_inputs_take() {
        let limits = Limits::accepted(at(0), &watched()).fetched(at(9), &watched());
        assert_eq!(kind(limits, at(9)), None);
        assert_eq!(kind(limits, at(10)), Some(FailureKind::StartTimedOut));
    }

    #[test]
    fn silence_counts_from_the_start_and_from_each_report() {
        let limits = Limits::accepted(at(0), &watched()).started(at(5), &watched());
        assert_eq!(kind(limits, at(24)), None);
        assert_eq!(kind(limits, at(25)), Some(FailureKind::Stuck));
        let limits = limits.reported(at(24), &watched());
        assert_eq!(kind(limits, at(43)), None);
        assert_eq!(kind(limits, at(44)), Some(FailureKind::Stuck));
    }

    #[test]
    fn who_reports_for_ever_must_end_all_the_same() {
        let limits = Limits::accepted(at(0), &watched()).started(at(5), &watched());
        let limits = limits.reported(at(99), &watched());
        assert_eq!(kind(limits, at(100)), Some(FailureKind::TimedOut));
    }

    #[test]
    fn only_failures_in_a_row_make_a_program_unwell() {
        let limits = Limits::accepted(at(0), &watched());
        let (limits, first) = limits.unwell(&watched(), "exit code 1");
        let (limits, second) = limits.well().unwell(&watched(), "exit code 1");
        let (_, third) = limits.unwell(&watched(), "exit code 7");
        assert_eq!((first, second), (None, None));
        let cause = third.unwrap();
        assert_eq!(cause.kind, FailureKind::Unhealthy);
        assert_eq!(cause.message, "its health command failed 2 times in a row: exit code 7");
    }
}
