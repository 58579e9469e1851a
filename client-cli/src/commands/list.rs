//! `votum list`: jobs, newest first.

use std::time::Duration;

use clap::Args;
use votum_client::Client;
use votum_machine::WallTime;
use votum_wire::{
    Filter, InvalidFilter, JobState, JobView, Translate as _,
    filter::Facts,
    json,
    listing::ListChange,
    request::{Detail, JobPage, Wanted},
};

use crate::{
    args::{Format, OutputFormat, label},
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::Outcome,
    follow,
    job_file::duration,
    live::Live,
    screen,
};

/// List jobs, newest first.
///
/// Everything that chooses is done by the coordinator: a list of many thousands stays quick.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{FILTERS}"))]
pub(crate) struct ListArgs {
    /// Only jobs in one of these states, such as `running,committed`; `paused` are all that are held,
    /// `cancelled` those ABORTED (or ABORTING) because somebody cancelled them.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state)]
    states: Vec<Standing>,
    /// Only jobs of this name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only jobs with this label; may be repeated, then all must match.
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only jobs of which this holds: conditions joined by `AND`, `OR`, `NOT` and parentheses, in the
    /// language of AIP-160.
    #[arg(long, value_name = "EXPR", value_parser = filter)]
    filter: Option<Filter>,
    /// Only jobs received within this long, such as `24h` or `7d`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// Print at most this many jobs.
    #[arg(long, value_name = "N", default_value = "50", value_parser = limit)]
    limit: usize,
    /// Print all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Stay, and show every change; where it is no terminal, one line for each.
    #[arg(short, long)]
    watch: bool,
}

/// Prints the jobs.
pub(crate) async fn run(args: &ListArgs, context: &Context) -> Outcome {
    let wanted = wanted(args);
    let limit = if args.all { usize::MAX } else { args.limit };
    if args.watch {
        let client = context.client(Patience::Endless)?;
        let watching = follow::unless_interrupted(watched(&client, &wanted, limit, context));
        return watching.await.unwrap_or(Ok(Exit::Interrupted));
    }
    let client = context.client(Patience::Short)?;
    let jobs = client.jobs(&wanted, Detail::Basic, limit).await?;
    let full = jobs.len() == limit;
    let page = JobPage { jobs, next: None };
    let screen = &context.screen;
    screen.result(&match screen.format {
        Format::Json => screen.encode(&page.to_proto()),
        Format::Name => page.jobs.iter().map(|view| format!("{}\n", view.job)).collect(),
        Format::Table if page.jobs.is_empty() && wanted != Wanted::default() => {
            screen.remark("no such jobs\n  all jobs:  votum list")?;
            return Ok(Exit::Done);
        }
        Format::Table if page.jobs.is_empty() => {
            screen.remark("no jobs\n  the first one:  votum run docs/examples/hello.yaml")?;
            return Ok(Exit::Done);
        }
        Format::Table => table(&page.jobs, context),
    })?;
    if screen.format == Format::Table && full {
        screen.remark(&format!("the newest {limit}; --limit or --all shows more"))?;
    }
    Ok(Exit::Done)
}

fn table(jobs: &[JobView], context: &Context) -> String {
    let screen = &context.screen;
    let wide = screen.output == OutputFormat::Wide;
    display::jobs::list(jobs, wide, screen::now()).fitted(screen.paint, screen.width())
}

/// Shows the list again after every change, or each change as it comes.
async fn watched(client: &Client, wanted: &Wanted, limit: usize, context: &Context) -> Outcome {
    let mut watch = client.watch_list();
    let mut live = Live::default();
    let mut first = true;
    loop {
        let change = watch.next().await?;
        let screen = &context.screen;
        if let Some(size) = screen.terminal() {
            let room = limit.min(size.height.saturating_sub(2).max(1));
            let jobs = client.jobs(wanted, Detail::Basic, room).await?;
            let lines: Vec<String> = table(&jobs, context).lines().map(str::to_owned).collect();
            live.draw(&lines)?;
            continue;
        }
        let jobs = match change {
            ListChange::Job(view) => vec![*view],
            ListChange::Deleted(_) => Vec::new(),
            ListChange::Missed if first => client.jobs(wanted, Detail::Basic, limit).await?,
            ListChange::Missed => {
                screen.remark("note: the connection was away; changes may be missing here")?;
                Vec::new()
            }
        };
        first = false;
        for view in &jobs {
            if !is_wanted(client, wanted, view).await {
                continue;
            }
            screen.result(&match screen.format {
                Format::Json => json::to_json(&view.to_proto()),
                Format::Name => view.job.to_string(),
                Format::Table => display::jobs::line(view, screen::now()),
            })?;
        }
    }
}

