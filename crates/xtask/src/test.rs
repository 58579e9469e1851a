//! Runs every test and ends with one line that counts them, those that could not run included.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{
    install,
    run::{cargo, say, succeed},
    stuck,
};

/// Installs, builds, runs, counts.
pub(crate) fn run() -> anyhow::Result<()> {
    install::tools()?;
    succeed(&mut cargo(&["build", "--workspace", "--all-targets"]))?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    say(&format!("{tests:?}"));
    let mut child = tests.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().expect("the output is piped");
    let (print, printed) = sync_channel(LINES_MAX);
    let reader =
        thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| print.send(line)));
    let mut tally = Tally::default();
    loop {
        match printed.recv_timeout(SILENCE_MAX) {
            Ok(line) => {
                let line = line.context("cannot read what the tests print")?;
                tally.count(&line);
                echo(&line);
            }
            // Cargo counts a program that was killed as failed, and goes on with the next.
            Err(RecvTimeoutError::Timeout) => {
                let slow: Vec<_> = tally.slow.iter().map(String::as_str).collect();
                let minutes = SILENCE_MAX.as_secs() / 60;
                say(&format!("STUCK: nothing for {minutes} min; running: {}", slow.join(", ")));
                stuck::end_below(child.id())?;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // It ends with what the tests print, as the channel has.
    let _everything_was_read = reader.join();
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
    /// Tests that run for more than a minute already.
    slow: BTreeSet<String>,
}

impl Tally {
    /// Reads `test result: ok. 5 passed; 0 failed; …` and `NOT RUN: reason`.
    fn count(&mut self, line: &str) {
        if let Some(reason) = line.trim_start().strip_prefix("NOT RUN: ") {
            self.not_run.push(reason.to_owned());
        }
        if let Some(test) = line.strip_prefix("test ") {
            if let Some(test) = test.strip_suffix(" has been running for over 60 seconds") {
                self.slow.insert(test.to_owned());
            } else if let Some((test, _)) = test.split_once(" ... ") {
                self.slow.remove(test);
            }
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

/// Lines that wait to be passed on; the tests wait behind them.
const LINES_MAX: usize = 1024;
/// Many times what the longest test takes: whoever says nothing for so long stands still.
const SILENCE_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_tests_are_known_until_they_end() {
        let mut tally = Tally::default();
        tally.count("test a::long_one has been running for over 60 seconds");
        tally.count("test longer has been running for over 60 seconds");
        tally.count("test a::long_one ... ok");
        assert_eq!(tally.slow, BTreeSet::from(["longer".to_owned()]));
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let mut tally = Tally::default();
        tally.count("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.count("test result: FAILED. 2 passed; 3 failed; 0 ignored");
        tally.count("NOT RUN: power cuts need root");
        assert_eq!((tally.passed, tally.failed, tally.not_run.len()), (7, 3, 1));
    }
}
