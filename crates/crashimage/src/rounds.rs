//! How long a test goes on: one round, or larger ones for as long as somebody wants.

use std::{env, thread, time::Duration};

use crate::{Found, Plan};

/// Makes rounds of a test: one by the short plan, or as many as fit into `VOTUM_IMAGES_SECONDS`,
/// each by a larger plan and a seed of its own, from `VOTUM_SEED` on. The first round is made
/// whole, so that everything is tried however little time there is.
pub fn rounds(short: Plan, mut round: impl FnMut(Plan, &(dyn Fn() -> bool + Sync))) {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("VOTUM_SEED").unwrap_or(short.seed);
    let Some(seconds) = number("VOTUM_IMAGES_SECONDS") else {
        return round(Plan { seed, ..short }, &|| true);
    };
    // A thread that is waited for with a bound is a clock as well.
    let length = Duration::from_secs(seconds);
    let timer = thread::spawn(move || thread::park_timeout(length));
    for further in 0.. {
        let goes_on = || further == 0 || !timer.is_finished();
        let plan = Plan {
            exhaustive: short.exhaustive * 16,
            random: short.random * 8,
            at_most: usize::MAX,
            seed: seed.wrapping_add(further),
        };
        round(plan, &goes_on);
        if timer.is_finished() {
            return;
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { moments, images, exhaustive, pending_max, broken } = self;
        write!(
            f,
            "{images} images at {moments} moments, every combination at {exhaustive} of them, "
        )?;
        write!(f, "at most {pending_max} changes not durable, ")?;
        write!(f, "{} promises broken", u8::from(broken.is_some()))
    }
}
