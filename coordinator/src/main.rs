//! The coordinator daemon.

use clap::Parser;
use votum_coordinator::{ConfigArgs, LogArgs, serve};

/// Coordinates all-or-nothing jobs across many machines.
#[derive(Debug, Parser)]
#[command(name = "votum-coordinator", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    arguments.log.install()?;
    serve(arguments.config.resolve()?).await
}
