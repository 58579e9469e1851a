//! The worker daemon, and the supervisor that it runs as for each attempt.

use std::{error::Error, io::Write, iter::successors, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use votum_worker::{Config, Settings, SupervisorProgram, TxnCommand};

/// Runs tasks for a Votum coordinator, and publishes what they left when all agree.
#[derive(Debug, Parser)]
#[command(name = "votum-worker", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Say which settings are in effect and where each comes from, and end.
    #[arg(long)]
    check_config: bool,
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
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Arguments { settings, check_config, command } = arguments;
    match command {
        Some(Command::Supervise { dir }) => votum_worker::supervise(&dir),
        Some(Command::Txn(command)) => votum_worker::txn(&command),
        None if check_config => checked(settings, &matches).unwrap_or_else(|error| {
            let causes = successors(error.source(), |&cause| cause.source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            // There is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "votum-worker: {error}{causes}");
            ExitCode::FAILURE
        }),
        None => votum_worker::run(settings, SupervisorProgram::this_executable(["supervise"])),
    }
}

/// Says which settings are in effect, if a daemon would start with them.
fn checked(settings: Settings, matches: &ArgMatches) -> Result<ExitCode, Box<dyn Error>> {
    let file = settings.config.clone();
    Config::resolve(settings, SupervisorProgram::this_executable(["supervise"]))?;
    let listed = Settings::listed(&Arguments::command())?;
    let text = votum_settings::in_effect(&listed, matches, file.as_deref())?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
