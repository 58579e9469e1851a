//! The coordinator daemon, and what makes its data directory out of a backup.

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use votum_coordinator::{ConfigArgs, LogArgs, RestoreArgs, run};

/// Coordinates all-or-nothing jobs across many machines.
#[derive(Debug, Parser)]
#[command(name = "votum-coordinator", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Say which settings are in effect and where each comes from, and end.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory out of a backup, for a coordinator whose disk is lost.
    Restore(RestoreArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some(Command::Restore(restore)) = arguments.command {
        let restored = restore.restore()?;
        writeln!(std::io::stdout(), "{}", restored.sentences())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.check_config {
        let file = arguments.config.config.clone();
        arguments.config.resolve()?;
        let settings = ConfigArgs::settings(&Arguments::command()).map_err(anyhow::Error::msg)?;
        let text = votum_settings::in_effect(&settings, &matches, file.as_deref())?;
        write!(std::io::stdout(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    arguments.log.install()?;
    arguments.log.conclude(arguments.config.resolve().and_then(|config| run(&config)))
}
