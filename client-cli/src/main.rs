//! `votum`: the command line of Votum.

mod args;
mod commands;
mod context;
mod dev;
mod display;
mod exit;
mod fault;
mod follow;
mod job_file;
mod job_name;
mod last;
mod live;
mod screen;

use std::{io, process::ExitCode};

use clap::Parser as _;
use tokio::runtime::Builder;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    args::{Cli, Command, Program},
    context::Context,
    fault::Outcome,
};

fn main() -> ExitCode {
    let Cli { global, program } = Cli::parse();
    let command = match program {
        // A daemon shares nothing with the commands.
        Program::Internal(process) => return commands::internal::run(*process),
        Program::Command(command) => command,
    };
    let context = Context::new(global);
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

fn log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).init();
}
