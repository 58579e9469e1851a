//! The long forms of tests whose short forms are part of `cargo xtask test`.

use std::{path::Path, process::Command, time::Duration};

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

/// Jobs without end, while everything is measured; the report lies in `out`.
pub(crate) fn soak(duration: Duration, seed: u64, out: &Path) -> anyhow::Result<()> {
    let out = root().join(out);
    say(&format!("soak: jobs for {duration:?}, seed {seed}, report in {}", out.display()));
    succeed(
        cargo(&["test", "--package", "votum-tests", "--test", "soak", "--", "--nocapture"])
            .env("VOTUM_SOAK_SECONDS", duration.as_secs().to_string())
            .env("VOTUM_SEED", seed.to_string())
            .env("VOTUM_SOAK_OUT", out),
    )
}

/// Simulated jobs with faults, seed after seed.
pub(crate) fn simulation(
    seed: u64,
    duration: Duration,
    schedules: Option<u64>,
) -> anyhow::Result<()> {
    say(&format!("sim: from seed {seed} on, for {duration:?}"));
    let mut simulation = simulating("a_campaign_of_seeds_breaks_no_promise", &["--nocapture"]);
    simulation
        .env("VOTUM_SEED", seed.to_string())
        .env("VOTUM_SIM_SECONDS", duration.as_secs().to_string());
    if let Some(schedules) = schedules {
        simulation.env("VOTUM_SIM_SCHEDULES", schedules.to_string());
    }
    succeed(&mut simulation)
}

/// The seed that catches each planted bug.
pub(crate) fn planted(schedules: Option<u64>) -> anyhow::Result<()> {
    let search = ["--nocapture", "--ignored"];
    let mut simulation = simulating("planted::the_first_seed_that_catches_each_bug", &search);
    if let Some(schedules) = schedules {
        simulation.env("VOTUM_SIM_SCHEDULES", schedules.to_string());
    }
    succeed(&mut simulation)
}

/// Builds the simulation optimised, beside the build that the tests have.
fn simulating(test: &str, options: &[&str]) -> Command {
    let test = format!("engine::tests::simulating::{test}");
    let mut simulation = cargo(&[]);
    for package in SIMULATED {
        simulation.args(["--config", &format!("profile.dev.package.{package}.opt-level=2")]);
    }
    simulation.args(["test", "--package", "votum-coordinator", "--lib", "--", "--exact", &test]);
    simulation.args(options);
    simulation
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

/// Power cuts at every sync of the journal and of the shadow, each of the two for so long.
pub(crate) fn crash_images(duration: Duration, seed: u64) -> anyhow::Result<()> {
    say(&format!("crash images: journal and shadow for {duration:?} each, seed {seed}"));
    let packages = ["--package", "votum-journal", "--package", "votum-shadow"];
    // The programs that are recorded are examples, which a test target alone does not build.
    succeed(&mut cargo(&[&["build", "--examples"], &packages[..]].concat()))?;
    let tests = ["--tests", "crash_images_of", "--", "--nocapture"];
    succeed(
        cargo(&[&["test"], &packages[..], &tests[..]].concat())
            .env("VOTUM_IMAGES_SECONDS", duration.as_secs().to_string())
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

/// What a simulated schedule spends most of its time in, and what is not optimised anyway.
const SIMULATED: [&str; 3] = ["votum-schedule", "votum-worker", "votum-coordinator"];
