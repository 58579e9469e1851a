//! The one thread that writes: it gathers a group, writes it, syncs it, indexes it and says so.

use std::{
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use votum_crashpoint::crash_point;

use crate::{
    Lsn,
    backlog::{Backlog, Patience},
    catalogue::{Catalogue, Changes, Coverage},
    entry::Urgency,
    frame::{Frame, frame_bytes},
    index::IndexError,
    observer::SyncObserver,
    reclaim::{Obstacle, Reclaim},
    segment::{Active, Place},
    tally::Tally,
    watermark::Watermark,
};

/// Everything that the committer thread owns or shares.
pub(crate) struct Committer {
    pub(crate) journal: PathBuf,
    pub(crate) cluster: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) lazy_sync: Duration,
    pub(crate) closing_sync: Duration,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) active: Active,
    pub(crate) catalogue: Catalogue,
    pub(crate) reclaim: Reclaim,
    pub(crate) on_durable: Box<dyn Fn(Lsn) + Send>,
    pub(crate) observer: Box<dyn SyncObserver>,
    /// Bytes written since the index was last made durable.
    pub(crate) unchecked_bytes: u64,
}

/// What ends the process.
#[derive(Debug)]
enum Fault {
    Log(io::Error),
    Index(IndexError),
    Damaged { segment: Lsn, offset: u64 },
}

impl Committer {
    /// Commits groups until the backlog is closed and empty.
    ///
    /// Nothing that fails here can be made good: the process ends, so that no
    /// promise is made on a state that the disk does not have.
    pub(crate) fn run(mut self) {
        let journal = self.journal.clone();
        match catch_unwind(AssertUnwindSafe(|| self.commit_all())) {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => end_process(&journal, &fault.to_string()),
            Err(_panic) => end_process(&journal, "the committer panicked"),
        }
    }

    fn commit_all(&mut self) -> Result<(), Fault> {
        loop {
            let (patience, copies) = if self.reclaim.is_cleaning() {
                (Patience::None, self.reclaim.next_copies(&self.catalogue)?)
            } else {
                let (lazy, closing) = (self.lazy_sync, self.closing_sync);
                (Patience::UntilSomethingArrives { lazy, closing }, Vec::new())
            };
            let Some(mut group) = self.backlog.take(patience, copies) else { return Ok(()) };
            if !group.is_empty() {
                self.commit(&mut group)?;
            }
            self.reclaim()?;
        }
    }

    fn commit(&mut self, group: &mut [Frame]) -> Result<(), Fault> {
        let bytes = group.iter().map(|frame| frame_bytes(&frame.entry) as u64).sum();
        let last = group.last().map_or(Lsn::NONE, |frame| frame.lsn);
        if !self.active.takes(bytes) {
            self.rotate(group[0].lsn)?;
        }
        let durable = self.watermark.durable();
        group.iter_mut().for_each(|frame| frame.durable = durable);
        crash_point!("journal.before_append");
        let places = self.active.write(group)?;
        crash_point!("journal.after_append");
        self.observer.sync_begins();
        self.active.sync()?;
        self.observer.sync_ended();
        self.tally.fdatasyncs.add(1);
        self.tally.bytes.add(bytes);
        crash_point!("journal.after_sync");
        let live = self.index(group, &places, last)?;
        self.reclaim.applied(live);
        self.count(group);
        crash_point!("journal.before_publish");
        self.watermark.raise(last);
        (self.on_durable)(last);
        self.unchecked_bytes += bytes;
        if self.unchecked_bytes >= CHECKPOINT_BYTES {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Closes the active segment and goes on in one that starts with `next`.
    fn rotate(&mut self, next: Lsn) -> Result<(), Fault> {
        let header = self.active.finish(next)?;
        self.reclaim.closed(self.active.first(), self.active.used());
        self.active = Active::create(&self.journal, header, self.segment_bytes)?;
        self.tally.segments_made.add(1);
        self.checkpoint()
    }

    fn index(
        &self,
        group: &[Frame],
        places: &[Place],
        applied: Lsn,
    ) -> Result<BTreeMap<Lsn, u64>, Fault> {
        let mut changes = Changes::new(&self.catalogue);
        for (frame, place) in group.iter().zip(places) {
            if frame.origin == frame.lsn {
                changes.add(frame, *place)?;
            } else {
                changes.move_to(frame, *place)?;
            }
        }
        let (batch, live) = changes.finish(Coverage { cluster: self.cluster, applied });
        self.catalogue.index().apply(batch)?;
        Ok(live)
    }

    fn count(&self, group: &[Frame]) {
        for frame in group {
            let counter = match frame.entry.urgency {
                _copy if frame.origin != frame.lsn => &self.tally.copied_records,
                Urgency::Forced => &self.tally.forced_records,
                Urgency::Lazy => &self.tally.lazy_records,
            };
            counter.add(1);
        }
    }

    fn reclaim(&mut self) -> Result<(), Fault> {
        let removed = self.reclaim.remove_dead(&self.journal, self.active.first())?;
        self.tally.segments_removed.add(removed);
        self.tally.log_bytes.set(self.reclaim.closed_bytes() + self.active.used());
        Ok(self.reclaim.begin_cleaning(&self.journal)?)
    }

    fn checkpoint(&mut self) -> Result<(), Fault> {
        self.catalogue.index().checkpoint()?;
        self.unchecked_bytes = 0;
        Ok(())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) if error.kind() == io::ErrorKind::StorageFull => f.write_str(
                "the disk is full: free some space and start again, nothing acknowledged is lost",
            ),
            Self::Log(error) => write!(f, "a write or sync failed: {error}"),
            Self::Index(error) => {
                write!(f, "{error}")?;
                if let Some(cause) = std::error::Error::source(error) {
                    write!(f, ": {cause}")?;
                }
                f.write_str("; the next start rebuilds it")
            }
            Self::Damaged { segment, offset } => {
                write!(f, "the segment that starts with {segment} is damaged at offset {offset}")
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Log(error)
    }
}

impl From<IndexError> for Fault {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<Obstacle> for Fault {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Io(error) => Self::Log(error),
            Obstacle::Index(error) => Self::Index(error),
            Obstacle::Damaged { segment, offset } => Self::Damaged { segment, offset },
        }
    }
}

/// Ends the process at once: no destructor may pretend that anything was saved.
#[expect(clippy::print_stderr, reason = "the process ends here and no logger is below this crate")]
pub(crate) fn end_process(journal: &Path, why: &str) -> ! {
    eprintln!("the journal in {} cannot go on: {why}", journal.display());
    process::abort()
}

/// After how many bytes the index is made durable, so that a start has little to catch up with.
const CHECKPOINT_BYTES: u64 = 16 << 20;
