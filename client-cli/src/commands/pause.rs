//! `votum pause` and `votum unpause`: hold a job, and let it go on.

use clap::Args;
use votum_wire::{JobView, Reason, Translate as _, hold::PauseJob};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_name, screen,
};

/// Hold a job: nothing more of it is started or voted on until `unpause`.
///
/// Durable before the answer; restarts of any daemon change nothing about it. What runs goes on,
/// unless --stop-running is given. The job's own timeout goes on counting.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum pause @last --reason 'the source is being repaired'\n  votum pause nightly-sales --stop-running"
)]
pub(crate) struct PauseArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Shown with the job, and told to the tasks that are asked to stop.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Ask what runs to stop; that costs no attempt, and it starts again after `unpause`, from
    /// its last checkpoint where it has one.
    #[arg(long)]
    stop_running: bool,
}

/// Let a paused job go on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum unpause @last")]
pub(crate) struct UnpauseArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
}

/// Holds each job.
pub(crate) async fn pause(args: &PauseArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        let (reason, stop_running) = (args.reason.clone(), args.stop_running);
        let wish = PauseJob { job: job.clone(), reason, stop_running };
        let view = client.pause(&wish).await?;
        let mut words = format!(
            "paused {job}: {}",
            if stop_running { "what runs is asked to stop" } else { "what runs goes on" }
        );
        if view.holds().count() > 1 {
            words.push_str("\nit is held for more than one reason:\n");
            words.push_str(
                &display::job::holds(&view, screen::now()).indented(2).text(context.screen.paint),
            );
            words.push_str(&format!("  all of them end with:  votum unpause {job}"));
        } else {
            words.push_str(&format!("\n  go on:  votum unpause {job}"));
        }
        tell(context, &view, &words)?;
    }
    Ok(Exit::Done)
}

/// Lets each job go on.
pub(crate) async fn unpause(args: &UnpauseArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        let view = client.unpause(&job).await.map_err(|error| {
            let fault = Fault::from(error);
            if fault.is(&Reason::NotPaused) {
                fault.hint(format!("how it stands:  votum show {job}"))
            } else {
                fault
            }
        })?;
        tell(context, &view, &format!("{job} goes on\n  follow:  votum watch {job}"))?;
    }
    Ok(Exit::Done)
}

/// Prints a job that a command has changed, as was asked for.
pub(crate) fn tell(context: &Context, view: &JobView, words: &str) -> Result<(), Fault> {
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => words.to_owned(),
    })?;
    Ok(())
}
