//! `votum show`: one job on one screen.

use clap::Args;
use votum_wire::Translate as _;

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::Outcome,
    job_name, screen,
};

/// Show one job: its tasks, votes, outputs, and why it stands where it stands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  votum show @last
  votum show nightly-sales --json

Exit code 5 as well when its records were deleted: it says when and by whom.")]
pub(crate) struct ShowArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Prints the job.
pub(crate) async fn run(args: &ShowArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let view = client.job(&job).await?;
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => display::job::screen(&view, screen::now(), context.screen.paint),
    })?;
    // What is left of it says that it was deleted, and by whom.
    Ok(if view.is_removed() { Exit::NotFound } else { Exit::Done })
}
