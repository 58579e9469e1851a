//! What the index holds: streams, where their records lie, keys, and live bytes a segment.
//!
//! | key | value |
//! |---|---|
//! | `m` | format, cluster, the number up to which all frames are applied |
//! | `s` stream | first live and next sequence number, condition |
//! | `o` stream | nothing; there while the stream is open |
//! | `p` stream 0 sequence | where the record lies, and its origin |
//! | `k` key | the stream that put it, and the value |
//! | `h` stream 0 key | nothing; there while the stream holds the key |
//! | `g` segment | its bytes of live frames |

use std::collections::BTreeMap;

use crate::{
    Lsn, Stream,
    entry::{Bearing, KeyChange, KeyValue},
    frame::Frame,
    index::{Batch, Index, IndexError},
    segment::Place,
};

/// The index's content, read.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    index: Index,
}

/// How far an index goes and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) cluster: [u8; 16],
    pub(crate) applied: Lsn,
}

/// What the index knows about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The sequence number of the first live record.
    pub(crate) first: u64,
    /// The sequence number of the next record.
    pub(crate) next: u64,
    pub(crate) condition: Condition,
}

/// Whether a stream is loaded at a start, and whether it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Open,
    Closed,
    /// A record is missing before the newest one; only a later restatement heals that.
    Torn,
}

/// Where a record lies and under which number it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) place: Place,
    pub(crate) origin: Lsn,
}

