//! One append-only file of the log: its header, its creation, and the one that is written to.
//!
//! Only the last segment is written. It is filled with zeros a chunk ahead, so
//! that a sync between two chunks finds the file's size and blocks unchanged.
//! A segment is cut to its exact length and synced before the next one exists.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use votum_crashpoint::crash_point;

use crate::{
    Lsn, folder,
    frame::{Fault, Frame, Outline, PREFIX_BYTES, Seal, bytes_from_prefix, mask},
};

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) cluster: [u8; 16],
    pub(crate) first: Lsn,
    /// The last frame of the segment before, if there was one.
    pub(crate) previous: Option<Last>,
    /// The highest epoch of any frame before this segment.
    pub(crate) epoch: u64,
}

/// The last frame of a segment: what the next one's header names to be chained to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) offset: u64,
    pub(crate) checksum: u32,
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: Lsn,
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
}

impl Header {
    pub(crate) fn seal(&self) -> Seal {
        Seal::new(self.cluster, self.first)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let previous = self.previous.unwrap_or(Last { offset: 0, checksum: 0 });
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&previous.checksum.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.cluster);
        bytes[32..40].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&previous.offset.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.epoch.to_le_bytes());
        let checksum = mask(crc32c::crc32c(&bytes[..60]));
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(HeaderFault::Damaged)?;
        let number = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        let short = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        if &bytes[..8] != MAGIC || short(60) != mask(crc32c::crc32c(&bytes[..60])) {
            return Err(HeaderFault::Damaged);
        }
        if short(8) != FORMAT {
            return Err(HeaderFault::UnknownFormat { found: short(8) });
        }
        let previous = Last { offset: number(40), checksum: short(12) };
        Ok(Self {
            cluster: *bytes[16..].first_chunk().expect("in bounds"),
            first: Lsn(number(32)),
            previous: (previous.offset != 0).then_some(previous),
            epoch: number(48),
        })
    }
}

/// Why a segment's first bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    UnknownFormat { found: u32 },
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    file: File,
    header: Header,
    seal: Seal,
    /// Where the next frame goes.
    end: u64,
    /// The file's length; zeros from `end` to here.
    length: u64,
    last: Option<Last>,
    epoch: u64,
    bytes_max: u64,
    buffer: Vec<u8>,
}

impl Active {
    /// Makes a segment: under another name first, so that it is never seen half made.
    pub(crate) fn create(folder: &Path, header: Header, bytes_max: u64) -> io::Result<Self> {
        crash_point!("journal.before_segment");
        let name = folder::segment_name(header.first);
        let aside = folder.join(format!("{name}{}", folder::ASIDE));
        let mut content = header.encode().to_vec();
        let length = ZEROED_AHEAD_BYTES.min(bytes_max).max(HEADER_BYTES as u64);
        content.resize(usize::try_from(length).expect("a chunk fits in memory"), 0);
        let file = File::options().create(true).truncate(true).write(true).open(&aside)?;
        file.write_all_at(&content, 0)?;
        file.sync_all()?;
        crash_point!("journal.segment_written");
        fs::rename(&aside, folder.join(name))?;
        crash_point!("journal.segment_named");
        folder::sync_folder(folder)?;
        let (seal, epoch) = (header.seal(), header.epoch);
        let end = HEADER_BYTES as u64;
        let buffer = Vec::new();
        Ok(Self { file, header, seal, end, length, last: None, epoch, bytes_max, buffer })
    }

    /// Goes on writing a segment after its last whole frame.
    ///
    /// A killed process may have left frames, or the file's name, to the kernel
    /// alone. They are durable from here on, before anybody is told of them.
    pub(crate) fn resume(
        folder: &Path,
        header: Header,
        end: u64,
        last: Option<Last>,
        epoch: u64,
        bytes_max: u64,
    ) -> io::Result<Self> {
        let path = folder::segment_path(folder, header.first);
        let file = File::options().write(true).open(&path)?;
        file.sync_all()?;
        folder::sync_folder(folder)?;
        let (seal, length) = (header.seal(), file.metadata()?.len());
        let buffer = Vec::new();
        Ok(Self { file, header, seal, end, length, last, epoch, bytes_max, buffer })
    }

    pub(crate) fn first(&self) -> Lsn {
        self.header.first
    }

