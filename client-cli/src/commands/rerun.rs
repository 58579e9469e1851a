//! `votum rerun`: a new job of the same spec.

use std::sync::Arc;

use clap::Args;
use votum_ids::JobId;
use votum_wire::{Translate as _, request::SubmitJob};

use crate::{
    args::Format,
    commands::submit,
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
    follow, job_name,
};

/// Hand a job in again, with the very spec it had, parameters included.
///
/// It is a job of its own that shares nothing with the first. To take over what an aborted job has
/// still staged, use `votum rescue`. There is no `-p` here: parameters are put into the texts of a
/// job file before it is handed in, and a spec does not tell where; for other parameters, submit
/// the job file again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum rerun @last\n  votum rerun nightly-sales-k3f9x2ab --follow\n  votum rerun nightly-sales --id nightly-again"
)]
pub(crate) struct RerunArgs {
    /// The job whose spec is taken.
    #[arg(value_name = "JOB")]
    job: String,
    /// The id of the new job; drawn if not given.
    #[arg(long, value_name = "ID")]
    id: Option<JobId>,
    /// Follow it, and exit by its outcome.
    #[arg(short, long)]
    follow: bool,
}

/// Reads the spec and hands it in.
pub(crate) async fn run(args: &RerunArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let from = job_name::resolve(&client, &args.job).await?;
    let Some(spec) = client.job(&from).await?.spec else {
        let words = format!("the spec of {from} is gone with its record");
        return Err(Fault::new(Exit::Refused, "SPEC_GONE", words)
            .hint("hand in its job file again:  votum submit FILE"));
    };
    let request = SubmitJob {
        spec: Arc::unwrap_or_clone(spec),
        job: args.id.clone(),
        request: Some(submit::draw_request_id()),
        validate_only: false,
    };
    let submitted = submit::hand_in(&client, &request, context).await?;
    let Some(view) = &submitted.job else {
        return Err(Fault::new(Exit::Failure, "NO_JOB", "the coordinator did not name the job"));
    };
    let screen = &context.screen;
    if args.follow {
        screen.remark(&format!("received {}, as {from} was", view.job))?;
        return follow::to_the_end(&client, &view.job, context).await;
    }
    screen.result(&match screen.format {
        Format::Json => screen.encode(&submitted.to_proto()),
        Format::Name => view.job.to_string(),
        Format::Table => {
            format!("received {}, as {from} was\n  follow:  votum watch {0}", view.job)
        }
    })?;
    Ok(Exit::Done)
}
