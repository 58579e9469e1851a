//! The long forms of tests whose short forms are part of `cargo xtask test`.

use crate::run::{cargo, say, succeed};

/// Kill rounds against a cluster of real processes.
pub(crate) fn chaos(rounds: u32, seed: u64) -> anyhow::Result<()> {
    say(&format!("chaos: {rounds} rounds, seed {seed}"));
    succeed(
        cargo(&["test", "--package", "votum-tests", "--test", "chaos", "--", "--nocapture"])
            .env("VOTUM_CHAOS_ROUNDS", rounds.to_string())
            .env("VOTUM_SEED", seed.to_string()),
    )
}

/// Power cuts under the journal.
pub(crate) fn power_cuts(cuts: u32, seed: u64) -> anyhow::Result<()> {
    say(&format!("power cuts: {cuts} cuts, seed {seed}"));
    // The test starts the writer among the examples, which `--test` alone does not build.
    succeed(&mut cargo(&["build", "--package", "votum-journal", "--examples"]))?;
    succeed(
        cargo(&["test", "--package", "votum-journal", "--test", "power_cut", "--", "--nocapture"])
            .env("VOTUM_POWER_CUTS", cuts.to_string())
            .env("VOTUM_SEED", seed.to_string()),
    )
}
