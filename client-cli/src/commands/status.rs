//! `votum status`: the cluster on one screen.

use clap::Args;
use votum_client::{Client, ClientError};
use votum_wire::Translate as _;

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    follow, screen,
};

/// Show the cluster on one screen.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum status\n  votum status -w")]
pub(crate) struct StatusArgs {
    /// Stay, and look again every two seconds.
    #[arg(short, long)]
    watch: bool,
}

/// Prints how the cluster fares.
pub(crate) async fn run(args: &StatusArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    if args.watch {
        return follow::again_and_again(context, async || look(&client, context).await).await;
    }
    context.screen.result(&look(&client, context).await?)?;
    Ok(Exit::Done)
}

async fn look(client: &Client, context: &Context) -> Result<String, Fault> {
    let view = client.cluster().await?;
    let address = context.global.address();
    Ok(match context.screen.format {
        Format::Json => context.screen.encode(&view.to_proto()),
        Format::Name => view.cluster.to_string(),
        Format::Table => {
            let cases = open_cases(client).await;
            display::cluster::status(&view, &cases, address, screen::now(), context.screen.paint)
        }
    })
}

/// Counts what waits for a person. What cannot be asked is said, and keeps nothing back.
async fn open_cases(client: &Client) -> String {
    match client.case_page(CASES_MAX, None).await {
        Ok(page) if page.cases.is_empty() => "none".to_owned(),
        Ok(page) => {
            let more = if page.next.is_some() { " or more" } else { "" };
            format!("{}{more} open:  votum case list", page.cases.len())
        }
        Err(ClientError::Refused(problem)) => format!("unknown: {}", problem.message),
        Err(error) => format!("unknown: {error}"),
    }
}

/// More than so many are not counted.
const CASES_MAX: usize = 200;
