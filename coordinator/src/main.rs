//! The coordinator daemon, and what makes its data directory out of a backup.

use std::io::Write;

use clap::{Parser, Subcommand};
use votum_coordinator::{ConfigArgs, LogArgs, RestoreArgs, serve};

/// Coordinates all-or-nothing jobs across many machines.
#[derive(Debug, Parser)]
#[command(name = "votum-coordinator", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory out of a backup, for a coordinator whose disk is lost.
    Restore(RestoreArgs),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Restore(restore)) = arguments.command {
        let restored = restore.restore()?;
        return Ok(writeln!(std::io::stdout(), "{}", restored.sentences())?);
    }
    arguments.log.install()?;
    tokio::runtime::Runtime::new()?.block_on(serve(arguments.config.resolve()?))
}
