//! `votum retry`: try at once what waits for another attempt.

use clap::Args;
use votum_ids::TaskId;
use votum_wire::{Reason, hold::RetryJob};

use super::pause::tell;
use crate::{
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Try at once what waits for another attempt.
///
/// A task that waits for the end of its backoff is tried now. A task whose attempts are used up
/// in a job that pauses then gets a fresh round of them, and the job goes on, unless somebody has
/// paused it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum retry @last\n  votum retry nightly-sales/load")]
pub(crate) struct RetryArgs {
    /// A job, or one task of it.
    #[arg(value_name = "JOB[/TASK]")]
    what: String,
}

/// Asks for the attempts.
pub(crate) async fn run(args: &RetryArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let (name, task) = match args.what.split_once('/') {
        Some((name, task)) => (name, Some(task)),
        None => (args.what.as_str(), None),
    };
    let task = task.map(TaskId::new).transpose();
    let task = task.map_err(|error| Fault::usage(error.to_string()))?;
    let job = job_name::resolve(&client, name).await?;
    let view = client.retry(&RetryJob { job: job.clone(), task }).await.map_err(|error| {
        let fault = Fault::from(error);
        if fault.is(&Reason::NothingToRetry) {
            fault.hint(format!("how it stands:  votum show {job}"))
        } else {
            fault
        }
    })?;
    // Somebody's pause outlasts the wish to try again.
    let told = if view.pause.is_some() {
        format!("{job} is tried again once it goes on\n  let it go on:  votum unpause {job}")
    } else {
        format!("{job} is tried again\n  follow:  votum watch {job}")
    };
    tell(context, &view, &told)?;
    Ok(Exit::Done)
}
