//! Brings the index up to the log: by what it lacks, or from nothing.

use std::{collections::BTreeMap, fs::File, path::Path};

use crate::{
    Lsn, OpenError,
    catalogue::{Catalogue, Changes, Coverage},
    error::At,
    frame::Frame,
    index::Index,
    recovery::Segment,
    segment::{self, Place},
    trust::{self, Doubt},
};

/// What the start had to do with the index.
#[derive(Debug)]
pub enum IndexState {
    /// It went as far as the log.
    Current,
    /// It lacked the last records, which were applied.
    CaughtUp {
        /// How many.
        records: u64,
    },
    /// It was moved aside and built from the whole log.
    Rebuilt {
        /// Why.
        doubt: Doubt,
        /// How many frames the log has.
        records: u64,
    },
}

/// Opens the index, or makes it again, and applies what it lacks up to `last`.
pub(crate) fn attach(
    journal: &Path,
    segments: &BTreeMap<Lsn, Segment>,
    cluster: [u8; 16],
    last: Lsn,
) -> Result<(Catalogue, IndexState), OpenError> {
    let oldest = *segments.keys().next().expect("a journal has a segment");
    let doubt = match usable(journal, cluster, oldest, last)? {
        Ok((catalogue, applied)) => {
            let records = catch_up(&catalogue, segments, Coverage { cluster, applied })?;
            let state = match records {
                0 => IndexState::Current,
                records => IndexState::CaughtUp { records },
            };
            return Ok((catalogue, state));
        }
        Err(doubt) => doubt,
    };
    Index::set_aside(journal).at(journal)?;
    trust::begin(journal).at(journal)?;
    let catalogue = Catalogue::new(Index::open(journal)?);
    let records = rebuild(&catalogue, segments, Coverage { cluster, applied: last })?;
    let fresh = last == Lsn::NONE && matches!(doubt, Doubt::Missing);
    let state = if fresh { IndexState::Current } else { IndexState::Rebuilt { doubt, records } };
    Ok((catalogue, state))
}

/// Opens the index if nothing speaks against it, and says how far it goes.
fn usable(
    journal: &Path,
    cluster: [u8; 16],
    oldest: Lsn,
    last: Lsn,
) -> Result<Result<(Catalogue, Lsn), Doubt>, OpenError> {
    if !Index::exists(journal) {
        return Ok(Err(Doubt::Missing));
    }
    if let Some(doubt) = trust::doubt(journal).at(journal)? {
        return Ok(Err(doubt));
    }
    trust::begin(journal).at(journal)?;
    let index = match Index::open(journal) {
        Ok(index) => index,
        Err(error) => return Ok(Err(Doubt::Unusable(error))),
    };
    let catalogue = Catalogue::new(index);
    Ok(match catalogue.coverage() {
        Err(error) => Err(Doubt::Unusable(error)),
        Ok(None) => Err(Doubt::OtherFormat),
        Ok(Some(found)) if found.cluster != cluster => Err(Doubt::OtherCluster),
        Ok(Some(Coverage { applied, .. })) if applied > last => Err(Doubt::Ahead { applied, last }),
        Ok(Some(Coverage { applied, .. })) if applied < oldest.previous() => {
            Err(Doubt::Behind { applied, oldest })
        }
        Ok(Some(Coverage { applied, .. })) => Ok((catalogue, applied)),
    })
}

/// Applies the frames after those that the index has, and returns how many.
fn catch_up(
    catalogue: &Catalogue,
    segments: &BTreeMap<Lsn, Segment>,
    coverage: Coverage,
) -> Result<u64, OpenError> {
    let next = coverage.applied.next();
    let start = segments.range(..=next).next_back().map_or(next, |(first, _)| *first);
    let mut feed = Feed::new(catalogue);
    let mut applied = coverage.applied;
    visit_from(segments, start, &mut |frame, place| {
        if frame.lsn <= coverage.applied {
            return Ok(());
        }
        applied = frame.lsn;
        feed.take(&frame, place)?;
        feed.apply_when_large(Some(Coverage { applied, ..coverage }))
    })?;
    if applied > coverage.applied {
        feed.apply(Some(Coverage { applied, ..coverage }))?;
    }
    Ok(applied.0 - coverage.applied.0)
}

