//! What is on the disk, and where the log ends.
//!
//! A start looks at every segment's header and at the last frame before it, but
//! reads only the last segment: history costs two small reads a segment.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    Lsn, OpenError,
    error::At,
    folder,
    frame::{ALIGNMENT, Fault, Frame, Outline, Seal},
    head,
    segment::{self, FORMAT, HEADER_BYTES, Header, HeaderFault, Last, Place},
};

/// What was cut off because a crash left it half written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the log ends.
    pub offset: u64,
    /// How many bytes after it were not zero's.
    pub bytes: u64,
}

/// One file of the log as it was found.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) length: u64,
}

/// The end of a segment, found by reading it.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) end: u64,
    pub(crate) next: Lsn,
    pub(crate) last: Option<Last>,
    pub(crate) epoch: u64,
    pub(crate) torn: Option<TornTail>,
}

/// Lists the segments, oldest first, and checks that each follows the one before it.
pub(crate) fn survey(journal: &Path) -> Result<BTreeMap<Lsn, Segment>, OpenError> {
    let found = folder::segments(journal).at(journal)?;
    let head = head::read(journal)?;
    let expected = head.unwrap_or(Lsn(1));
    let began = head.is_some() || journal.join(folder::INDEX).exists() || !found.is_empty();
    if began && !found.contains(&expected) {
        return Err(OpenError::StartMissing { folder: journal.to_owned(), expected });
    }
    let found = head::remove_before(journal, found, expected)?;
    let mut segments: BTreeMap<Lsn, Segment> = BTreeMap::new();
    for first in found {
        let segment = Segment::look_at(folder::segment_path(journal, first), first)?;
        if let Some((_, previous)) = segments.last_key_value() {
            segment.check_follows(previous)?;
        }
        segments.insert(first, segment);
    }
    Ok(segments)
}

impl Segment {
    fn look_at(path: PathBuf, first: Lsn) -> Result<Self, OpenError> {
        let mut file = File::open(&path).at(&path)?;
        let length = file.metadata().at(&path)?.len();
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut bytes).at(&path)?;
        match Header::decode(&bytes) {
            Ok(header) if header.first == first => Ok(Self { path, header, length }),
            Ok(_) | Err(HeaderFault::Damaged) => Err(OpenError::NotASegment { file: path }),
            Err(HeaderFault::UnknownFormat { found }) => {
                Err(OpenError::UnknownFormat { file: path, found, known: FORMAT })
            }
        }
    }

    /// Checks that the last frame of `previous` is the one that this header names.
    fn check_follows(&self, previous: &Self) -> Result<(), OpenError> {
        if self.header.cluster != previous.header.cluster {
            return Err(OpenError::OtherCluster { file: self.path.clone() });
        }
        let unchained =
            || OpenError::Unchained { file: self.path.clone(), previous: previous.path.clone() };
        let last = self.header.previous.ok_or_else(unchained)?;
        let file = File::open(&previous.path).at(&previous.path)?;
        let seal = previous.header.seal();
        let frame = segment::read_frame(&file, seal, last.offset).at(&previous.path)?;
        let (_, outline) = frame.ok_or_else(unchained)?;
        let ends = last.offset + outline.bytes as u64 == previous.length;
        let named = outline.checksum == last.checksum && outline.lsn.next() == self.header.first;
        if ends && named { Ok(()) } else { Err(unchained()) }
    }

    /// Reads a segment that another one follows: every byte of it must be right.
    pub(crate) fn read_closed(
        &self,
        visit: &mut dyn FnMut(Frame, Place) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let bytes = fs::read(&self.path).at(&self.path)?;
        let tail = self.frames(&bytes, visit)?;
        if tail.end == bytes.len() as u64 { Ok(()) } else { Err(self.damaged(tail.end)) }
    }

    /// Reads the last segment and finds where the log ends.
    pub(crate) fn read_last(
        &self,
        visit: &mut dyn FnMut(Frame, Place) -> Result<(), OpenError>,
    ) -> Result<Tail, OpenError> {
        let bytes = fs::read(&self.path).at(&self.path)?;
        let mut tail = self.frames(&bytes, visit)?;
        let end = usize::try_from(tail.end).expect("the segment is in memory");
        if was_durable(self.header.seal(), &bytes, end, tail.next) {
            return Err(self.damaged(tail.end));
        }
        let rest = &bytes[end..];
        if let Some(last) = rest.iter().rposition(|byte| *byte != 0) {
            let (file, offset) = (self.path.clone(), tail.end);
            tail.torn = Some(TornTail { file, offset, bytes: last as u64 + 1 });
        }
        Ok(tail)
    }

    /// Visits the frames from the first one to the first that is not whole.
    fn frames(
        &self,
        bytes: &[u8],
        visit: &mut dyn FnMut(Frame, Place) -> Result<(), OpenError>,
    ) -> Result<Tail, OpenError> {
        let seal = self.header.seal();
        let (next, epoch) = (self.header.first, self.header.epoch);
        let mut tail = Tail { end: HEADER_BYTES as u64, next, last: None, epoch, torn: None };
        loop {
            let at = usize::try_from(tail.end).expect("the segment is in memory");
            let (frame, outline) = match Frame::decode(seal, tail.end, &bytes[at..]) {
                Ok(decoded) => decoded,
                Err(Fault::NoFrame) => return Ok(tail),
                Err(Fault::Unreadable) => return Err(self.unreadable(tail.end)),
            };
            if outline.lsn != tail.next {
                return Err(OpenError::Gap {
                    file: self.path.clone(),
                    offset: tail.end,
                    expected: tail.next,
                    found: outline.lsn,
                });
            }
            if frame.durable >= frame.lsn || frame.origin > frame.lsn {
                return Err(self.unreadable(tail.end));
            }
            let bytes = u32::try_from(outline.bytes).expect("a frame has a bound");
            let place = Place { segment: self.header.first, offset: tail.end, bytes };
            tail.last = Some(Last { offset: tail.end, checksum: outline.checksum });
            tail.epoch = tail.epoch.max(frame.epoch);
            tail.end += u64::from(bytes);
            tail.next = tail.next.next();
            visit(frame, place)?;
        }
    }

    fn damaged(&self, offset: u64) -> OpenError {
        OpenError::Damaged { file: self.path.clone(), offset }
    }

    fn unreadable(&self, offset: u64) -> OpenError {
        OpenError::Unreadable { file: self.path.clone(), offset }
    }
}