impl Catalogue {
    pub(crate) fn new(index: Index) -> Self {
        Self { index }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Returns how far the index goes; none if it is empty or of another format.
    pub(crate) fn coverage(&self) -> Result<Option<Coverage>, IndexError> {
        Ok(self.index.get(b"m")?.and_then(|value| Coverage::decode(&value)))
    }

    pub(crate) fn extent(&self, stream: &Stream) -> Result<Option<Extent>, IndexError> {
        Ok(self.index.get(&stream_key(b's', stream))?.and_then(|value| Extent::decode(&value)))
    }

    /// Returns the positions of a stream's live records in order.
    pub(crate) fn positions(&self, stream: &Stream) -> Result<Vec<(u64, Position)>, IndexError> {
        let found = self.index.scan(&below(b'p', stream), None, usize::MAX)?;
        Ok(found.iter().filter_map(|(key, value)| decode_position(key, value)).collect())
    }

    pub(crate) fn position(
        &self,
        stream: &Stream,
        sequence: u64,
    ) -> Result<Option<Position>, IndexError> {
        let key = position_key(stream, sequence);
        Ok(self.index.get(&key)?.and_then(|value| Position::decode(&value)))
    }

    pub(crate) fn open_streams(&self) -> Result<Vec<Stream>, IndexError> {
        let found = self.index.scan(b"o", None, usize::MAX)?;
        Ok(found.iter().filter_map(|(key, _)| decode_stream(&key[1..])).collect())
    }

    /// Returns a stream that lacks a record before its newest one, if there is one.
    pub(crate) fn torn_stream(&self) -> Result<Option<Stream>, IndexError> {
        let found = self.index.scan(b"s", None, usize::MAX)?;
        let torn = found.iter().find(|(_, value)| {
            Extent::decode(value).is_none_or(|extent| extent.condition == Condition::Torn)
        });
        Ok(torn.and_then(|(key, _)| decode_stream(&key[1..])))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let held = self.index.get(&[b"k", key].concat())?;
        Ok(held.and_then(|held| decode_held(&held).map(|(_, value)| value.to_vec())))
    }

    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, IndexError> {
        let after = after.map(|after| [b"k", after].concat());
        let found = self.index.scan(&[b"k", prefix].concat(), after.as_deref(), limit)?;
        let visible = found.into_iter().filter_map(|(key, held)| {
            decode_held(&held).map(|(_, value)| (key[1..].to_vec(), value.to_vec()))
        });
        Ok(visible.collect())
    }

    /// Returns the live bytes of every segment that has any.
    pub(crate) fn live_bytes(&self) -> Result<BTreeMap<Lsn, u64>, IndexError> {
        let found = self.index.scan(b"g", None, usize::MAX)?;
        let decoded = found.iter().filter_map(|(key, value)| {
            let segment = u64::from_be_bytes(*key[1..].first_chunk()?);
            Some((Lsn(segment), u64::from_le_bytes(*value.first_chunk()?)))
        });
        Ok(decoded.collect())
    }
}

/// Frames on their way into the index: what they change, seen before it is applied.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    index: &'a Index,
    batch: Batch,
    /// The live bytes of the segments that changed.
    live: BTreeMap<Lsn, u64>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue) -> Self {
        Self { index: &catalogue.index, batch: Batch::new(), live: BTreeMap::new() }
    }

    /// Says how many keys would change.
    pub(crate) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Takes in a record that was not applied before.
    pub(crate) fn add(&mut self, frame: &Frame, place: Place) -> Result<(), IndexError> {
        let stream = &frame.entry.stream;
        let sequence = frame.sequence;
        let known = self.extent(stream)?;
        let mut extent = known.unwrap_or(Extent::beginning_at(sequence));
        let follows = extent.next == sequence && extent.condition != Condition::Torn;
        match frame.entry.bearing {
            Bearing::Forgets => return self.forget(stream),
            Bearing::Restates => {
                self.bury(stream)?;
                self.drop_keys(stream)?;
                extent.first = sequence;
                extent.condition = Condition::Open;
            }
            Bearing::Continues if follows => extent.condition = Condition::Open,
            Bearing::Closes if follows => extent.condition = Condition::Closed,
            Bearing::Continues | Bearing::Closes => extent.condition = Condition::Torn,
        }
        extent.next = sequence + 1;
        self.put(stream_key(b's', stream), extent.encode());
        let was_open = known.is_some_and(|known| known.condition == Condition::Open);
        match extent.condition {
            Condition::Open if was_open => {}
            Condition::Open => self.put(stream_key(b'o', stream), Vec::new()),
            Condition::Closed | Condition::Torn => self.remove(stream_key(b'o', stream)),
        }
        let position = Position { place, origin: frame.origin };
        self.put(position_key(stream, sequence), position.encode());
        self.count(place.segment, |live| live + u64::from(place.bytes))?;
        frame.entry.keys.iter().try_for_each(|change| self.change_key(stream, change))
    }

    /// Takes in a copy of a record: it has moved, if it is still alive.
    pub(crate) fn move_to(&mut self, frame: &Frame, place: Place) -> Result<(), IndexError> {
        let key = position_key(&frame.entry.stream, frame.sequence);
        let Some(old) = self.get(&key)?.and_then(|value| Position::decode(&value)) else {
            return Ok(());
        };
        if old.origin != frame.origin {
            return Ok(());
        }
        self.put(key, Position { place, origin: frame.origin }.encode());
        self.count(old.place.segment, |live| live.saturating_sub(u64::from(old.place.bytes)))?;
        self.count(place.segment, |live| live + u64::from(place.bytes))
    }

    /// Returns everything as one batch that says how far it goes, and the segments it concerns.
    pub(crate) fn finish(mut self, coverage: Coverage) -> (Batch, BTreeMap<Lsn, u64>) {
        self.put(b"m".to_vec(), coverage.encode());
        (self.batch, self.live)
    }

    /// Returns everything as one batch that says nothing about how far it goes.
    pub(crate) fn finish_unmarked(self) -> Batch {
        self.batch
    }

    fn forget(&mut self, stream: &Stream) -> Result<(), IndexError> {
        self.bury(stream)?;
        self.drop_keys(stream)?;
        self.remove(stream_key(b's', stream));
        self.remove(stream_key(b'o', stream));
        Ok(())
    }

    /// Removes the positions of all records of a stream.
    fn bury(&mut self, stream: &Stream) -> Result<(), IndexError> {
        for (key, value) in self.scan(&below(b'p', stream))? {
            if let Some((_, position)) = decode_position(&key, &value) {
                let bytes = u64::from(position.place.bytes);
                self.count(position.place.segment, |live| live.saturating_sub(bytes))?;
            }
            self.remove(key);
        }
        Ok(())
    }

    fn drop_keys(&mut self, stream: &Stream) -> Result<(), IndexError> {
        let prefix = below(b'h', stream);
        for (key, _) in self.scan(&prefix)? {
            self.remove([b"k", &key[prefix.len()..]].concat());
            self.remove(key);
        }
        Ok(())
    }

    fn change_key(&mut self, stream: &Stream, change: &KeyChange) -> Result<(), IndexError> {
        let (KeyChange::Put { key, .. } | KeyChange::Remove { key }) = change;
        let stored = [b"k", key.as_slice()].concat();
        let holder = self.get(&stored)?.and_then(|held| decode_held(&held).map(|(name, _)| name));
        match change {
            KeyChange::Put { value, .. } => {
                if let Some(other) = holder.filter(|holder| holder != stream) {
                    self.remove(hold_key(&other, key));
                }
                self.put(hold_key(stream, key), Vec::new());
                self.put(stored, encode_held(stream, value));
            }
            KeyChange::Remove { .. } => {
                if holder.is_some_and(|holder| holder == *stream) {
                    self.remove(hold_key(stream, key));
                    self.remove(stored);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, segment: Lsn, change: impl FnOnce(u64) -> u64) -> Result<(), IndexError> {
        let key = [b"g".as_slice(), &segment.0.to_be_bytes()].concat();
        let live = self.get(&key)?;
        let live = live.and_then(|live| live.first_chunk().copied()).map_or(0, u64::from_le_bytes);
        let live = change(live);
        self.live.insert(segment, live);
        if live == 0 {
            self.remove(key);
        } else {
            self.put(key, live.to_le_bytes().to_vec());
        }
        Ok(())
    }

    fn extent(&self, stream: &Stream) -> Result<Option<Extent>, IndexError> {
        Ok(self.get(&stream_key(b's', stream))?.and_then(|value| Extent::decode(&value)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        match self.batch.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.index.get(key),
        }
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<KeyValue>, IndexError> {
        let mut found: BTreeMap<_, _> =
            self.index.scan(prefix, None, usize::MAX)?.into_iter().collect();
        let changed = self.batch.range(prefix.to_vec()..);
        for (key, value) in changed.take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch.insert(key, Some(value));
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.batch.insert(key, None);
    }
}

impl Coverage {
    fn encode(self) -> Vec<u8> {
        let format = FORMAT.to_le_bytes();
        [format.as_slice(), &self.cluster, &self.applied.0.to_le_bytes()].concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let known = value.starts_with(&FORMAT.to_le_bytes()) && value.len() == 28;
        known.then_some(())?;
        let applied = Lsn(u64::from_le_bytes(*value[20..].first_chunk()?));
        Some(Self { cluster: *value[4..].first_chunk()?, applied })
    }
}

impl Extent {
    /// Starts a stream; one whose beginning is missing can only be healed by a restatement.
    fn beginning_at(sequence: u64) -> Self {
        let condition = if sequence == 1 { Condition::Open } else { Condition::Torn };
        Self { first: sequence, next: sequence, condition }
    }

    fn encode(self) -> Vec<u8> {
        let condition = match self.condition {
            Condition::Open => 0,
            Condition::Closed => 1,
            Condition::Torn => 2,
        };
        let (first, next) = (self.first.to_le_bytes(), self.next.to_le_bytes());
        [first.as_slice(), &next, &[condition]].concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let condition = match value.get(16)? {
            0 => Condition::Open,
            1 => Condition::Closed,
            2 => Condition::Torn,
            _unknown => return None,
        };
        let first = u64::from_le_bytes(*value.first_chunk()?);
        Some(Self { first, next: u64::from_le_bytes(*value[8..].first_chunk()?), condition })
    }
}

impl Position {
    fn encode(self) -> Vec<u8> {
        let Place { segment, offset, bytes } = self.place;
        let numbers = [segment.0, offset, self.origin.0].map(u64::to_le_bytes).concat();
        [numbers.as_slice(), &bytes.to_le_bytes()].concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(*value.get(at..)?.first_chunk()?));
        let bytes = u32::from_le_bytes(*value.get(24..)?.first_chunk()?);
        let place = Place { segment: Lsn(number(0)?), offset: number(8)?, bytes };
        Some(Self { place, origin: Lsn(number(16)?) })
    }
}

fn stream_key(kind: u8, stream: &Stream) -> Vec<u8> {
    [&[kind], stream.as_str().as_bytes()].concat()
}

/// Returns the prefix of everything below a stream; no stream's name contains a zero.
fn below(kind: u8, stream: &Stream) -> Vec<u8> {
    [&[kind], stream.as_str().as_bytes(), &[0]].concat()
}

fn position_key(stream: &Stream, sequence: u64) -> Vec<u8> {
    [below(b'p', stream).as_slice(), &sequence.to_be_bytes()].concat()
}

fn hold_key(stream: &Stream, key: &[u8]) -> Vec<u8> {
    [below(b'h', stream).as_slice(), key].concat()
}

fn encode_held(stream: &Stream, value: &[u8]) -> Vec<u8> {
    let name = stream.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("a stream's name has at most 200 bytes");
    [&[length], name, value].concat()
}

fn decode_held(held: &[u8]) -> Option<(Stream, &[u8])> {
    let (length, rest) = held.split_first()?;
    let (name, value) = rest.split_at_checked(usize::from(*length))?;
    Some((decode_stream(name)?, value))
}

fn decode_stream(name: &[u8]) -> Option<Stream> {
    Stream::new(str::from_utf8(name).ok()?).ok()
}

fn decode_position(key: &[u8], value: &[u8]) -> Option<(u64, Position)> {
    let sequence = u64::from_be_bytes(*key.last_chunk()?);
    Some((sequence, Position::decode(value)?))
}

/// The layout of the index; another one is rebuilt.
const FORMAT: u32 = 1;
