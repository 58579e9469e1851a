//! `votum status`: the cluster on one screen.

use votum_client::{Client, ClientError};
use votum_wire::{Translate as _, json};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::Outcome,
    screen,
};

/// Prints how the cluster fares.
pub(crate) async fn run(context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let view = client.cluster().await?;
    let address = &context.global.address;
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&view.to_proto()),
        Format::Name => view.cluster.to_string(),
        Format::Table => {
            let cases = open_cases(&client).await;
            display::cluster::status(&view, &cases, address, screen::now(), context.screen.paint)
        }
    })?;
    Ok(Exit::Done)
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
