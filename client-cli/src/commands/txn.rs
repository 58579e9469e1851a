//! `votum txn`: open transactions, and who is in doubt.

use clap::{Args, Subcommand};
use votum_client::ClientError;
use votum_wire::{
    Reason, Translate as _, json,
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

/// Prints the transactions, or one.
pub(crate) async fn run(command: &TxnCommand, context: &Context) -> Outcome {
    match command {
        TxnCommand::List(args) => list(args, context).await,
        TxnCommand::Show(args) => show(args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Outcome {
    let txns = context.client(Patience::Short)?.txns(args.in_doubt).await?;
    let page = TxnPage { txns, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&page.to_proto()),
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
        Format::Json => json::to_json_pretty(&txn.to_proto()),
        Format::Name => txn.job.to_string(),
        Format::Table => display::txns::screen(&txn, screen::now(), context.screen.paint),
    })?;
    Ok(Exit::Done)
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

const LIST_HELP: &str = "\
Examples:
  votum txn list
  votum txn list --in-doubt -o name

A participant is in doubt from its YES until it has learned the decision. What is listed is what
the coordinator knows; each worker logs its own doubts, and for how long they last.";
