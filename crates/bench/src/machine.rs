//! What the figures were taken on.

use std::{fs, path::Path, process::Command};

use serde::Serialize;
use votum_driver::Clock;

/// The machine and the moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MachineView {
    /// Model, as the kernel names it.
    pub(crate) cpu: String,
    /// How many the programs may use.
    pub(crate) cpus: usize,
    /// In GiB.
    pub(crate) memory_gib: f64,
    /// Name and release.
    pub(crate) kernel: String,
    /// Of the folder in which everything was written.
    pub(crate) filesystem: String,
    /// Of the measured programs.
    pub(crate) version: String,
    /// Milliseconds since 1970, UTC.
    pub(crate) started_ms: u64,
    /// Of one, five and fifteen minutes, before the first measurement.
    pub(crate) load_before: String,
    /// The same, after the last one.
    pub(crate) load_after: String,
}

impl MachineView {
    /// Looks around.
    pub(crate) fn of(folder: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes: f64 = field(&meminfo, "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kilobytes / f64::from(1 << 20),
            kernel: format!("{} {}", read("kernel/ostype"), read("kernel/osrelease")),
            filesystem: filesystem_of(folder),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: Clock::start().anchor().0,
            load_before: load(),
            load_after: String::new(),
        }
    }
}

/// Returns how many programs wanted to run lately, over one, five and fifteen minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn read(name: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
    text.trim().to_owned()
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn filesystem_of(folder: &Path) -> String {
    let df = Command::new("df").arg("--output=fstype,source").arg(folder).output();
    let text = df.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let last = text.as_ref().ok().and_then(|text| text.lines().last());
    last.map_or_else(
        || "unknown".to_owned(),
        |line| line.split_whitespace().collect::<Vec<_>>().join(" on "),
    )
}
