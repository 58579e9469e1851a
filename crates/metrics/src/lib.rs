//! What both daemons show to Prometheus, tell systemd and log for programs: a registry of its own for each, and what every process has.
//!
//! A registry is a value, so several daemons in one process count apart. The
//! text is OpenMetrics 1.0. No label is ever an id: what a label can say is a
//! short list that is known when the program is written.

mod flushes;
mod lines;
mod process;
mod store;
mod supervision;

pub use flushes::FlushTimer;
pub use lines::{JsonLines, log_panics};
pub use store::Store;
pub use supervision::{keep_watchdog, tell_ready, tell_stopping};

use std::fmt;

use prometheus_client::{encoding::text::encode, metrics::info::Info, registry::Registry};

use crate::process::Process;

/// The metrics of one daemon, and how they are written down.
pub struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// Makes a registry that has what every daemon shows: its build, and its process.
    #[must_use]
    pub fn new(role: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", version), ("role", role)]);
        registry.register("votum_build", "The program that answers", build);
        registry.register_collector(Box::new(Process));
        Self { registry }
    }

    /// Returns where further metrics are registered.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Writes everything down as it is at this moment.
    ///
    /// # Errors
    /// When a metric cannot be written, which its type excludes.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

/// What the text is, for the header of an answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds in seconds of what a disk does: 0.1 ms to 1.6 s, each twice the one before.
pub const FLUSH_SECONDS: [f64; 15] = [
    0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024, 0.2048,
    0.4096, 0.8192, 1.6384,
];

/// Bounds in seconds of what is answered: 1 ms to half a minute.
pub const ANSWER_SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Bounds in seconds of what jobs do: 10 ms to a day and a half, each four times the one before.
pub const WORK_SECONDS: [f64; 12] =
    [0.01, 0.04, 0.16, 0.64, 2.56, 10.24, 40.96, 163.84, 655.36, 2621.44, 10485.76, 41943.04];

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn two_daemons_of_one_process_count_apart() {
        let (mut one, mut other) = (Exposition::new("worker", "1"), Exposition::new("worker", "1"));
        let (counter, untouched) = (Counter::<u64>::default(), Counter::<u64>::default());
        one.registry().register("votum_tries", "Tries", counter.clone());
        other.registry().register("votum_tries", "Tries", untouched);
        counter.inc_by(3);
        assert!(one.text().unwrap().contains("votum_tries_total 3\n"));
        assert!(other.text().unwrap().contains("votum_tries_total 0\n"));
    }

    #[test]
    fn every_process_shows_what_it_uses() {
        let text = Exposition::new("worker", "1.2").text().unwrap();
        for name in [
            "votum_build_info{version=\"1.2\",role=\"worker\"} 1",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_start_time_seconds ",
        ] {
            assert!(text.contains(name), "{name} is missing from {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
