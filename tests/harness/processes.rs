//! The processes of this machine, as `/proc` shows them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alive {
    /// Its number.
    pub pid: i32,
    /// Its arguments, separated by blanks.
    pub command: String,
}

/// Lists every living process that has `text` in its arguments or its environment.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn processes_mentioning(text: &str) -> Vec<Alive> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted") {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // It may end while it is looked at.
        let Ok(arguments) = fs::read(entry.path().join("cmdline")) else { continue };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let command = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let mentioned =
            command.contains(text) || String::from_utf8_lossy(&environment).contains(text);
        if mentioned && pid != i32::try_from(std::process::id()).unwrap_or_default() {
            found.push(Alive { pid, command });
        }
    }
    found
}

/// Ends a process at once, if it is still there.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
