//! The coordinator as the tests start it: the same code and the same flags as the real one.

use std::process::ExitCode;

use clap::Parser;
use votum_coordinator::{ConfigArgs, LogArgs, serve};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    arguments.log.install()?;
    arguments.log.conclude(run(arguments.config).await)
}

async fn run(config: ConfigArgs) -> anyhow::Result<()> {
    let mut config = config.resolve()?;
    if let Some(protocols) = votum_tests::played_protocols() {
        config.protocols = protocols;
    }
    serve(config).await
}
