//! Which sequence number the next record of a stream gets.

use std::collections::{BTreeMap, VecDeque};

use crate::{Lsn, Stream, entry::Bearing};

/// The streams in use; finished ones are dropped as soon as the index knows them.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    next: BTreeMap<Stream, Next>,
    finished: VecDeque<(Lsn, Stream)>,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    sequence: u64,
    lsn: Lsn,
}

impl Sequences {
    /// Returns the number for the next record, asking `indexed` about a stream not in use.
    pub(crate) fn next<E>(
        &self,
        stream: &Stream,
        indexed: impl FnOnce() -> Result<Option<u64>, E>,
    ) -> Result<u64, E> {
        match self.next.get(stream) {
            Some(next) => Ok(next.sequence),
            None => Ok(indexed()?.unwrap_or(1)),
        }
    }

    /// Notes that a record was appended.
    pub(crate) fn appended(&mut self, stream: Stream, sequence: u64, bearing: Bearing, lsn: Lsn) {
        let sequence = match bearing {
            Bearing::Continues | Bearing::Restates | Bearing::Closes => sequence + 1,
            Bearing::Forgets => 1,
        };
        match bearing {
            Bearing::Continues | Bearing::Restates => {}
            Bearing::Closes | Bearing::Forgets => self.finished.push_back((lsn, stream.clone())),
        }
        self.next.insert(stream, Next { sequence, lsn });
    }

    /// Drops the finished streams that the index has learned about.
    pub(crate) fn indexed(&mut self, durable: Lsn) {
        while let Some((lsn, _)) = self.finished.front()
            && *lsn <= durable
            && let Some((lsn, stream)) = self.finished.pop_front()
        {
            if self.next.get(&stream).is_some_and(|next| next.lsn == lsn) {
                self.next.remove(&stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_stream_is_dropped_once_indexed() {
        let (mut sequences, stream) = (Sequences::default(), Stream::new("job/a").unwrap());
        let unknown = || Ok::<_, ()>(None);
        assert_eq!(sequences.next(&stream, unknown), Ok(1));
        sequences.appended(stream.clone(), 1, Bearing::Closes, Lsn(1));
        sequences.indexed(Lsn(0));
        assert_eq!(sequences.next(&stream, || Err("not asked")), Ok(2));
        sequences.indexed(Lsn(1));
        assert_eq!(sequences.next(&stream, || Ok::<_, ()>(Some(2))), Ok(2));
        assert!(sequences.next.is_empty());
    }

    #[test]
    fn a_forgotten_stream_counts_from_one_again() {
        let (mut sequences, stream) = (Sequences::default(), Stream::new("job/a").unwrap());
        sequences.appended(stream.clone(), 9, Bearing::Forgets, Lsn(4));
        assert_eq!(sequences.next(&stream, || Err("not asked")), Ok(1));
        sequences.appended(stream.clone(), 1, Bearing::Continues, Lsn(5));
        sequences.indexed(Lsn(5));
        assert_eq!(sequences.next(&stream, || Err("not asked")), Ok(2));
    }
}
