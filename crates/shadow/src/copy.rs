//! Copies one file and names what was copied: shared where the filesystem can, else read and written.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
};

use rustix::fs;
use votum_ids::Digest;

use crate::content::read_through;

/// Copies a whole file into an empty one; returns the digest and length of what is in the copy.
///
/// Nothing is synced here.
pub(crate) fn copy_through(
    mut from: &File,
    mut to: &File,
    buffer: &mut Vec<u8>,
) -> io::Result<(Digest, u64)> {
    // A filesystem that can share extents does so at once, whatever the size.
    if fs::ioctl_ficlone(to, from).is_ok() {
        to.rewind()?;
        return read_through(to, buffer);
    }
    buffer.resize(BUFFER_BYTES, 0);
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok((Digest(*hasher.finalize().as_bytes()), length)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

const BUFFER_BYTES: usize = 256 * 1024;
