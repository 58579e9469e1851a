//! Other programs that do a part of what Votum does, measured in the same run on the same disk.
//!
//! None of them makes files on several machines visible together: where a figure is beside one of
//! Votum's, theirs is that of the smaller task.

mod celery;
mod http;
mod postgres;
mod restate;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{bench::Bench, machine::load, report::tell};

/// What the peers were found to do, over all rounds.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Where they are installed.
    home: PathBuf,
    figures: BTreeMap<String, (&'static str, Vec<f64>)>,
}

impl Peers {
    /// Begins without figures; what must be installed goes below `home`.
    pub(crate) fn at(home: &Path) -> Self {
        Self { home: home.to_owned(), figures: BTreeMap::new() }
    }

    /// Measures each peer so many times; one that cannot run is noted.
    pub(crate) async fn measure(&mut self, bench: &mut Bench, runs: usize) {
        tell(&format!("peers, load {}", load()));
        let failed = [
            ("PostgreSQL", postgres::measure(self, bench, runs).await),
            ("Restate", restate::measure(self, bench, runs).await),
            ("Celery", celery::measure(self, bench, runs).await),
        ];
        for (name, outcome) in failed {
            if let Err(error) = outcome {
                bench.report.note(&format!("Not measured to the end: {name}: {error:#}"));
            }
        }
    }

    /// Hands everything to the report.
    pub(crate) fn report(self, bench: &mut Bench) {
        for (name, (unit, runs)) in self.figures {
            bench.report.add(&name, unit, runs);
        }
        for note in NOTES {
            bench.report.note(note);
        }
    }

    fn add(&mut self, name: &str, unit: &'static str, value: impl IntoIterator<Item = f64>) {
        let (_, runs) = self.figures.entry(name.to_owned()).or_insert((unit, Vec::new()));
        runs.extend(value);
    }

    /// Lays the files of a peer out in a folder of its own, and returns it.
    fn laid_out(&self, peer: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let folder = self.home.join(peer);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in files {
            fs::write(folder.join(name), text)?;
        }
        Ok(folder.canonicalize()?)
    }
}

/// Runs a command to its end and returns what it printed.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim();
    ensure!(output.status.success(), "{command:?} ended with {}: {complaint}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const NOTES: [&str; 4] = [
    "PostgreSQL: one row on each of three servers by PREPARE TRANSACTION, one forced decision \
     record in a file, COMMIT PREPARED. It keeps no job, runs no program and moves no file.",
    "Restate: one server, three durable steps of a service in Node. Steps run in the service; no \
     files, no atomic commit over machines, no placement on workers.",
    "Celery over Redis (append-only file, fsync always): a chord of two tasks and a third, four \
     processes. No files and no commit: what a task did before a crash stays done.",
    "Slurm is not measured by this program.",
];
