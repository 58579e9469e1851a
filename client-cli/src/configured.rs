//! The reference of what can be set, written by the types that read it.

use std::{fs, path::PathBuf};

use clap::{Args as _, Command};
use votum_coordinator::{ConfigArgs, LogArgs};
use votum_worker::Settings;

/// `VOTUM_REWRITE=1` writes the page anew.
#[test]
fn the_reference_of_settings_is_what_the_programs_read() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let expected = reference();
    if std::env::var_os("VOTUM_REWRITE").is_some() {
        fs::write(&page, &expected).unwrap();
    }
    let found = fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(found, expected, "write it anew with VOTUM_REWRITE=1");
}

fn reference() -> String {
    let coordinator = LogArgs::augment_args(ConfigArgs::augment_args(Command::new("coordinator")));
    let worker = Settings::augment_args(Command::new("worker"));
    let coordinator = ConfigArgs::settings(&coordinator).unwrap();
    let worker = Settings::listed(&worker).unwrap();
    format!(
        "{HEAD}\n## votum-coordinator\n\n{COORDINATOR}\n\n{}\n## votum-worker\n\n{WORKER}\n\n{}",
        votum_settings::reference(&coordinator),
        votum_settings::reference(&worker),
    )
}

const HEAD: &str = "\
# Configuration

This page is written by the programs' own types; a test compares it with them.

A flag wins over the environment, the environment over the file, the file over the default. Keys that are not known are refused. `--check-config` of a
daemon says which value is in effect and where each comes from, and ends: with exit code 0 if the daemon would start with them.
";
const COORDINATOR: &str = "\
The file is named by `--config` or `VOTUM_CONFIG`. [coordinator.toml](../crates/xtask/packaging/coordinator.toml) is an example.";
const WORKER: &str = "\
The file is named by `--config` or `VOTUM_WORKER_CONFIG`. Sizes are written like `64MiB`, times like `250ms`, `10s`, `7d`.
[worker.toml](../crates/xtask/packaging/worker.toml) is an example.";