    /// Says whether so many bytes still belong here; an empty segment takes anything.
    pub(crate) fn takes(&self, bytes: u64) -> bool {
        self.last.is_none() || self.end + bytes <= self.bytes_max
    }

    /// Writes frames with one write, without waiting for the disk, and returns where they lie.
    pub(crate) fn write(&mut self, frames: &[Frame]) -> io::Result<Vec<Place>> {
        self.buffer.clear();
        let mut places = Vec::with_capacity(frames.len());
        for frame in frames {
            let offset = self.end + self.buffer.len() as u64;
            let start = self.buffer.len();
            let checksum = frame.encode(self.seal, offset, &mut self.buffer);
            let bytes = u32::try_from(self.buffer.len() - start).expect("a frame has a bound");
            self.last = Some(Last { offset, checksum });
            self.epoch = self.epoch.max(frame.epoch);
            places.push(Place { segment: self.header.first, offset, bytes });
        }
        let written = self.buffer.len() as u64;
        let zeroed_to = self.zeroed_to(self.end + written);
        let padded = usize::try_from(zeroed_to - self.end).expect("a group fits in memory");
        self.buffer.resize(padded, 0);
        self.file.write_all_at(&self.buffer, self.end)?;
        self.end += written;
        self.length = self.length.max(zeroed_to);
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(places)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Cuts off the zeros, makes the segment final and returns the header of the next one.
    pub(crate) fn finish(&self, next: Lsn) -> io::Result<Header> {
        self.file.set_len(self.end)?;
        self.file.sync_all()?;
        let cluster = self.header.cluster;
        Ok(Header { cluster, first: next, previous: self.last, epoch: self.epoch })
    }

    /// Returns the bytes that count for reclaiming: header and frames.
    pub(crate) fn used(&self) -> u64 {
        self.end
    }

    /// Returns how far the next write must reach: its own end, or a chunk of zeros further.
    fn zeroed_to(&self, end: u64) -> u64 {
        if end <= self.length {
            return end;
        }
        end.next_multiple_of(ZEROED_AHEAD_BYTES).min(self.bytes_max).max(end)
    }
}

/// Reads the frame at `offset`; none if there is no whole one.
pub(crate) fn read_frame(
    file: &File,
    seal: Seal,
    offset: u64,
) -> io::Result<Option<(Frame, Outline)>> {
    let mut prefix = [0; PREFIX_BYTES];
    let Some(bytes) = read_at(file, &mut prefix, offset)?.and_then(|()| bytes_from_prefix(&prefix))
    else {
        return Ok(None);
    };
    read_whole_frame(file, seal, offset, bytes)
}

/// Reads the frame of known size at `offset`; none if there is no whole one.
pub(crate) fn read_whole_frame(
    file: &File,
    seal: Seal,
    offset: u64,
    bytes: usize,
) -> io::Result<Option<(Frame, Outline)>> {
    let mut content = vec![0; bytes];
    if read_at(file, &mut content, offset)?.is_none() {
        return Ok(None);
    }
    match Frame::decode(seal, offset, &content) {
        Ok(frame) => Ok(Some(frame)),
        Err(Fault::NoFrame | Fault::Unreadable) => Ok(None),
    }
}

fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<Option<()>> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The length of a segment's header.
pub(crate) const HEADER_BYTES: usize = 64;
/// The one format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"votumjnl";
/// How far the zeros reach: large enough that one sync in thousands changes the file's size.
const ZEROED_AHEAD_BYTES: u64 = 1 << 20;
/// What the write buffer may keep between two groups.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_keeps_its_golden_bytes() {
        let header = Header {
            cluster: [7; 16],
            first: Lsn(10),
            previous: Some(Last { offset: 64, checksum: 0x0102_0304 }),
            epoch: 3,
        };
        let hex: String = header.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn a_damaged_header_is_no_header() {
        let header = Header { cluster: [7; 16], first: Lsn(1), previous: None, epoch: 0 };
        for at in 0..HEADER_BYTES {
            let mut bytes = header.encode();
            bytes[at] ^= 1;
            assert_eq!(Header::decode(&bytes), Err(HeaderFault::Damaged));
        }
        assert_eq!(Header::decode(&header.encode()[..63]), Err(HeaderFault::Damaged));
    }

    const GOLDEN: &str = concat!(
        "766f74756d6a6e6c0100000004030201070707070707070707070707070707070a00000000000000",
        "4000000000000000030000000000000000000000344c137a",
    );
}
