//! When to ask again: soon at first, then ever more rarely.

use std::time::Duration;

use votum_machine::Moment;

/// Exponential backoff without a counter: wait as long again as one has waited so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Shortest wait between two questions.
    pub(crate) least: Duration,
    /// Longest wait between two questions.
    pub(crate) most: Duration,
}

impl Patience {
    /// Returns when to ask again at the latest, having waited from `since` until `now`.
    pub(crate) fn next(self, since: Moment, now: Moment) -> Moment {
        now.after(now.since(since).clamp(self.least, self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_as_long_as_all_before_it() {
        let patience = Patience { least: Duration::from_secs(1), most: Duration::from_secs(8) };
        let mut now = Moment::START;
        let asked: Vec<u64> = (0..7)
            .map(|_| {
                now = patience.next(Moment::START, now);
                now.elapsed().as_secs()
            })
            .collect();
        assert_eq!(asked, [1, 2, 4, 8, 16, 24, 32]);
    }
}
