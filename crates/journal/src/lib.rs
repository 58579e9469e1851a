//! A durable, ordered set of record streams: the truth of a daemon, and the
//! point at which anything is acknowledged.
//!
//! A *record* belongs to one *stream* (a job, a worker, the cluster). Appending
//! gives it a log sequence number and does not wait; one committer thread
//! gathers what has arrived, writes it with one write, makes it durable with
//! one `fdatasync`, applies it to the index and only then says so. What is
//! durable is therefore also indexed, and nothing is promised from a place in a
//! queue.
//!
//! | urgency | durable | may be waited for by |
//! |---|---|---|
//! | forced | with the next sync, which it causes | any promise to anybody |
//! | lazy | with the next sync, at most [`Options::lazy_sync`] later; [`Options::closing_sync`] if it closes its stream | nothing |
//!
//! | bearing | the stream afterwards |
//! |---|---|
//! | continues | open, one record longer |
//! | restates | open; this record stands for all earlier ones and their keys |
//! | closes | closed: readable, but not among the open streams of the next start |
//! | forgets | gone; its bytes come back |
//!
//! The index is a cache. It lives in its own folder, is compared with the log
//! at every start and is rebuilt on any doubt: missing, behind the oldest
//! segment, ahead of the log, damaged, panicking, of another cluster, or written
//! by a process that a machine's crash has ended. Deleting it loses nothing.
//!
//! A failed write or sync ends the process, because the state in memory is then
//! ahead of the disk and the kernel may report the next sync as a success. A
//! full disk is treated alike, with a message of its own. Restarting replays.
//!
//! Recovery cuts off a torn tail: what a crash left of the last group, none of
//! which was acknowledged. A damaged record that was durable before a later
//! one was written cannot come from a crash, so it refuses the start and names
//! file and offset.
//!
//! **Assumptions about the medium.** `fdatasync` returns only when the bytes
//! and the file's size survive a power cut, on the disk itself and not in a
//! volatile cache; `fsync` of a folder does so for the names in it; `rename` on
//! one filesystem is atomic. Bytes that were synced may rot, and then a
//! checksum says so; a sync that was answered without being done cannot be told
//! from a crash. Damage within the last group looks like a torn tail and is cut;
//! the index then stands ahead of the log, and the start says so. One process
//! at a time has the folder, on a local filesystem.
//!
//! The format is written down byte by byte in `docs/storage.md`.

mod backlog;
mod backup;
mod catalogue;
mod committer;
mod entry;
mod error;
mod folder;
mod frame;
mod head;
mod in_memory;
mod index;
mod observer;
mod on_disk;
mod reader;
mod reclaim;
mod recovery;
mod replay;
mod segment;
mod sequences;
mod tally;
mod trust;
mod watermark;

pub use backup::{Backup, BackupError, CHUNK_BYTES, RestoreError, Restored, restore};
pub use entry::{
    Bearing, Entry, InvalidEntry, InvalidStream, KEY_BYTES_MAX, KEY_CHANGES_MAX, KeyChange,
    KeyValue, RECORD_BYTES_MAX, STREAM_BYTES_MAX, Stored, Stream, Urgency, VALUE_BYTES_MAX,
};
pub use error::{OpenError, ReadError};
pub use in_memory::InMemory;
pub use index::IndexError;
pub use observer::SyncObserver;
pub use on_disk::{OnDisk, Opened, Options};
pub use reader::Reader;
pub use recovery::TornTail;
pub use replay::IndexState;
pub use tally::Counters;
pub use trust::Doubt;

use std::fmt;

/// A log sequence number: 1 for the first frame of a journal, one more for each
/// that follows. `Lsn(0)` stands for nothing.
///
/// The journal numbers the records that it copies forward as well, so a caller
/// sees its own numbers rise but not without gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first record.
    pub const NONE: Self = Self(0);

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(crate) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A durable, ordered set of record streams.
///
/// A key belongs to the stream whose record put it: a `Remove` by another
/// stream does nothing, `Restates` drops the keys that it does not put again,
/// `Forgets` drops them all. Two streams may hold a key one after the other,
/// not at one time.
pub trait Journal {
    /// Appends a record, in order, and returns its number without waiting for the disk.
    ///
    /// Blocks only while the bounded backlog is full.
    ///
    /// # Panics
    /// If the entry breaks a bound that [`Entry::check`] would have named.
    fn append(&mut self, entry: Entry) -> Lsn;

    /// Returns the number up to which every record is durable and indexed.
    fn durable(&self) -> Lsn;

    /// Stamps all records that follow with a coordinator's epoch.
    fn set_epoch(&mut self, epoch: u64);

    /// Returns the durable records of a stream in order; none if it is unknown or forgotten.
    ///
    /// # Errors
    /// [`ReadError`] when the index or the log cannot answer.
    fn read(&self, stream: &Stream) -> Result<Vec<Stored>, ReadError>;

    /// Returns the streams that have a durable record and are neither closed nor forgotten.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    fn open_streams(&self) -> Result<Vec<Stream>, ReadError>;

    /// Returns the durable value of a key.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// Returns at most `limit` keys below `prefix` that follow `after`, in byte order.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot answer.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, ReadError>;
}
