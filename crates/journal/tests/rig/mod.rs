//! Where the writer's program is, and how to say that a test could not be run.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// Returns the program of the example `acknowledging_writer`, built beside the tests.
pub(crate) fn writer() -> &'static Path {
    static WRITER: OnceLock<PathBuf> = OnceLock::new();
    WRITER.get_or_init(|| {
        let tests = std::env::current_exe().unwrap();
        let profile = tests.parent().and_then(Path::parent).unwrap();
        let program = profile.join("examples/acknowledging_writer");
        if !program.exists() {
            // A test target that is built alone comes without the examples.
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--package", "votum-journal"]);
            build.args(["--example", "acknowledging_writer", "--target-dir"]);
            build.arg(profile.parent().unwrap());
            assert!(build.status().unwrap().success());
        }
        program
    })
}

/// Checks with the writer that a journal holds every operation up to `acked`.
pub(crate) fn verify(folder: &Path, acked: u64) -> Verdict {
    let output = Command::new(writer()).arg("verify").arg(folder).arg(acked.to_string()).output();
    let Output { status, stdout, stderr } = output.unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let held = text.strip_prefix("ok ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    match held.filter(|_| status.success()) {
        Some(held) => Verdict::Holds(held),
        None => Verdict::Broken(format!("{text}{}", String::from_utf8_lossy(&stderr))),
    }
}

/// What a check of a journal found.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Exactly the operations up to this one.
    Holds(u64),
    /// Something else, in words.
    Broken(String),
}

/// Returns the last acknowledged operation of a writer's output.
pub(crate) fn last_ack(output: &str) -> Option<u64> {
    output.lines().rev().find_map(|line| line.strip_prefix("ack ")?.parse().ok())
}

/// Says in which way the machine cannot run a test, or nothing if it can.
pub(crate) fn missing(tools: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may do this".to_owned());
    }
    let works = |tool: &str| {
        let probe = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    tools.iter().find(|tool| !works(tool)).map(|tool| format!("{tool} is not installed"))
}
