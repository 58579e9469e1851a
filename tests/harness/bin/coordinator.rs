//! The coordinator as the tests start it: the same code and the same flags as the real one.

use std::process::ExitCode;

use clap::Parser;
use votum_coordinator::{ConfigArgs, LogArgs, run};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    arguments.log.install()?;
    arguments.log.conclude(coordinate(arguments.config))
}

fn coordinate(config: ConfigArgs) -> anyhow::Result<()> {
    let mut config = config.resolve()?;
    if let Some(protocols) = votum_tests::played_protocols() {
        config.protocols = protocols;
    }
    run(&config)
}
