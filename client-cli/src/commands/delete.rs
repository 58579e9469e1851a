//! `votum delete`: forget a finished job.

use clap::Args;
use votum_wire::Reason;

use crate::{
    args::Format,
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Forget finished jobs before their retention is over.
///
/// Their history and their outcome go. What a job has published stays where it is. Its id is not
/// free at once: `show` says that it was deleted. A job that has not ended, or of which something
/// is still owed, is refused (exit 6).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum delete nightly-sales-k3f9x2ab\n  votum list --state aborted --limit 500 -o name | xargs votum rm"
)]
pub(crate) struct DeleteArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
}

/// Forgets one job after the other; the first that is refused ends it.
pub(crate) async fn run(args: &DeleteArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        client.delete_job(&job).await.map_err(|error| {
            let fault = Fault::from(error);
            if fault.is(&Reason::JobNotEnded) {
                fault.hint(format!("end it first:  votum cancel {job}"))
            } else {
                fault
            }
        })?;
        context.screen.result(&match context.screen.format {
            Format::Json => context.screen.document(&format!("{{\"deleted\":\"jobs/{job}\"}}")),
            Format::Name => job.to_string(),
            Format::Table => format!("deleted {job}; what it published stays"),
        })?;
    }
    Ok(Exit::Done)
}
