//! A copy of a journal while it is written to: whole records up to one point, and nothing after it.
//!
//! ```text
//! "votumbk1" | format | cluster | last record | number of segments | checksum
//! for each:    first record | length | checksum, and then so many bytes of the segment
//! ```
//!
//! The segments are copied as they lie. Every segment is held open before the
//! point is chosen, so whatever reclaiming removes meanwhile can still be read,
//! and whatever it had copied forward before lies before the point. Each number
//! is little-endian; each checksum is that of the numbers before it, the frames
//! have their own. Whoever needs to know that the whole arrived adds a digest.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    Lsn, Reader, folder,
    frame::{Seal, mask},
    head,
    segment::{self, HEADER_BYTES},
};

/// A journal's content up to one record, being read.
#[derive(Debug)]
pub struct Backup {
    cluster: [u8; 16],
    last: Lsn,
    segments: Vec<Piece>,
    /// Which segment is read, and how far; none before the first byte of all.
    at: Option<(usize, u64)>,
}

/// One segment, held open, and how much of it belongs to the copy.
#[derive(Debug)]
struct Piece {
    first: Lsn,
    file: File,
    length: u64,
}

impl Reader {
    /// Begins a copy of everything that is durable at this moment.
    ///
    /// The journal goes on being written and reclaimed; while the copy lives, removed segments
    /// keep their space.
    ///
    /// # Errors
    /// [`BackupError`] when the segments cannot be read.
    pub fn backup(&self) -> Result<Backup, BackupError> {
        for _ in 0..ATTEMPTS_MAX {
            let opened = open_all(&self.journal)?;
            // Chosen after the opening: what was removed before it lies copied before this.
            let last = self.durable();
            let listed = folder::segments_listed(&self.journal)?;
            let newest = opened.last().map(|(first, _)| *first);
            let is_complete = listed.iter().all(|first| *first > last || newest >= Some(*first));
            if newest.is_some() && is_complete {
                return Backup::up_to(self.cluster, last, opened);
            }
        }
        Err(BackupError::Restless)
    }
}

impl Backup {
    fn up_to(cluster: [u8; 16], last: Lsn, opened: Vec<(Lsn, File)>) -> Result<Self, BackupError> {
        let begins_later = opened.iter().position(|(first, _)| *first > last);
        // One that nothing was written to yet is all of a journal that has just been made.
        let count = begins_later.unwrap_or(opened.len()).max(1);
        let mut segments = Vec::with_capacity(count);
        for (first, file) in opened.into_iter().take(count) {
            let length = match segments.len() + 1 == count {
                true => end_of(&file, cluster, first, last)?,
                // A segment is cut to its length before the next one exists.
                false => file.metadata()?.len(),
            };
            segments.push(Piece { first, file, length });
        }
        Ok(Self { cluster, last, segments, at: None })
    }

    /// Returns the last record that is in it.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// Returns how many bytes it has in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let pieces = self.segments.iter().map(|piece| PIECE_HEAD_BYTES as u64 + piece.length);
        HEAD_BYTES as u64 + pieces.sum::<u64>()
    }

    /// Reads the next bytes, at most [`CHUNK_BYTES`]; none at the end.
    ///
    /// # Errors
    /// [`BackupError`] when a segment cannot be read.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let Some((number, offset)) = self.at else {
            self.at = Some((0, 0));
            return Ok(Some(self.head()));
        };
        let Some(piece) = self.segments.get(number) else { return Ok(None) };
        let wanted = usize::try_from(piece.length - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let mut chunk = if offset == 0 { piece.head() } else { Vec::new() };
        let begin = chunk.len();
        chunk.resize(begin + wanted, 0);
        piece.file.read_exact_at(&mut chunk[begin..], offset)?;
        let end = offset + wanted as u64;
        self.at = Some(if end == piece.length { (number + 1, 0) } else { (number, end) });
        Ok(Some(chunk))
    }

    fn head(&self) -> Vec<u8> {
        let count = u32::try_from(self.segments.len()).expect("segments are few");
        let mut head = [MAGIC.as_slice(), &FORMAT.to_le_bytes(), &self.cluster].concat();
        head.extend(self.last.0.to_le_bytes());
        head.extend(count.to_le_bytes());
        sealed(head)
    }
}

impl Piece {
    fn head(&self) -> Vec<u8> {
        sealed([self.first.0.to_le_bytes(), self.length.to_le_bytes()].concat())
    }
}

/// What a copy has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The cluster whose journal it is.
    pub cluster: [u8; 16],
    /// The last record that is in it.
    pub last: Lsn,
}

