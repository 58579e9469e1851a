//! `votum worker list` and `votum worker show`.

use clap::{Args, Subcommand};
use votum_ids::WorkerId;
use votum_job::closest;
use votum_wire::{Reason, Translate as _, json, request::WorkerPage};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    screen,
};

/// Look at the workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the workers.
    #[command(visible_alias = "ls", after_help = "Example:\n  votum worker list")]
    List,
    /// Show one worker.
    Show(ShowArgs),
}

/// Show one worker.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum worker show s1")]
pub(crate) struct ShowArgs {
    /// The worker.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,
}

/// Prints the workers, or one.
pub(crate) async fn run(command: &WorkerCommand, context: &Context) -> Outcome {
    match command {
        WorkerCommand::List => list(context).await,
        WorkerCommand::Show(args) => show(args, context).await,
    }
}

async fn list(context: &Context) -> Outcome {
    let workers = context.client(Patience::Short)?.workers().await?;
    let page = WorkerPage { workers, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&page.to_proto()),
        Format::Name => page.workers.iter().map(|view| format!("{}\n", view.worker)).collect(),
        Format::Table if page.workers.is_empty() => {
            context.screen.remark("no workers have connected yet")?;
            return Ok(Exit::Done);
        }
        Format::Table => {
            display::cluster::workers(&page.workers, screen::now()).text(context.screen.paint)
        }
    })?;
    Ok(Exit::Done)
}

async fn show(args: &ShowArgs, context: &Context) -> Outcome {
    let workers = context.client(Patience::Short)?.workers().await?;
    let Some(view) = workers.iter().find(|view| view.worker == args.worker) else {
        let reason = Reason::WorkerNotFound;
        let fault =
            Fault::new(Exit::NotFound, reason.as_str(), format!("no worker {}", args.worker))
                .with("worker", &args.worker);
        let meant = closest(args.worker.as_str(), workers.iter().map(|view| view.worker.as_str()));
        return Err(match meant {
            Some(meant) => fault.hint(format!("did you mean {meant}?")),
            None => fault.hint("which there are:  votum worker list"),
        });
    };
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&view.to_proto()),
        Format::Name => view.worker.to_string(),
        Format::Table => display::cluster::worker(view, screen::now()).text(context.screen.paint),
    })?;
    Ok(Exit::Done)
}
