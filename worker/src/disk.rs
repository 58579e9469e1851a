//! What an attempt takes of the disk, measured while it runs.
//!
//! The kernel limits one file at a time. The sum of all files is measured at an
//! interval instead, so a program can exceed its limit by what it writes
//! between two looks, in many files.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use votum_ids::AttemptId;

use crate::shell::{Shell, on_disk};

/// How an attempt has reached its disk limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum DiskFull {
    /// One of its files did.
    #[error("disk full: a file reached the task's limit of {limit} bytes")]
    File {
        /// Most bytes it may take.
        limit: u64,
    },
    /// Its files together did.
    #[error("disk full: it took {taken} bytes, more than its limit of {limit}")]
    Files {
        /// What was found.
        taken: u64,
        /// Most bytes it may take.
        limit: u64,
    },
    /// They are so many that they cannot be measured.
    #[error("disk full: it made more than {ENTRIES_MAX} files, too many to measure")]
    Entries,
}

/// Waits until an attempt takes more than `limit` bytes; for ever if there is no limit.
pub(crate) async fn exceeds_disk(
    shell: &Arc<Shell>,
    id: &AttemptId,
    limit: Option<u64>,
) -> DiskFull {
    let Some(limit) = limit else { return std::future::pending().await };
    let clock = shell.clock;
    loop {
        clock.sleep_until(Some(clock.now().after(LOOK_INTERVAL))).await;
        let id = id.clone();
        let looked = on_disk(shell, move |shell| {
            let staging = shell.shadow.reopen(&id).ok()?;
            exceeded(&[staging.work_dir(), staging.output_dir()], limit)
        });
        if let Some(full) = looked.await {
            return full;
        }
    }
}

/// Measures what lies below the folders; says nothing while that is within the limit.
fn exceeded(folders: &[PathBuf], limit: u64) -> Option<DiskFull> {
    let mut folders = folders.to_vec();
    let (mut taken, mut entries) = (0u64, 0usize);
    while let Some(folder) = folders.pop() {
        // A folder may go while it is looked at.
        for path in list(&folder).unwrap_or_default() {
            entries += 1;
            if entries > ENTRIES_MAX {
                return Some(DiskFull::Entries);
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            taken = taken.saturating_add(metadata.blocks().saturating_mul(BLOCK_BYTES));
            if taken > limit {
                return Some(DiskFull::Files { taken, limit });
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    None
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.take(ENTRIES_MAX + 1);
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// Between two looks at the files of an attempt.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Most files and folders of an attempt that has a disk limit.
const ENTRIES_MAX: usize = 200_000;
/// In which the file system counts what a file takes.
const BLOCK_BYTES: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_count_by_what_they_take() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), vec![1; 100_000]).unwrap();
        fs::write(dir.path().join("d"), vec![1; 100_000]).unwrap();
        let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let folders = [dir.path().to_owned()];

        let within = exceeded(&folders, 1 << 20);
        let beyond = exceeded(&folders, 150_000);

        assert_eq!(within, None);
        assert!(matches!(beyond, Some(DiskFull::Files { limit: 150_000, .. })), "{beyond:?}");
    }
}
