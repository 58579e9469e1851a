//! `votum list`: jobs, newest first.

use std::collections::BTreeSet;

use clap::Args;
use votum_wire::{
    JobState, Translate as _, json,
    request::{Detail, JobPage},
};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::Outcome,
    screen,
};

/// List jobs, newest first.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum list\n  votum ls --state running,preparing --limit 5 -o name"
)]
pub(crate) struct ListArgs {
    /// Only jobs in one of these states, such as `running,committed`.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state)]
    states: Vec<JobState>,
    /// Print at most this many jobs.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Prints the jobs.
pub(crate) async fn run(args: &ListArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let states: BTreeSet<JobState> = args.states.iter().copied().collect();
    let jobs = client.jobs(&states, Detail::Basic, args.limit).await?;
    let page = JobPage { jobs, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&page.to_proto()),
        Format::Name => page.jobs.iter().map(|view| format!("{}\n", view.job)).collect(),
        Format::Table if page.jobs.is_empty() => {
            context
                .screen
                .remark("no jobs\n  the first one:  votum run docs/examples/hello.yaml")?;
            return Ok(Exit::Done);
        }
        Format::Table => display::jobs::list(&page.jobs, screen::now()).text(context.screen.paint),
    })?;
    if context.screen.format == Format::Table && page.jobs.len() == args.limit {
        context.screen.remark(&format!("the newest {}; --limit shows more", args.limit))?;
    }
    Ok(Exit::Done)
}

/// Reads the word of a state.
fn state(word: &str) -> Result<JobState, String> {
    let known = || JobState::ALL.iter().map(|state| state.word().to_lowercase());
    JobState::ALL
        .into_iter()
        .find(|state| state.word().eq_ignore_ascii_case(word))
        .ok_or_else(|| format!("it is one of {}", known().collect::<Vec<_>>().join(", ")))
}
