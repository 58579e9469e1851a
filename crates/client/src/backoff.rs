//! Growing, random pauses between attempts, so that many clients do not come back at once.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The pauses of one call.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// Begins with the shortest pause.
    pub(crate) fn start() -> Self {
        Self { ceiling: FIRST }
    }

    /// Pauses for a random part of the ceiling, and at least as long as the server asked for.
    pub(crate) async fn pause(&mut self, asked_for: Option<Duration>) {
        let wait = self.next_wait(RandomState::new().hash_one(0_u8));
        #[expect(
            clippy::disallowed_methods,
            reason = "the state waited for is another machine's, and there is no event of it"
        )]
        tokio::time::sleep(wait.max(asked_for.unwrap_or_default().min(ASKED_FOR_MAX))).await;
    }

    /// Returns between half of the ceiling and all of it, and doubles the ceiling.
    fn next_wait(&mut self, random: u64) -> Duration {
        let half = self.ceiling / 2;
        let part = u32::try_from(random % 1024).unwrap_or_default();
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        half + half * part / 1024
    }
}

/// The first ceiling: a restart on the same machine is often over by then.
const FIRST: Duration = Duration::from_millis(50);
/// The last ceiling: a person who waits shall not wait for the pause.
const LONGEST: Duration = Duration::from_secs(2);
/// A server cannot silence a client for longer.
const ASKED_FOR_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_the_longest() {
        let mut backoff = Backoff::start();
        let shortest: Vec<_> = (0..8).map(|_| backoff.next_wait(0)).collect();
        assert!(shortest.is_sorted());
        assert_eq!(shortest[0], FIRST / 2);
        assert!(backoff.next_wait(u64::MAX) <= LONGEST);
    }
}
