//! `votum revert`: a job that puts back what stood at the targets of a committed one before.

use clap::Args;
use votum_client::Client;
use votum_wire::{
    JobView, Reason, Translate as _,
    revert::{Earlier, RevertJob, Reverted},
};

use crate::{
    args::Format,
    commands::submit,
    context::{Context, Patience},
    display::table::{Table, cell},
    exit::Exit,
    fault::{Fault, Outcome},
    follow, job_name, last,
};

/// Put back what stood at the targets of a committed job before, on all workers or on none.
///
/// The revert is a job of its own: it runs nothing and copies nothing, and commits as a whole. The
/// targets lead to the earlier versions again; what was new is gone again. What it takes away stays
/// as well, so that a revert can be reverted. It is refused, and changes nothing, when something
/// else was published at a target since, or an earlier version is not kept any more. Effects of the
/// job stay done.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum revert @last --dry-run\n  votum revert site-rollout --reason 'broken links' --follow"
)]
pub(crate) struct RevertArgs {
    /// The committed job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Only say what would be put back where.
    #[arg(long)]
    dry_run: bool,
    /// Why; it stands in the description of the new job.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Follow the new job, and exit by its outcome.
    #[arg(short, long, conflicts_with = "dry_run")]
    follow: bool,
}

/// Says what stands where afterwards, and does it.
pub(crate) async fn run(args: &RevertArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let wish = RevertJob {
        job: job.clone(),
        request: (!args.dry_run).then(submit::draw_request_id),
        validate_only: args.dry_run,
        reason: args.reason.clone(),
    };
    let reverted = client.revert(&wish).await.map_err(|error| explain(error.into()))?;
    let screen = &context.screen;
    if screen.format == Format::Table {
        screen.result(&table(&reverted).text(screen.paint))?;
        say_what_stays(&client, &wish, context).await?;
    }
    let Some(view) = &reverted.job else {
        if screen.format == Format::Json {
            screen.result(&screen.encode(&reverted.to_proto()))?;
        }
        return Ok(Exit::Done);
    };
    if let Err(error) = last::remember(&view.job) {
        screen.remark(&format!("note: @last could not be kept: {error}"))?;
    }
    if args.follow {
        screen.remark(&format!("received {}, which reverts {job}", view.job))?;
        return follow::to_the_end(&client, &view.job, context).await;
    }
    screen.result(&match screen.format {
        Format::Json => screen.encode(&reverted.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => {
            format!("received {0}, which reverts {job}\n  follow:  votum watch {0}", view.job)
        }
    })?;
    Ok(Exit::Done)
}

/// Tells what no revert undoes.
async fn say_what_stays(client: &Client, wish: &RevertJob, context: &Context) -> Result<(), Fault> {
    let acted = outside(&client.job(&wish.job).await?);
    if !acted.is_empty() {
        let words = format!("note: what was done outside stays done: {}", acted.join(", "));
        context.screen.remark(&words)?;
    }
    Ok(())
}

/// Names what a job has done beside its outputs.
fn outside(view: &JobView) -> Vec<String> {
    let Some(spec) = &view.spec else { return Vec::new() };
    let tasks = spec.tasks.iter().filter(|(_, task)| task.acts_outside()).map(|(name, _)| name);
    tasks.chain(spec.effects.keys()).map(ToString::to_string).collect()
}

/// Adds what one would do about a refusal.
fn explain(fault: Fault) -> Fault {
    if fault.is(&Reason::JobNotEnded) {
        return fault.hint("what is not committed yet can be cancelled:  votum cancel JOB");
    }
    if let Some(by) = fault.part("replaced_by") {
        let hint = format!("to go back further, revert that one first:  votum revert {by}");
        return fault.hint(hint);
    }
    if fault.is(&Reason::RetiredVersionsGone) {
        return fault.hint("how many versions stay is said by keep_versions in the job file");
    }
    fault
}

fn table(reverted: &Reverted) -> Table {
    let mut table = Table::new(["TARGET", "WORKER", "NOW", "THEN"]);
    for target in &reverted.targets {
        let then = match &target.then {
            Earlier::Nothing => "nothing: it was new",
            Earlier::Of(job) => job.as_str(),
            Earlier::Ordinary => "what no job had published",
        };
        table.row([
            cell(&*target.path),
            cell(target.worker.as_str()),
            cell(target.output.job.as_str()),
            cell(then),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use votum_wire::Problem;

    use super::*;
    use crate::display::{paint::Paint, samples};

    #[test]
    fn whoever_replaced_a_target_is_named_in_the_hint() {
        let problem = Problem::words(Reason::NotRevertible, "site-1 cannot be reverted");
        let shown = explain(problem.with("replaced_by", "site-2").into()).to_string();
        assert!(shown.ends_with("revert that one first:  votum revert site-2"), "{shown}");
    }

    #[test]
    fn a_target_that_was_new_is_told_apart() {
        let view = samples::committed();
        let target = |then: Earlier| votum_wire::revert::RevertedTarget {
            output: votum_wire::output::OutputId {
                job: view.job.clone(),
                task: view.tasks[0].task.clone(),
                output: "rows".parse().unwrap(),
            },
            worker: "s1".parse().unwrap(),
            path: "/srv/rows".to_owned(),
            then,
        };
        let targets =
            vec![target(Earlier::Of("site-1".parse().unwrap())), target(Earlier::Nothing)];
        let told = table(&Reverted { targets, job: None, duplicate: false }).text(Paint::Off);
        assert!(told.contains("site-1") && told.contains("nothing: it was new"), "{told}");
    }
}
