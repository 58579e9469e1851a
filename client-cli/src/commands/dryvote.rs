//! `votum dryvote`: what stands in the way of a commit, asked without binding anybody.

use clap::Args;
use votum_wire::{Reason, Translate as _};

use crate::{
    args::Format,
    context::Context,
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_name, screen,
};

/// Ask the workers of a job what stands in the way of its commit, binding nobody.
///
/// Every worker that holds something of the job, or is to publish something, runs the checks of the
/// real vote: free space, publish roots, permissions, what stands at each target, and whether the
/// sealed outputs are whole. Nobody promises anything, and nothing of the job changes. Exit 0 if
/// nothing was found, 1 otherwise. A job does it by itself with `commit: { dry_vote: 1h }`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum dryvote @last\n  votum dryvote nightly-sales --json")]
pub(crate) struct DryvoteArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Prints what was found.
pub(crate) async fn run(args: &DryvoteArgs, context: &Context) -> Outcome {
    let client = context.patient_client()?;
    let job = job_name::resolve(&client, &args.job).await?;
    let came_to = client.dry_vote(&job).await.map_err(|error| {
        let fault = Fault::from(error);
        if fault.is(&Reason::VoteUnderWay) {
            fault.hint(format!("how it stands:  votum show {job}"))
        } else {
            fault
        }
    })?;
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&came_to.to_proto()),
        Format::Name => job.to_string(),
        Format::Table => {
            display::dry_vote::screen(&job, &came_to, screen::now(), context.screen.paint)
        }
    })?;
    Ok(if came_to.is_clean() { Exit::Done } else { Exit::Failure })
}
