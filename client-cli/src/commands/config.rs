//! `votum config`: clusters by name.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    args::Format,
    context::Context,
    contexts::{self, Contexts},
    display::table::{Table, cell},
    exit::Exit,
    fault::{Fault, Outcome},
};

/// Name clusters once, and choose between them.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the contexts; the current one is marked.
    #[command(visible_alias = "ls", after_help = "Example:\n  votum config list")]
    List,
    /// Print what is known of a context.
    Get(GetArgs),
    /// Make a context, or change one.
    Set(SetArgs),
    /// Choose the context that counts if none is named.
    Use(UseArgs),
}

/// Print what is known of a context.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  votum config get\n  votum config get prod")]
pub(crate) struct GetArgs {
    /// Which; the current one if not given.
    #[arg(value_name = "CONTEXT")]
    name: Option<String>,
}

/// Make a context, or change one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum config set prod address=https://votum.example.com:7070 tls_ca=~/.config/votum/ca.crt token_file=~/.config/votum/prod.token\n  votum config set prod address=     # takes it away"
)]
pub(crate) struct SetArgs {
    /// Which.
    #[arg(value_name = "CONTEXT")]
    name: String,
    /// What of it: address, tls_ca, tls_cert, tls_key or token_file, the last four files.
    #[arg(value_name = "KEY=VALUE", required = true)]
    values: Vec<String>,
}

/// Choose the context that counts if none is named.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum config use prod\n  votum --context dev list     # only once"
)]
pub(crate) struct UseArgs {
    /// Which.
    #[arg(value_name = "CONTEXT")]
    name: String,
}

/// Reads or changes the file.
pub(crate) fn run(command: &ConfigCommand, context: &Context) -> Outcome {
    let path = contexts::path().ok_or_else(|| {
        Fault::new(Exit::Failure, "CONFIG", "nobody says where the home directory is")
    })?;
    let known = Contexts::read(&path)?;
    match command {
        ConfigCommand::List => list(&known, context),
        ConfigCommand::Get(args) => get(args, &known, context),
        ConfigCommand::Set(args) => set(args, known, path, context),
        ConfigCommand::Use(args) => choose(args, known, path, context),
    }
}

fn list(known: &Contexts, context: &Context) -> Outcome {
    let screen = &context.screen;
    if known.contexts.is_empty() && screen.format == Format::Table {
        screen.remark("no contexts\n  make one:  votum config set NAME address=URL")?;
        return Ok(Exit::Done);
    }
    let is_current = |name: &String| known.current.as_ref() == Some(name);
    let text = match screen.format {
        Format::Json => {
            let contexts: Vec<_> = known
                .contexts
                .iter()
                .map(|(name, entry)| {
                    let entry: BTreeMap<_, _> = entry.values().into_iter().collect();
                    json!({ "name": name, "current": is_current(name), "values": entry })
                })
                .collect();
            screen.document(&json!({ "contexts": contexts }).to_string())
        }
        Format::Name => known.contexts.keys().map(|name| format!("{name}\n")).collect(),
        Format::Table => {
            let mut table = Table::new(["CONTEXT", "CURRENT", "ADDRESS"]);
            for (name, entry) in &known.contexts {
                table.row([
                    cell(&**name),
                    cell(if is_current(name) { "yes" } else { "" }),
                    cell(entry.address.as_deref().unwrap_or("-")),
                ]);
            }
            table.fitted(screen.paint, screen.width())
        }
    };
    if !text.is_empty() {
        screen.result(&text)?;
    }
    Ok(Exit::Done)
}

fn get(args: &GetArgs, known: &Contexts, context: &Context) -> Outcome {
    let Some(name) = args.name.as_ref().or(known.current.as_ref()) else {
        return Err(Fault::new(Exit::Usage, "NO_SUCH_CONTEXT", "no context is chosen")
            .hint("choose one:  votum config use NAME"));
    };
    let entry = known.named(name)?;
    let lines = entry.values().into_iter().map(|(key, value)| format!("{key} = {value}\n"));
    let text = match context.screen.format {
        Format::Json => {
            let values: BTreeMap<_, _> = entry.values().into_iter().collect();
            let answer = json!({ "name": name, "values": values });
            context.screen.document(&answer.to_string())
        }
        Format::Name => name.clone(),
        Format::Table => format!("# {name}\n{}", lines.collect::<String>()),
    };
    context.screen.result(&text)?;
    Ok(Exit::Done)
}

fn set(args: &SetArgs, mut known: Contexts, path: PathBuf, context: &Context) -> Outcome {
    let entry = known.contexts.entry(args.name.clone()).or_default();
    for pair in &args.values {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Fault::usage(format!("{pair:?} has not the form KEY=VALUE")))?;
        entry.set(key, value)?;
    }
    // The only one is the one that is meant.
    if known.contexts.len() == 1 {
        known.current = Some(args.name.clone());
    }
    known.write(&path)?;
    let current = known.current.as_ref() == Some(&args.name);
    let next = if current {
        String::new()
    } else {
        format!("\n  use it:  votum config use {}", args.name)
    };
    context.screen.remark(&format!("{} knows {}{next}", path.display(), args.name))?;
    Ok(Exit::Done)
}

fn choose(args: &UseArgs, mut known: Contexts, path: PathBuf, context: &Context) -> Outcome {
    let entry = known.named(&args.name)?;
    let address = entry.address.clone().unwrap_or_else(|| "no address of its own".to_owned());
    known.current = Some(args.name.clone());
    known.write(&path)?;
    context.screen.remark(&format!("{} counts from here on: {address}", args.name))?;
    Ok(Exit::Done)
}
