//! The coordinator as the tests start it: the same code and the same flags as the real one.

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
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    arguments.log.install()?;
    let mut config = arguments.config.resolve()?;
    if let Some(protocols) = votum_tests::played_protocols() {
        config.protocols = protocols;
    }
    serve(config).await
}
