//! Gives back the bytes of dead records: always from the oldest end of the log.
//!
//! The oldest segment goes when none of its records is alive. When more of the
//! closed segments is dead than alive, the live records of the oldest one are
//! copied to the end of the log, a bounded number of bytes between two groups,
//! until none is left. So the log stays within twice its live bytes and a few
//! segments, and every byte freed costs at most about one byte copied.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use votum_crashpoint::crash_point;

use crate::{
    Lsn,
    catalogue::Catalogue,
    folder,
    frame::{Frame, Seal},
    head,
    index::IndexError,
    segment::{self, HEADER_BYTES},
};

/// What each segment holds, and how far the oldest one is copied.
#[derive(Debug)]
pub(crate) struct Reclaim {
    cluster: [u8; 16],
    segment_bytes: u64,
    /// The closed segments, oldest first.
    closed: BTreeMap<Lsn, Usage>,
    /// What the closed segments hold together.
    total: Usage,
    /// The live bytes of the segment that is written to.
    active_live: u64,
    cleaning: Option<Cleaning>,
    /// The segment that was read to its end: with the next group all its live records have moved.
    cleaned: Option<Lsn>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    bytes: u64,
    live: u64,
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, live: self.live + other.live }
    }
}

/// The oldest segment, being read from its start.
#[derive(Debug)]
struct Cleaning {
    segment: Lsn,
    file: File,
    offset: u64,
}

/// What reclaiming stumbled over.
#[derive(Debug)]
pub(crate) enum Obstacle {
    Io(io::Error),
    Index(IndexError),
    Damaged { segment: Lsn, offset: u64 },
}

impl Reclaim {
    /// Starts with the closed segments' lengths and what the index counts as alive.
    pub(crate) fn new(
        cluster: [u8; 16],
        segment_bytes: u64,
        closed: BTreeMap<Lsn, u64>,
        active: Lsn,
        mut live: BTreeMap<Lsn, u64>,
    ) -> Self {
        let mut usage = |(segment, bytes)| {
            let live = live.remove(&segment).unwrap_or(0);
            (segment, Usage { bytes, live })
        };
        let closed: BTreeMap<_, _> = closed.into_iter().map(&mut usage).collect();
        let total = closed.values().fold(Usage::default(), |total, usage| total.plus(*usage));
        let active_live = live.remove(&active).unwrap_or(0);
        let (cleaning, cleaned) = (None, None);
        Self { cluster, segment_bytes, closed, total, active_live, cleaning, cleaned }
    }

    /// Notes the live bytes of segments after a group was applied.
    pub(crate) fn applied(&mut self, live: BTreeMap<Lsn, u64>) {
        for (segment, live) in live {
            match self.closed.get_mut(&segment) {
                Some(usage) => {
                    self.total.live = self.total.live - usage.live + live;
                    usage.live = live;
                }
                None => self.active_live = live,
            }
        }
    }

    /// Notes that the segment that was written to is closed.
    pub(crate) fn closed(&mut self, segment: Lsn, bytes: u64) {
        let usage = Usage { bytes, live: self.active_live };
        self.total = self.total.plus(usage);
        self.closed.insert(segment, usage);
        self.active_live = 0;
    }

    /// Returns the bytes of the closed segments.
    pub(crate) fn closed_bytes(&self) -> u64 {
        self.total.bytes
    }

    pub(crate) fn is_cleaning(&self) -> bool {
        self.cleaning.is_some()
    }

    /// Begins to clean the oldest segment if more is dead than alive.
    pub(crate) fn begin_cleaning(&mut self, journal: &Path) -> Result<(), Obstacle> {
        let live = self.total.live;
        let dead = self.total.bytes.saturating_sub(live);
        let Some((segment, _)) = self.closed.first_key_value() else { return Ok(()) };
        if self.cleaning.is_none() && dead > live && dead >= self.segment_bytes {
            let file = File::open(folder::segment_path(journal, *segment)).map_err(Obstacle::Io)?;
            let offset = HEADER_BYTES as u64;
            self.cleaning = Some(Cleaning { segment: *segment, file, offset });
        }
        Ok(())
    }

    /// Returns the next live records of the segment being cleaned, read within a bound.
    pub(crate) fn next_copies(&mut self, catalogue: &Catalogue) -> Result<Vec<Frame>, Obstacle> {
        let Some(cleaning) = &mut self.cleaning else { return Ok(Vec::new()) };
        let end = self.closed.get(&cleaning.segment).map_or(0, |usage| usage.bytes);
        let step_end = end.min(cleaning.offset + STEP_BYTES);
        let seal = Seal::new(self.cluster, cleaning.segment);
        let mut copies = Vec::new();
        while cleaning.offset < step_end {
            let frame = segment::read_frame(&cleaning.file, seal, cleaning.offset);
            let Some((frame, outline)) = frame.map_err(Obstacle::Io)? else {
                let (segment, offset) = (cleaning.segment, cleaning.offset);
                return Err(Obstacle::Damaged { segment, offset });
            };
            let position =
                catalogue.position(&frame.entry.stream, frame.sequence).map_err(Obstacle::Index)?;
            let here = position.is_some_and(|position| {
                let place = position.place;
                place.segment == cleaning.segment && place.offset == cleaning.offset
            });
            cleaning.offset += outline.bytes as u64;
            if here {
                copies.push(frame);
            }
        }
        if cleaning.offset >= end {
            self.cleaned = Some(cleaning.segment);
            self.cleaning = None;
        }
        Ok(copies)
    }

    /// Removes the oldest segments without a live record and returns how many went.
    ///
    /// The file `head` says durably that they may go before they do.
    pub(crate) fn remove_dead(&mut self, journal: &Path, active: Lsn) -> io::Result<u64> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.closed.first_entry()
            && (oldest.get().live == 0 || self.cleaned == Some(*oldest.key()))
        {
            let (segment, usage) = oldest.remove_entry();
            self.total.bytes -= usage.bytes;
            self.total.live -= usage.live;
            gone.push(segment);
        }
        self.cleaned = None;
        if gone.is_empty() {
            return Ok(0);
        }
        let head = self.closed.first_key_value().map_or(active, |(segment, _)| *segment);
        self.cleaning.take_if(|cleaning| cleaning.segment < head);
        crash_point!("journal.before_head");
        head::write(journal, head)?;
        crash_point!("journal.after_head");
        for segment in &gone {
            fs::remove_file(folder::segment_path(journal, *segment))?;
        }
        Ok(gone.len() as u64)
    }
}

/// How many bytes of the oldest segment are looked at between two groups.
const STEP_BYTES: u64 = 256 << 10;
