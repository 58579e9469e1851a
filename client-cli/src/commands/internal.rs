//! `votum internal`: the processes that `votum dev` and a worker start, in the one executable.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Subcommand};
use rustix::process::{Signal, set_parent_process_death_signal};
use votum_coordinator::{ConfigArgs, LogArgs};
use votum_worker::{Settings, SupervisorProgram};

use crate::args::Cli;

/// Processes that `votum dev` starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Internal {
    /// The coordinator.
    Coordinator {
        /// End when the process that started this one is gone.
        #[arg(long)]
        die_with_parent: bool,
        #[command(flatten)]
        settings: ConfigArgs,
        #[command(flatten)]
        log: LogArgs,
    },
    /// A worker.
    Worker {
        /// End when the process that started this one is gone.
        #[arg(long)]
        die_with_parent: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Writes the manual: a page for each command.
    Man {
        /// Where the pages are put.
        directory: PathBuf,
    },
    /// Stays with the process of one attempt.
    Supervisor {
        /// The attempt's directory.
        directory: PathBuf,
    },
}

/// Is that process until it ends.
pub(crate) fn run(command: Internal) -> ExitCode {
    match command {
        Internal::Coordinator { die_with_parent, settings, log } => {
            tie_to_parent(die_with_parent);
            coordinate(settings, &log).map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
        }
        Internal::Worker { die_with_parent, settings } => {
            tie_to_parent(die_with_parent);
            let supervisor = SupervisorProgram::this_executable(["internal", "supervisor"]);
            votum_worker::run(settings, supervisor)
        }
        Internal::Man { directory } => {
            let written = std::fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &directory))
                .with_context(|| format!("cannot write into {}", directory.display()));
            written.map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
        }
        // A supervisor outlives its worker, and its parent's end means nothing to it.
        Internal::Supervisor { directory } => votum_worker::supervise(&directory),
    }
}

fn coordinate(settings: ConfigArgs, log: &LogArgs) -> anyhow::Result<()> {
    log.install()?;
    votum_coordinator::run(&settings.resolve()?)
}

/// A killed `votum dev` leaves no daemons behind. Where the system cannot promise that, they
/// stay until they are stopped by hand.
fn tie_to_parent(wanted: bool) {
    if wanted {
        let _ = set_parent_process_death_signal(Some(Signal::TERM));
    }
}

#[expect(clippy::print_stderr, reason = "a daemon's last words go to its log file")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
