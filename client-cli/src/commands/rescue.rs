//! `votum rescue`: a job that takes over what an aborted one has still staged.

use clap::Args;
use votum_client::Client;
use votum_ids::JobId;
use votum_wire::{
    Reason, Translate as _,
    rescue::{RescueJob, Rescued},
};

use crate::{
    args::Format,
    context::{Context, Patience},
    display::table::{Table, cell},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name, last,
};

/// Hand an aborted job in once more, and take over what it has still staged.
///
/// A job file with `keep_staged: 24h` lets its workers keep, invisible, what was staged when the
/// job aborts. The rescue is a job of its own with the same spec: it says which tasks it takes
/// over and which run again, and commits as a whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum rescue @last --dry-run\n  votum rescue nightly-sales")]
pub(crate) struct RescueArgs {
    /// The aborted job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Only say what would be taken over and what would run again.
    #[arg(long)]
    dry_run: bool,
}

/// Says what is done about each task, and does it.
pub(crate) async fn run(args: &RescueArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let plan = ask(&client, &job, true).await?;
    if context.screen.format == Format::Table {
        context.screen.result(&table(&plan).text(context.screen.paint))?;
    }
    if args.dry_run {
        if context.screen.format == Format::Json {
            context.screen.result(&context.screen.encode(&plan.to_proto()))?;
        }
        return Ok(Exit::Done);
    }
    let rescued = ask(&client, &job, false).await?;
    let Some(view) = &rescued.job else { return Ok(Exit::Failure) };
    if let Err(error) = last::remember(&view.job) {
        context.screen.remark(&format!("note: @last could not be kept: {error}"))?;
    }
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&rescued.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => {
            format!("received {0}, which rescues {job}\n  follow:  votum watch {0}", view.job)
        }
    })?;
    Ok(Exit::Done)
}

async fn ask(client: &Client, job: &JobId, validate_only: bool) -> Result<Rescued, Fault> {
    let request = (!validate_only).then(crate::commands::submit::draw_request_id);
    let wish = RescueJob { job: job.clone(), request, validate_only };
    client.rescue(&wish).await.map_err(|error| explain(error.into()))
}

/// Adds what one would do about a refusal.
fn explain(fault: Fault) -> Fault {
    if fault.is(&Reason::NothingKept) {
        return fault.hint("a job keeps what it staged if its file says so:  keep_staged: 24h");
    }
    if fault.is(&Reason::AlreadyRescued)
        && let Some(successor) = fault.part("successor")
    {
        let hint = format!("how that one gets on:  votum show {successor}");
        return fault.hint(hint);
    }
    fault
}

fn table(rescued: &Rescued) -> Table {
    let mut table = Table::new(["TASK", "RESCUE", "FROM", "WHY"]);
    for task in &rescued.plan {
        let holder = task.holder.as_ref().map_or("-", |holder| holder.as_str());
        let fate = if task.runs.is_empty() { "taken over" } else { "runs again" };
        table.row([cell(task.task.as_str()), cell(fate), cell(holder), cell(&*task.runs)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use votum_wire::Problem;

    use super::*;

    #[test]
    fn the_job_that_rescues_another_is_named_in_the_hint() {
        let problem = Problem::words(Reason::AlreadyRescued, "sales-1 is rescued by sales-2");
        let fault = explain(problem.with("successor", "sales-2").into());
        let shown = fault.to_string();
        assert!(shown.ends_with("how that one gets on:  votum show sales-2"), "{shown}");
    }
}