/// Applies the whole log to an empty index and returns how many frames it has.
///
/// Records are applied in the order of their first appending. Of those that
/// stood in removed segments only copies are left, anywhere in the log, so
/// these come first. The index says how far it goes only at the end: a rebuild
/// that a crash interrupts starts over.
fn rebuild(
    catalogue: &Catalogue,
    segments: &BTreeMap<Lsn, Segment>,
    coverage: Coverage,
) -> Result<u64, OpenError> {
    let oldest = *segments.keys().next().expect("a journal has a segment");
    let mut feed = Feed::new(catalogue);
    for place in orphaned_copies(segments, oldest)?.into_values() {
        let segment = &segments[&place.segment];
        let file = File::open(&segment.path).at(&segment.path)?;
        let frame = segment::read_frame(&file, segment.header.seal(), place.offset);
        let Some((frame, _)) = frame.at(&segment.path)? else {
            let (file, offset) = (segment.path.clone(), place.offset);
            return Err(OpenError::Damaged { file, offset });
        };
        feed.changes.add(&frame, place)?;
        feed.apply_when_large(None)?;
    }
    let mut records = 0;
    visit_from(segments, oldest, &mut |frame, place| {
        records += 1;
        feed.take(&frame, place)?;
        feed.apply_when_large(None)
    })?;
    feed.apply(None)?;
    if let Some(stream) = catalogue.torn_stream()? {
        return Err(OpenError::RecordMissing { stream });
    }
    Feed::new(catalogue).apply(Some(coverage))?;
    catalogue.index().checkpoint()?;
    Ok(records)
}

/// Finds the last copy of every record whose original stood in a removed segment.
fn orphaned_copies(
    segments: &BTreeMap<Lsn, Segment>,
    oldest: Lsn,
) -> Result<BTreeMap<Lsn, Place>, OpenError> {
    let mut copies = BTreeMap::new();
    if oldest > Lsn(1) {
        visit_from(segments, oldest, &mut |frame, place| {
            if frame.origin < oldest {
                copies.insert(frame.origin, place);
            }
            Ok(())
        })?;
    }
    Ok(copies)
}

/// Visits every frame of the segments from `start` on, in order.
fn visit_from(
    segments: &BTreeMap<Lsn, Segment>,
    start: Lsn,
    visit: &mut dyn FnMut(Frame, Place) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let newest = segments.keys().next_back().copied();
    for (first, segment) in segments.range(start..) {
        if Some(*first) == newest {
            segment.read_last(visit)?;
        } else {
            segment.read_closed(visit)?;
        }
    }
    Ok(())
}

/// Gathers changes and applies them in batches.
struct Feed<'a> {
    catalogue: &'a Catalogue,
    changes: Changes<'a>,
}

impl<'a> Feed<'a> {
    fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, changes: Changes::new(catalogue) }
    }

    fn take(&mut self, frame: &Frame, place: Place) -> Result<(), OpenError> {
        if frame.origin == frame.lsn {
            self.changes.add(frame, place)?;
        } else {
            self.changes.move_to(frame, place)?;
        }
        Ok(())
    }

    fn apply_when_large(&mut self, coverage: Option<Coverage>) -> Result<(), OpenError> {
        if self.changes.len() < BATCH_KEYS { Ok(()) } else { self.apply(coverage) }
    }

    fn apply(&mut self, coverage: Option<Coverage>) -> Result<(), OpenError> {
        let changes = std::mem::replace(&mut self.changes, Changes::new(self.catalogue));
        let batch = match coverage {
            Some(coverage) => changes.finish(coverage).0,
            None => changes.finish_unmarked(),
        };
        Ok(self.catalogue.index().apply(batch)?)
    }
}

/// How many changed keys make a batch of a replay.
const BATCH_KEYS: usize = 4096;