/// Cuts the last segment where the log ends.
pub(crate) fn cut(torn: &TornTail) -> Result<(), OpenError> {
    let file = File::options().write(true).open(&torn.file).at(&torn.file)?;
    file.set_len(torn.offset).at(&torn.file)
}

/// Says whether record `missing`, which is not whole at `end`, had become durable.
///
/// The groups of a log are written one after the other, each after the sync of
/// the one before, and every frame says what was durable by then. A frame after
/// the damage that belongs to the same group proves nothing: a crash may keep
/// any pages of an unsynced write. A frame that counts the missing one among
/// the durable ones proves that it was there.
fn was_durable(seal: Seal, bytes: &[u8], end: usize, missing: Lsn) -> bool {
    let frames_left = (bytes.len() - end) as u64;
    let possible = missing.next()..=Lsn(missing.0 + frames_left);
    (end..bytes.len()).step_by(ALIGNMENT).any(|at| {
        let Some(found) = bytes.get(at + 8..).and_then(|body| body.first_chunk()) else {
            return false;
        };
        possible.contains(&Lsn(u64::from_le_bytes(*found)))
            && Outline::read(seal, at as u64, &bytes[at..])
                .is_some_and(|outline| outline.durable >= missing)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        entry::{Bearing, Entry, Stream, Urgency},
        segment::Active,
    };

    proptest! {
        /// Damage may cost the last group, or the start; never a record before it.
        #[test]
        fn a_flipped_byte_leaves_a_prefix_or_refuses(
            groups in prop::collection::vec(1..4_usize, 1..6),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let (folder, frames, mut bytes, used) = segment_of(&groups);
            let at = at.index(used);
            bytes[at] ^= flip;

            let found = recovered(&folder, &bytes);

            let last_group = frames.len() - groups.last().unwrap();
            match found {
                Ok(read) => {
                    prop_assert!(read.len() >= last_group, "a synced record is missing");
                    prop_assert_eq!(&read, &frames[..read.len()]);
                }
                Err(OpenError::NotASegment { .. }) => prop_assert!(at < HEADER_BYTES),
                Err(error) => {
                    let damaged = matches!(error, OpenError::Damaged { .. });
                    prop_assert!(damaged && groups.len() > 1, "{:?}", error);
                }
            }
        }

        /// A file that ends early, or in zeros, holds the records before its end.
        #[test]
        fn a_prefix_of_a_segment_holds_a_prefix_of_its_records(
            groups in prop::collection::vec(1..4_usize, 1..6),
            at in any::<prop::sample::Index>(),
            zeros in any::<bool>(),
        ) {
            let (folder, frames, mut bytes, used) = segment_of(&groups);
            let at = at.index(used);
            if zeros { bytes[at..].fill(0) } else { bytes.truncate(at) }

            let found = recovered(&folder, &bytes);

            match found {
                Ok(read) => prop_assert_eq!(&read, &frames[..read.len()]),
                Err(error) => prop_assert!(at < HEADER_BYTES, "{:?}", error),
            }
        }
    }

    /// Writes a segment group by group; returns its frames, its bytes and how many are used.
    fn segment_of(groups: &[usize]) -> (tempfile::TempDir, Vec<Frame>, Vec<u8>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let header = Header { cluster: [3; 16], first: Lsn(1), previous: None, epoch: 0 };
        let mut active = Active::create(folder.path(), header, 4096).unwrap();
        let mut frames = Vec::new();
        for group in groups {
            let durable = Lsn(frames.len() as u64);
            let group: Vec<_> = (1..=*group as u64).map(|at| frame(durable, at)).collect();
            active.write(&group).unwrap();
            frames.extend(group);
        }
        let bytes = fs::read(folder::segment_path(folder.path(), Lsn(1))).unwrap();
        let used = usize::try_from(active.used()).unwrap();
        (folder, frames, bytes, used)
    }

    fn frame(durable: Lsn, at: u64) -> Frame {
        let lsn = Lsn(durable.0 + at);
        let entry = Entry {
            stream: Stream::new("job/a").unwrap(),
            urgency: Urgency::Lazy,
            version: 1,
            bearing: Bearing::Continues,
            keys: Vec::new(),
            payload: vec![7; usize::try_from(lsn.0 * 37 % 90).unwrap()],
        };
        Frame { lsn, origin: lsn, durable, epoch: 0, sequence: lsn.0, entry }
    }

    fn recovered(folder: &tempfile::TempDir, bytes: &[u8]) -> Result<Vec<Frame>, OpenError> {
        fs::write(folder::segment_path(folder.path(), Lsn(1)), bytes).unwrap();
        let mut read = Vec::new();
        survey(folder.path())?[&Lsn(1)].read_last(&mut |frame, _| {
            read.push(frame);
            Ok(())
        })?;
        Ok(read)
    }
}
