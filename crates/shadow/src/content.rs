//! Reads the bytes of one file and names them by their digest.

use std::{
    fs::File,
    io::{self, Read},
};

use votum_ids::Digest;

/// Reads a file from where it stands to its end; returns its digest and length.
///
/// `buffer` is scratch, kept by the caller so that many files share one.
pub(crate) fn read_through(mut file: &File, buffer: &mut Vec<u8>) -> io::Result<(Digest, u64)> {
    buffer.resize(BUFFER_BYTES, 0);
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok((Digest(*hasher.finalize().as_bytes()), length)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Enough for BLAKE3 to use the widest vectors, small enough for the cache.
const BUFFER_BYTES: usize = 256 * 1024;
