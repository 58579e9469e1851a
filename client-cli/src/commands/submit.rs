//! `votum submit` and `votum run`: hand a job in.

use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;
use votum_client::{Client, ClientError};
use votum_ids::{JobId, RequestId, TaskId, WorkerId};
use votum_job::{Expression, JobSpec, Program, TaskSpec, closest};
use votum_wire::{
    JobView, Reason, Translate as _,
    request::{SubmitJob, Submitted},
};

use crate::{
    args::{Format, label},
    commands::{logs, validate},
    context::{Context, Patience},
    display::{amount, outcome},
    exit::{Exit, JOB_CODES},
    fault::{Fault, Outcome},
    follow,
    job_file::{MissingParams, SourceArgs},
    last,
};

/// Hand a job in; returns as soon as it is durably received.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum submit nightly.yaml -p date=2026-11-21\n  make-job | votum submit - -o name\n  votum submit nightly.yaml -l team=sales -l ticket=4711"
)]
pub(crate) struct SubmitArgs {
    /// Job file (YAML, `.toml` or `.json`); `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is read.
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    job: JobArgs,
    /// Follow the job until it ends, and exit by its outcome.
    #[arg(long)]
    follow: bool,
    /// Let the coordinator check the job, and keep nothing.
    #[arg(long, conflicts_with = "follow")]
    dry_run: bool,
}

/// Hand a job in, follow it, and exit by its outcome.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES, after_long_help = format!("{RUN_EXAMPLES}\n\n{JOB_CODES}"))]
pub(crate) struct RunArgs {
    /// Job file (YAML, `.toml` or `.json`); `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "program")]
    file: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    job: JobArgs,
    /// Where the program after `--` runs; anywhere, if none is named.
    #[arg(long, value_name = "WORKER", requires = "program")]
    worker: Option<WorkerId>,
    /// A program and its arguments, run as the only task of a job: once, without a shell, and with
    /// nothing to publish. What it wrote is printed when it has ended, unless `-o` asks for another
    /// form.
    #[arg(last = true, value_name = "PROGRAM", conflicts_with_all = ["file", "params", "param_files", "format"])]
    program: Vec<String>,
}

/// What makes a job.
#[derive(Debug, Clone, Args)]
pub(crate) struct JobArgs {
    /// A label of the job, beside those of its file or in the place of one; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Id of the job, instead of its name and eight characters.
    #[arg(long, value_name = "ID")]
    id: Option<JobId>,
    /// Submitting twice with one request id makes one job; by default each call draws its own.
    #[arg(long, value_name = "UUID")]
    request_id: Option<RequestId>,
}

/// Submits a job and says that it was received.
pub(crate) async fn submit(args: &SubmitArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let mut request = request(read(&args.file, &args.source)?, &args.job);
    request.validate_only = args.dry_run;
    let submitted = hand_in(&client, &request, context).await?;
    let Some(view) = &submitted.job else {
        let (name, tasks) = (&request.spec.display_name, request.spec.tasks.len() as u64);
        let words = format!("{name} would be received ({})", amount::count(tasks, "task"));
        context.screen.result(&words)?;
        return Ok(Exit::Done);
    };
    announce(&submitted, view, context)?;
    if args.follow {
        return follow::to_the_end(&client, &view.job, context).await;
    }
    Ok(Exit::Done)
}

/// Submits a job and follows it.
pub(crate) async fn run(args: &RunArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let spec = match &args.file {
        Some(file) => read(file, &args.source)?,
        None => lone_program(&args.program, args.worker.as_ref())?,
    };
    let request = request(spec, &args.job);
    let submitted = hand_in(&client, &request, context).await?;
    let view = submitted.job.as_ref().ok_or_else(no_job)?;
    let page = context.page_of(&view.job);
    context.screen.remark(&format!("{}\n  page:  {page}", received(&submitted, view)))?;
    let exit = follow::to_the_end(&client, &view.job, context).await?;
    // What is to be read by a program has nothing else in between.
    let is_told = context.screen.format == Format::Table && exit != Exit::Interrupted;
    if !args.program.is_empty() && is_told {
        logs::written_by(&client, &view.job).await?;
    }
    Ok(exit)
}

/// Makes a job whose only task is one program.
fn lone_program(program: &[String], worker: Option<&WorkerId>) -> Result<JobSpec, Fault> {
    let word = program.first().map(String::as_str).unwrap_or_default();
    let name = name_of(word);
    // Every word is meant as it stands: nothing in it is replaced.
    let words = program.iter().map(|word| Expression::escaped(word));
    let mut task = TaskSpec::of(Program::Command(words.collect()));
    task.placement.worker = worker.cloned();
    task.retry.attempts = 1;
    let mut spec = JobSpec::named(&name);
    let id = TaskId::new(&name).map_err(|error| Fault::usage(error.to_string()))?;
    spec.tasks.insert(id, task);
    Ok(spec)
}

/// Returns what of a program's path can name a job.
fn name_of(program: &str) -> String {
    let base = program.rsplit('/').next().unwrap_or_default().to_lowercase();
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = base.chars().take(NAME_CHARS_MAX).map(legal).collect();
    let name = name.trim_matches('-');
    match name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => name.to_owned(),
        false => "program".to_owned(),
    }
}

/// Sends a request and remembers the job that came of it.
///
/// A repeated request carries the same request id, so that an answer lost on its
/// way never makes two jobs.
pub(crate) async fn hand_in(
    client: &Client,
    request: &SubmitJob,
    context: &Context,
) -> Result<Submitted, Fault> {
    let submitted = match insist(client, request, context).await? {
        Ok(submitted) => submitted,
        Err(error) => {
            let fault = explain(error.into(), request);
            return Err(with_nearest_worker(client, fault).await);
        }
    };
    if let Some(view) = &submitted.job
        && let Err(error) = last::remember(&view.job)
    {
        context.screen.remark(&format!("note: @last could not be kept: {error}"))?;
    }
    Ok(submitted)
}

