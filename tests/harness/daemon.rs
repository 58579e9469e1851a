//! One daemon: a real process that can be started, killed, stopped and started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::{eventually, within};

/// A daemon with fixed arguments; its log goes on over every start.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    wrapper: Vec<String>,
    variables: BTreeMap<String, String>,
    log: PathBuf,
    child: Option<Child>,
    /// Of every start.
    pids: BTreeSet<u32>,
}

impl Daemon {
    /// Describes a daemon; it does not run yet.
    pub(crate) fn new(name: &str, program: &Path, arguments: Vec<String>, log: PathBuf) -> Self {
        let (name, program) = (name.to_owned(), program.to_owned());
        Self {
            name,
            program,
            arguments,
            wrapper: Vec::new(),
            variables: BTreeMap::new(),
            log,
            child: None,
            pids: BTreeSet::new(),
        }
    }

    /// Returns a second daemon over the same folders, which listens elsewhere and logs to `log`.
    #[must_use]
    pub fn twin(&self, log: &Path) -> Self {
        let elsewhere = |argument: &String| match argument.split_once("listen=") {
            Some((flag, _)) => format!("{flag}listen=127.0.0.1:0"),
            None => argument.clone(),
        };
        let arguments = self.arguments.iter().map(elsewhere).collect();
        Self::new(&self.name, &self.program, arguments, log.to_owned())
    }

    /// Adds an argument for every later start.
    pub fn add_argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// Sets a variable in the environment of every later start.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Forgets what [`Daemon::set_variable`] has set.
    pub fn clear_variables(&mut self) {
        self.variables.clear();
    }

    /// Returns the process ids of all its starts.
    #[must_use]
    pub fn pids(&self) -> &BTreeSet<u32> {
        &self.pids
    }

    /// Runs every later start below another program, such as `strace`.
    pub fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
    }

    /// Starts it.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it with more variables in its environment.
    ///
    /// # Panics
    /// If it runs already, or cannot be started.
    pub fn start_with(&mut self, variables: &[(&str, &str)]) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("the folder of logs exists");
        let mut command = match self.wrapper.as_slice() {
            [] => Command::new(&self.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        let log_filter = std::env::var("VOTUM_TEST_LOG").unwrap_or_else(|_| "info".to_owned());
        let child = command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", path)
            .env("RUST_BACKTRACE", "1")
            .env("VOTUM_LOG", log_filter)
            .envs(&self.variables)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor can be copied"))
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.pids.insert(child.id());
        self.child = Some(child);
    }

    /// Kills it with SIGKILL, if it runs, and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end with SIGTERM.
    ///
    /// # Panics
    /// If it does not end within `limit`.
    #[track_caller]
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_exit(limit)
    }

    /// Lets it read certificates and tokens again with SIGHUP.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Freezes it with SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Daemon::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it does not end within `limit`.
    #[track_caller]
    pub fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, || self.exited())
    }

    /// Waits for its end; says nothing if it still runs after `limit`.
    pub fn exits_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        within(limit, || self.exited())
    }

    /// Returns how it ended, if it has ended by itself.
    ///
    /// # Panics
    /// If it was never started.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut().unwrap_or_else(|| panic!("{} was not started", self.name));
        let status = child.try_wait().expect("a child can be asked about")?;
        self.child = None;
        Some(status)
    }

    /// Says whether it was started and has not been seen to end.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns everything that it has logged, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        let _ = kill_process(Pid::from_child(child), signal);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the number of the signal that ended a process, if one did.
#[must_use]
pub fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}
