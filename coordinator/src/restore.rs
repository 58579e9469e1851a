//! A data directory made out of a backup: its log says of itself that it is one (C6).
//!
//! The journal is made beside its place and gets its name when everything about
//! it is durable, the record that it was restored included. A coordinator does
//! not start on a directory in which that was broken off.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use votum_driver::Clock;
use votum_ids::{ClusterId, Digest, Epoch};
use votum_journal::{Journal, Lsn, OnDisk, Opened, Options};

use crate::{backup, record::Record, recovery::JOURNAL_FOLDER};

/// Make a data directory out of a backup, for a coordinator whose disk is lost.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct RestoreArgs {
    /// What `votum backup` has written.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the coordinator will have its journal; must not exist, or be empty.
    #[arg(long, env = "VOTUM_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
}

/// What was restored.
#[derive(Debug)]
pub struct Restoration {
    cluster: ClusterId,
    last: Lsn,
    digest: Digest,
    open_jobs: usize,
    data_dir: PathBuf,
}

impl RestoreArgs {
    /// Says what shall be restored, and where to.
    #[must_use]
    pub fn new(file: PathBuf, data_dir: PathBuf) -> Self {
        Self { file, data_dir }
    }

    /// Restores.
    ///
    /// # Errors
    /// When the file is no whole backup, or the directory holds something. Nothing that lies in
    /// it is changed then.
    pub fn restore(self) -> anyhow::Result<Restoration> {
        let Self { file, data_dir } = self;
        let opened =
            File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let (copy, digest) = backup::checked(opened)
            .with_context(|| format!("{} cannot be restored", file.display()))?;
        let aside = prepared(&data_dir)?;
        let restored = votum_journal::restore(copy, &aside)
            .with_context(|| format!("cannot make a journal in {}", aside.display()))?;
        let open_jobs = marked(&aside, restored.last)?;
        fs::rename(&aside, data_dir.join(JOURNAL_FOLDER))
            .and_then(|()| File::open(&data_dir)?.sync_all())
            .with_context(|| format!("cannot name the journal in {}", data_dir.display()))?;
        let cluster = ClusterId(uuid::Uuid::from_bytes(restored.cluster));
        Ok(Restoration { cluster, last: restored.last, digest, open_jobs, data_dir })
    }
}

impl Restoration {
    /// Says what was restored, and what comes next.
    #[must_use]
    pub fn sentences(&self) -> String {
        let Self { cluster, last, digest, open_jobs, data_dir } = self;
        format!(
            "restored cluster {cluster} up to record {last} into {}\n\
             {digest}\n\
             {open_jobs} jobs were open by then. What was recorded after the backup is not known: \
             the coordinator will admit no job and abort none until that is settled.\n\
             next: start it with this directory, wait for every worker, then see \
             docs/operations.md, \"The log is stale\"",
            data_dir.display()
        )
    }
}

/// Returns an empty folder for a journal in a data directory that holds nothing else.
fn prepared(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let cannot = || format!("cannot use {}", data_dir.display());
    fs::create_dir_all(data_dir).with_context(cannot)?;
    let aside = data_dir.join(RESTORING_FOLDER);
    for entry in fs::read_dir(data_dir).with_context(cannot)? {
        let found = entry.with_context(cannot)?.path();
        ensure!(
            found == aside,
            "{} is not empty: it has {}. A journal is not restored over anything; give another \
             directory, or move this one away",
            data_dir.display(),
            found.display()
        );
        // Of a restore that was broken off: nobody has started on it.
        fs::remove_dir_all(&found).with_context(cannot)?;
    }
    fs::create_dir(&aside).with_context(cannot)?;
    Ok(aside)
}

/// Opens the restored journal, which checks it, and records durably what it is.
fn marked(journal: &Path, last: Lsn) -> anyhow::Result<usize> {
    let never_used = Options::new([0; 16]);
    let Opened { mut journal, reader, epoch, open_streams, .. } =
        OnDisk::open(journal, never_used, |_| ())
            .context("the restored journal cannot be opened")?;
    // Starts that the backup does not know of may have used the numbers that follow.
    let next_epoch = Epoch(epoch.saturating_add(EPOCHS_LEFT_OUT));
    let record = Record::Restored { last: last.0, next_epoch };
    let lsn = journal.append(votum_driver::entry(Clock::start().wall(), &record));
    reader.wait_for(lsn);
    let jobs = open_streams.iter().filter(|stream| stream.as_str().starts_with("job/"));
    Ok(jobs.count())
}

/// Refuses to start where a restore was broken off: an empty journal would be taken for the truth.
pub(crate) fn refuse_half_restored(data_dir: &Path) -> anyhow::Result<()> {
    let aside = data_dir.join(RESTORING_FOLDER);
    if aside.exists() {
        bail!(
            "a restore into {} was broken off; run votum-coordinator restore again",
            data_dir.display()
        );
    }
    Ok(())
}

const HELP: &str =
    "The restored log is marked as such: it may lack decisions that were made after the backup. \
No job is admitted and none is aborted until an operator has settled that.

Example:
  votum-coordinator restore /backup/votum.backup --data-dir /var/lib/votum/coordinator";
/// The journal's folder until everything about it is durable.
const RESTORING_FOLDER: &str = "journal.restoring";
/// So many starts of the lost coordinator may have followed the backup.
const EPOCHS_LEFT_OUT: u64 = 1_000;
