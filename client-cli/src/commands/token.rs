//! `votum token`: tokens that say who somebody is, for a coordinator's file of tokens.

use std::{fs::File, io::Read as _};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    args::Format,
    context::Context,
    exit::Exit,
    fault::{Fault, Outcome},
};

/// Tokens that say who somebody is.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Draw a token; it is printed once, and the coordinator is given only its hash.
    New(NewArgs),
}

/// Who the token is for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  votum token new ada --roles operator
  votum token new ci --roles submitter,viewer -o json

Append the line to the file that token_file in [auth] of the coordinator names, and send the
coordinator a SIGHUP. Give the token to its holder, in a file that only its holder can read:
  votum --token-file ~/.config/votum/ada.token list")]
pub(crate) struct NewArgs {
    /// Whose token it is; a worker's is called like the worker.
    name: String,
    /// What its holder may do.
    #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE,..")]
    roles: Vec<RoleWord>,
}

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Looks at everything.
    Viewer,
    /// Hands in jobs and steers them.
    Submitter,
    /// Decides what only a person can decide.
    Operator,
    /// Is a worker.
    Worker,
}

/// Draws a token.
pub(crate) fn run(command: &TokenCommand, context: &Context) -> Outcome {
    let TokenCommand::New(NewArgs { name, roles }) = command;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(Fault::usage(format!(
            "{name:?} cannot name a token: at most {NAME_BYTES_MAX} letters, digits, - _ . and @"
        )));
    }
    let token = draw()?;
    let roles: Vec<String> = roles
        .iter()
        .filter_map(|role| Some(role.to_possible_value()?.get_name().to_owned()))
        .collect();
    let hash = blake3::hash(token.as_bytes()).to_hex();
    let line = format!("{name}:{hash}:{}", roles.join(","));
    let screen = &context.screen;
    screen.result(&match screen.format {
        Format::Json => json!({ "name": name, "token": token, "line": line }).to_string(),
        Format::Name => token,
        Format::Table => format!("token  {token}\nline   {line}\n"),
    })?;
    screen.remark("The token is kept nowhere: give it to its holder. The line goes into the")?;
    screen.remark("coordinator's token_file; a SIGHUP makes the coordinator read it.")?;
    Ok(Exit::Done)
}

fn draw() -> Result<String, Fault> {
    let mut bytes = [0; TOKEN_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("votum_{digits}"))
}

/// 256 bits: nobody guesses one.
const TOKEN_BYTES: usize = 32;
/// Longest name.
const NAME_BYTES_MAX: usize = 64;