/// Makes a journal in an empty folder out of a copy; it is checked when it is opened.
///
/// After a crash the folder is not empty, and is no journal that anybody opens.
///
/// # Errors
/// [`RestoreError`] when this is no copy, or not all of one, or the folder cannot be used.
pub fn restore(mut from: impl Read, journal: &Path) -> Result<Restored, RestoreError> {
    if fs::read_dir(journal)?.next().is_some() {
        return Err(RestoreError::NotEmpty { folder: journal.to_owned() });
    }
    let head = unsealed::<HEAD_BYTES>(&mut from)?;
    let number = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("in bounds"));
    let short = |at: usize| u32::from_le_bytes(*head[at..].first_chunk().expect("in bounds"));
    if !head.starts_with(MAGIC) {
        return Err(RestoreError::NoBackup);
    }
    if short(8) != FORMAT {
        return Err(RestoreError::UnknownFormat { found: short(8), known: FORMAT });
    }
    let cluster = *head[12..].first_chunk().expect("in bounds");
    let (last, count) = (Lsn(number(28)), short(36));
    let mut oldest = None;
    for _ in 0..count {
        let head = unsealed::<PIECE_HEAD_BYTES>(&mut from)?;
        let first = Lsn(u64::from_le_bytes(*head.first_chunk().expect("in bounds")));
        let length = u64::from_le_bytes(*head[8..].first_chunk().expect("in bounds"));
        let path = folder::segment_path(journal, first);
        let mut file = File::options().write(true).create_new(true).open(path)?;
        if io::copy(&mut from.by_ref().take(length), &mut file)? != length {
            return Err(RestoreError::NoBackup);
        }
        file.flush()?;
        file.sync_all()?;
        oldest.get_or_insert(first);
    }
    let oldest = oldest.ok_or(RestoreError::NoBackup)?;
    if oldest != Lsn(1) {
        head::write(journal, oldest)?;
    }
    folder::sync_folder(journal)?;
    Ok(Restored { cluster, last })
}

/// Says why a copy cannot be made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// A segment cannot be read.
    #[error("a segment cannot be read")]
    Io(#[from] io::Error),
    /// A record that is durable is not where it must be.
    #[error("the segment that starts with {segment} is damaged at offset {offset}")]
    Damaged {
        /// The first record of the segment.
        segment: Lsn,
        /// Where the record should start.
        offset: u64,
    },
    /// Segments were made and removed faster than they could be opened.
    #[error("the segments did not stand still for long enough to be opened")]
    Restless,
}

/// Says why no journal can be made of a copy.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The folder holds something.
    #[error("{} is not empty", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// It does not start as a copy, it ends early, or its numbers are damaged.
    #[error("this is no backup of a journal, or not all of one")]
    NoBackup,
    /// Written by another version of the program.
    #[error("the backup has format {found}, known is {known}")]
    UnknownFormat {
        /// The format it names.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// The copy cannot be read, or the folder cannot be written.
    #[error("cannot read the backup or write the journal")]
    Io(#[from] io::Error),
}

/// Opens every segment, oldest first; one that goes meanwhile is dead.
fn open_all(journal: &Path) -> Result<Vec<(Lsn, File)>, BackupError> {
    let mut opened = Vec::new();
    for first in folder::segments_listed(journal)? {
        match File::open(folder::segment_path(journal, first)) {
            Ok(file) => opened.push((first, file)),
            // The oldest ones go first, so that what was opened before this is dead as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound => opened.clear(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(opened)
}

/// Finds where the frame after `last` begins, or would.
fn end_of(file: &File, cluster: [u8; 16], first: Lsn, last: Lsn) -> Result<u64, BackupError> {
    let (seal, mut offset) = (Seal::new(cluster, first), HEADER_BYTES as u64);
    let mut next = first;
    while next <= last {
        let frame = segment::read_frame(file, seal, offset)?;
        let (_, outline) = frame.ok_or(BackupError::Damaged { segment: first, offset })?;
        offset += outline.bytes as u64;
        next = outline.lsn.next();
    }
    Ok(offset)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = mask(crc32c::crc32c(&bytes));
    bytes.extend(checksum.to_le_bytes());
    bytes
}

fn unsealed<const BYTES: usize>(from: &mut impl Read) -> Result<[u8; BYTES], RestoreError> {
    let mut bytes = [0; BYTES];
    from.read_exact(&mut bytes).map_err(|error| {
        let ended = error.kind() == io::ErrorKind::UnexpectedEof;
        if ended { RestoreError::NoBackup } else { RestoreError::Io(error) }
    })?;
    let (said, checksum) = bytes.split_at(BYTES - 4);
    if checksum != mask(crc32c::crc32c(said)).to_le_bytes() {
        return Err(RestoreError::NoBackup);
    }
    Ok(bytes)
}

/// So much is read at a time.
pub const CHUNK_BYTES: usize = 256 << 10;
const MAGIC: &[u8; 8] = b"votumbk1";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 8 + 4 + 16 + 8 + 4 + 4;
const PIECE_HEAD_BYTES: usize = 8 + 8 + 4;
/// How often the opening starts over because segments are made and removed under it.
const ATTEMPTS_MAX: usize = 16;
