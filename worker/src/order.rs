//! The order to run an attempt, kept beside it for the daemon's next start (R6).
//!
//! It is there before the program starts, so whoever finds the program running
//! finds also what it was told to do: its outputs, its limits, its time. After a
//! power cut nobody goes on with anything, so it is not synced.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use thiserror::Error;
use votum_job::Assignment;

/// Why an order cannot be written or read back.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    /// The file cannot be used.
    #[error("cannot use {path:?}")]
    Storage {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says something that means nothing here.
    #[error("{path:?} is no order")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// Writes the order, whole or not at all unless the power is cut.
pub(crate) fn write(dir: &Path, order: &Assignment) -> Result<(), OrderError> {
    let path = dir.join(ORDER);
    let aside = dir.join(ORDER_ASIDE);
    let text = serde_json::to_vec(order)
        .map_err(|source| OrderError::Malformed { path: path.clone(), source })?;
    // It names secrets: tokens by which others are read.
    let mut private = File::options();
    private.write(true).create(true).truncate(true).mode(0o600);
    let written = private
        .open(&aside)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&aside, &path));
    written.map_err(|source| OrderError::Storage { path, source })
}

/// Reads the order back; none if it was never written.
pub(crate) fn read(dir: &Path) -> Result<Option<Assignment>, OrderError> {
    let path = dir.join(ORDER);
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(ORDER_BYTES_MAX).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OrderError::Storage { path, source }),
    }
    serde_json::from_slice(&text).map(Some).map_err(|source| OrderError::Malformed { path, source })
}

/// Removes the order: what becomes of the attempt from here on, nobody goes on with it.
///
/// What was removed comes back only with a power cut, after which no exit proves anything.
pub(crate) fn forget(dir: &Path) -> Result<(), OrderError> {
    // A crash while it was written has left the other one.
    for path in [ORDER, ORDER_ASIDE].map(|name| dir.join(name)) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OrderError::Storage { path, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

const ORDER: &str = "order.json";
const ORDER_ASIDE: &str = ".order.json";
/// No order that a message can carry is longer when it is written out.
const ORDER_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assignment;

    #[test]
    fn an_order_is_read_back_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let order = assignment(1);

        let before = read(dir.path()).unwrap();
        write(dir.path(), &order).unwrap();

        assert_eq!((before, read(dir.path()).unwrap()), (None, Some(order)));
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_half_written_order_is_forgotten_too() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(ORDER_ASIDE), "{\"attempt\":").unwrap();

        forget(dir.path()).unwrap();

        assert!(!dir.path().join(ORDER_ASIDE).exists());
    }

    #[test]
    fn a_damaged_order_is_no_order() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(ORDER), "{\"attempt\":").unwrap();

        let read = read(dir.path());

        assert!(matches!(read, Err(OrderError::Malformed { .. })), "{read:?}");
    }
}
