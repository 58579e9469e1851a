//! `votum cancel`: ask for an abort.

use clap::Args;
use votum_wire::{Reason, Translate as _, json};

use crate::{
    args::Format,
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Ask for a job to be aborted.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum cancel @last --reason 'wrong date'")]
pub(crate) struct CancelArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Told to the tasks and shown with the job for ever.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Asks for each job to be aborted.
pub(crate) async fn run(args: &CancelArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        let view = client.cancel(&job, &args.reason).await.map_err(|error| {
            let fault = Fault::from(error);
            if fault.is(&Reason::AlreadyDecided) {
                fault.hint(format!("what became visible:  votum show {job}"))
            } else {
                fault
            }
        })?;
        context.screen.result(&match context.screen.format {
            Format::Json => json::to_json_pretty(&view.to_proto()),
            Format::Name => job.to_string(),
            Format::Table => format!(
                "cancelling {job}: nothing of it becomes visible\n  follow:  votum watch {job}"
            ),
        })?;
    }
    Ok(Exit::Done)
}
