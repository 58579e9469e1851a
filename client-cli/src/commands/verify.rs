//! `votum verify`: whether what was published is still what was voted on.

use clap::Args;
use serde_json::json;
use votum_client::Client;
use votum_wire::{
    JobView, OutputState, OutputView,
    output::{EntryContent, OutputId, TargetStanding},
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

/// Read what a job has published, and compare it with what was voted on.
///
/// Every byte is read. The list of files of each output must have the digest that the coordinator's
/// log holds, and every file the digest of that list. It is read what the job's workers keep as its
/// published content; whether a target still leads there is looked at besides, since a later job
/// may have replaced it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct VerifyArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
}

/// What came of one output.
struct Checked {
    id: OutputId,
    shown: OutputView,
    /// What stands at its target, if that could be looked at.
    target: Option<TargetStanding>,
    problem: Option<Fault>,
}

impl Checked {
    fn output(&self) -> String {
        format!("{}.{}", self.id.task, self.id.output)
    }

    fn found(&self) -> String {
        match &self.problem {
            None => "as voted on".to_owned(),
            Some(problem) => problem.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    /// Says whether a reader of the target finds something else.
    fn is_replaced(&self) -> bool {
        match &self.target {
            Some(TargetStanding::InPlace) | None => false,
            Some(
                TargetStanding::Replaced { .. } | TargetStanding::Foreign | TargetStanding::Gone,
            ) => true,
        }
    }
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
            let mut target = None;
            let problem = check(&client, &id, shown, &mut target).await.err();
            all.push(Checked { id, shown: shown.clone(), target, problem });
        }
    }
    if all.is_empty() {
        return Err(nothing(&view));
    }
    print(&all, context)?;
    Ok(exit_of(&all))
}

/// Damage counts more than a target that leads elsewhere.
fn exit_of(all: &[Checked]) -> Exit {
    if all.iter().any(|one| one.problem.is_some()) {
        Exit::Failure
    } else if all.iter().any(Checked::is_replaced) {
        Exit::Replaced
    } else {
        Exit::Done
    }
}

async fn check(
    client: &Client,
    id: &OutputId,
    shown: &OutputView,
    target: &mut Option<TargetStanding>,
) -> Result<(), Fault> {
    let files = client.output_files(id, false).await.map_err(Fault::from)?;
    target.clone_from(&files.target);
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
    let text = match screen.format {
        Format::Json => {
            let outputs: Vec<_> = all.iter().map(json).collect();
            screen.document(&json!({ "outputs": outputs }).to_string())
        }
        Format::Name => all
            .iter()
            .filter(|one| one.problem.is_some() || one.is_replaced())
            .map(|one| format!("{}\n", one.output()))
            .collect(),
        Format::Table => table(all).fitted(screen.paint, screen.width()),
    };
    Ok(if text.is_empty() { Ok(()) } else { screen.result(&text) }?)
}

fn json(one: &Checked) -> serde_json::Value {
    let replaced_by = match &one.target {
        Some(TargetStanding::Replaced { by }) => Some(by.as_str()),
        Some(TargetStanding::InPlace | TargetStanding::Foreign | TargetStanding::Gone) | None => {
            None
        }
    };
    json!({
        "output": one.output(), "worker": one.shown.worker.as_str(),
        "intact": one.problem.is_none(), "found": one.found(),
        "target": one.shown.publish_path, "inPlace": one.target.as_ref().map(|_| !one.is_replaced()),
        "replacedBy": replaced_by, "targetFound": standing_words(one.target.as_ref()),
    })
}

fn table(all: &[Checked]) -> Table {
    let mut table = Table::new(["OUTPUT", "WORKER", "SIZE", "CONTENT", "TARGET", "STANDS THERE"]);
    for one in all {
        let tone = if one.problem.is_none() { Tone::Good } else { Tone::Bad };
        let standing = if one.is_replaced() { Tone::Odd } else { Tone::Plain };
        table.row([
            cell(one.output()),
            cell(one.shown.worker.as_str()),
            cell(amount::size(one.shown.bytes)).right(),
            cell(one.found()).tone(tone),
            cell(one.shown.publish_path.as_deref().unwrap_or("-")),
            cell(standing_words(one.target.as_ref())).tone(standing),
        ]);
    }
    table
}

fn standing_words(target: Option<&TargetStanding>) -> String {
    match target {
        None => "not known".to_owned(),
        Some(TargetStanding::InPlace) => "this output".to_owned(),
        Some(TargetStanding::Replaced { by }) => format!("replaced since, by {by}"),
        Some(TargetStanding::Foreign) => "replaced since, by no job".to_owned(),
        Some(TargetStanding::Gone) => "nothing: it is gone".to_owned(),
    }
}

const EXAMPLES: &str = "Examples:\n  votum verify @last\n  votum verify nightly-sales --json";
const CODES: &str = "\
Exit codes:
    0  every byte is as it was voted on, and stands at its target
    1  a byte is not, or cannot be read
   11  every byte is, but a target was replaced since, or is gone: the job is not at fault
    6  nothing of the job is published; 5 no such job, 7 coordinator unreachable";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::samples;

    #[test]
    fn damage_counts_more_than_a_replaced_target() {
        let view = samples::committed();
        let task = view.tasks.iter().find(|task| !task.outputs.is_empty()).unwrap();
        let shown = task.outputs[0].clone();
        let id = OutputId {
            job: view.job.clone(),
            task: task.task.clone(),
            output: shown.output.clone(),
        };
        let checked =
            |target, problem| Checked { id: id.clone(), shown: shown.clone(), target, problem };
        let by = view.job.clone();
        let sound = || checked(Some(TargetStanding::InPlace), None);
        let replaced = || checked(Some(TargetStanding::Replaced { by: by.clone() }), None);
        let damaged = || checked(None, Some(content::damaged("a")));
        assert_eq!(exit_of(&[sound()]), Exit::Done);
        assert_eq!(exit_of(&[sound(), replaced()]), Exit::Replaced);
        assert_eq!(exit_of(&[sound(), checked(Some(TargetStanding::Gone), None)]), Exit::Replaced);
        assert_eq!(exit_of(&[replaced(), damaged()]), Exit::Failure);
        let told = table(&[replaced()]).text(crate::display::paint::Paint::Off);
        assert!(told.contains(&format!("replaced since, by {by}")), "{told}");
    }
}
