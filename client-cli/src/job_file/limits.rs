//! What a job file may not exceed, checked before anything is made of its bytes.

use super::{
    Problem,
    tree::{Lines, Position},
};

/// Returns the text of a file, if it is one and not too large.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Problem::new(Position::START, "the job file is larger than 1 MiB".to_owned())
            .help("keep data in files on the workers; the job file names them"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let read = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Problem::new(
            Lines::new(&read).at(read.len()),
            format!("the job file is not UTF-8: byte {} cannot be read", error.valid_up_to()),
        )
        .help("save it as UTF-8")
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(byte) => {
            let at = Lines::new(text).at(byte);
            Err(Problem::new(at, "the job file contains a NUL character".to_owned())
                .help("it is text; a binary file or UTF-16 is none"))
        }
    }
}

/// Largest job file.
pub(super) const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most nodes of the tree, aliases expanded: guards against files that unfold.
pub(super) const NODES_MAX: usize = 500_000;
/// Deepest nesting.
pub(super) const DEPTH_MAX: usize = 32;
