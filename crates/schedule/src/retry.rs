//! Whether another attempt follows a failed one, and after which wait.

use std::time::Duration;

use votum_job::{FailureKind, RetryPolicy};

/// What follows the end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another attempt, after a wait.
    Retry(Duration),
    /// The task has failed.
    Final,
}

/// Who pays for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// The attempts that the user allowed.
    User,
    /// Bad luck of the machines; bounded by [`MISHAPS_MAX`].
    Mishap,
    /// An operator, who sees it: another attempt follows, as often as this happens.
    Operator,
    /// Nobody: another attempt would not help.
    Nobody,
}

/// What a task has been through; decides about another attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Failures that the user's policy counts.
    pub(crate) failures: u32,
    /// Losses that no fault of the task explains.
    pub(crate) mishaps: u32,
}

impl Budget {
    /// Charges a failure and says what follows.
    pub(crate) fn charge(&mut self, kind: FailureKind, policy: &RetryPolicy) -> Verdict {
        match account(kind, policy) {
            Account::Nobody => Verdict::Final,
            Account::Operator => Verdict::Retry(Duration::ZERO),
            Account::User => {
                self.failures += 1;
                if self.failures >= policy.attempts {
                    return Verdict::Final;
                }
                Verdict::Retry(policy.wait_after(self.failures))
            }
            Account::Mishap => {
                self.mishaps += 1;
                if self.mishaps >= MISHAPS_MAX {
                    return Verdict::Final;
                }
                Verdict::Retry(mishap_wait(kind, policy, self.mishaps))
            }
        }
    }
}

fn account(kind: FailureKind, policy: &RetryPolicy) -> Account {
    match kind {
        FailureKind::ExitCode(code)
            if HOPELESS_EXIT_CODES.contains(&code) || policy.never_on.contains(&code) =>
        {
            Account::Nobody
        }
        FailureKind::SpawnFailed | FailureKind::SecretUnknown | FailureKind::OutputRefused => {
            Account::Nobody
        }
        FailureKind::ExitCode(_)
        | FailureKind::Signal(_)
        | FailureKind::TimedOut
        | FailureKind::StartTimedOut
        | FailureKind::Stuck
        | FailureKind::Unhealthy
        | FailureKind::OutputMissing
        | FailureKind::OutOfMemory
        | FailureKind::DiskFull
        | FailureKind::Stopped => Account::User,
        FailureKind::InputUnavailable
        | FailureKind::StorageFailed
        | FailureKind::Interrupted
        | FailureKind::WorkerLost => Account::Mishap,
        FailureKind::Drained => Account::Operator,
    }
}

/// A lost machine has been waited for already; a full disk or a cut line may last.
///
/// An interruption is worth trying again at once, but one that repeats (supervisors that the
/// machine kills for memory) must not burn all attempts within a second.
fn mishap_wait(kind: FailureKind, policy: &RetryPolicy, mishaps: u32) -> Duration {
    match kind {
        FailureKind::WorkerLost | FailureKind::Drained => Duration::ZERO,
        FailureKind::Interrupted => INTERRUPTION_WAIT_STEP * mishaps.saturating_sub(1),
        FailureKind::ExitCode(_)
        | FailureKind::Signal(_)
        | FailureKind::TimedOut
        | FailureKind::StartTimedOut
        | FailureKind::Stuck
        | FailureKind::Unhealthy
        | FailureKind::SpawnFailed
        | FailureKind::SecretUnknown
        | FailureKind::OutputMissing
        | FailureKind::OutputRefused
        | FailureKind::InputUnavailable
        | FailureKind::StorageFailed
        | FailureKind::OutOfMemory
        | FailureKind::DiskFull
        | FailureKind::Stopped => policy.wait_after(mishaps).max(MISHAP_WAIT_MIN),
    }
}

/// So many attempts of one task may fall to the machines before the job is given up.
pub const MISHAPS_MAX: u32 = 20;
/// Exit codes of a shell that cannot run or cannot find the program.
const HOPELESS_EXIT_CODES: [i32; 2] = [126, 127];
/// Keeps a policy without backoff from burning all attempts on one full disk.
const MISHAP_WAIT_MIN: Duration = Duration::from_millis(500);

/// How much longer each further interruption is waited for.
const INTERRUPTION_WAIT_STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn policy(attempts: u32) -> RetryPolicy {
        RetryPolicy {
            attempts,
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_secs(5),
            never_on: BTreeSet::from([3]),
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let mut budget = Budget::default();
        let mut charge = || budget.charge(FailureKind::Signal(9), &policy(5));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(2)));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(4)));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(5)));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(5)));
        assert_eq!(charge(), Verdict::Final);
    }

    #[test]
    fn a_lost_machine_does_not_consume_the_users_attempts() {
        let mut budget = Budget::default();
        for _ in 1..MISHAPS_MAX {
            let verdict = budget.charge(FailureKind::WorkerLost, &policy(1));
            assert_eq!(verdict, Verdict::Retry(Duration::ZERO));
        }
        assert_eq!(budget.failures, 0);
        assert_eq!(budget.charge(FailureKind::Interrupted, &policy(1)), Verdict::Final);
    }

    #[test]
    fn repeated_interruptions_wait_longer_each_time() {
        let mut budget = Budget::default();
        let mut charge = || budget.charge(FailureKind::Interrupted, &policy(1));
        assert_eq!(charge(), Verdict::Retry(Duration::ZERO));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(1)));
        assert_eq!(charge(), Verdict::Retry(Duration::from_secs(2)));
    }

    #[test]
    fn what_cannot_help_is_not_tried_again() {
        for kind in [
            FailureKind::ExitCode(3),
            FailureKind::ExitCode(127),
            FailureKind::SpawnFailed,
            FailureKind::OutputRefused,
        ] {
            assert_eq!(Budget::default().charge(kind, &policy(9)), Verdict::Final, "{kind:?}");
        }
    }
}
