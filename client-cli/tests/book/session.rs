//! A shell into which the commands of a page are typed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

/// One shell session in a folder of its own.
#[derive(Debug)]
pub(crate) struct Session {
    shell: Child,
    keyboard: ChildStdin,
    screen: Receiver<String>,
    folder: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its exit code.
    pub code: i32,
    /// What it wrote, to standard output and error.
    pub lines: Vec<String>,
}

impl Session {
    /// Starts a shell that finds the three programs, and whose daemons use a free port.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join(".bin");
        install(&programs);
        let address = {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            free.local_addr().unwrap()
        };
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("VOTUM_LISTEN", address.to_string())
            .env("VOTUM_ADDRESS", format!("http://{address}"))
            .env("VOTUM_COORDINATOR", format!("http://{address}"))
            .env("XDG_STATE_HOME", folder.path().join(".state"))
            .env("XDG_CONFIG_HOME", folder.path().join(".config"))
            .env_remove("VOTUM_OUTPUT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut keyboard = shell.stdin.take().unwrap();
        keyboard.write_all(b"exec 2>&1\n").unwrap();
        let output = BufReader::new(shell.stdout.take().unwrap());
        let (lines, screen) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { break };
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        Self { shell, keyboard, screen, folder }
    }

    /// Saves a file.
    pub(crate) fn save(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Types a command and waits for its end.
    pub(crate) fn type_in(&mut self, command: &str) -> Answer {
        let mark = "the command came to";
        let ask = format!(
            "{command}\n__code=$?; printf '\\n%s %d\\n' '{mark}' \"$__code\"; (exit \"$__code\")\n"
        );
        self.keyboard.write_all(ask.as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let line = match self.screen.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("`{command}` does not end: {lines:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("`{command}` ended the shell"),
            };
            if let Some(code) = line.strip_prefix(mark) {
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                return Answer { code: code.trim().parse().unwrap(), lines };
            }
            if !is_obituary(&line) {
                lines.push(line);
            }
        }
    }

    /// Looks again and again until a command succeeds.
    pub(crate) fn wait_until(&mut self, command: &str) {
        // One loop in the shell: it is bounded, and pauses where a person would.
        let patience = PATIENCE.as_secs() * 4;
        let answer = self.type_in(&format!(
            "for __look in $(seq {patience}); do ({command}) && break; sleep 0.2; done; ({command})"
        ));
        assert_eq!(answer.code, 0, "`{command}` never succeeded");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The group is the shell and the daemons that were started from it, nobody else.
        if let Some(group) = Pid::from_raw(self.shell.id().cast_signed()) {
            let _ended_already = kill_process_group(group, Signal::KILL);
        }
        let _code = self.shell.wait();
    }
}

/// Most lines that wait to be compared.
const LINES_MAX: usize = 1_000;
/// Longest wait for one command.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whether the shell itself reports that a background process was killed.
///
/// It does so whenever it happens to notice, which can be in the middle of a later command.
fn is_obituary(line: &str) -> bool {
    line.strip_prefix("bash: line ").is_some_and(|report| report.contains(" Killed  "))
}

/// Puts the three programs into a folder; the daemons are started by the client, as `votum dev` does.
fn install(programs: &Path) {
    fs::create_dir(programs).unwrap();
    symlink(env!("CARGO_BIN_EXE_votum"), programs.join("votum")).unwrap();
    for daemon in ["coordinator", "worker"] {
        let path = programs.join(format!("votum-{daemon}"));
        fs::write(&path, format!("#!/bin/sh\nexec votum internal {daemon} \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
