//! The repository's own commands: `cargo xtask test`, `lint`, `bench`, `chaos`, `sim`, `soak`,
//! `pictures`, `power-cut`, `crash-images`, `fuzz`, `package`.

mod bench;
mod campaign;
mod install;
mod lint;
mod package;
mod run;
mod stuck;
mod test;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

/// The repository's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what the tests need and runs all of them; what CI runs.
    Test,
    /// Formatting, clippy with warnings denied, documentation, licences, .proto files.
    Lint,
    /// Measures Votum beside the limits of the machine and compares it with its goals.
    Bench(bench::Options),
    /// Tears at a cluster and checks every target: kills alone, or with a duration every kind of
    /// fault on several jobs at once.
    Chaos {
        /// How many jobs are torn at, one after the other, by kills.
        #[arg(long, default_value_t = 200, conflicts_with = "duration")]
        rounds: u32,
        /// How long faults of every kind fall on several jobs at once, such as 30m.
        #[arg(long, value_parser = duration)]
        duration: Option<Duration>,
        /// Decides everything; printed first.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Plays simulated jobs with everything that can go wrong, on every core; a seed decides each.
    Sim {
        /// The first seed; the others follow.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How long, such as 30m.
        #[arg(long, value_parser = duration, default_value = "60s")]
        duration: Duration,
        /// At most so many schedules; 1 tells everything that happens in one.
        #[arg(long)]
        schedules: Option<u64>,
        /// Looks instead for the seed that catches each planted bug.
        #[arg(long)]
        planted: bool,
    },
    /// Lets a cluster run jobs without end, and fails if memory, descriptors, threads, disk or
    /// latency grow.
    Soak {
        /// How long, such as 15m or 8h.
        #[arg(long, value_parser = duration, default_value = "15m")]
        duration: Duration,
        /// Decides the jobs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the report goes.
        #[arg(long, default_value = "target/soak", value_name = "DIR")]
        out: PathBuf,
    },
    /// Draws every view of the page, wide and narrow, light and dark, into a folder.
    Pictures {
        /// Where the pictures go.
        #[arg(long, default_value = "target/pictures")]
        into: PathBuf,
    },
    /// Cuts the power of a filesystem under the journal and looks for what was acknowledged.
    PowerCut {
        /// How many cuts.
        #[arg(long, default_value_t = 200)]
        cuts: u32,
        /// Decides the moments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Cuts the power at every sync of the journal and of the shadow, and opens what any part of
    /// the writes that were not synced leaves.
    CrashImages {
        /// How long each of the two, such as 10m.
        #[arg(long, value_parser = duration, default_value = "60s")]
        duration: Duration,
        /// Decides which parts are kept where they are too many for all.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Feeds every reader of bytes from outside with damaged input.
    Fuzz {
        /// How long each of them is fed, such as 10m.
        #[arg(long, value_parser = duration, default_value = "60s")]
        duration: Duration,
        /// Decides the damage.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Makes Debian packages of the coordinator, the worker and the command line.
    Package {
        /// Where to.
        #[arg(long, default_value = "target/packages", value_name = "DIR")]
        out: PathBuf,
        /// Where the built programs are; built by the profile `dist` if not given.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test => test::run(),
        Command::Lint => lint::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Chaos { duration: Some(duration), seed, .. } => campaign::mixed(duration, seed),
        Command::Chaos { rounds, seed, .. } => campaign::chaos(rounds, seed),
        Command::Pictures { into } => campaign::pictures(&into),
        Command::Sim { schedules, planted: true, .. } => campaign::planted(schedules),
        Command::Sim { seed, duration, schedules, .. } => {
            campaign::simulation(seed, duration, schedules)
        }
        Command::Soak { duration, seed, out } => campaign::soak(duration, seed, &out),
        Command::PowerCut { cuts, seed } => campaign::power_cuts(cuts, seed),
        Command::CrashImages { duration, seed } => campaign::crash_images(duration, seed),
        Command::Fuzz { duration, seed } => campaign::fuzz(duration, seed),
        Command::Package { out, programs } => package::run(programs, &out),
    }
}

/// Reads `90s`, `30m` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let rule = || format!("{text:?} is no duration such as 90s, 30m or 2h");
    let (number, seconds) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "s")) => (number, 1),
        Some((number, "m")) => (number, 60),
        Some((number, "h")) => (number, 3600),
        Some(_) | None => return Err(rule()),
    };
    let number: u64 = number.parse().map_err(|_| rule())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}
