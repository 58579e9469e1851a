//! One record as bytes: what makes it recognisable, orderable and tamper-evident.
//!
//! A frame is self-contained, so the index can be rebuilt from frames alone. Its
//! checksum also covers where it lies (cluster, segment, offset): bytes of a
//! frame inside a payload, or in a misplaced file, are no frame.

use crate::{
    Lsn,
    entry::{Bearing, Entry, KeyChange, RECORD_BYTES_MAX, Stream, Urgency},
};

/// A record with everything that the journal adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The frame's place in the log.
    pub(crate) lsn: Lsn,
    /// The number under which the record was first appended; differs from `lsn` in a copy.
    pub(crate) origin: Lsn,
    /// Up to here everything was durable when the frame was written.
    pub(crate) durable: Lsn,
    pub(crate) epoch: u64,
    /// Counts the records of the stream from 1; a copy keeps it.
    pub(crate) sequence: u64,
    pub(crate) entry: Entry,
}

/// What a frame says before its content is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) bytes: usize,
    pub(crate) checksum: u32,
    pub(crate) lsn: Lsn,
    pub(crate) durable: Lsn,
}

/// The part of a frame's checksum that says which segment of which journal it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal(u32);

impl Frame {
    /// Appends the frame to `out`, to lie at `offset` of its segment, and returns its checksum.
    pub(crate) fn encode(&self, seal: Seal, offset: u64, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        let Entry { stream, urgency, version, bearing, keys, payload } = &self.entry;
        let length = frame_bytes(&self.entry) - PREFIX_BYTES;
        out.extend_from_slice(&length_u32(length).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for number in [self.lsn.0, self.durable.0, self.epoch, self.origin.0, self.sequence] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&version.to_le_bytes());
        out.push(match urgency {
            Urgency::Lazy => 0,
            Urgency::Forced => 1,
        });
        out.push(match bearing {
            Bearing::Continues => 0,
            Bearing::Restates => 1,
            Bearing::Closes => 2,
            Bearing::Forgets => 3,
        });
        out.extend_from_slice(&length_u16(stream.as_str().len()).to_le_bytes());
        out.extend_from_slice(&length_u16(keys.len()).to_le_bytes());
        out.extend_from_slice(&length_u32(payload.len()).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(stream.as_str().as_bytes());
        for change in keys {
            encode_change(change, out);
        }
        out.extend_from_slice(payload);
        out.resize(start + PREFIX_BYTES + length, 0);

        let checksum = seal.checksum(offset, &out[start..start + 4], &out[start + PREFIX_BYTES..]);
        out[start + 4..start + PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// Reads the frame that starts at `bytes`, if there is one and its checksum holds.
    pub(crate) fn decode(seal: Seal, offset: u64, bytes: &[u8]) -> Result<(Self, Outline), Fault> {
        let outline = Outline::read(seal, offset, bytes).ok_or(Fault::NoFrame)?;
        let body = Body { rest: &bytes[PREFIX_BYTES..outline.bytes] };
        let frame = body.frame().ok_or(Fault::Unreadable)?;
        Ok((frame, outline))
    }
}

impl Outline {
    /// Checks the frame that starts at `bytes` without copying anything out of it.
    pub(crate) fn read(seal: Seal, offset: u64, bytes: &[u8]) -> Option<Self> {
        let length = bytes_from_prefix(bytes)?;
        if bytes.len() < length {
            return None;
        }
        let checksum = u32::from_le_bytes(*bytes[4..].first_chunk()?);
        let body = &bytes[PREFIX_BYTES..length];
        if seal.checksum(offset, &bytes[..4], body) != checksum {
            return None;
        }
        Some(Self {
            bytes: length,
            checksum,
            lsn: Lsn(u64::from_le_bytes(*body.first_chunk()?)),
            durable: Lsn(u64::from_le_bytes(*body[8..].first_chunk()?)),
        })
    }
}

impl Seal {
    pub(crate) fn new(cluster: [u8; 16], segment: Lsn) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&cluster), &segment.0.to_le_bytes()))
    }

    fn checksum(self, offset: u64, length: &[u8], body: &[u8]) -> u32 {
        let placed = crc32c::crc32c_append(self.0, &offset.to_le_bytes());
        mask(crc32c::crc32c_append(crc32c::crc32c_append(placed, length), body))
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The length is impossible or the checksum does not hold.
    NoFrame,
    /// The checksum holds, but the content means nothing.
    Unreadable,
}

