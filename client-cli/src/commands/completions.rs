//! `votum completions`: what a shell completes.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{args::Cli, context::Context, exit::Exit, fault::Outcome};

/// Print the completions of a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum completions bash > /etc/bash_completion.d/votum\n  votum completions zsh > \"${fpath[1]}/_votum\"\n  votum completions fish > ~/.config/fish/completions/votum.fish"
)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, context: &Context) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "votum", &mut script);
    context.screen.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
