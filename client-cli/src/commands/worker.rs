//! `votum worker`: look at the workers, drain them, take them up again, remove them.

use std::time::Duration;

use clap::{Args, Subcommand};
use votum_client::ClientError;
use votum_ids::WorkerId;
use votum_job::closest;
use votum_wire::{
    Reason, Translate as _, WorkerState, WorkerView,
    operation::{DeleteWorker, DrainWorker},
    request::WorkerPage,
};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    follow,
    job_file::duration,
    screen,
};

/// Look at the workers, and operate them.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the workers.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one worker.
    Show(ShowArgs),
    /// Give a worker no further attempts: what runs there finishes, what is staged there counts.
    Drain(DrainArgs),
    /// Give a drained worker attempts again.
    Resume(ResumeArgs),
    /// Remove a worker that is gone for good.
    Delete(DeleteArgs),
}

/// List the workers.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum worker list\n  votum worker list -w\n  votum worker list -o wide"
)]
pub(crate) struct ListArgs {
    /// Stay, and look again every two seconds.
    #[arg(short, long)]
    watch: bool,
}

/// Show one worker.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum worker show s1")]
pub(crate) struct ShowArgs {
    /// The worker.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,
}

/// Give a worker no further attempts.
#[derive(Debug, Args)]
#[command(after_help = DRAIN_HELP)]
pub(crate) struct DrainArgs {
    /// The worker.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,
    /// Stop what still runs after this long, and run it elsewhere; never if not given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,
    /// Told to the tasks that are stopped, and shown with the worker.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Give a drained worker attempts again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum worker resume s1")]
pub(crate) struct ResumeArgs {
    /// The worker.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,
}

/// Remove a worker that is gone for good.
#[derive(Debug, Args)]
#[command(after_help = DELETE_HELP)]
pub(crate) struct DeleteArgs {
    /// The worker.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,
    /// Told to the installation if it returns.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Prints the workers, or one.
pub(crate) async fn run(command: &WorkerCommand, context: &Context) -> Outcome {
    match command {
        WorkerCommand::List(args) => list(args, context).await,
        WorkerCommand::Show(args) => show(args, context).await,
        WorkerCommand::Drain(args) => drain(args, context).await,
        WorkerCommand::Resume(args) => resume(args, context).await,
        WorkerCommand::Delete(args) => delete(args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    if args.watch {
        return follow::again_and_again(context, async || {
            Ok(table(&client.workers().await?, context))
        })
        .await;
    }
    let workers = client.workers().await?;
    let page = WorkerPage { workers, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&page.to_proto()),
        Format::Name => page.workers.iter().map(|view| format!("{}\n", view.worker)).collect(),
        Format::Table if page.workers.is_empty() => {
            context.screen.remark("no workers have connected yet")?;
            return Ok(Exit::Done);
        }
        Format::Table => table(&page.workers, context),
    })?;
    Ok(Exit::Done)
}

fn table(workers: &[WorkerView], context: &Context) -> String {
    let screen = &context.screen;
    display::cluster::workers(workers, screen::now()).fitted(screen.paint, screen.width())
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
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => view.worker.to_string(),
        Format::Table => display::cluster::worker(view, screen::now()).text(context.screen.paint),
    })?;
    Ok(Exit::Done)
}

async fn drain(args: &DrainArgs, context: &Context) -> Outcome {
    let DrainArgs { worker, deadline, reason } = args;
    let order =
        DrainWorker { worker: worker.clone(), time_limit: *deadline, reason: reason.clone() };
    let view = context
        .client(Patience::Long)?
        .drain_worker(&order)
        .await
        .map_err(|error| hinted(error, worker))?;
    let left = display::cluster::left(&view);
    let sentence = if view.state == WorkerState::Drained {
        format!("{worker} is drained: {left}")
    } else {
        format!("draining {worker}: {left}\n  look again:  votum worker show {worker}")
    };
    print(context, &view, sentence)
}

async fn resume(args: &ResumeArgs, context: &Context) -> Outcome {
    let view = context
        .client(Patience::Long)?
        .resume_worker(&args.worker)
        .await
        .map_err(|error| hinted(error, &args.worker))?;
    print(context, &view, format!("{} takes attempts again", args.worker))
}

async fn delete(args: &DeleteArgs, context: &Context) -> Outcome {
    let DeleteArgs { worker, reason } = args;
    let order = DeleteWorker { worker: worker.clone(), reason: reason.clone() };
    let view = context
        .client(Patience::Short)?
        .delete_worker(&order)
        .await
        .map_err(|error| hinted(error, worker))?;
    let lost = match (view.running.len(), view.holds.len()) {
        (0, 0) => "nothing of an open job was there".to_owned(),
        (running, jobs) => format!(
            "{running} attempts are lost, and staged outputs of {jobs} open jobs; what is needed \
             runs again elsewhere"
        ),
    };
    print(context, &view, format!("removed {worker} ({}): {lost}", view.uid))
}

fn print(context: &Context, view: &WorkerView, sentence: String) -> Outcome {
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => view.worker.to_string(),
        Format::Table => sentence,
    })?;
    Ok(Exit::Done)
}

/// Says what to do about a refusal.
fn hinted(error: ClientError, worker: &WorkerId) -> Fault {
    let fault = Fault::from(error);
    if fault.is(&Reason::WorkerNotFound) {
        fault.hint("which there are:  votum worker list")
    } else if fault.is(&Reason::WorkerConnected) {
        fault.hint(format!("take its work away, and stop its daemon:  votum worker drain {worker}"))
    } else if fault.is(&Reason::WorkerInDoubt) {
        fault
            .hint("what each waits for:  votum show JOB")
            .hint("give it up where COMMIT waits for it, lost:  votum txn force JOB --worker W")
    } else {
        fault
    }
}

const DRAIN_HELP: &str = "\
Examples:
  votum worker drain s1
  votum worker drain s1 --deadline 10m --reason 'another disk'

A worker is DRAINED once nothing of any open job is there: then its machine may be switched off.
What is stopped at the deadline runs again elsewhere and pays no attempt for it.";
const DELETE_HELP: &str = "\
Example:
  votum worker delete s1 --reason 'the disk burnt'

What it ran and held is lost at once, and its installation is never admitted again; another one
may then have the name. Refused (exit 6) while it is connected, or while a vote or a commit waits
for it.";
