//! The file `head`: which segment is the oldest one that must exist.
//!
//! It is written before older segments are removed, so a missing file means
//! that nothing was ever removed, and a missing segment is told from a removed one.

use std::{fs, io, path::Path};

use crate::{Lsn, OpenError, error::At, folder, frame::mask};

/// Returns the first record of the oldest segment that must exist; none if nothing was removed yet.
pub(crate) fn read(journal: &Path) -> Result<Option<Lsn>, OpenError> {
    let file = journal.join(NAME);
    let content = match fs::read(&file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::Io { path: file, source }),
    };
    match decode(&content) {
        Some(first) => Ok(Some(first)),
        None => Err(OpenError::HeadDamaged { file }),
    }
}

/// Says durably that every segment before the one that starts with `first` may go.
pub(crate) fn write(journal: &Path, first: Lsn) -> io::Result<()> {
    folder::replace(journal, NAME, &encode(first))
}

/// Removes the segments before `first`: what a crash left after `head` was written.
pub(crate) fn remove_before(
    journal: &Path,
    segments: Vec<Lsn>,
    first: Lsn,
) -> Result<Vec<Lsn>, OpenError> {
    let (gone, kept): (Vec<_>, Vec<_>) = segments.into_iter().partition(|found| *found < first);
    if !gone.is_empty() {
        // The crash may have come before the name of `head` was durable.
        folder::sync_folder(journal).at(journal)?;
    }
    for segment in gone {
        let path = folder::segment_path(journal, segment);
        fs::remove_file(&path).at(path)?;
    }
    Ok(kept)
}

fn encode(first: Lsn) -> [u8; BYTES] {
    let mut content = [0; BYTES];
    content[..8].copy_from_slice(MAGIC);
    content[8..16].copy_from_slice(&first.0.to_le_bytes());
    let checksum = mask(crc32c::crc32c(&content[..16]));
    content[16..].copy_from_slice(&checksum.to_le_bytes());
    content
}

fn decode(content: &[u8]) -> Option<Lsn> {
    let first = Lsn(u64::from_le_bytes(*content.get(8..)?.first_chunk()?));
    (content == encode(first)).then_some(first)
}

/// The file's name in the journal's folder.
pub(crate) const NAME: &str = "head";
const MAGIC: &[u8; 8] = b"votumhd1";
const BYTES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_head_is_no_head() {
        let whole = encode(Lsn(77));
        assert_eq!(decode(&whole), Some(Lsn(77)));
        for at in 0..BYTES {
            let mut damaged = whole;
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None);
            assert_eq!(decode(&whole[..at]), None);
        }
    }
}
