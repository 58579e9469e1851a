//! The worker as the tests start it: the same code and the same flags as the real one.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use votum_worker::{Settings, SupervisorProgram, TxnCommand};

#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(hide = true)]
    Supervise { dir: PathBuf },
    #[command(subcommand)]
    Txn(TxnCommand),
}

fn main() -> ExitCode {
    let Arguments { mut settings, command } = Arguments::parse();
    settings.protocols = votum_tests::played_protocols();
    match command {
        Some(Command::Supervise { dir }) => votum_worker::supervise(&dir),
        Some(Command::Txn(command)) => votum_worker::txn(&command),
        None => votum_worker::run(settings, SupervisorProgram::this_executable(["supervise"])),
    }
}
