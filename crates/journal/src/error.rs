//! Why a journal does not open, and why a record cannot be read.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{Lsn, Stream, index::IndexError};

/// Says why a journal does not open. Nothing was changed, unless it says otherwise.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{} is in use by another process", folder.display())]
    Locked {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A record that was durable before a later one was written cannot be read.
    #[error("{} is damaged at offset {offset}, with durable records after it", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where the damaged record starts.
        offset: u64,
    },
    /// A whole frame has a content that means nothing: damage before it was written, or a later version.
    #[error("{} holds a record without meaning at offset {offset}", file.display())]
    Unreadable {
        /// The segment.
        file: PathBuf,
        /// Where the record starts.
        offset: u64,
    },
    /// The numbers do not follow one another.
    #[error("{} has record {found} at offset {offset} where {expected} must be", file.display())]
    Gap {
        /// The segment.
        file: PathBuf,
        /// Where the record starts.
        offset: u64,
        /// The number that must stand there.
        expected: Lsn,
        /// The number that does.
        found: Lsn,
    },
    /// A segment's header is damaged, or does not belong to the file's name.
    #[error("{} does not start as a segment of its name", file.display())]
    NotASegment {
        /// The file.
        file: PathBuf,
    },
    /// A segment has a format that this program does not know.
    #[error("{} has format {found}, known is {known}", file.display())]
    UnknownFormat {
        /// The segment.
        file: PathBuf,
        /// The format it names.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// A segment belongs to another cluster than the oldest one.
    #[error("{} belongs to another cluster than the segments before it", file.display())]
    OtherCluster {
        /// The segment.
        file: PathBuf,
    },
    /// A segment does not follow the one before it: one is missing, cut or from elsewhere.
    #[error("{} does not follow {}", file.display(), previous.display())]
    Unchained {
        /// The segment.
        file: PathBuf,
        /// The one before it.
        previous: PathBuf,
    },
    /// The oldest segment is missing.
    #[error("the segment that starts with record {expected} is missing from {}", folder.display())]
    StartMissing {
        /// The journal's folder.
        folder: PathBuf,
        /// The first record that must be there.
        expected: Lsn,
    },
    /// The file that names the oldest segment is damaged.
    #[error("{} is damaged", file.display())]
    HeadDamaged {
        /// The file.
        file: PathBuf,
    },
    /// A rebuild of the index found a live record of a stream missing.
    #[error("a record of stream {stream} is missing")]
    RecordMissing {
        /// The stream.
        stream: Stream,
    },
    /// An empty index cannot be made or written.
    #[error("the index cannot be rebuilt")]
    Index(#[from] IndexError),
}

/// Says why a record cannot be read. The daemon should stop: the next start rebuilds the index.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The index cannot answer.
    #[error("the index cannot answer")]
    Index(#[from] IndexError),
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The index names a record that is not there: one of the two is damaged.
    #[error("a record of stream {stream} is not where the index says, {} at offset {offset}", file.display())]
    Misplaced {
        /// The stream.
        stream: Stream,
        /// The segment.
        file: PathBuf,
        /// Where the record should start.
        offset: u64,
    },
    /// The index has a stream without all of its records.
    #[error("the index does not have all records of stream {stream}")]
    Incomplete {
        /// The stream.
        stream: Stream,
    },
}

/// Adds the path to an error of the operating system.
pub(crate) trait At<T> {
    /// Names the file or folder that the operation was about.
    fn at(self, path: impl Into<PathBuf>) -> Result<T, OpenError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, OpenError> {
        self.map_err(|source| OpenError::Io { path: path.into(), source })
    }
}
