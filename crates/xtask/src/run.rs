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
///
/// `cargo run` tells this program about its own package. Build scripts that look at such
/// variables (ring's does) would run again whenever the next build is started without them, and
/// with them everything that depends on their crates.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut cargo = command(&program, arguments);
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start))
        });
        if told {
            cargo.env_remove(name);
        }
    }
    cargo
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
