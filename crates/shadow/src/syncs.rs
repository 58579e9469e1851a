//! Syncs that do not need each other, begun when everything they cover is written.
//!
//! On a journalling filesystem the first sync commits whatever was changed until then, and
//! those after it find little left. A few follow one another on one thread: to start and wake
//! another one costs more than it saves. Many are taken by several lanes at once.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rustix::fs;

use crate::fault::{SYNC, StorageError, fault};

/// Files and directories whose syncs are still to be begun.
///
/// Nothing of it is durable before [`Syncs::finish`] has returned.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    waiting: Vec<(OwnedFd, PathBuf)>,
}

impl Syncs {
    /// Adds a file or a directory as it is at this moment.
    ///
    /// Where many wait already they are synced first, so that few descriptors are open.
    pub(crate) fn add(
        &mut self,
        what: impl Into<OwnedFd>,
        shown: impl AsRef<Path>,
    ) -> Result<(), StorageError> {
        self.waiting.push((what.into(), shown.as_ref().to_owned()));
        if self.waiting.len() < WAITING_MAX { Ok(()) } else { self.begin() }
    }

    /// Makes all that was added durable.
    ///
    /// After an error none of it can be relied upon.
    pub(crate) fn finish(mut self) -> Result<(), StorageError> {
        self.begin()
    }

    fn begin(&mut self) -> Result<(), StorageError> {
        let waiting = std::mem::take(&mut self.waiting);
        let next = AtomicUsize::new(0);
        let lane = || {
            while let Some((what, shown)) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
                fs::fsync(what).map_err(fault(SYNC, shown))?;
            }
            Ok(())
        };
        // This thread is a lane, too.
        thread::scope(|scope| {
            let others = LANES.min(waiting.len() / WORTH_A_LANE).saturating_sub(1);
            let others: Vec<_> = (0..others).map(|_| scope.spawn(lane)).collect();
            let mine = lane();
            let theirs: Vec<_> = others
                .into_iter()
                .map(|other| other.join().expect("a lane does not panic"))
                .collect();
            theirs.into_iter().fold(mine, Result::and)
        })
    }
}

/// How many syncs are waited for at a time.
const LANES: usize = 8;
/// So many syncs are worth a thread.
const WORTH_A_LANE: usize = 8;
/// How many descriptors are kept open for it.
const WAITING_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn more_than_may_wait_are_synced_on_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let mut syncs = Syncs::default();
        for n in 0..=WAITING_MAX {
            let file = File::create(dir.path().join(n.to_string())).unwrap();
            syncs.add(file, "file").unwrap();
        }

        assert_eq!(syncs.waiting.len(), 1);
        syncs.finish().unwrap();
    }

    #[test]
    fn one_failure_among_many_is_told_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut syncs = Syncs::default();
        for n in 0..20 {
            syncs.add(File::create(dir.path().join(n.to_string())).unwrap(), "file").unwrap();
        }
        // The end of a pipe has nothing to sync.
        syncs.add(std::io::pipe().unwrap().1, "pipe").unwrap();

        let failed = syncs.finish().unwrap_err();

        assert_eq!((failed.path.to_str(), failed.is_failed_sync()), (Some("pipe"), true));
    }
}
