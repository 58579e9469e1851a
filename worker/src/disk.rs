//! What an attempt takes of the disk, measured while it runs.
//!
//! The kernel limits one file at a time. The sum of all files is measured at an
//! interval instead, so a program can exceed its limit by what it writes
//! between two looks, in many files.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use votum_ids::AttemptId;
use votum_job::Size;

use crate::shell::{Shell, on_disk};

/// How an attempt has reached its disk limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DiskFull {
    /// One of its files did.
    #[error("disk full: a file reached the task's limit of {}", Size(*.limit))]
    File {
        /// Most bytes it may take.
        limit: u64,
    },
    /// Its files together did.
    #[error("disk full: it took {}, more than its limit of {}{}", Size(*.taken), Size(*.limit), most_words(.most.as_ref()))]
    Files {
        /// What was found.
        taken: u64,
        /// Most bytes it may take.
        limit: u64,
        /// What takes most of it, if one place does.
        most: Option<Place>,
    },
    /// They are so many that they cannot be measured.
    #[error("disk full: it made more than {ENTRIES_MAX} files, too many to measure")]
    Entries,
}

/// A file or a folder of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where, from the folder that holds the attempt's folders.
    path: PathBuf,
    /// What it takes with all that is below it.
    bytes: u64,
}

fn most_words(most: Option<&Place>) -> String {
    let words = |Place { path, bytes }: &Place| {
        format!("; {} of it is {}", Size(*bytes), path.to_string_lossy().escape_debug())
    };
    most.map(words).unwrap_or_default()
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
    let mut taken = 0u64;
    let look = measure(folders, |_, bytes| taken = taken.saturating_add(bytes));
    if look.is_none() {
        return Some(DiskFull::Entries);
    }
    (taken > limit).then(|| DiskFull::Files { taken, limit, most: narrowest(folders) })
}

/// Shows what each entry below the folders takes, and where it lies; none if they are too many.
fn measure(folders: &[PathBuf], mut show: impl FnMut(&Path, u64)) -> Option<()> {
    let mut entries = 0usize;
    for top in folders {
        let above = top.parent().unwrap_or(top);
        let mut open = vec![top.clone()];
        while let Some(folder) = open.pop() {
            // A folder may go while it is looked at.
            for path in list(&folder).unwrap_or_default() {
                entries += 1;
                if entries > ENTRIES_MAX {
                    return None;
                }
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                let bytes = metadata.blocks().saturating_mul(BLOCK_BYTES);
                show(path.strip_prefix(above).unwrap_or(&path), bytes);
                if metadata.is_dir() {
                    open.push(path);
                }
            }
        }
    }
    Some(())
}

/// Returns the narrowest place that takes more than half of all.
fn narrowest(folders: &[PathBuf]) -> Option<Place> {
    let mut places: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut taken = 0u64;
    measure(folders, |path, bytes| {
        taken = taken.saturating_add(bytes);
        add(&mut places, path, bytes);
    })?;
    // Places that take more than half lie in one another, and what lies deeper comes later.
    let most = places.into_iter().rfind(|(_, bytes)| *bytes > taken / 2);
    most.map(|(path, bytes)| Place { path, bytes })
}

/// Counts what an entry takes for it and for the first few folders that it lies in.
fn add(places: &mut BTreeMap<PathBuf, u64>, path: &Path, bytes: u64) {
    // Below the attempt's own folders, which are no news.
    for depth in 2..=DEPTH_MAX {
        let place: PathBuf = path.components().take(depth).collect();
        let whole = place == path;
        let sum = places.entry(place).or_default();
        *sum = sum.saturating_add(bytes);
        if whole {
            break;
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.take(ENTRIES_MAX + 1);
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// Between two looks at the files of an attempt.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Most files and folders of an attempt that has a disk limit.
const ENTRIES_MAX: usize = 200_000;
/// How deep the place that takes most is looked for, the attempt's own folders counted.
const DEPTH_MAX: usize = 6;
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

    #[test]
    fn the_place_that_takes_most_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir_all(out.join("rows/raw")).unwrap();
        fs::write(out.join("rows/raw/part-1"), vec![1; 2 << 20]).unwrap();
        fs::write(out.join("rows/raw/part-2"), vec![1; 2 << 20]).unwrap();
        fs::write(out.join("rows/small"), vec![1; 4096]).unwrap();

        let folders = [out.clone()];
        let full = exceeded(&folders, 1 << 20).unwrap().to_string();
        assert!(
            full.starts_with("disk full: it took 4.0 MiB, more than its limit of 1.0 MiB"),
            "{full}"
        );
        assert!(full.ends_with("; 4.0 MiB of it is out/rows/raw"), "{full}");

        fs::remove_file(out.join("rows/raw/part-1")).unwrap();
        let full = exceeded(&folders, 1 << 20).unwrap().to_string();
        assert!(full.ends_with("; 2.0 MiB of it is out/rows/raw/part-2"), "{full}");
    }

    #[test]
    fn no_place_is_named_when_none_takes_most() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(out.join(name), vec![1; 1 << 20]).unwrap();
        }
        let full = exceeded(&[out], 1 << 20).unwrap();
        assert!(matches!(full, DiskFull::Files { most: None, .. }), "{full:?}");
    }
}
