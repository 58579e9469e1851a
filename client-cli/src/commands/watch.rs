//! `votum watch`: follow a job until it ends.

use clap::Args;

use crate::{
    context::{Context, Patience},
    exit::JOB_CODES,
    fault::Outcome,
    follow, job_name,
};

/// Follow a job live until it ends.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JOB_CODES}"))]
pub(crate) struct WatchArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Follows the job.
pub(crate) async fn run(args: &WatchArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Endless)?;
    let job = job_name::resolve(&client, &args.job).await?;
    follow::to_the_end(&client, &job, context).await
}

const EXAMPLES: &str = "\
Examples:
  votum watch @last
  votum watch nightly-sales | tee nightly.log

Ends as well, with exit code 10, when a decided commit waits for a lost worker: a person decides.";
