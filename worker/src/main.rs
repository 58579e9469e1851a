//! The worker daemon, and the supervisor that it runs as for each attempt.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use votum_worker::{Settings, SupervisorProgram, TxnCommand};

/// Runs tasks for a Votum coordinator, and publishes what they left when all agree.
#[derive(Debug, Parser)]
#[command(name = "votum-worker", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the attempt that is planned in a directory.
    #[command(hide = true)]
    Supervise { dir: PathBuf },
    /// Look at what this machine's worker has promised, and end a doubt by force.
    #[command(subcommand)]
    Txn(TxnCommand),
}

fn main() -> ExitCode {
    let Arguments { settings, command } = Arguments::parse();
    match command {
        Some(Command::Supervise { dir }) => votum_worker::supervise(&dir),
        Some(Command::Txn(command)) => votum_worker::txn(&command),
        None => votum_worker::run(settings, SupervisorProgram::this_executable(["supervise"])),
    }
}
