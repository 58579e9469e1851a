//! A development cluster for tests: real processes below one folder that goes with them.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A development cluster of three workers, on ports of its own.
pub(crate) struct Cluster {
    process: Child,
    // Kept open: a cluster that cannot speak ends.
    _introduction: BufReader<ChildStdout>,
    lines: Vec<String>,
    pub(crate) folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_from(Path::new(env!("CARGO_BIN_EXE_votum")))
    }

    /// Starts it from another executable.
    pub(crate) fn start_from(program: &Path) -> Self {
        Self::start_with(program, &[])
    }

    /// Starts it with further options.
    pub(crate) fn start_with(program: &Path, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("dev.log")).unwrap();
        let mut process = Command::new(program)
            .args(["dev", "--port", "0", "--data"])
            .arg(folder.path().join("cluster"))
            .args(options)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains("kill one:")) {
            let mut line = String::new();
            let read = reader.read_line(&mut line).unwrap();
            let log = || fs::read_to_string(folder.path().join("dev.log"));
            assert!(read > 0, "the cluster did not start: {lines:?} {:?}", log());
            lines.push(line);
        }
        Self { process, _introduction: reader, lines, folder }
    }

    /// Returns a column of the line about a process.
    pub(crate) fn told(&self, process: &str, column: usize) -> &str {
        let is_line = |line: &&String| line.split_whitespace().next() == Some(process);
        let line = self.lines.iter().find(is_line).unwrap();
        line.split_whitespace().nth(column).unwrap()
    }

    /// Returns the first process under a name.
    pub(crate) fn pid(&self, process: &str) -> Pid {
        Pid::from_raw(self.told(process, 1).parse().unwrap()).unwrap()
    }

    /// Returns what the cluster has said since it was ready.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("dev.log")).unwrap()
    }

    /// Returns the process that was started last under a name.
    pub(crate) fn last_pid(&self, process: &str) -> Pid {
        let words = format!("dev: {process} runs again, pid ");
        let log = self.log();
        let last = log.lines().filter_map(|line| line.strip_prefix(&words)).next_back();
        last.map_or_else(|| self.pid(process), |pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
    }

    /// Returns where the coordinator listens, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        let address = self.told("coordinator", 2);
        address.strip_prefix("http://").unwrap_or(address)
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        ended(self.begin(arguments))
    }

    /// Starts a command against it.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        votum()
            .args(arguments)
            .env("VOTUM_ADDRESS", self.told("coordinator", 2))
            .env("XDG_STATE_HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Returns what a command prints with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Writes a job file.
    pub(crate) fn job_file(&self, text: &str) -> String {
        let path = self.folder.path().join("job.yaml");
        fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Returns where a target is visible.
    pub(crate) fn published(&self, worker: &str, target: &str) -> PathBuf {
        self.folder.path().join("cluster").join(worker).join("publish").join(target)
    }

    /// Ends it, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).unwrap();
        watched_over(pid, || self.process.wait()).unwrap().code()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that failed has not stopped it; one that did leaves nothing to ask.
        if self.process.try_wait().is_ok_and(|ended| ended.is_none())
            && let Some(pid) = Pid::from_raw(self.process.id().cast_signed())
        {
            let _ended_meanwhile = kill_process(pid, Signal::TERM);
            let _code = self.process.wait();
        }
    }
}

/// Returns the command line, without what the environment says.
pub(crate) fn votum() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_votum"));
    command.env_remove("VOTUM_OUTPUT").env_remove("VOTUM_ADDRESS");
    command
}

/// Returns what a command said, which has to end by itself.
pub(crate) fn ended(command: Child) -> Output {
    watched_over(Pid::from_child(&command), || command.wait_with_output()).unwrap()
}

/// Waits for a process to end; one that does not is killed, so that its test fails and is told
/// instead of standing still.
fn watched_over<T>(process: Pid, wait: impl FnOnce() -> T) -> T {
    let (over, is_over) = sync_channel::<()>(0);
    let watch = thread::spawn(move || {
        if is_over.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
            kill_process(process, Signal::KILL).unwrap();
        }
    });
    let ended = wait();
    drop(over);
    watch.join().unwrap();
    ended
}

/// Far longer than any command of a test takes, also on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(240);

/// Returns how a command ended.
pub(crate) fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Returns what a command printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
