//! `votum cancel`: ask for an abort.

use clap::Args;
use votum_wire::{JobView, Reason, Translate as _};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Ask for a job to be aborted, or give up what an aborted one keeps.
///
/// A job with `keep_staged: 24h` keeps, invisible, what it staged when it aborts. Cancelled once
/// more it gives that up: its workers discard it, those that are away when they return.
///
/// One that was cancelled before stays so, and that is no error. One that has ended in another way,
/// and keeps nothing, is refused (exit 6).
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  votum cancel @last --reason 'wrong date'\n  votum cancel nightly-sales-k3f9x2ab --reason 'the disk is full'"
)]
pub(crate) struct CancelArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Told to the tasks and shown with the job for ever.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Asks for each job to be aborted, or for what it kept to be given up.
pub(crate) async fn run(args: &CancelArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        let over = client.job(&job).await?.state.is_final();
        let view = client.cancel(&job, &args.reason).await.map_err(|error| {
            let fault = Fault::from(error);
            if fault.is(&Reason::AlreadyDecided) && fault.part("state").is_none() {
                let back = "to put the earlier versions back, on all workers or none";
                fault.hint(format!("{back}:  votum revert {job}"))
            } else if fault.is(&Reason::AlreadyDecided) {
                fault.hint(format!("what it came to:  votum show {job}"))
            } else if fault.is(&Reason::AlreadyRescued) {
                let successor = fault.part("successor").unwrap_or("JOB").to_owned();
                fault.hint(format!("cancel that one first:  votum cancel {successor}"))
            } else {
                fault
            }
        })?;
        context.screen.result(&match context.screen.format {
            Format::Json => context.screen.encode(&view.to_proto()),
            Format::Name => job.to_string(),
            Format::Table if view.kept_release.is_some() => released(&view),
            Format::Table if over => {
                format!("{job} was cancelled already\n  why:  votum show {job}")
            }
            Format::Table => format!(
                "cancelling {job}: nothing of it becomes visible\n  follow:  votum watch {job}"
            ),
        })?;
    }
    Ok(Exit::Done)
}

/// Says what an aborted job has given up, whoever asked for it first.
fn released(view: &JobView) -> String {
    let release = view.kept_release.as_ref().map(display::job::given_up).unwrap_or_default();
    let job = &view.job;
    format!(
        "gave up what {job} kept: {release}\n  workers that are away discard it when they return"
    )
}
