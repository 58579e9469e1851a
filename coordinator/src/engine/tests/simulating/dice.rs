//! Splitmix64: the only source of chance, with the same numbers for the same seed.

use std::time::Duration;

/// Everything that could have come otherwise is asked here.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Makes the numbers of a seed; `what` keeps apart what one seed decides in two places.
    pub(super) fn of(seed: u64, what: u64) -> Self {
        let mut dice = Self(seed ^ what.rotate_left(17));
        dice.below(2);
        dice
    }

    /// Returns a number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    /// Says yes once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Returns one of several.
    pub(super) fn one_of<'a, T>(&mut self, several: &'a [T]) -> &'a T {
        &several[self.below(several.len())]
    }

    /// Returns a time from nothing to `longest`, in milliseconds.
    pub(super) fn time(&mut self, longest: Duration) -> Duration {
        let millis = usize::try_from(longest.as_millis()).unwrap();
        Duration::from_millis(self.below(millis + 1) as u64)
    }
}
