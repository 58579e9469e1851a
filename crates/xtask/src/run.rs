//! Runs one command in the repository's root and says which.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the package lies two folders below the root").to_owned()
}

/// Returns a command that starts in the root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Returns cargo, as it was called.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments)
}

/// Runs a command to its end and fails if it does.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    say(&format!("{command:?}"));
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Tells the person at the terminal.
#[expect(clippy::print_stdout, reason = "a command for people")]
pub(crate) fn say(text: &str) {
    println!("xtask: {text}");
}
