//! `votum txn`: open transactions, and who is in doubt.

use clap::{Args, Subcommand};
use votum_client::ClientError;
use votum_ids::{JobId, WorkerId};
use votum_wire::{
    Reason, Translate as _,
    forced::ForceParticipant,
    txn::{TxnPage, TxnView},
};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_name, screen,
};

/// Look at open transactions, and who is in doubt.
#[derive(Debug, Subcommand)]
pub(crate) enum TxnCommand {
    /// List the open transactions: jobs that collect votes, commit or abort.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show the open transaction of a job, one line for each participant.
    Show(ShowArgs),
    /// Give a lost worker up that a decided commit waits for: the job ends without its outputs.
    Force(ForceArgs),
}

/// List the open transactions.
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
pub(crate) struct ListArgs {
    /// Only those with a participant that is in doubt, as far as the coordinator knows.
    #[arg(long)]
    in_doubt: bool,
}

/// Show the open transaction of a job.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum txn show @last")]
pub(crate) struct ShowArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Give a lost worker up that a decided commit waits for.
#[derive(Debug, Args)]
#[command(after_help = FORCE_HELP)]
pub(crate) struct ForceArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Who is waited for no longer.
    #[arg(long, value_name = "W")]
    worker: WorkerId,
    /// Why; required, and kept with the job for ever.
    #[arg(long, value_name = "TEXT", value_parser = super::case::reason)]
    reason: String,
    /// The id of the job once more, in full: nobody does this by accident.
    #[arg(long, value_name = "JOB")]
    confirm: JobId,
}

/// Prints the transactions, or one.
pub(crate) async fn run(command: &TxnCommand, context: &Context) -> Outcome {
    match command {
        TxnCommand::List(args) => list(args, context).await,
        TxnCommand::Show(args) => show(args, context).await,
        TxnCommand::Force(args) => force(args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Outcome {
    let txns = context.client(Patience::Short)?.txns(args.in_doubt).await?;
    let page = TxnPage { txns, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&page.to_proto()),
        Format::Name => page.txns.iter().map(|txn| format!("{}\n", txn.job)).collect(),
        Format::Table if page.txns.is_empty() => {
            let words = if args.in_doubt {
                "nobody is in doubt, as far as the coordinator knows"
            } else {
                "no open transactions"
            };
            context.screen.remark(words)?;
            return Ok(Exit::Done);
        }
        Format::Table => display::txns::list(&page.txns, screen::now()).text(context.screen.paint),
    })?;
    Ok(Exit::Done)
}

async fn show(args: &ShowArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let txn: TxnView = client.txn(&job).await.map_err(hinted)?;
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&txn.to_proto()),
        Format::Name => txn.job.to_string(),
        Format::Table => display::txns::screen(&txn, screen::now(), context.screen.paint),
    })?;
    Ok(Exit::Done)
}

async fn force(args: &ForceArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    if args.confirm != job {
        let words = format!("--confirm {} does not name the job, which is {job}", args.confirm);
        return Err(Fault::usage(words).hint(format!("look at it first:  votum show {job}")));
    }
    let (worker, reason) = (args.worker.clone(), args.reason.clone());
    let wish = ForceParticipant { job: job.clone(), worker, reason };
    let view = client.force(&wish).await.map_err(|error| refused(error, &wish))?;
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => job.to_string(),
        Format::Table => format!(
            "{} is given up: {job} ends without its outputs and is MIXED\n  if it comes back, it is \
             told to publish, and the mix is healed\n  how it stands:  votum show {job}",
            args.worker
        ),
    })?;
    Ok(Exit::Done)
}

/// Says what else there is to do.
fn refused(error: ClientError, wish: &ForceParticipant) -> Fault {
    let (fault, job) = (Fault::from(error), &wish.job);
    if fault.is(&Reason::NotDecided) {
        fault.hint(format!("end it:  votum cancel {job}"))
    } else if fault.is(&Reason::WorkerNotLost) {
        fault.hint(format!("how it fares:  votum worker show {}", wish.worker))
    } else {
        fault.hint(format!("how it stands:  votum show {job}"))
    }
}

/// Says what to do about a refusal.
fn hinted(error: ClientError) -> Fault {
    let fault = Fault::from(error);
    if fault.is(&Reason::NoOpenTxn) {
        fault.hint("how it stands:  votum show JOB").hint("which are open: votum txn list")
    } else {
        fault
    }
}

const FORCE_HELP: &str = "\
Example:
  votum txn force nightly-sales-k3f9x2ab --worker s3 --reason 'its disk is gone' \\
      --confirm nightly-sales-k3f9x2ab

Allowed only while COMMIT is decided, the worker has not published what it promised, and it is lost:
then `votum case list` has a case for it. The decision stands. The job ends COMMITTED without the
outputs of that worker and is MIXED (exit code 9); who forced it and why stays in its history. Should
the worker come back with its data, it is told to publish, and the mix is healed. `votum worker delete`
says that it never will.";

const LIST_HELP: &str = "\
Examples:
  votum txn list
  votum txn list --in-doubt -o name

A participant is in doubt from its YES until it has learned the decision. What is listed is what
the coordinator knows; each worker logs its own doubts, and for how long they last.";
