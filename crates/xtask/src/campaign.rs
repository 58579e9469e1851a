//! The long forms of tests whose short forms are part of `cargo xtask test`.

use std::{path::Path, time::Duration};

use crate::run::{cargo, root, say, succeed};

/// Kill rounds against a cluster of real processes.
pub(crate) fn chaos(rounds: u32, seed: u64) -> anyhow::Result<()> {
    say(&format!("chaos: {rounds} rounds, seed {seed}"));
    let kills = ["test", "--package", "votum-tests", "--test", "chaos", "random_kills"];
    succeed(
        cargo(&[&kills[..], &["--", "--nocapture"]].concat())
            .env("VOTUM_CHAOS_ROUNDS", rounds.to_string())
            .env("VOTUM_SEED", seed.to_string()),
    )
}

/// Faults of every kind on several jobs at once.
pub(crate) fn mixed(duration: Duration, seed: u64) -> anyhow::Result<()> {
    say(&format!("chaos: mixed faults for {duration:?}, seed {seed}"));
    let only = ["test", "--package", "votum-tests", "--test", "chaos", "mixed_faults"];
    succeed(
        cargo(&[&only[..], &["--", "--nocapture"]].concat())
            .env("VOTUM_CHAOS_SECONDS", duration.as_secs().to_string())
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

/// Damaged input for whatever reads bytes from outside, each reader for so long.
pub(crate) fn fuzz(duration: Duration, seed: u64) -> anyhow::Result<()> {
    say(&format!("fuzz: each reader for {duration:?}, seed {seed}"));
    let packages = ["votum-wire", "votum-journal", "votum-shadow", "votum-process"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let arguments: Vec<&str> =
        ["test"].into_iter().chain(packages).chain(["--tests", "fuzz_"]).collect();
    succeed(
        cargo(&arguments)
            .env("VOTUM_FUZZ_SECONDS", duration.as_secs().to_string())
            .env("VOTUM_SEED", seed.to_string()),
    )
}

/// Every view of the page, drawn by a real browser.
pub(crate) fn pictures(into: &Path) -> anyhow::Result<()> {
    let into = root().join(into);
    let only = ["test", "--package", "votum-tests", "--test", "page", "every_view_can_be_drawn"];
    succeed(cargo(&[&only[..], &["--", "--nocapture"]].concat()).env("VOTUM_PICTURES", into))
}
