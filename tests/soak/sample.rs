//! How large the daemons are at one moment, as the kernel shows them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use votum_tests::{Cluster, Stopwatch};

use crate::{WORKERS, load::Latencies};

/// Looks at every daemon of a cluster.
pub(crate) struct Sampler {
    daemons: Vec<Watched>,
    /// Where a file may be written.
    scratch: PathBuf,
}

struct Watched {
    name: &'static str,
    pid: u32,
    /// Everything that it keeps, what it has published included.
    home: PathBuf,
    journal: PathBuf,
}

/// What was found at one moment.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Since the load began.
    pub(crate) at: Duration,
    /// Of each daemon, and of each thing that is measured of it.
    pub(crate) sizes: BTreeMap<(&'static str, Quantity), f64>,
    pub(crate) latencies: Latencies,
    /// What a process and a synced file cost without Votum: how busy the machine is.
    pub(crate) yardstick: Duration,
}

/// What is measured of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// MiB that it holds in memory.
    Memory,
    /// Open descriptors.
    Descriptors,
    /// Threads.
    Threads,
    /// Files and folders that it keeps besides its journal and the audit.
    Files,
    /// MiB of these.
    Kept,
    /// MiB of the journal's log.
    Log,
    /// MiB of the journal's index.
    Index,
}

impl Sampler {
    /// Finds the daemons of a cluster that runs.
    pub(crate) fn of(cluster: &mut Cluster) -> Self {
        let home = cluster.home().to_owned();
        let mut watched = |name: &'static str| Watched {
            name,
            pid: *cluster.daemon(name).pids().last().expect("it was started"),
            home: home.join(name),
            journal: cluster.journal(name),
        };
        let daemons = ["coordinator"].into_iter().chain(WORKERS).map(&mut watched).collect();
        Self { daemons, scratch: home.join("yardstick") }
    }

    /// Looks at all of them.
    pub(crate) fn take(&self, at: Duration, latencies: Latencies) -> Sample {
        let sizes = self.daemons.iter().flat_map(|one| {
            one.look().into_iter().map(|(quantity, size)| ((one.name, quantity), size))
        });
        Sample { at, sizes: sizes.collect(), latencies, yardstick: self.measure_machine() }
    }

    fn measure_machine(&self) -> Duration {
        let watch = Stopwatch::start();
        let status = Command::new("sh").args(["-c", ":"]).status().expect("there is a shell");
        assert!(status.success());
        let mut file = File::create(&self.scratch).expect("the folder is there");
        file.write_all(&[1; 4096]).and_then(|()| file.sync_all()).expect("the disk has room");
        watch.elapsed()
    }
}

impl Watched {
    fn look(&self) -> [(Quantity, f64); 7] {
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        let status = fs::read_to_string(process.join("status")).expect("it runs");
        let number = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            number.expect("the kernel tells it")
        };
        let descriptors = fs::read_dir(process.join("fd")).expect("it runs").count();
        let index = Extent::of(&self.journal.join("index"), None);
        let log = Extent::of(&self.journal, Some(&self.journal.join("index")));
        let kept = Extent::of(&self.home, Some(&self.journal));
        [
            (Quantity::Memory, number("VmRSS:") / 1024.0),
            (Quantity::Descriptors, descriptors as f64),
            (Quantity::Threads, number("Threads:")),
            (Quantity::Files, kept.files as f64),
            (Quantity::Kept, kept.mebibytes()),
            (Quantity::Log, log.mebibytes()),
            (Quantity::Index, index.mebibytes()),
        ]
    }
}

/// What lies below a folder.
#[derive(Debug, Default)]
struct Extent {
    files: u64,
    /// Of 512 bytes.
    blocks: u64,
}

impl Extent {
    /// Counts what is there, but for one folder; what goes meanwhile is not there.
    fn of(folder: &Path, but: Option<&Path>) -> Self {
        let mut found = Self::default();
        let mut left = vec![folder.to_owned()];
        while let Some(folder) = left.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                let is_audit =
                    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(AUDIT));
                if but == Some(&path) || is_audit {
                    continue;
                }
                found.files += 1;
                found.blocks += metadata.blocks();
                if metadata.is_dir() {
                    left.push(path);
                }
            }
        }
        found
    }

    fn mebibytes(&self) -> f64 {
        self.blocks as f64 * 512.0 / f64::from(1 << 20)
    }
}

/// The coordinator's own bound of it, in two files of 16 MiB, is beyond any run.
const AUDIT: &str = "audit.";
