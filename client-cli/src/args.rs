//! What may stand on the command line.

use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::{
    access::Credentials,
    commands::{
        approve::{ApproveArgs, RejectArgs},
        backup::BackupArgs,
        cancel::CancelArgs,
        case::CaseCommand,
        cert::CertCommand,
        dev::DevArgs,
        dryvote::DryvoteArgs,
        init::InitArgs,
        internal::Internal,
        list::ListArgs,
        logs::LogsArgs,
        pause::{PauseArgs, UnpauseArgs},
        plan::PlanArgs,
        rescue::RescueArgs,
        retry::RetryArgs,
        schema::SchemaArgs,
        show::ShowArgs,
        submit::{RunArgs, SubmitArgs},
        token::TokenCommand,
        txn::TxnCommand,
        validate::ValidateArgs,
        wait::WaitArgs,
        watch::WatchArgs,
        worker::WorkerCommand,
    },
    job_file::duration,
};

/// All-or-nothing jobs across many machines.
#[derive(Debug, Parser)]
#[command(
    name = "votum",
    version,
    about,
    disable_version_flag = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub program: Program,
}

/// The commands, and the processes that they start.
#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// A command for people and scripts.
    #[command(flatten)]
    Command(Command),
    /// Processes that `votum dev` starts.
    #[command(subcommand, hide = true)]
    Internal(Box<Internal>),
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where the coordinator listens.
    #[arg(
        long,
        global = true,
        env = "VOTUM_ADDRESS",
        value_name = "URL",
        default_value = "http://127.0.0.1:7070"
    )]
    pub address: String,
    /// How the coordinator is known, and who asks.
    #[command(flatten)]
    pub credentials: Credentials,
    /// How results are printed.
    #[arg(
        short,
        long,
        global = true,
        env = "VOTUM_OUTPUT",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: Format,
    /// Short for `-o json`; errors are one JSON object on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no more than the result.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more about what goes on; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are heeded.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
    /// How long to wait: `wait`, `watch` and `run` for ever if not given, other calls 10s.
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

impl Global {
    /// Returns how results are printed.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// Returns how long one call to the coordinator may take.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.timeout.unwrap_or(CALL_TIMEOUT_DEFAULT)
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object, for programs.
    Json,
    /// Names only, one a line, for scripts.
    Name,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented job file to start from.
    Init(InitArgs),
    /// Print the JSON Schema of job files.
    Schema(SchemaArgs),
    /// Check job files without a coordinator.
    Validate(ValidateArgs),
    /// Show in which order a job would run, what becomes visible where, and what an abort undoes.
    Plan(PlanArgs),
    /// Hand a job in; returns as soon as it is durably received.
    Submit(SubmitArgs),
    /// Hand a job in, follow it, and exit by its outcome.
    Run(RunArgs),
    /// List jobs, newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one job: its tasks, votes, outputs, and why it stands where it stands.
    Show(ShowArgs),
    /// Follow a job live until it ends.
    Watch(WatchArgs),
    /// Block until jobs have ended, quietly.
    Wait(WaitArgs),
    /// Print what tasks wrote.
    Logs(LogsArgs),
    /// Ask for a job to be aborted.
    Cancel(CancelArgs),
    /// Approve what a job has staged, so that it is voted on.
    Approve(ApproveArgs),
    /// Reject what a job has staged: it aborts.
    Reject(RejectArgs),
    /// Ask the workers what stands in the way of a commit, without binding anybody.
    Dryvote(DryvoteArgs),
    /// Hold a job: nothing more of it is started until `unpause`.
    Pause(PauseArgs),
    /// Let a paused job go on.
    Unpause(UnpauseArgs),
    /// Hand an aborted job in once more, and take over what it has still staged.
    Rescue(RescueArgs),
    /// Try at once what waits for another attempt.
    Retry(RetryArgs),
    /// Look at open transactions, and who is in doubt.
    #[command(subcommand)]
    Txn(TxnCommand),
    /// Look at what only a person can decide, and decide it.
    #[command(subcommand)]
    Case(CaseCommand),
    /// Look at the workers, and drain, resume or remove them.
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Show the cluster on one screen.
    #[command(after_help = "Example:\n  votum status")]
    Status,
    /// Copy the coordinator's store into a file while it runs.
    Backup(BackupArgs),
    /// Start a coordinator and workers on this machine, for trying out.
    Dev(DevArgs),
    /// Make the certificates of a cluster.
    #[command(subcommand)]
    Cert(CertCommand),
    /// Make the tokens of a cluster.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Print the version.
    #[command(after_help = "Example:\n  votum version --json")]
    Version,
}

const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const EXAMPLES: &str = "\
Examples:
  votum dev --demo                       a cluster of three workers, and a real job on it
  votum run docs/examples/hello.yaml     submit, follow, exit by the outcome
  votum submit nightly.yaml -p date=2026-11-21 -o name
  votum show @last                       the job you submitted last
  votum logs hello/letter -f

A JOB is an id, the beginning of one, a NAME for its newest job, or @last.

Exit codes: 0 done or committed, 1 failed, 2 wrong usage or job file, 3 aborted, 4 not allowed,
  5 not found, 6 refused by state, 7 coordinator unreachable, 8 cancelled, 9 MIXED (a forced outcome
  contradicts the decision), 10 committing, but a lost worker holds its outputs back and there is a
  case, 124 timeout, 130 Ctrl-C";