/// Returns the size of an entry as a frame.
pub(crate) fn frame_bytes(entry: &Entry) -> usize {
    let keys: usize = entry.keys.iter().map(change_bytes).sum();
    let content = entry.stream.as_str().len() + keys + entry.payload.len();
    (FIXED_BYTES + content).next_multiple_of(ALIGNMENT)
}

/// Returns the size of the frame that starts with `prefix`, if a frame can have it.
pub(crate) fn bytes_from_prefix(prefix: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*prefix.first_chunk()?) as usize + PREFIX_BYTES;
    let possible = (FIXED_BYTES + 1..=RECORD_BYTES_MAX).contains(&length);
    (possible && length.is_multiple_of(ALIGNMENT)).then_some(length)
}

/// Hides a checksum, so that zeros, or a checksum of checksums, never look right.
pub(crate) fn mask(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn change_bytes(change: &KeyChange) -> usize {
    match change {
        KeyChange::Put { key, value } => 5 + key.len() + value.len(),
        KeyChange::Remove { key } => 3 + key.len(),
    }
}

fn encode_change(change: &KeyChange, out: &mut Vec<u8>) {
    match change {
        KeyChange::Put { key, value } => {
            out.push(1);
            out.extend_from_slice(&length_u16(key.len()).to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&length_u16(value.len()).to_le_bytes());
            out.extend_from_slice(value);
        }
        KeyChange::Remove { key } => {
            out.push(2);
            out.extend_from_slice(&length_u16(key.len()).to_le_bytes());
            out.extend_from_slice(key);
        }
    }
}

fn length_u16(length: usize) -> u16 {
    u16::try_from(length).expect("every bound of an entry fits its field")
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("every bound of an entry fits its field")
}

/// The bytes after the prefix, taken from the front piece by piece.
struct Body<'a> {
    rest: &'a [u8],
}

impl Body<'_> {
    fn frame(mut self) -> Option<Frame> {
        let lsn = Lsn(self.u64()?);
        let durable = Lsn(self.u64()?);
        let epoch = self.u64()?;
        let origin = Lsn(self.u64()?);
        let sequence = self.u64()?;
        let version = self.u16()?;
        let urgency = match self.u8()? {
            0 => Urgency::Lazy,
            1 => Urgency::Forced,
            _unknown => return None,
        };
        let bearing = match self.u8()? {
            0 => Bearing::Continues,
            1 => Bearing::Restates,
            2 => Bearing::Closes,
            3 => Bearing::Forgets,
            _unknown => return None,
        };
        let stream_bytes = usize::from(self.u16()?);
        let key_changes = usize::from(self.u16()?);
        let payload_bytes = self.u32()? as usize;
        if self.u32()? != 0 {
            return None;
        }
        let stream = Stream::new(str::from_utf8(self.take(stream_bytes)?).ok()?).ok()?;
        let keys = (0..key_changes).map(|_| self.change()).collect::<Option<_>>()?;
        let payload = self.take(payload_bytes)?.to_vec();
        let entry = Entry { stream, urgency, version, bearing, keys, payload };
        let padded = self.rest.len() < ALIGNMENT && self.rest.iter().all(|byte| *byte == 0);
        padded.then_some(Frame { lsn, origin, durable, epoch, sequence, entry })
    }

    fn change(&mut self) -> Option<KeyChange> {
        let operation = self.u8()?;
        let key_bytes = usize::from(self.u16()?);
        let key = self.take(key_bytes)?.to_vec();
        match operation {
            1 => {
                let value_bytes = usize::from(self.u16()?);
                Some(KeyChange::Put { key, value: self.take(value_bytes)?.to_vec() })
            }
            2 => Some(KeyChange::Remove { key }),
            _unknown => None,
        }
    }

    fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|taken| u16::from_le_bytes(*taken))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|taken| u32::from_le_bytes(*taken))
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|taken| u64::from_le_bytes(*taken))
    }
}

