//! Reads durable records and keys from any thread.

use std::{fmt, fs::File, io, path::PathBuf, sync::Arc};

use crate::{
    Counters, Lsn, ReadError, Stored, Stream,
    catalogue::{Catalogue, Position},
    entry::KeyValue,
    folder,
    frame::{Frame, Seal},
    segment,
    tally::Tally,
    watermark::Watermark,
};

/// Reads a journal; cheap to clone.
///
/// It sees exactly what is durable. The folder stays occupied while a reader lives.
#[derive(Clone)]
pub struct Reader {
    pub(crate) journal: Arc<PathBuf>,
    pub(crate) cluster: [u8; 16],
    pub(crate) catalogue: Catalogue,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) tally: Arc<Tally>,
    /// Declared last and so dropped last: the index must be closed while the folder is occupied.
    pub(crate) lock: Arc<File>,
}

impl Reader {
    /// Returns the records of a stream in order; none if it is unknown or forgotten.
    ///
    /// # Errors
    /// [`ReadError`] when the index or the log cannot answer.
    pub fn read(&self, stream: &Stream) -> Result<Vec<Stored>, ReadError> {
        let mut attempts_left = READ_ATTEMPTS_MAX;
        loop {
            attempts_left -= 1;
            match self.try_read(stream) {
                Ok(records) => return Ok(records),
                // A record that is being moved or forgotten is not where it was a moment ago.
                Err(ReadError::Misplaced { .. } | ReadError::Incomplete { .. })
                    if attempts_left > 0 => {}
                Err(error @ (ReadError::Misplaced { .. } | ReadError::Incomplete { .. })) => {
                    self.catalogue.index().withdraw_trust();
                    return Err(error);
                }
                Err(error @ (ReadError::Index(_) | ReadError::Io { .. })) => return Err(error),
            }
        }
    }

    /// Returns the streams that have a record and are neither closed nor forgotten, in order.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    pub fn open_streams(&self) -> Result<Vec<Stream>, ReadError> {
        Ok(self.catalogue.open_streams()?)
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.catalogue.get(key)?)
    }

    /// Returns at most `limit` keys below `prefix` that follow `after`, in byte order.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    pub fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, ReadError> {
        Ok(self.catalogue.scan(prefix, after, limit)?)
    }

    /// Returns the number up to which every record is durable and indexed.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.watermark.durable()
    }

    /// Waits until a record is durable and indexed.
    pub fn wait_for(&self, lsn: Lsn) {
        self.watermark.wait_for(lsn);
    }

    /// Returns what the journal has done since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    fn try_read(&self, stream: &Stream) -> Result<Vec<Stored>, ReadError> {
        let Some(extent) = self.catalogue.extent(stream)? else { return Ok(Vec::new()) };
        let positions = self.catalogue.positions(stream)?;
        let wanted = extent.first..extent.next;
        let positions: Vec<_> =
            positions.into_iter().filter(|(sequence, _)| wanted.contains(sequence)).collect();
        if positions.len() as u64 != extent.next - extent.first {
            return Err(ReadError::Incomplete { stream: stream.clone() });
        }
        let mut open: Option<(Lsn, File)> = None;
        let mut records = Vec::with_capacity(positions.len());
        for (sequence, position) in positions {
            let segment = position.place.segment;
            if open.as_ref().is_none_or(|(first, _)| *first != segment) {
                open = Some((segment, self.open_segment(stream, position)?));
            }
            let (_, file) = open.as_ref().expect("it was just opened");
            let frame = self.read_frame(stream, file, sequence, position)?;
            records.push(Stored {
                lsn: frame.origin,
                epoch: frame.epoch,
                urgency: frame.entry.urgency,
                version: frame.entry.version,
                payload: frame.entry.payload,
            });
        }
        Ok(records)
    }

    fn open_segment(&self, stream: &Stream, position: Position) -> Result<File, ReadError> {
        let path = folder::segment_path(&self.journal, position.place.segment);
        File::open(&path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                self.misplaced(stream, position)
            } else {
                ReadError::Io { path, source }
            }
        })
    }

    fn read_frame(
        &self,
        stream: &Stream,
        file: &File,
        sequence: u64,
        position: Position,
    ) -> Result<Frame, ReadError> {
        let place = position.place;
        let seal = Seal::new(self.cluster, place.segment);
        let frame = segment::read_whole_frame(file, seal, place.offset, place.bytes as usize);
        let frame = frame.map_err(|source| {
            let path = folder::segment_path(&self.journal, place.segment);
            ReadError::Io { path, source }
        })?;
        match frame {
            Some((frame, _))
                if frame.entry.stream == *stream
                    && frame.sequence == sequence
                    && frame.origin == position.origin =>
            {
                Ok(frame)
            }
            Some(_) | None => Err(self.misplaced(stream, position)),
        }
    }

    fn misplaced(&self, stream: &Stream, position: Position) -> ReadError {
        let file = folder::segment_path(&self.journal, position.place.segment);
        ReadError::Misplaced { stream: stream.clone(), file, offset: position.place.offset }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("journal", &self.journal)
            .field("durable", &self.durable())
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

/// How often a read starts over because the log moved under it.
const READ_ATTEMPTS_MAX: usize = 16;
