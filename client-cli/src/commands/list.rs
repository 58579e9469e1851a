//! `votum list`: jobs, newest first.

use clap::Args;
use votum_wire::{
    JobState, Translate as _, json,
    request::{Detail, JobPage, Wanted},
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
    /// Only jobs in one of these states, such as `running,committed`; `paused` are all that are held.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state)]
    states: Vec<Standing>,
    /// Print at most this many jobs.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Prints the jobs.
pub(crate) async fn run(args: &ListArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let wanted = wanted(&args.states);
    let jobs = client.jobs(&wanted, Detail::Basic, args.limit).await?;
    let page = JobPage { jobs, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&page.to_proto()),
        Format::Name => page.jobs.iter().map(|view| format!("{}\n", view.job)).collect(),
        Format::Table if page.jobs.is_empty() && wanted != Wanted::default() => {
            context.screen.remark("no such jobs\n  all jobs:  votum list")?;
            return Ok(Exit::Done);
        }
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

/// Where a job may stand, as `--state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In this state.
    In(JobState),
    /// Held, whatever its state.
    Paused,
}

fn wanted(standings: &[Standing]) -> Wanted {
    let mut wanted = Wanted::default();
    for standing in standings {
        match standing {
            Standing::In(state) => {
                wanted.states.insert(*state);
            }
            Standing::Paused => wanted.paused = true,
        }
    }
    wanted
}

/// Reads the word of a state.
fn state(word: &str) -> Result<Standing, String> {
    if PAUSED.iter().any(|paused| paused.eq_ignore_ascii_case(word)) {
        return Ok(Standing::Paused);
    }
    if AWAITING.eq_ignore_ascii_case(word) {
        return Ok(Standing::In(JobState::AwaitingApproval));
    }
    let known = || JobState::ALL.iter().map(|state| state.word().to_lowercase());
    let found = JobState::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(word));
    found.map(Standing::In).ok_or_else(|| {
        format!("it is one of {}, {}", known().collect::<Vec<_>>().join(", "), PAUSED[0])
    })
}

/// What the list calls a job that waits for an approval.
const AWAITING: &str = "awaiting";
/// What a job that is held is called, after and before all of it has stopped.
const PAUSED: [&str; 2] = ["paused", "pausing"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_jobs_can_be_asked_for_like_any_state() {
        let standings: Vec<_> = ["Paused", "running"].map(|word| state(word).unwrap()).into();
        let wanted = wanted(&standings);
        assert_eq!((wanted.states.len(), wanted.paused), (1, true));
        assert!(state("held").unwrap_err().ends_with("aborted, quarantined, paused"));
    }
}