/// Every frame starts at a multiple of this.
pub(crate) const ALIGNMENT: usize = 8;
/// Length and checksum.
pub(crate) const PREFIX_BYTES: usize = 8;
/// Everything before the stream's name.
const FIXED_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_one_keeps_its_golden_bytes() {
        let mut bytes = Vec::new();
        sample().encode(seal(), 64, &mut bytes);
        assert_eq!(hex(&bytes), GOLDEN);
        assert_eq!(Frame::decode(seal(), 64, &bytes).unwrap().0, sample());
    }

    #[test]
    fn zeros_are_never_taken_for_a_frame() {
        for length in [8, 64, 4096] {
            let zeros = vec![0; length];
            assert_eq!(Frame::decode(seal(), 64, &zeros).unwrap_err(), Fault::NoFrame);
        }
    }

    #[test]
    fn a_frame_elsewhere_is_no_frame() {
        let mut bytes = Vec::new();
        sample().encode(seal(), 64, &mut bytes);
        assert_eq!(Outline::read(seal(), 72, &bytes), None);
        assert_eq!(Outline::read(Seal::new([9; 16], Lsn(1)), 64, &bytes), None);
        assert_eq!(Outline::read(Seal::new([7; 16], Lsn(2)), 64, &bytes), None);
    }

    #[test]
    fn content_without_meaning_is_told_from_damage() {
        let mut bytes = Vec::new();
        sample().encode(seal(), 64, &mut bytes);
        bytes[51] = 9;
        let checksum = seal().checksum(64, &bytes[..4], &bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Frame::decode(seal(), 64, &bytes).unwrap_err(), Fault::Unreadable);
    }

    proptest! {
        #[test]
        fn every_frame_comes_back_as_it_went(frame in any_frame(), offset in 0u64..1 << 40) {
            let mut bytes = vec![0xee; 3];
            let checksum = frame.encode(seal(), offset, &mut bytes);
            let (read, outline) = Frame::decode(seal(), offset, &bytes[3..]).unwrap();
            prop_assert_eq!(outline.bytes, frame_bytes(&frame.entry));
            prop_assert_eq!(outline.bytes, bytes.len() - 3);
            prop_assert_eq!(outline.checksum, checksum);
            prop_assert_eq!((outline.lsn, outline.durable), (frame.lsn, frame.durable));
            prop_assert_eq!(read, frame);
        }

        #[test]
        fn a_flipped_byte_breaks_a_frame(
            frame in any_frame(), at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let mut bytes = Vec::new();
            frame.encode(seal(), 64, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(Outline::read(seal(), 64, &bytes), None);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(seal(), 64, &bytes);
            let _ = Body { rest: &bytes }.frame();
        }
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
        let change = prop_oneof![
            (bytes(40), bytes(400)).prop_map(|(key, value)| KeyChange::Put { key, value }),
            bytes(40).prop_map(|key| KeyChange::Remove { key }),
        ];
        let bearing = prop::sample::select(vec![
            Bearing::Continues,
            Bearing::Restates,
            Bearing::Closes,
            Bearing::Forgets,
        ]);
        let urgency = prop::sample::select(vec![Urgency::Forced, Urgency::Lazy]);
        let entry =
            ("[!-~]{1,40}", urgency, any::<u16>(), bearing, prop::collection::vec(change, 0..4))
                .prop_flat_map(move |(stream, urgency, version, bearing, keys)| {
                    bytes(600).prop_map(move |payload| Entry {
                        stream: Stream::new(&stream).unwrap(),
                        urgency,
                        version,
                        bearing,
                        keys: keys.clone(),
                        payload,
                    })
                });
        (any::<[u64; 5]>(), entry).prop_map(|([lsn, origin, durable, epoch, sequence], entry)| {
            let (lsn, origin, durable) = (Lsn(lsn), Lsn(origin), Lsn(durable));
            Frame { lsn, origin, durable, epoch, sequence, entry }
        })
    }

    fn sample() -> Frame {
        Frame {
            lsn: Lsn(5),
            origin: Lsn(2),
            durable: Lsn(4),
            epoch: 3,
            sequence: 1,
            entry: Entry {
                stream: Stream::new("job/a").unwrap(),
                urgency: Urgency::Forced,
                version: 1,
                bearing: Bearing::Restates,
                keys: vec![
                    KeyChange::Put { key: b"k".to_vec(), value: b"vw".to_vec() },
                    KeyChange::Remove { key: b"gone".to_vec() },
                ],
                payload: b"payload".to_vec(),
            },
        }
    }

    fn seal() -> Seal {
        Seal::new([7; 16], Lsn(1))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const GOLDEN: &str = concat!(
        "58000000f47da4960500000000000000040000000000000003000000000000000200000000000000",
        "0100000000000000010001010500020007000000000000006a6f622f610101006b02007677020400",
        "676f6e657061796c6f61640000000000",
    );
}
