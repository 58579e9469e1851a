//! The commands, one file each.

pub(crate) mod approve;
pub(crate) mod backup;
pub(crate) mod cancel;
pub(crate) mod case;
pub(crate) mod cert;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod delete;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod dryvote;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod internal;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod output;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod rerun;
pub(crate) mod rescue;
pub(crate) mod retry;
pub(crate) mod revert;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod txn;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod worker;

use crate::{args::Command, context::Context, fault::Outcome};

/// Does what the command line asks for.
pub(crate) async fn run(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Schema(args) => schema::run(&args, context),
        Command::Validate(args) => validate::run(&args, context),
        Command::Plan(args) => plan::run(&args, context),
        Command::Submit(args) => submit::submit(&args, context).await,
        Command::Run(args) => submit::run(&args, context).await,
        Command::List(args) => list::run(&args, context).await,
        Command::Show(args) => show::run(&args, context).await,
        Command::Watch(args) => watch::run(&args, context).await,
        Command::Wait(args) => wait::run(&args, context).await,
        Command::Logs(args) => logs::run(&args, context).await,
        Command::Events(args) => events::run(&args, context).await,
        Command::Explain(args) => explain::run(&args, context).await,
        Command::Graph(args) => graph::run(&args, context).await,
        Command::Cancel(args) => cancel::run(&args, context).await,
        Command::Approve(args) => approve::approve(&args, context).await,
        Command::Reject(args) => approve::reject(&args, context).await,
        Command::Dryvote(args) => dryvote::run(&args, context).await,
        Command::Pause(args) => pause::pause(&args, context).await,
        Command::Unpause(args) => pause::unpause(&args, context).await,
        Command::Rescue(args) => rescue::run(&args, context).await,
        Command::Retry(args) => retry::run(&args, context).await,
        Command::Rerun(args) => rerun::run(&args, context).await,
        Command::Revert(args) => revert::run(&args, context).await,
        Command::Verify(args) => verify::run(&args, context).await,
        Command::Delete(args) => delete::run(&args, context).await,
        Command::Output(command) => output::run(&command, context).await,
        Command::Txn(command) => txn::run(&command, context).await,
        Command::Case(command) => case::run(&command, context).await,
        Command::Worker(command) => worker::run(&command, context).await,
        Command::Status(args) => status::run(&args, context).await,
        Command::Backup(args) => backup::run(&args, context).await,
        Command::Dev(args) => dev::run(&args, context).await,
        Command::Cert(command) => cert::run(&command, context),
        Command::Token(command) => token::run(&command, context),
        Command::Doctor(args) => doctor::run(&args, context).await,
        Command::Config(command) => config::run(&command, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Version => version::run(context),
    }
}