/// Says whether a job is among the wanted ones; a change does not tell its labels, so that it is
/// asked for where these decide. One that is gone by then is not.
async fn is_wanted(client: &Client, wanted: &Wanted, view: &JobView) -> bool {
    match wanted.judge(&Facts::of(view), screen::now()) {
        Some(known) => known,
        None => match client.job(&view.job).await {
            Ok(whole) => wanted.contains(&whole, screen::now()),
            Err(_gone) => false,
        },
    }
}

/// Where a job may stand, as `--state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In this state.
    In(JobState),
    /// Held, whatever its state.
    Paused,
    /// Aborted because somebody cancelled it.
    Cancelled,
}

fn wanted(args: &ListArgs) -> Wanted {
    let since = args.since.map(|since| {
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        WallTime(screen::now().0.saturating_sub(millis))
    });
    let labels = args.labels.iter().cloned().collect();
    let (display_name, filter) = (args.name.clone(), args.filter.clone());
    let rest = Wanted { display_name, labels, since, filter, ..Wanted::default() };
    standing_in(&args.states, rest)
}

fn standing_in(standings: &[Standing], mut wanted: Wanted) -> Wanted {
    for standing in standings {
        match standing {
            Standing::In(state) => {
                wanted.states.insert(*state);
            }
            Standing::Paused => wanted.paused = true,
            Standing::Cancelled => wanted.cancelled = true,
        }
    }
    wanted
}

/// Reads how many jobs are printed.
fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    limit.ok_or_else(|| "it is a number from 1".to_owned())
}

/// Reads a filter, and shows where one goes wrong.
fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|invalid: InvalidFilter| {
        let place = text[..invalid.at].chars().count();
        match text.len() <= SHOWN_BYTES_MAX && !text.contains(char::is_control) {
            true => format!("{}\n  {text}\n  {:place$}^", invalid.problem, ""),
            false => invalid.to_string(),
        }
    })
}

/// Reads the word of a state.
fn state(word: &str) -> Result<Standing, String> {
    if PAUSED.iter().any(|paused| paused.eq_ignore_ascii_case(word)) {
        return Ok(Standing::Paused);
    }
    if CANCELLED.iter().any(|cancelled| cancelled.eq_ignore_ascii_case(word)) {
        return Ok(Standing::Cancelled);
    }
    if AWAITING.eq_ignore_ascii_case(word) {
        return Ok(Standing::In(JobState::AwaitingApproval));
    }
    let known = || JobState::ALL.iter().map(|state| state.word().to_lowercase());
    let found = JobState::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(word));
    found.map(Standing::In).ok_or_else(|| {
        let known = known().collect::<Vec<_>>().join(", ");
        format!("it is one of {known}, {}, {}", PAUSED[0], CANCELLED[0])
    })
}

const EXAMPLES: &str = "\
Examples:
  votum list
  votum ls --state running,preparing --limit 5 -o name
  votum list --name nightly-sales --since 7d --state aborted
  votum list -l team=sales --all -o jsonl
  votum list --filter 'state = ABORTED AND NOT by = ci AND ended > -24h'
  votum list --filter 'labels.team = sales AND (state = PAUSED OR name = \"nightly*\")'
  votum list -w                          live, until Ctrl-C";
/// The language of `--filter`.
const FILTERS: &str = "\
Filters:
  state = STATE                a state, or PAUSED or CANCELLED, in small letters as well; also !=
  name, id, by = TEXT          a `*` at the beginning or the end stands for anything; also !=
  labels.KEY = TEXT            the same; also !=, which is true without the label, too
  labels:KEY                   the label is there
  received, ended < TIME       2026-11-20, 2026-11-20T18:30:00Z or -24h for an age; also <= > >=
  ended:*                      it has ended
  paused, cancelled = true     or false
  AND, OR, NOT, ( )            a space is an AND; AND beside OR wants parentheses
  `:` reads as `=`; what has spaces or one of =!<>(), in it is quoted.";
/// A longer filter is not repeated.
const SHOWN_BYTES_MAX: usize = 200;
/// What the list calls a job that waits for an approval.
const AWAITING: &str = "awaiting";
/// What a job that is held is called, after and before all of it has stopped.
const PAUSED: [&str; 2] = ["paused", "pausing"];
/// What a job that was cancelled is called.
const CANCELLED: [&str; 2] = ["cancelled", "canceled"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_and_cancelled_jobs_are_asked_for_like_states() {
        let words = ["Paused", "running", "cancelled"];
        let standings: Vec<_> = words.map(|word| state(word).unwrap()).into();
        let wanted = standing_in(&standings, Wanted::default());
        assert_eq!((wanted.states.len(), wanted.paused, wanted.cancelled), (1, true, true));
        let told = state("held").unwrap_err();
        assert!(told.ends_with("aborted, quarantined, paused, cancelled"), "{told}");
    }
}
