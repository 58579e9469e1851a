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
        completions::CompletionsArgs,
        config::ConfigCommand,
        delete::DeleteArgs,
        dev::DevArgs,
        doctor::DoctorArgs,
        dryvote::DryvoteArgs,
        events::EventsArgs,
        explain::ExplainArgs,
        graph::GraphArgs,
        init::InitArgs,
        internal::Internal,
        list::ListArgs,
        logs::LogsArgs,
        output::OutputCommand,
        pause::{PauseArgs, UnpauseArgs},
        plan::PlanArgs,
        rerun::RerunArgs,
        rescue::RescueArgs,
        retry::RetryArgs,
        revert::RevertArgs,
        schema::SchemaArgs,
        show::ShowArgs,
        status::StatusArgs,
        submit::{RunArgs, SubmitArgs},
        token::TokenCommand,
        txn::TxnCommand,
        validate::ValidateArgs,
        verify::VerifyArgs,
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
    version = crate::commands::version::BUILD,
    about,
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
    /// Where the coordinator listens [default: that of the context, else http://127.0.0.1:7070].
    #[arg(long, global = true, env = "VOTUM_ADDRESS", value_name = "URL")]
    pub address: Option<String>,
    /// Which cluster of `votum config list`; what is given directly counts more.
    #[arg(long, global = true, env = "VOTUM_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
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
    pub output: OutputFormat,
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
    /// Returns how results are printed, as it was asked for.
    pub(crate) fn output_format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.output }
    }

    /// Returns where the coordinator listens.
    pub(crate) fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(ADDRESS_DEFAULT)
    }

    /// Returns how long one call to the coordinator may take.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.timeout.unwrap_or(CALL_TIMEOUT_DEFAULT)
    }
}

/// How results are printed, as `--output` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people, as wide as the terminal.
    Table,
    /// For people, everything in full, however wide.
    Wide,
    /// One JSON object, for programs.
    Json,
    /// The same as YAML.
    Yaml,
    /// JSON on one line; of a list, one line for each entry.
    Jsonl,
    /// Names only, one a line, for scripts.
    Name,
}

impl OutputFormat {
    /// Returns for whom it is.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Table | Self::Wide => Format::Table,
            Self::Json | Self::Yaml | Self::Jsonl => Format::Json,
            Self::Name => Format::Name,
        }
    }
}

/// For whom results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For scripts: names only.
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

/// Reads a label.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("it has the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The commands.
///
/// What is said of one here would take the place of all that its arguments say of it: so nothing is
/// said here where they say more.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented job file to start from.
    Init(InitArgs),
    /// Print the JSON Schema of job files.
    Schema(SchemaArgs),
    /// Check job files without a coordinator.
    Validate(ValidateArgs),
    Plan(PlanArgs),
    /// Hand a job in; returns as soon as it is durably received.
    Submit(SubmitArgs),
    /// Hand a job in, follow it, and exit by its outcome.
    Run(RunArgs),
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one job: its tasks, votes, outputs, and why it stands where it stands.
    Show(ShowArgs),
    /// Follow a job live until it ends.
    Watch(WatchArgs),
    /// Block until jobs have ended or come so far, quietly.
    Wait(WaitArgs),
    /// Print what tasks wrote.
    Logs(LogsArgs),
    Events(EventsArgs),
    /// Say in plain words where a job stands, what it waits for, and what happens next.
    Explain(ExplainArgs),
    Graph(GraphArgs),
    Cancel(CancelArgs),
    Approve(ApproveArgs),
    Reject(RejectArgs),
    Dryvote(DryvoteArgs),
    Pause(PauseArgs),
    /// Let a paused job go on.
    Unpause(UnpauseArgs),
    Rescue(RescueArgs),
    Retry(RetryArgs),
    Rerun(RerunArgs),
    Revert(RevertArgs),
    Verify(VerifyArgs),
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
    /// Look at what a job has made, and fetch it.
    #[command(subcommand)]
    Output(OutputCommand),
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
    Status(StatusArgs),
    Doctor(DoctorArgs),
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
    /// Name clusters once, and choose between them.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell.
    Completions(CompletionsArgs),
    /// Print the version.
    #[command(after_help = "Example:\n  votum version --json")]
    Version,
}

impl Command {
    /// Says whether it has to know which coordinator is meant.
    pub(crate) fn needs_coordinator(&self) -> bool {
        !matches!(
            self,
            Self::Config(_) | Self::Completions(_) | Self::Cert(_) | Self::Token(_) | Self::Version
        )
    }
}

const ADDRESS_DEFAULT: &str = "http://127.0.0.1:7070";
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
  case, 11 what was published is not at its target any more, 124 timeout, 130 Ctrl-C";
