//! The repository's own commands: `cargo xtask test`, `lint`, `chaos`, `power-cut`.

mod campaign;
mod install;
mod lint;
mod run;
mod test;

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
    /// Kills daemons at random moments, restarts them and checks every target.
    Chaos {
        /// How many jobs are torn at.
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// Decides everything; printed first.
        #[arg(long, default_value_t = 1)]
        seed: u64,
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
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test => test::run(),
        Command::Lint => lint::run(),
        Command::Chaos { rounds, seed } => campaign::chaos(rounds, seed),
        Command::PowerCut { cuts, seed } => campaign::power_cuts(cuts, seed),
    }
}
