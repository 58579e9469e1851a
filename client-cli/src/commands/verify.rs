//! `votum verify`: whether what was published is still what was voted on.

use clap::Args;
use serde_json::json;
use votum_client::Client;
use votum_wire::{
    JobView, OutputState, OutputView,
    output::{EntryContent, OutputId},
};

use crate::{
    args::Format,
    content,
    context::{Context, Patience},
    display::{
        amount,
        paint::Tone,
        table::{Table, cell},
    },
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Read every byte that a job has published, and compare it with what was recorded and voted on.
///
/// The list of files of each output must have the digest that the coordinator's log holds, and
/// every file the digest of that list. It is read what the job's workers keep as its published
/// content: another job may since have replaced what stands at the target. Exit 0 if everything is
/// as it was, 1 if something is not, or cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum verify @last\n  votum verify nightly-sales --json")]
pub(crate) struct VerifyArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// What came of one output.
struct Checked {
    output: String,
    worker: String,
    bytes: u64,
    problem: Option<Fault>,
}

/// Checks one output after the other.
pub(crate) async fn run(args: &VerifyArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let view = client.job(&job).await?;
    let mut all = Vec::new();
    for task in &view.tasks {
        for shown in task.outputs.iter().filter(|output| output.state == OutputState::Published) {
            let (task, output) = (task.task.clone(), shown.output.clone());
            let id = OutputId { job: job.clone(), task, output };
            let problem = check(&client, &id, shown).await.err();
            let output = format!("{}.{}", id.task, id.output);
            all.push(Checked {
                output,
                worker: shown.worker.to_string(),
                bytes: shown.bytes,
                problem,
            });
        }
    }
    if all.is_empty() {
        return Err(nothing(&view));
    }
    print(&all, context)?;
    let sound = all.iter().all(|one| one.problem.is_none());
    Ok(if sound { Exit::Done } else { Exit::Failure })
}

async fn check(client: &Client, id: &OutputId, shown: &OutputView) -> Result<(), Fault> {
    let files = client.output_files(id, false).await.map_err(Fault::from)?;
    let files = content::manifest(id, shown, files)?;
    for entry in &files.entries {
        let EntryContent::File { digest, .. } = &entry.content else { continue };
        if content::hash(client, id, &entry.path, false, None).await? != *digest {
            return Err(content::damaged(&entry.path));
        }
    }
    Ok(())
}

fn nothing(view: &JobView) -> Fault {
    let words = format!("{} is {}: nothing of it is published", view.job, view.word());
    Fault::new(Exit::Refused, "NOTHING_PUBLISHED", words)
}

fn print(all: &[Checked], context: &Context) -> Result<(), Fault> {
    let screen = &context.screen;
    let found = |one: &Checked| match &one.problem {
        None => "as voted on".to_owned(),
        Some(problem) => problem.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    let text = match screen.format {
        Format::Json => {
            let outputs: Vec<_> = all
                .iter()
                .map(|one| {
                    json!({
                        "output": one.output, "worker": one.worker,
                        "intact": one.problem.is_none(), "found": found(one),
                    })
                })
                .collect();
            screen.document(&json!({ "outputs": outputs }).to_string())
        }
        Format::Name => all
            .iter()
            .filter(|one| one.problem.is_some())
            .map(|one| format!("{}\n", one.output))
            .collect(),
        Format::Table => {
            let mut table = Table::new(["OUTPUT", "WORKER", "SIZE", "FOUND"]);
            for one in all {
                let tone = if one.problem.is_none() { Tone::Good } else { Tone::Bad };
                table.row([
                    cell(&*one.output),
                    cell(&*one.worker),
                    cell(amount::size(one.bytes)).right(),
                    cell(found(one)).tone(tone),
                ]);
            }
            table.fitted(screen.paint, screen.width())
        }
    };
    Ok(if text.is_empty() { Ok(()) } else { screen.result(&text) }?)
}
