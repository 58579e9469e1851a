//! `votum explain`: a job in plain words.

use clap::Args;
use serde_json::json;

use crate::{
    args::Format,
    context::{Context, Patience},
    display::explain,
    exit::Exit,
    fault::Outcome,
    job_name, screen,
};

/// Say in plain words where a job stands, what it waits for and why, and what happens next.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum explain @last\n  votum explain nightly-sales --json")]
pub(crate) struct ExplainArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Explains the job.
pub(crate) async fn run(args: &ExplainArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let view = client.job(&job).await?;
    // What can be said without knowing the workers is said all the same.
    let workers = client.workers().await.unwrap_or_default();
    let told = explain::explain(&view, &workers, screen::now());
    let screen = &context.screen;
    screen.result(&match screen.format {
        Format::Json => screen.document(
            &json!({
                "job": job.as_str(), "state": view.word(), "now": told.now,
                "waitsFor": told.waits, "next": told.next, "commands": told.commands,
            })
            .to_string(),
        ),
        Format::Name => view.word().to_owned(),
        Format::Table => told.text(screen.paint, screen.width()),
    })?;
    Ok(Exit::Done)
}
