//! `votum logs`: what tasks wrote.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use clap::{Args, ValueEnum};
use votum_client::Client;
use votum_ids::{JobId, TaskId};
use votum_machine::WallTime;
use votum_wire::{
    LogStream, TaskView,
    names::{Scope, TaskScope},
    request::TailLogs,
};

use crate::{
    context::{Context, Patience},
    display::log_lines::{Line, LogLines, Prefix},
    exit::Exit,
    fault::{Fault, Outcome},
    follow,
    job_file::duration,
    job_name, screen,
};

/// Print what tasks wrote.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum logs @last -f\n  votum logs nightly-sales/load --tail 20\n  votum logs nightly-sales/load/2 --stream err\n  votum logs nightly-sales --since 10m --timestamps"
)]
pub(crate) struct LogsArgs {
    /// A job, one task or effect of it, or one attempt of that, counted from 1. What undoes a task
    /// is shown with it, as `undo TASK`.
    #[arg(value_name = "JOB[/TASK[/ATTEMPT]]")]
    what: String,
    /// Stay for further lines until the tasks have ended.
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each stream.
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    /// Only one stream.
    #[arg(long, value_name = "STREAM")]
    stream: Option<Which>,
    /// Only what was written within this long, such as `10m`, to the second by the worker's clock.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// Put before each line when it was begun, in UTC, to the second by the worker's clock.
    #[arg(long)]
    timestamps: bool,
    /// Put the attempt before each line, also where only one is shown.
    #[arg(long)]
    prefix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Prints the pieces as they come, line by line.
pub(crate) async fn run(args: &LogsArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let scope = scope(&args.what, &client).await?;
    let prefix = match &scope.task {
        Some(_) if args.prefix => Prefix::Attempt,
        Some(one) if one.number.is_some() || tries(&client, &scope).await? <= 1 => Prefix::None,
        Some(_) | None => Prefix::Attempt,
    };
    let request = TailLogs {
        scope,
        follow: args.follow,
        tail_lines: args.tail,
        stream: args.stream.map(|which| match which {
            Which::Out => LogStream::Stdout,
            Which::Err => LogStream::Stderr,
        }),
        since: args.since.map(ago),
        timed: args.timestamps,
    };
    let mut pieces = client.logs(request);
    let mut lines = LogLines::new(prefix, args.timestamps);
    let printing = follow::unless_interrupted(async {
        while let Some(piece) = pieces.next().await {
            print(lines.push(piece?))?;
        }
        Ok::<_, Fault>(Exit::Done)
    });
    let ended = printing.await.unwrap_or(Ok(Exit::Interrupted))?;
    print(lines.rest())?;
    Ok(ended)
}

/// Prints all that the tasks of a job wrote, as they wrote it.
pub(crate) async fn written_by(client: &Client, job: &JobId) -> Result<(), Fault> {
    let mut pieces = client.logs(TailLogs {
        scope: Scope::job(job.clone()),
        follow: false,
        tail_lines: None,
        stream: None,
        since: None,
        timed: false,
    });
    let mut lines = LogLines::new(Prefix::None, false);
    while let Some(piece) = pieces.next().await {
        print(lines.push(piece?))?;
    }
    Ok(print(lines.rest())?)
}

fn ago(since: Duration) -> WallTime {
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    WallTime(screen::now().0.saturating_sub(millis))
}

/// Returns how many attempts there are of the task that is meant.
async fn tries(client: &Client, scope: &Scope) -> Result<usize, Fault> {
    let view = client.job(&scope.job).await?;
    let meant = |name: &TaskId| scope.task.as_ref().is_some_and(|one| one.task == *name);
    let task = view.tasks.iter().find(|task| meant(&task.task)).map_or(0, TaskView::tries);
    let hooks = view.hooks.iter().filter(|hook| meant(&hook.hook)).map(|hook| hook.tries as usize);
    Ok(task + hooks.sum::<usize>())
}

fn print(lines: Vec<Line>) -> io::Result<()> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    for Line { stream, bytes } in lines {
        match stream {
            LogStream::Stdout => out.write_all(&bytes)?,
            LogStream::Stderr => err.write_all(&bytes)?,
        }
    }
    out.flush()
}

async fn scope(what: &str, client: &Client) -> Result<Scope, Fault> {
    let mut parts = what.splitn(3, '/');
    let job = job_name::resolve(client, parts.next().unwrap_or_default()).await?;
    let Some(task) = parts.next() else { return Ok(Scope::job(job)) };
    let task = TaskId::new(task).map_err(|error| Fault::usage(error.to_string()))?;
    let number = match parts.next() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Fault::usage(format!("{text:?} is no attempt; they are counted from 1"))
        })?),
    };
    Ok(Scope { job, task: Some(TaskScope { task, number }) })
}
