//! `votum case`: what only a person can decide.

use clap::{Args, Subcommand, ValueEnum};
use votum_client::Client;
use votum_wire::{
    CaseAction, CaseName, Reason, Subject, Translate as _,
    case::{CasePage, GetCase, ResolveCase},
};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_name, screen,
};

/// Look at what only a person can decide, and decide it.
#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// List the open cases.
    #[command(visible_alias = "ls", after_help = "Example:\n  votum case list")]
    List,
    /// Show one case: all that the log knows, and what may be done.
    Show(ShowArgs),
    /// Decide a case; what was decided, by whom and why is kept with the job.
    Resolve(ResolveArgs),
}

/// Show one case: all that the log knows, and what may be done.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum case show nightly-sales/announce\n  votum case show nightly-sales/worker:s3\n  votum case show log:stale"
)]
pub(crate) struct ShowArgs {
    /// A job and its effect, the task whose compensation it is, `worker:W`
    /// for a lost worker, `log:damaged` for a quarantined job, or `log:stale`
    /// for one whose decision a stale log may lack; `log:stale` alone for that log.
    #[arg(value_name = "JOB/SUBJECT")]
    case: String,
}

/// Decide a case; what was decided, by whom and why is kept with the job.
#[derive(Debug, Args)]
#[command(after_help = RESOLVE_HELP)]
pub(crate) struct ResolveArgs {
    /// A job and its effect, the task whose compensation it is, `worker:W` for a lost worker,
    /// `log:damaged` or `log:stale`; `log:stale` alone for the coordinator's log.
    #[arg(value_name = "JOB/SUBJECT")]
    case: String,
    /// What shall become of it.
    #[arg(value_name = "ACTION")]
    action: Action,
    /// Why; required, since nothing else will tell it later.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

/// What shall become of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Try again, with a fresh budget and the same key.
    Retry,
    /// It is done: by an earlier try, or by hand.
    Done,
    /// It stays undone.
    GiveUp,
    /// The job has committed: what is left of its commit is carried out.
    Commit,
    /// The job aborts.
    Abort,
    /// Nothing was decided about the job: it goes on.
    Resume,
    /// The coordinator's log counts as complete.
    Trust,
}

impl From<Action> for CaseAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Retry => Self::Retry,
            Action::Done => Self::Done,
            Action::GiveUp => Self::GiveUp,
            Action::Commit => Self::Commit,
            Action::Abort => Self::Abort,
            Action::Resume => Self::Resume,
            Action::Trust => Self::Trust,
        }
    }
}

/// Does what is asked about cases.
pub(crate) async fn run(command: &CaseCommand, context: &Context) -> Outcome {
    match command {
        CaseCommand::List => list(context).await,
        CaseCommand::Show(args) => show(args, context).await,
        CaseCommand::Resolve(args) => resolve(args, context).await,
    }
}

async fn list(context: &Context) -> Outcome {
    let cases = context.client(Patience::Short)?.cases().await?;
    let page = CasePage { cases, next: None };
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&page.to_proto()),
        Format::Name => page.cases.iter().map(|case| format!("{}\n", case.name)).collect(),
        Format::Table if page.cases.is_empty() => {
            context.screen.remark("no open cases: nothing waits for a person")?;
            return Ok(Exit::Done);
        }
        Format::Table => display::case::list(&page.cases, screen::now()).text(context.screen.paint),
    })?;
    Ok(Exit::Done)
}

async fn show(args: &ShowArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let wanted = GetCase { name: named(&client, &args.case).await? };
    let case = client.case(&wanted).await.map_err(|error| explain(error.into(), &wanted))?;
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&case.to_proto()),
        Format::Name => case.name.to_string(),
        Format::Table => display::case::screen(&case, screen::now(), context.screen.paint),
    })?;
    Ok(Exit::Done)
}

async fn resolve(args: &ResolveArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Long)?;
    let name = named(&client, &args.case).await?;
    let wanted = GetCase { name: name.clone() };
    let wish =
        ResolveCase { name: name.clone(), action: args.action.into(), reason: args.reason.clone() };
    client.resolve_case(&wish).await.map_err(|error| explain(error.into(), &wanted))?;
    let words = match wish.action {
        CaseAction::Retry => "is tried again, with a fresh budget and the same key",
        CaseAction::Done => "is closed: it counts as done",
        CaseAction::GiveUp => match name.subject {
            Subject::Hook(_) | Subject::Log | Subject::Stale => "is closed: it stays undone",
            Subject::Worker(_) => "is closed: the job ends without its outputs and is MIXED",
        },
        CaseAction::Commit => "is closed: the job has committed",
        CaseAction::Abort => "is closed: the job aborts",
        CaseAction::Resume => "is closed: the job goes on once the log is trusted",
        CaseAction::Trust => "is closed: the coordinator starts again from its log, as complete",
    };
    let Some(job) = &name.job else {
        context.screen.result(&match context.screen.format {
            Format::Json => serde_json::json!({ "name": name.resource() }).to_string(),
            Format::Name => name.to_string(),
            Format::Table => format!("{name} {words}\n  how it stands:  votum status"),
        })?;
        return Ok(Exit::Done);
    };
    context.screen.result(&match context.screen.format {
        Format::Json => context.screen.encode(&client.job(job).await?.to_proto()),
        Format::Name => name.to_string(),
        Format::Table => format!("{name} {words}\n  how it stands:  votum show {job}"),
    })?;
    Ok(Exit::Done)
}

/// Finds the case that is meant; its job may be named as everywhere.
async fn named(client: &Client, text: &str) -> Result<CaseName, Fault> {
    let stale_log = CaseName::stale_log();
    if text == stale_log.to_string() {
        return Ok(stale_log);
    }
    let Some((job, subject)) = text.split_once('/') else {
        let words = format!("{text:?} is not of the form JOB/SUBJECT, such as nightly-sales/load");
        return Err(Fault::usage(words).hint("open cases:  votum case list"));
    };
    let wrong = |error: votum_ids::InvalidName| Fault::usage(error.to_string());
    let subject: Subject = subject.parse().map_err(wrong)?;
    Ok(CaseName { job: Some(job_name::resolve(client, job).await?), subject })
}

fn explain(fault: Fault, wanted: &GetCase) -> Fault {
    let name = &wanted.name;
    if fault.is(&Reason::CaseNotFound) {
        let command = name.job.as_ref().map(|job| format!("votum show {job}"));
        let command = command.unwrap_or_else(|| "votum status".to_owned());
        return fault
            .hint("open cases:     votum case list")
            .hint(format!("how it stands:  {command}"));
    }
    if fault.is(&Reason::IllegalResolution) {
        return fault.hint(format!("what is known:  votum case show {name}"));
    }
    fault
}

/// Reads why somebody decided as they did.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why: it is kept with the job".to_owned());
    }
    Ok(text.to_owned())
}

const RESOLVE_HELP: &str = "\
Examples:
  votum case resolve @last/announce retry --reason 'the receiver is mended'
  votum case resolve nightly-sales/load done --reason 'slot 7 released by hand'
  votum case resolve nightly-sales/announce give-up --reason 'nobody reads it any more'
  votum case resolve nightly-sales/log:stale abort --reason 'it is handed in again'
  votum case resolve log:stale trust --reason 'every worker is here and every job is settled'

`votum case show` names the actions that the log allows; nothing else is accepted.";
