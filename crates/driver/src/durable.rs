//! Records as journal entries: what they say, when it was, and where they belong.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use votum_journal::{Bearing, Entry, KeyChange, Stored, Stream, Urgency};
use votum_machine::WallTime;

/// A fact of a machine that the journal keeps.
pub trait Durable: Serialize + DeserializeOwned {
    /// Format of the encoding; raised when an old reader would misread a record.
    const VERSION: u16;

    /// Returns the one stream that the record belongs to.
    fn stream(&self) -> Stream;

    /// Says whether the actions of the step wait for the sync of this record.
    fn forced(&self) -> bool;

    /// Says what the record means for the life of its stream.
    fn bearing(&self) -> Bearing;

    /// Returns what the index shall find from here on.
    fn keys(&self, at: WallTime) -> Vec<KeyChange>;
}

/// A record and the time of day at which it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped<R> {
    /// When.
    pub at: WallTime,
    /// What.
    pub record: R,
}

/// A stored record whose checksum holds and whose content cannot be understood (V3).
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Written by a later version of the program.
    #[error("record {lsn} has format version {found}, this program reads up to {known}")]
    Version {
        /// Its number in the log.
        lsn: u64,
        /// The version it says.
        found: u16,
        /// The largest version known here.
        known: u16,
    },
    /// Not what this program writes.
    #[error("record {lsn} cannot be decoded")]
    Content {
        /// Its number in the log.
        lsn: u64,
        /// What the decoder says.
        source: serde_json::Error,
    },
}

impl Unreadable {
    /// Says why, for whoever names the record otherwise.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Version { found, known, .. } => {
                format!("it has format version {found}, this program reads up to {known}")
            }
            Self::Content { source, .. } => format!("it cannot be decoded: {source}"),
        }
    }
}

/// Encodes a record as an entry of the journal, stamped with a time of day.
///
/// # Panics
/// If the record cannot be encoded, which its type excludes.
pub fn entry<R: Durable>(at: WallTime, record: &R) -> Entry {
    let stamped = Stamped { at, record };
    Entry {
        stream: record.stream(),
        urgency: if record.forced() { Urgency::Forced } else { Urgency::Lazy },
        version: R::VERSION,
        bearing: record.bearing(),
        keys: record.keys(at),
        payload: serde_json::to_vec(&stamped).expect("records have string keys only"),
    }
}

/// Decodes one stored record.
///
/// # Errors
/// [`Unreadable`] when the content cannot be understood; the caller quarantines its stream.
pub fn decode<R: Durable>(stored: &Stored) -> Result<Stamped<R>, Unreadable> {
    let lsn = stored.lsn.0;
    if stored.version > R::VERSION {
        return Err(Unreadable::Version { lsn, found: stored.version, known: R::VERSION });
    }
    serde_json::from_slice(&stored.payload).map_err(|source| Unreadable::Content { lsn, source })
}
