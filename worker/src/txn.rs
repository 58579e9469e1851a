//! `votum-worker txn`: what the worker of this machine has promised, and the end of a doubt by force.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use votum_commit::{Decision, Heuristic};
use votum_ids::JobId;

use crate::{
    config::DATA_DIR_DEFAULT,
    control::{self, Request},
    forcing::{LocalAnswer, LocalTxn, word},
    session::chain,
};

/// Look at what this machine's worker has promised, and end a doubt by force.
#[derive(Debug, Subcommand)]
pub enum TxnCommand {
    /// List the jobs that this worker is in doubt about, and what was forced here.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// End this worker's doubt about a job, without knowing the decision.
    Force(ForceArgs),
}

/// List the jobs that this worker is in doubt about.
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
pub struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// How to print it.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Table)]
    output: Shape,
}

/// End this worker's doubt about a job, without knowing the decision.
#[derive(Debug, Args)]
#[command(after_help = FORCE_HELP, group(ArgGroup::new("outcome").required(true)))]
pub struct ForceArgs {
    /// The job, by its id in full.
    #[arg(value_name = "JOB")]
    job: JobId,
    #[command(flatten)]
    place: Place,
    /// Publish nothing of it here; what is staged is kept until the coordinator's word.
    #[arg(long, group = "outcome")]
    abort: bool,
    /// Publish here what was promised; nothing takes it back.
    #[arg(long, group = "outcome")]
    commit: bool,
    /// Why; required, and kept with the job for ever.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The id of the job once more: nobody does this by accident.
    #[arg(long, value_name = "JOB")]
    confirm: JobId,
}

/// Which worker of this machine is meant.
#[derive(Debug, Args)]
struct Place {
    /// Its folder, as it was started with.
    #[arg(
        long,
        env = "VOTUM_WORKER_DATA_DIR",
        value_name = "DIR",
        default_value = DATA_DIR_DEFAULT
    )]
    data_dir: PathBuf,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Asks the running daemon, and prints what it says.
#[must_use]
pub fn txn(command: &TxnCommand) -> ExitCode {
    let done = match command {
        TxnCommand::List(args) => list(args),
        TxnCommand::Force(args) => force(args),
    };
    match done {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(Failure { text, code }) => {
            complain(&text);
            ExitCode::from(code)
        }
    }
}

/// Why a person gets nothing of what he wanted.
struct Failure {
    text: String,
    code: u8,
}

fn list(args: &ListArgs) -> Result<String, Failure> {
    let LocalAnswer::Txns(txns) = ask(&args.place.data_dir, &Request::ListTxns {})? else {
        return Err(Failure { text: STRANGE.to_owned(), code: FAILED });
    };
    if args.output == Shape::Json {
        let text = serde_json::to_string_pretty(&txns);
        return Ok(text.expect("it has string keys only"));
    }
    if txns.is_empty() {
        return Ok("this worker is in doubt about nothing, and nothing is forced here".to_owned());
    }
    Ok(txns.iter().map(lines).collect::<Vec<_>>().join("\n"))
}

fn force(args: &ForceArgs) -> Result<String, Failure> {
    let ForceArgs { job, place, commit, reason, confirm, .. } = args;
    if confirm != job {
        let text = format!("--confirm {confirm} does not name the job, which is {job}");
        return Err(Failure { text, code: USAGE });
    }
    let outcome = if *commit { Decision::Commit } else { Decision::Abort };
    let (job, reason) = (job.clone(), reason.clone());
    match ask(&place.data_dir, &Request::Force { job, outcome, reason })? {
        LocalAnswer::Forced(txn) => Ok(format!("{}\n{}", lines(&txn), afterwards(outcome))),
        LocalAnswer::Refused(refusal) => Err(Failure { text: refusal.to_string(), code: REFUSED }),
        LocalAnswer::Txns(_) => Err(Failure { text: STRANGE.to_owned(), code: FAILED }),
    }
}

fn ask(data_dir: &Path, request: &Request) -> Result<LocalAnswer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unreachable(data_dir, &error))?;
    let answer = runtime.block_on(control::ask(data_dir, request));
    answer.map_err(|error| unreachable(data_dir, &error))
}

fn unreachable(data_dir: &Path, error: &io::Error) -> Failure {
    let text = format!(
        "no worker answers in {}: {}\n  is it running, with this --data-dir? only its own user and \
         root may ask",
        data_dir.display(),
        chain(error)
    );
    Failure { text, code: UNREACHABLE }
}

/// Returns what is known of a promise, for people.
fn lines(txn: &LocalTxn) -> String {
    let LocalTxn { txn: round, stage, age, outputs, peers, forced, noted } = txn;
    let age = age.map(|age| format!(" for {} s", age.as_secs())).unwrap_or_default();
    let mut lines = vec![format!(
        "{}  {}{age}, round {}.{}",
        round.job,
        stage.word(),
        round.epoch,
        round.counter
    )];
    if let Some(Heuristic { outcome, forced, .. }) = forced {
        let told = if *noted {
            "the coordinator knows it"
        } else {
            "the coordinator does not know it yet"
        };
        let outcome = word(*outcome);
        lines.push(format!("  {outcome} forced by {}: {}; {told}", forced.by, forced.reason));
    }
    lines.extend(outputs.iter().map(|output| format!("  promised: {output}")));
    if !peers.is_empty() {
        lines.push(format!("  with: {}", peers.join(", ")));
    }
    lines.join("\n")
}

fn afterwards(outcome: Decision) -> &'static str {
    match outcome {
        Decision::Abort => {
            "  nothing of it becomes visible here; should the job commit, it is MIXED and names this \
             worker"
        }
        Decision::Commit => {
            "  it is being published, and stays visible; should the job abort, it is MIXED and names \
             this worker"
        }
    }
}

#[expect(clippy::print_stdout, reason = "a person or a program waits for it")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a person waits for it")]
fn complain(text: &str) {
    eprintln!("votum-worker: {text}");
}

const LIST_HELP: &str = "\
Example:
  votum-worker txn list --data-dir /var/lib/votum/worker

A worker is in doubt from its YES until it learns the decision. It asks the coordinator and the other
participants by itself for as long as that takes, and loses nothing by waiting.";

const FORCE_HELP: &str = "\
Example:
  votum-worker txn force nightly-sales-k3f9x2ab --abort --reason 'the coordinator burnt down' \\
      --confirm nightly-sales-k3f9x2ab

Waiting is safe, this is not: whoever forces an outcome may contradict the decision, and then some
workers publish and others do not. Look at the job elsewhere first, as far as it can be reached. It binds
this worker alone, nobody else learns a decision from it, and it is told to the coordinator as soon as
that can be reached. A decision that this worker knows is never contradicted.";

const STRANGE: &str = "the worker gave an answer that means nothing here";
// The same numbers as those of `votum`.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 6;
const UNREACHABLE: u8 = 7;
