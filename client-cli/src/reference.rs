//! `docs/cli.md` is what the program itself says: rewritten by `VOTUM_REWRITE=1`.

use std::{env, fs, path::PathBuf};

use clap::{Command, CommandFactory as _};

use crate::args::Cli;

#[test]
fn the_reference_page_is_what_the_program_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    if env::var_os("VOTUM_REWRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/cli.md is not what the program says: VOTUM_REWRITE=1 writes it");
}

#[test]
fn every_command_shows_an_example() {
    let mut silent = Vec::new();
    for (name, command) in leaves() {
        let help = command.clone().render_long_help().to_string();
        let has_one = help
            .lines()
            .any(|line| line.trim_start().starts_with("votum ") || line.contains("| votum "));
        if !has_one {
            silent.push(name);
        }
    }
    assert_eq!(silent, Vec::<String>::new(), "commands without an example");
}

fn page() -> String {
    let mut out = String::from(
        "# The command line\n\nEvery command, as `votum COMMAND --help` shows it. This page is \
         written by a test from the program itself; `VOTUM_REWRITE=1 cargo test -p \
         votum-client-cli reference` writes it anew.\n\n",
    );
    let mut top = root();
    out.push_str(&section("votum", &mut top));
    for (name, mut command) in leaves() {
        out.push_str(&section(&name, &mut command));
    }
    out
}

fn section(name: &str, command: &mut Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    // The same for every command, and told once.
    let global = lines.iter().position(|line| *line == "Global options:");
    let is_top = name == "votum";
    let mut kept = Vec::new();
    let mut skipping = false;
    for (number, line) in lines.iter().enumerate() {
        if !is_top && Some(number) == global {
            skipping = true;
            kept.push("Global options: as of `votum` itself.");
            continue;
        }
        if skipping && (line.is_empty() || line.starts_with(' ')) {
            continue;
        }
        if skipping {
            kept.push("");
        }
        skipping = false;
        kept.push(line);
    }
    format!("## {name}\n\n```text\n{}\n```\n\n", kept.join("\n").trim_end())
}

/// Returns every command that does something, by its full name, in the order of the help.
fn leaves() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    collect(&root(), "votum", &mut found);
    found
}

fn collect(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
    for inner in command.get_subcommands() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let name = format!("{name} {}", inner.get_name());
        if inner.has_subcommands() {
            collect(inner, &name, found);
        } else {
            found.push((name.clone(), inner.clone().bin_name(name)));
        }
    }
}

/// Returns the program, independent of the environment and the terminal of whoever asks.
fn root() -> Command {
    let mut root = plain(Cli::command()).term_width(100);
    root.build();
    root
}

fn plain(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(plain)
}
