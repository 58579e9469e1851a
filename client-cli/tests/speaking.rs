//! What the command line says about itself and about what it does.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

use std::process::{Command, Output};

#[test]
fn variables_are_no_part_of_the_usage_line() {
    let wrong = votum(&["worker", "drain"]);
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert!(told.contains("Usage: votum worker drain <WORKER>\n"), "{told}");
}

#[test]
fn once_verbose_tells_what_votum_does_itself() {
    let told = String::from_utf8(votum(&["-v", "status", "--timeout", "1s"]).stderr).unwrap();
    assert!(told.contains("asks for GetClusterInfo"), "{told}");
    let foreign = ["h2::", "hyper_util::", "tower::"];
    assert!(foreign.iter().all(|library| !told.contains(library)), "{told}");

    let told = String::from_utf8(votum(&["-vv", "status", "--timeout", "1s"]).stderr).unwrap();
    assert!(told.contains("hyper_util::"), "{told}");
}

/// Runs it where no coordinator listens.
fn votum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_votum"))
        .args(arguments)
        .env("VOTUM_ADDRESS", "http://127.0.0.1:1")
        .env("VOTUM_OUTPUT", "table")
        .output()
        .unwrap()
}