/// Tries once, and goes on trying when the coordinator is away; says so in between.
async fn insist(
    client: &Client,
    request: &SubmitJob,
    context: &Context,
) -> Result<Result<Submitted, ClientError>, Fault> {
    let soon = client.with_options(context.options(Patience::Short));
    // Whoever calls may be part of a trace: the job goes on with it.
    let span = std::env::var("TRACEPARENT").ok();
    match soon.submit_below(request, span.as_deref()).await {
        Err(ClientError::Unavailable { address, .. } | ClientError::TimedOut { address, .. }) => {
            let patience = amount::duration(client.options().patience);
            context.screen.remark(&format!(
                "the coordinator at {address} is away; trying again for {patience}"
            ))?;
            Ok(client.submit_below(request, span.as_deref()).await)
        }
        outcome => Ok(outcome),
    }
}

fn explain(fault: Fault, request: &SubmitJob) -> Fault {
    if fault.is(&Reason::NoSuchWorker) {
        return fault.hint("which there are:  votum worker list");
    }
    if fault.is(&Reason::JobIdTaken)
        && let Some(job) = &request.job
    {
        return fault.hint(format!("who has it:  votum show {job}"));
    }
    if fault.is(&Reason::ConcurrencyKeyHeld)
        && let Some(holder) = fault.part("holder").map(str::to_owned)
    {
        return fault.hint(format!("what it does:  votum show {holder}"));
    }
    if fault.is(&Reason::RequestIdReused) {
        return fault.hint("one request id stands for one job file; draw another");
    }
    fault
}

/// Names the worker that may be meant by a name that no worker has.
async fn with_nearest_worker(client: &Client, fault: Fault) -> Fault {
    let Some(wanted) = fault.part("worker").filter(|_| fault.is(&Reason::NoSuchWorker)) else {
        return fault;
    };
    // Whoever cannot tell the workers leaves the fault as it is.
    let workers = client.workers().await.unwrap_or_default();
    let names = workers.iter().map(|worker| worker.worker.as_str());
    let Some(meant) = closest(wanted, names) else { return fault };
    let hint = format!("did you mean `{meant}`?");
    fault.hint(hint)
}

fn read(file: &Path, source: &SourceArgs) -> Result<JobSpec, Fault> {
    validate::read(file, source.format, &source.given()?, MissingParams::Refused)
}

fn request(mut spec: JobSpec, args: &JobArgs) -> SubmitJob {
    spec.labels.extend(args.labels.iter().cloned());
    SubmitJob {
        spec,
        job: args.id.clone(),
        request: Some(args.request_id.unwrap_or_else(draw_request_id)),
        validate_only: false,
    }
}

/// Draws a request id: this command is where a submission begins.
#[expect(clippy::disallowed_methods, reason = "the edge of the system, as a daemon's API is")]
pub(crate) fn draw_request_id() -> RequestId {
    RequestId(Uuid::new_v4())
}

fn announce(submitted: &Submitted, view: &JobView, context: &Context) -> Result<(), Fault> {
    let screen = &context.screen;
    match screen.format {
        Format::Json => screen.result(&screen.encode(&submitted.to_proto()))?,
        Format::Name => screen.result(view.job.as_str())?,
        Format::Table => {
            screen.result(&received(submitted, view))?;
            screen.remark(&format!(
                "  follow:  votum watch {job}\n  show:    votum show {job}\n  page:    {page}",
                job = view.job,
                page = context.page_of(&view.job)
            ))?;
        }
    }
    Ok(())
}

fn received(submitted: &Submitted, view: &JobView) -> String {
    let workers: Vec<String> = outcome::workers(view).iter().map(ToString::to_string).collect();
    let tasks = amount::count(view.tasks.len() as u64, "task");
    let place =
        if workers.is_empty() { String::new() } else { format!(" on {}", workers.join(", ")) };
    let verb = if submitted.duplicate { "received before:" } else { "received" };
    let waits = match &view.queue {
        Some(_) => format!("\n  queued:  {}", view.state_message),
        None => String::new(),
    };
    format!("{verb} {}  ({tasks}{place}){waits}", view.job)
}

fn no_job() -> Fault {
    Fault::new(Exit::Failure, "NO_JOB", "the coordinator received the job but did not name it")
}

const RUN_EXAMPLES: &str = "\
Examples:
  votum run docs/examples/hello.yaml -p name=Ana
  votum run nightly.yaml --timeout 2h && echo visible everywhere
  votum run --worker s2 -- df -h /srv";
/// Longest name that is made of a program's; an id has nine characters more.
const NAME_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use votum_job::Graph;

    use super::*;

    #[test]
    fn a_program_of_any_name_makes_a_job_of_one_task() {
        for (program, name) in [
            ("df", "df"),
            ("/usr/bin/python3.12", "python3-12"),
            ("./Report.SH", "report-sh"),
            ("7z", "program"),
            ("../..", "program"),
            ("été", "t"),
        ] {
            let spec = lone_program(&[program.to_owned(), "${{ x }}".to_owned()], None).unwrap();
            assert_eq!(spec.display_name, name, "{program}");
            assert!(Graph::check(&spec).is_ok(), "{program}");
        }
        let long = lone_program(&["x".repeat(300)], None).unwrap();
        assert!(Graph::check(&long).is_ok());
    }
}
