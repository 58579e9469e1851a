//! `votum wait`: block until jobs have come so far, quietly.

use std::{future::pending, str::FromStr, time::Duration};

use clap::Args;
use tokio::task::JoinSet;
use votum_client::{Client, ClientError};
use votum_commit::Decision;
use votum_ids::JobId;
use votum_wire::{JobState, JobView, Translate as _, json};

use crate::{
    args::Format,
    context::{Context, Patience},
    display::{amount, hooks, outcome},
    exit::{Exit, JOB_CODES},
    fault::{Fault, Outcome},
    follow, job_name,
};

/// Block until jobs have ended or come so far, quietly.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JOB_CODES}"))]
pub(crate) struct WaitArgs {
    /// The jobs.
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Exit 0 when this came, and by the outcome when it no longer can.
    ///
    /// `committed`: everything is visible. `aborted`: nothing became visible. `ended`: either.
    /// `prepared`: everybody has voted for it, so that it is decided to commit, be it visible or
    /// not. `state=STATE`: it is in this state, or has passed it on its way to a commit; a state
    /// that it leaves at once may be missed.
    #[arg(long = "for", value_name = "WHAT", default_value = "committed")]
    wanted: Wanted,
    /// Be content with the first of the jobs of which it came.
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// Wait for every one of the jobs, which is what is done without it.
    #[arg(long)]
    all: bool,
}

/// How far a job shall come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Committed,
    Aborted,
    Ended,
    Prepared,
    State(JobState),
}

impl Wanted {
    /// Says whether a job has come so far.
    fn came(self, view: &JobView) -> bool {
        match self {
            Self::Committed => view.state == JobState::Committed && !view.is_mixed(),
            Self::Aborted => view.state == JobState::Aborted,
            Self::Ended => view.state.is_final() && view.state != JobState::Quarantined,
            Self::Prepared => view.decision == Some(Decision::Commit),
            Self::State(wanted) => view.state == wanted || has_passed(wanted, view.state),
        }
    }

    /// Returns the exit code if a job has come so far, or can no longer.
    fn verdict(self, view: &JobView) -> Option<Exit> {
        if self.came(view) {
            return Some(Exit::Done);
        }
        let is_over = view.state.is_final() || view.is_held_back();
        let exit = outcome::exit_of(view);
        // It came out well, but not as it was wanted.
        is_over.then_some(if exit == Exit::Done { Exit::Refused } else { exit })
    }
}

/// Says whether a job in a state was in the other before, as every job on its way to a commit.
fn has_passed(wanted: JobState, state: JobState) -> bool {
    let way = [
        JobState::Received,
        JobState::Running,
        JobState::Preparing,
        JobState::Committing,
        JobState::Committed,
    ];
    let place = |state| way.iter().position(|one| *one == state);
    place(wanted).is_some_and(|wanted| place(state).is_some_and(|state| wanted < state))
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "committed" => return Ok(Self::Committed),
            "aborted" => return Ok(Self::Aborted),
            "ended" => return Ok(Self::Ended),
            "prepared" => return Ok(Self::Prepared),
            _unnamed => {}
        }
        let state = text.strip_prefix("state=").ok_or_else(|| {
            "it is one of committed, aborted, ended, prepared, state=STATE".to_owned()
        })?;
        let found = JobState::ALL.into_iter().find(|one| one.word().eq_ignore_ascii_case(state));
        found.map(Self::State).ok_or_else(|| {
            let known = JobState::ALL.map(|state| state.word().to_lowercase());
            format!("a state is one of {}", known.join(", "))
        })
    }
}

/// Waits for all jobs at once; of those that came out otherwise the first that was named decides
/// the exit code.
pub(crate) async fn run(args: &WaitArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Endless)?;
    let mut names = Vec::new();
    for name in &args.jobs {
        names.push(job_name::resolve(&client, name).await?);
    }
    match follow::unless_interrupted(awaited(args, &client, &names, context)).await {
        Some(outcome) => outcome,
        None => {
            context.screen.remark("stopped waiting; the jobs go on")?;
            Ok(Exit::Interrupted)
        }
    }
}

