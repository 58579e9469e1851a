//! `votum output`: what a job has made.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use votum_client::Client;
use votum_ids::JobId;
use votum_wire::{
    JobView, OutputView, Reason,
    output::{EntryContent, OutputId, ReadOutput, outputs_of},
};

use crate::{
    args::Format,
    content,
    context::{Context, Patience},
    display::{self, amount},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Look at what a job has made, and fetch it.
#[derive(Debug, Subcommand)]
pub(crate) enum OutputCommand {
    /// List the outputs of a job.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Fetch an output from its worker, checked byte by byte against what was voted on.
    Get(GetArgs),
}

/// List the outputs of a job.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum output list @last\n  votum output ls nightly-sales -o json"
)]
pub(crate) struct ListArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// Fetch an output from its worker.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum output get @last report.site ./site\n  votum output get @last summary -\n  votum output get @last extract.orders --staged   # before the decision: counts for nobody"
)]
pub(crate) struct GetArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
    /// The output, as `TASK.OUTPUT`, or its own name if no other task has one of that name.
    #[arg(value_name = "OUTPUT")]
    which: String,
    /// Where it is put; `-` is standard output, for a single file. Nothing is replaced
    /// [default: its own name, here].
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Also what is not decided yet, or is only kept.
    #[arg(long)]
    staged: bool,
}

/// Lists or fetches.
pub(crate) async fn run(command: &OutputCommand, context: &Context) -> Outcome {
    match command {
        OutputCommand::List(args) => list(args, context).await,
        OutputCommand::Get(args) => get(args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let view = client.job(&job).await?;
    let screen = &context.screen;
    let text = match screen.format {
        Format::Json => screen.encode(&outputs_of(&view)),
        Format::Name => all(&view).map(|(id, _)| format!("{}.{}\n", id.task, id.output)).collect(),
        Format::Table if all(&view).next().is_none() => String::new(),
        Format::Table => display::outputs::table(&view).fitted(screen.paint, screen.width()),
    };
    if text.is_empty() {
        screen.remark(&format!("{job} has no outputs\n  why:  votum show {job}"))?;
    } else {
        screen.result(&text)?;
    }
    Ok(Exit::Done)
}

fn all(view: &JobView) -> impl Iterator<Item = (OutputId, &OutputView)> {
    view.tasks.iter().flat_map(|task| {
        let id = |output: &OutputView| OutputId {
            job: view.job.clone(),
            task: task.task.clone(),
            output: output.output.clone(),
        };
        task.outputs.iter().map(move |output| (id(output), output))
    })
}

async fn get(args: &GetArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let view = client.job(&job).await?;
    let (output, shown) = choose(&view, &args.which)?;
    let files = client.output_files(&output, args.staged).await.map_err(|e| explain(e, &job))?;
    let manifest = content::manifest(&output, shown, files)?;
    if args.path.as_deref() == Some(Path::new("-")) {
        return to_stdout(&client, &output, &manifest, args.staged).await;
    }
    let own = match manifest.entries.first() {
        Some(entry) if manifest.single_file => {
            entry.path.rsplit('/').next().unwrap_or_default().to_owned()
        }
        Some(_) | None => output.output.to_string(),
    };
    let path = args.path.clone().unwrap_or_else(|| PathBuf::from(own));
    content::fetch(&client, &output, &manifest, &path, args.staged).await?;
    let size = amount::size(shown.bytes);
    context.screen.result(&match context.screen.format {
        Format::Json => {
            let answer = serde_json::json!({ "output": output.to_string(), "path": path });
            context.screen.document(&answer.to_string())
        }
        Format::Name => path.display().to_string(),
        Format::Table => format!(
            "{} ({size}, {}) is what was voted on",
            path.display(),
            amount::count(shown.files, "file")
        ),
    })?;
    Ok(Exit::Done)
}

async fn to_stdout(
    client: &Client,
    output: &OutputId,
    manifest: &votum_wire::output::OutputFiles,
    staged: bool,
) -> Outcome {
    let [entry] = manifest.entries.as_slice() else {
        return Err(Fault::usage("a directory cannot be written to standard output")
            .hint("name a path for it"));
    };
    let EntryContent::File { digest, .. } = &entry.content else {
        return Err(Fault::usage("it is no file"));
    };
    let (path, output) = (entry.path.clone(), output.clone());
    let wanted = ReadOutput { output, path, offset: 0, limit: None, staged };
    let mut pieces = client.output_bytes(wanted);
    let (mut hasher, mut out) = (blake3::Hasher::new(), io::stdout().lock());
    while let Some(piece) = pieces.next().await? {
        hasher.update(&piece);
        out.write_all(&piece)?;
    }
    out.flush()?;
    if hasher.finalize().as_bytes() == &digest.0 {
        Ok(Exit::Done)
    } else {
        Err(content::damaged(&entry.path))
    }
}

/// Finds the output that is meant.
fn choose<'a>(view: &'a JobView, text: &str) -> Result<(OutputId, &'a OutputView), Fault> {
    let fits = |id: &OutputId| match text.split_once('.') {
        Some((task, output)) => id.task.as_str() == task && id.output.as_str() == output,
        None => id.output.as_str() == text,
    };
    let mut found: Vec<_> = all(view).filter(|(id, _)| fits(id)).collect();
    let names = || -> Vec<String> {
        all(view).map(|(id, _)| format!("{}.{}", id.task, id.output)).collect()
    };
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Fault::usage(format!("{text} could be any of several outputs"))
            .hint(names().join("  "))),
        (None, _) => {
            let fault = Fault::new(
                Exit::NotFound,
                Reason::OutputNotFound.as_str(),
                format!("{} has no output {text}", view.job),
            );
            let there = names();
            Err(if there.is_empty() { fault } else { fault.hint(there.join("  ")) })
        }
    }
}

fn explain(error: votum_client::ClientError, job: &JobId) -> Fault {
    let fault = Fault::from(error);
    if fault.is(&Reason::OutputNotPublished) {
        return fault
            .hint("to look all the same:  --staged")
            .hint(format!("why:  votum explain {job}"));
    }
    fault
}
