//! `votum approve` and `votum reject`: answer the approval that a job waits for.

use clap::Args;
use votum_ids::JobId;
use votum_wire::{ApprovalView, JobView, Reason, Verdict, approval::ApproveJob};

use super::pause::tell;
use crate::{
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
    job_name,
};

/// Approve what a job has staged, so that it is voted on.
///
/// A job asks for it with `commit: { approval: 24h }` in its file. It then waits, with everything
/// staged and nobody bound, until somebody answers or the time is over. Durable before the answer.
/// What is approved is what was staged by then: if it is lost and comes out differently when it is
/// made again, the job asks once more.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum approve @last --reason 'checked the totals'\n  votum approve nightly-sales --etag 5d0b2c71a94e8f36"
)]
pub(crate) struct ApproveArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Shown with the job for ever.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Only if this is what it has staged; `votum show` tells it.
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Although the last dry vote has found what makes the vote fail.
    #[arg(long)]
    despite_findings: bool,
}

/// Reject what a job has staged: it aborts, and nothing of it becomes visible.
///
/// The job ends as ABORTED; commands that wait for it exit with 3.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum reject @last --reason 'the totals are wrong'")]
pub(crate) struct RejectArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Shown with the job for ever.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only if this is what it has staged; `votum show` tells it.
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
}

/// Approves the job.
pub(crate) async fn approve(args: &ApproveArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let before = client.job(&job).await?;
    if let Some(found) = before.dry_vote.as_ref().filter(|last| !last.is_clean())
        && !args.despite_findings
    {
        let things = crate::display::amount::count(found.count(), "thing");
        let words = format!("the last dry vote of {job} has found {things} that would abort it");
        return Err(Fault::new(Exit::Refused, "DRY_VOTE_FINDINGS", words)
            .hint(format!("look and mend:  votum dryvote {job}"))
            .hint("approve it all the same:  --despite-findings"));
    }
    let (reason, etag) = (args.reason.clone(), seen(args.etag.as_ref(), &before));
    let wish = ApproveJob { job: job.clone(), verdict: Verdict::Approve, reason, etag };
    let view = client.approve(&wish).await.map_err(|error| explained(error, &job))?;
    let words = format!(
        "approved {job}: its workers vote on what it has staged\n  follow:  votum watch {job}"
    );
    tell(context, &view, &words)?;
    Ok(Exit::Done)
}

/// Rejects the job.
pub(crate) async fn reject(args: &RejectArgs, context: &Context) -> Outcome {
    if args.reason.trim().is_empty() {
        return Err(Fault::usage("say why with --reason TEXT; it is shown with the job for ever"));
    }
    let client = context.client(Patience::Long)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let before = client.job(&job).await?;
    let (reason, etag) = (args.reason.clone(), seen(args.etag.as_ref(), &before));
    let wish = ApproveJob { job: job.clone(), verdict: Verdict::Reject, reason, etag };
    let view = client.approve(&wish).await.map_err(|error| explained(error, &job))?;
    let words =
        format!("rejected {job}: nothing of it becomes visible\n  follow:  votum watch {job}");
    tell(context, &view, &words)?;
    Ok(Exit::Done)
}

/// Returns what the person has seen: by the command line, or else a moment ago.
fn seen(given: Option<&String>, view: &JobView) -> Option<String> {
    let shown = || view.approval.as_ref().map(|ApprovalView { etag, .. }| etag.clone());
    given.cloned().or_else(shown)
}

fn explained(error: votum_client::ClientError, job: &JobId) -> Fault {
    let fault = Fault::from(error);
    if fault.is(&Reason::NotAwaitingApproval) {
        fault.hint(format!("how it stands:  votum show {job}"))
    } else if fault.is(&Reason::StaleEtag) {
        fault.hint(format!("look at it once more:  votum show {job}"))
    } else {
        fault
    }
}
