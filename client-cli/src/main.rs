//! `votum`: the command line of Votum.

mod access;
mod args;
mod commands;
#[cfg(test)]
mod configured;
mod content;
mod context;
mod contexts;
mod dev;
mod display;
#[cfg(test)]
mod documented;
mod exit;
mod fault;
mod follow;
mod job_file;
mod job_name;
mod last;
mod live;
#[cfg(test)]
mod reference;
mod screen;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::Builder;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    args::{Cli, Command, Program},
    context::Context,
    fault::Outcome,
};

fn main() -> ExitCode {
    let Cli { global, program } = Cli::try_parse().unwrap_or_else(|error| refuse(error));
    let command = match program {
        // A daemon shares nothing with the commands.
        Program::Internal(process) => return commands::internal::run(*process),
        Program::Command(command) => command,
    };
    let (global, unchosen) = match contexts::choose(global.clone()) {
        Ok(global) => (global, None),
        Err(fault) => (global, Some(fault)),
    };
    let context = Context::new(global);
    // A context that is not there keeps nobody from making it.
    if let Some(fault) = unchosen.filter(|_| command.needs_coordinator()) {
        let told = context.screen.fault(&fault);
        return told.map_or(ExitCode::FAILURE, |()| fault.exit.into());
    }
    match execute(command, &context) {
        Ok(exit) => exit.into(),
        Err(fault) => {
            let told = if fault.is_silent() { Ok(()) } else { context.screen.fault(&fault) };
            // With standard error gone there is nobody left to tell.
            told.map_or(ExitCode::FAILURE, |()| fault.exit.into())
        }
    }
}

fn execute(command: Command, context: &Context) -> Outcome {
    log(context.global.verbose);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(commands::run(command, context))
}

/// Tells what is wrong with the command line, or the help, and exits.
///
/// What variables of the environment say would stand in the usage line as if it had to be typed.
fn refuse(error: clap::Error) -> ! {
    if error.use_stderr() {
        let plain = Cli::command().mut_args(|arg| arg.env(None::<&str>));
        if let Err(plain) = plain.try_get_matches() {
            plain.exit();
        }
    }
    error.exit()
}

/// Writes down what goes on: once what Votum itself does, twice what its libraries do, too.
fn log(verbose: u8) {
    let wanted = match verbose {
        0 => return,
        1 => Targets::new().with_target("votum", LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(wanted).init();
}