async fn awaited(args: &WaitArgs, client: &Client, names: &[JobId], context: &Context) -> Outcome {
    let mut waiting = JoinSet::new();
    for (place, job) in names.iter().enumerate() {
        let (client, job, wanted) = (client.clone(), job.clone(), args.wanted);
        waiting.spawn(async move { (place, waited(&client, &job, wanted).await) });
    }
    let mut exits: Vec<Option<Exit>> = vec![None; names.len()];
    let mut over = std::pin::pin!(passed(context.global.timeout));
    loop {
        let came = tokio::select! {
            came = waiting.join_next() => came,
            () = &mut over => return Err(not_yet(names, &exits, context.global.timeout)),
        };
        let Some(came) = came else { break };
        let (place, waited) = came.map_err(std::io::Error::other)?;
        let (view, exit) = waited?;
        tell(&view, context)?;
        exits[place] = Some(exit);
        if args.any && exit == Exit::Done {
            return Ok(Exit::Done);
        }
    }
    let others = exits.into_iter().flatten().find(|exit| *exit != Exit::Done);
    Ok(others.unwrap_or(Exit::Done))
}

/// Returns the job as soon as it has come so far, or can no longer.
async fn waited(
    client: &Client,
    job: &JobId,
    wanted: Wanted,
) -> Result<(JobView, Exit), ClientError> {
    let mut watch = client.watch(job);
    while let Some(next) = watch.next().await {
        let view = next?;
        if let Some(exit) = wanted.verdict(&view) {
            return Ok((view, exit));
        }
    }
    // A watch ends after a final state only, and that decides.
    let view = client.job(job).await?;
    let exit = outcome::exit_of(&view);
    Ok((view, exit))
}

async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => drop(tokio::time::timeout(limit, pending::<()>()).await),
        None => pending().await,
    }
}

fn not_yet(names: &[JobId], exits: &[Option<Exit>], limit: Option<Duration>) -> Fault {
    let open = names.iter().zip(exits).filter(|(_, exit)| exit.is_none());
    let open: Vec<&str> = open.map(|(job, _)| job.as_str()).collect();
    let limit = amount::duration(limit.unwrap_or_default());
    let goes_on = if open.len() == 1 { "it goes on" } else { "they go on" };
    let words = format!("not yet after {limit}: {}; {goes_on}", open.join(", "));
    let first = open.first().copied().unwrap_or_default();
    Fault::new(Exit::TimedOut, "TIMEOUT", words)
        .hint(format!("look again:  votum watch {first}"))
        .with("job", first)
}

fn tell(view: &JobView, context: &Context) -> Result<(), Fault> {
    let screen = &context.screen;
    screen.result(&match screen.format {
        Format::Json => json::to_json(&view.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => outcome::sentence(view),
    })?;
    if let (Format::Table, Some(words)) = (screen.format, hooks::goes_on(view)) {
        screen.remark(&format!("  then:    {words}"))?;
    }
    Ok(())
}

const EXAMPLES: &str = "\
Examples:
  votum wait @last && echo visible everywhere
  votum wait a-7k2m b-9x4p --for ended --timeout 2h
  votum wait a-7k2m b-9x4p --any         until one of them has committed
  votum wait nightly-sales --for state=awaiting_approval

A job that is decided to commit but waits for a lost worker to publish does not end by itself: the
wait is over then, with exit code 10, and `votum case list` names the case.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::samples;

    #[test]
    fn what_is_waited_for_is_read_as_it_is_written() {
        assert_eq!("prepared".parse(), Ok(Wanted::Prepared));
        assert_eq!("state=Running".parse(), Ok(Wanted::State(JobState::Running)));
        for wrong in ["", "running", "state=", "state=confused"] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_state_on_the_way_to_a_commit_counts_when_it_is_passed() {
        assert!(has_passed(JobState::Running, JobState::Committing));
        assert!(!has_passed(JobState::Committing, JobState::Running));
        assert!(!has_passed(JobState::AwaitingApproval, JobState::Committed), "few jobs are");
        assert!(!has_passed(JobState::Running, JobState::Aborted), "it may never have run");
    }

    #[test]
    fn what_can_no_longer_come_ends_a_wait_by_the_outcome() {
        let mut view = samples::aborted();
        assert_eq!(Wanted::Committed.verdict(&view), Some(Exit::Aborted));
        assert_eq!(Wanted::Prepared.verdict(&view), Some(Exit::Aborted));
        assert_eq!(Wanted::Aborted.verdict(&view), Some(Exit::Done));
        view.state = JobState::Committed;
        assert_eq!(Wanted::Aborted.verdict(&view), Some(Exit::Refused));
        assert_eq!(Wanted::State(JobState::Running).verdict(&view), Some(Exit::Done));
        view.state = JobState::Running;
        assert_eq!(Wanted::Committed.verdict(&view), None);
        assert_eq!(Wanted::State(JobState::Running).verdict(&view), Some(Exit::Done));
    }
}
