//! Runs every test and ends with one line that counts them, those that could not run included.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use anyhow::{Context, ensure};

use crate::{
    install,
    run::{cargo, say, succeed},
};

/// Installs, builds, runs, counts.
pub(crate) fn run() -> anyhow::Result<()> {
    install::tools()?;
    succeed(&mut cargo(&["build", "--workspace", "--all-targets"]))?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    say(&format!("{tests:?}"));
    let mut child = tests.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().expect("the output is piped");
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what the tests print")?;
        tally.count(&line);
        echo(&line);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    tally.summarise();
    ensure!(status.success(), "tests failed");
    Ok(())
}

/// What the runs of all test programs add up to.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    not_run: Vec<String>,
}

impl Tally {
    /// Reads `test result: ok. 5 passed; 0 failed; …` and `NOT RUN: reason`.
    fn count(&mut self, line: &str) {
        if let Some(reason) = line.trim_start().strip_prefix("NOT RUN: ") {
            self.not_run.push(reason.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            if let (Some(Ok(number)), Some(what)) =
                (words.next().map(str::parse::<u64>), words.next())
            {
                match what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    _ => {}
                }
            }
        }
    }

    fn summarise(&self) {
        for reason in &self.not_run {
            say(&format!("NOT RUN: {reason}"));
        }
        say(&format!("{} checks could not run on this machine", self.not_run.len()));
        echo(&format!("{} passed, {} failed", self.passed, self.failed));
    }
}

#[expect(clippy::print_stdout, reason = "passes on what the tests print")]
fn echo(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut tally = Tally::default();
        tally.count("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.count("test result: FAILED. 2 passed; 3 failed; 0 ignored");
        tally.count("NOT RUN: power cuts need root");
        assert_eq!((tally.passed, tally.failed, tally.not_run.len()), (7, 3, 1));
    }
}
