//! What keeps jobs apart that must not be under way at one time: a key, of which one job at a time
//! is the holder.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which jobs a job does not run beside, and what it does when it meets one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// Of all jobs with it one is under way at a time, on the whole cluster.
    pub key: ConcurrencyKey,
    /// What becomes of the job if another one has the key.
    #[serde(default)]
    pub policy: ConcurrencyPolicy,
}

/// What becomes of a job whose key another one has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyPolicy {
    /// It is received, and waits behind those that were received before it.
    #[default]
    Queue,
    /// It is refused.
    Reject,
    /// It is received, and those before it are cancelled unless they are decided.
    Replace,
}

/// Names what jobs have to themselves; already substituted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConcurrencyKey(Arc<str>);

/// Says why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a concurrency key: {rule}")]
pub struct InvalidKey {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// The rule it breaks, in words.
    pub rule: &'static str,
}

impl ConcurrencyKey {
    /// Checks a text and makes it a key.
    ///
    /// # Errors
    /// [`InvalidKey`] when the text is empty, too long, or has other characters than those of names
    /// and paths.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidKey> {
        let text = text.as_ref();
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            Some(rule) => Err(InvalidKey { text: text.chars().take(80).collect(), rule }),
        }
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConcurrencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConcurrencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ConcurrencyKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::new(text)
    }
}

impl TryFrom<String> for ConcurrencyKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        Self::new(text)
    }
}

impl From<ConcurrencyKey> for String {
    fn from(key: ConcurrencyKey) -> Self {
        key.0.as_ref().to_owned()
    }
}

/// The alphabet is chosen so that a key is one word in a sentence and on a terminal.
fn broken_rule(text: &str) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > KEY_BYTES_MAX {
        Some("it is longer than 128 characters")
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("it must start with a letter or a digit")
    } else if !text.chars().all(legal) {
        Some("only letters, digits, '-', '_', '.', '/' and ':' may stand in it")
    } else {
        None
    }
}

/// Longest key.
pub const KEY_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        for text in ["nightly-sales", "Deploy/eu:prod", "7", "a_b.c", &longest] {
            assert_eq!(ConcurrencyKey::new(text).unwrap().as_str(), text);
        }
        let longer = format!("{longest}k");
        for text in ["", " ", "a b", "-a", "/a", "ä", "a\n", "${{ params.x }}", &longer] {
            assert!(ConcurrencyKey::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_stored_key_is_checked_when_read_back() {
        assert!(ConcurrencyKey::try_from("a b".to_owned()).is_err());
    }
}
