//! `votum wait`: block until jobs have ended, quietly.

use clap::{Args, ValueEnum};
use votum_client::Until;
use votum_wire::{JobState, JobView, Translate as _, json};

use crate::{
    args::Format,
    context::{Context, Patience},
    display::{hooks, outcome},
    exit::{Exit, JOB_CODES},
    fault::Outcome,
    job_name,
};

/// Block until jobs have ended, quietly.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JOB_CODES}"))]
pub(crate) struct WaitArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Exit 0 when this came, and by the outcome when it no longer can [default: committed].
    #[arg(long = "for", value_name = "WHAT")]
    wanted: Option<Wanted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Everything is visible.
    Committed,
    /// Nothing became visible.
    Aborted,
    /// Either.
    Ended,
}

/// Waits for each job in turn; the first that came out otherwise decides the exit code.
pub(crate) async fn run(args: &WaitArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Endless)?;
    let mut exit = Exit::Done;
    for name in &args.jobs {
        let job = job_name::resolve(&client, name).await?;
        let view = client.wait(&job, Until::EndedOrHeldBack, context.global.timeout).await?;
        context.screen.result(&match context.screen.format {
            Format::Json => json::to_json(&view.to_proto()),
            Format::Name => job.to_string(),
            Format::Table => outcome::sentence(&view),
        })?;
        if let (Format::Table, Some(words)) = (context.screen.format, hooks::goes_on(&view)) {
            context.screen.remark(&format!("  then:    {words}"))?;
        }
        if exit == Exit::Done {
            exit = verdict(args.wanted, &view);
        }
    }
    Ok(exit)
}

fn verdict(wanted: Option<Wanted>, view: &JobView) -> Exit {
    match (wanted, view.state) {
        (Some(Wanted::Ended), state) if state.is_final() && state != JobState::Quarantined => {
            Exit::Done
        }
        (Some(Wanted::Aborted), JobState::Aborted) => Exit::Done,
        (Some(Wanted::Aborted), JobState::Committed) => Exit::Refused,
        // It has not ended, and does not by itself.
        (_, JobState::Quarantined) => Exit::Failure,
        (
            None | Some(Wanted::Committed | Wanted::Aborted | Wanted::Ended),
            JobState::Received
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing
            | JobState::Committing
            | JobState::Committed
            | JobState::Aborting
            | JobState::Aborted,
        ) => outcome::exit_of(view),
    }
}

const EXAMPLES: &str = "\
Examples:
  votum wait @last && echo visible everywhere
  votum wait a-7k2m b-9x4p --for ended --timeout 2h

A job that is decided to commit but waits for a lost worker to publish does not end by itself: the
wait is over then, with exit code 10, and `votum case list` names the case.";
