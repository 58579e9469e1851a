//! One run of the benchmarks: what was asked for, and what was found so far.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use crate::{limits, limits::Unary, report::Report};

/// What every measurement is given.
#[derive(Debug)]
pub(crate) struct Bench {
    /// What was found so far.
    pub(crate) report: Report,
    /// Where everything is written; gone at the end.
    pub(crate) scratch: PathBuf,
    /// How much is measured.
    pub(crate) pace: Pace,
    /// Decides what is drawn.
    pub(crate) seed: u64,
    /// The goals that were asked for; none means all.
    pub(crate) only: BTreeSet<String>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How often everything is measured.
    pub(crate) runs: usize,
    /// How long one run of one load takes.
    pub(crate) time: Duration,
    /// The largest number of open jobs.
    pub(crate) jobs_max: usize,
    /// The bytes of the large file of a commit.
    pub(crate) bytes_max: usize,
}

impl Pace {
    /// For figures that are shown.
    pub(crate) const FULL: Self =
        Self { runs: 5, time: Duration::from_secs(3), jobs_max: 100_000, bytes_max: 1 << 30 };
    /// For a look.
    pub(crate) const QUICK: Self =
        Self { runs: 2, time: Duration::from_millis(800), jobs_max: 10_000, bytes_max: 64 << 20 };
}

impl Bench {
    /// Says whether one of these goals was asked for.
    pub(crate) fn wants(&self, goals: &[&str]) -> bool {
        self.only.is_empty() || goals.iter().any(|goal| self.only.contains(*goal))
    }

    /// Measures D and G once, and remembers them beside what is measured in the same minute.
    ///
    /// # Errors
    /// When the disk or the loopback refuses.
    pub(crate) async fn limits(&self, unary: &Unary, seen: &mut Seen) -> anyhow::Result<()> {
        let time = self.pace.time / 3;
        seen.syncs.extend(limits::fdatasync_ms(&self.scratch, time)?);
        seen.calls.extend(unary.called(1, time).await?.median_ms());
        Ok(())
    }

    /// Reports D and G.
    pub(crate) fn report_limits(&mut self, seen: Seen) {
        self.report.add("limit.fdatasync", "ms", seen.syncs);
        self.report.add("limit.unary", "ms", seen.calls);
    }
}

/// D and G of each run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    syncs: Vec<f64>,
    calls: Vec<f64>,
}
