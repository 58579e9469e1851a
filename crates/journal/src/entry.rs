//! What a caller appends and what it reads back, with the bounds of both.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::Lsn;

/// One record on its way into the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stream that the record belongs to.
    pub stream: Stream,
    /// How soon it must be durable.
    pub urgency: Urgency,
    /// The format version of `payload`.
    pub version: u16,
    /// What it means for the rest of its stream.
    pub bearing: Bearing,
    /// Keys that the index puts or removes together with it.
    pub keys: Vec<KeyChange>,
    /// The record itself; the journal does not look inside.
    pub payload: Vec<u8>,
}

impl Entry {
    /// Says whether the entry keeps within the journal's bounds.
    ///
    /// # Errors
    /// [`InvalidEntry`] names the bound that it breaks.
    pub fn check(&self) -> Result<(), InvalidEntry> {
        if self.keys.len() > KEY_CHANGES_MAX {
            return Err(InvalidEntry::TooManyKeys { found: self.keys.len() });
        }
        for change in &self.keys {
            match change {
                KeyChange::Put { key, value } => {
                    check_key(key)?;
                    if value.len() > VALUE_BYTES_MAX {
                        return Err(InvalidEntry::ValueTooLong { found: value.len() });
                    }
                    // The record is itself forgotten, and what it put would be lost at a rebuild.
                    if self.bearing == Bearing::Forgets {
                        return Err(InvalidEntry::PutByForgetting);
                    }
                }
                KeyChange::Remove { key } => check_key(key)?,
            }
        }
        match crate::frame::frame_bytes(self) {
            bytes if bytes > RECORD_BYTES_MAX => Err(InvalidEntry::TooLarge { found: bytes }),
            _fits => Ok(()),
        }
    }
}

fn check_key(key: &[u8]) -> Result<(), InvalidEntry> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(InvalidEntry::KeyLength { found: key.len() });
    }
    Ok(())
}

/// The name of a record stream, such as `job/nightly-k3f9x2ab` or `cluster`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(Arc<str>);

impl Stream {
    /// Checks a text and makes it a stream's name: 1 to 200 printable ASCII characters, no space.
    ///
    /// # Errors
    /// [`InvalidStream`] when the text breaks that rule.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidStream> {
        let text = text.as_ref();
        let fits = (1..=STREAM_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidStream { text: text.chars().take(80).collect() })
        }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How soon a record must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// With the next sync, which it causes: promises rest on it.
    Forced,
    /// With the next sync that something else causes, or after a short delay.
    Lazy,
}

/// What a record means for the rest of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bearing {
    /// It follows the records before it.
    Continues,
    /// It stands for all earlier records of the stream, and for their keys: they are dead.
    Restates,
    /// The stream is finished: readable, but not loaded at the next start.
    Closes,
    /// The stream, its keys and its bytes may be reclaimed.
    Forgets,
}

/// One change to the index's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Sets a key to a value of at most [`VALUE_BYTES_MAX`] bytes.
    Put {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// Found again by the key.
        value: Vec<u8>,
    },
    /// Removes a key, if this stream put it.
    Remove {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
    },
}

/// One durable record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The number that appending it returned.
    pub lsn: Lsn,
    /// The epoch it was stamped with.
    pub epoch: u64,
    /// How soon it had to be durable: no promise rests on a lazy one.
    pub urgency: Urgency,
    /// The format version of `payload`.
    pub version: u16,
    /// The record itself.
    pub payload: Vec<u8>,
}

/// A key and its value, as a scan returns them.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// Says that a text is not a stream's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a stream name: 1 to 200 printable characters without spaces")]
pub struct InvalidStream {
    /// What was given, cut to 80 characters.
    pub text: String,
}

/// Says which bound an entry breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEntry {
    /// The whole record is too large.
    #[error("the record takes {found} bytes, the most is {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Its size as a frame.
        found: usize,
    },
    /// It changes too many keys at once.
    #[error("the record changes {found} keys, the most is {KEY_CHANGES_MAX}")]
    TooManyKeys {
        /// How many.
        found: usize,
    },
    /// A key is empty or too long.
    #[error("a key has {found} bytes, not 1 to {KEY_BYTES_MAX}")]
    KeyLength {
        /// Its length.
        found: usize,
    },
    /// A value is too long.
    #[error("a value has {found} bytes, the most is {VALUE_BYTES_MAX}")]
    ValueTooLong {
        /// Its length.
        found: usize,
    },
    /// A record that forgets its stream puts a key.
    #[error("a record that forgets its stream cannot put a key")]
    PutByForgetting,
}

/// Largest record as a frame, key changes included; four of them fit into a usual segment.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Longest name of a stream.
pub const STREAM_BYTES_MAX: usize = 200;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Longest value of a key: larger ones have broken the index's recovery after a power cut.
pub const VALUE_BYTES_MAX: usize = 4 << 10;
/// Most key changes of one record.
pub const KEY_CHANGES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            stream: Stream::new("job/a").unwrap(),
            urgency: Urgency::Forced,
            version: 1,
            bearing: Bearing::Continues,
            keys: Vec::new(),
            payload: Vec::new(),
        }
    }

    #[test]
    fn a_stream_is_named_by_printable_characters() {
        for text in ["cluster", "job/nightly-k3f9x2ab", "worker/s1", &"a".repeat(200)] {
            assert_eq!(Stream::new(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a\0", "a\n", "ä", &"a".repeat(201)] {
            assert!(Stream::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_bound_of_an_entry_is_named() {
        let put = |key: usize, value: usize| {
            vec![KeyChange::Put { key: vec![1; key], value: vec![2; value] }]
        };
        let check = |change: &dyn Fn(&mut Entry)| {
            let mut entry = entry();
            change(&mut entry);
            entry.check()
        };
        assert_eq!(check(&|e| e.keys = put(KEY_BYTES_MAX, VALUE_BYTES_MAX)), Ok(()));
        assert_eq!(check(&|e| e.payload = vec![0; 2 << 20]), Ok(()));
        assert!(matches!(
            check(&|e| e.payload = vec![0; RECORD_BYTES_MAX]),
            Err(InvalidEntry::TooLarge { .. })
        ));
        assert_eq!(check(&|e| e.keys = put(0, 1)), Err(InvalidEntry::KeyLength { found: 0 }));
        assert_eq!(
            check(&|e| e.keys = put(1, VALUE_BYTES_MAX + 1)),
            Err(InvalidEntry::ValueTooLong { found: VALUE_BYTES_MAX + 1 })
        );
        let many = vec![KeyChange::Remove { key: vec![1] }; KEY_CHANGES_MAX + 1];
        assert!(matches!(
            check(&|e| e.keys.clone_from(&many)),
            Err(InvalidEntry::TooManyKeys { .. })
        ));
        let forgets = check(&|e| {
            e.bearing = Bearing::Forgets;
            e.keys = put(1, 1);
        });
        assert_eq!(forgets, Err(InvalidEntry::PutByForgetting));
    }
}
