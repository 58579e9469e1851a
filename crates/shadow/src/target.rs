//! What becomes visible where, and what may stand there before.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::path::{Form, TargetPath};

/// The published name of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// The output is one file.
    File {
        /// Where it becomes visible.
        path: TargetPath,
        /// Its permission bits; without them those of the sealed file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<FileMode>,
        /// What to do about what stands there.
        #[serde(default)]
        existing: Existing,
        /// How many earlier generations stay; all of them if it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<u32>,
    },
    /// The output is a directory.
    Tree {
        /// Where it becomes visible.
        path: TargetPath,
        /// What to do about what stands there.
        #[serde(default)]
        existing: Existing,
        /// How many earlier generations stay; all of them if it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<u32>,
    },
}

impl Target {
    /// Returns where the output becomes visible.
    #[must_use]
    pub fn path(&self) -> &TargetPath {
        match self {
            Self::File { path, .. } | Self::Tree { path, .. } => path,
        }
    }

    /// Returns what to do about what stands there.
    #[must_use]
    pub fn existing(&self) -> Existing {
        match self {
            Self::File { existing, .. } | Self::Tree { existing, .. } => *existing,
        }
    }

    /// Returns how many earlier generations stay, if that is limited.
    #[must_use]
    pub fn generations_kept(&self) -> Option<u32> {
        match self {
            Self::File { kept, .. } | Self::Tree { kept, .. } => *kept,
        }
    }

    /// Returns what the output must be.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::File { .. } => Form::File,
            Self::Tree { .. } => Form::Tree,
        }
    }
}

/// What to do about something that stands at the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// Put the output in its place and keep it as a generation.
    #[default]
    Replace,
    /// Vote against publishing. It binds the vote alone: what comes to stand
    /// there after the decision is replaced, and kept.
    Fail,
}

/// The nine permission bits of a file; written as octal digits, such as `0644`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileMode(u16);

impl FileMode {
    /// Checks that nothing but the nine permission bits is set, and that the owner may read.
    ///
    /// # Errors
    /// [`InvalidMode`] when another bit is set, such as set-user-id, or when
    /// the worker itself could not read what it published.
    pub fn new(bits: u32) -> Result<Self, InvalidMode> {
        match u16::try_from(bits) {
            Ok(small) if small <= 0o777 && small & 0o400 != 0 => Ok(Self(small)),
            Ok(_) | Err(_) => Err(InvalidMode { text: format!("{bits:04o}") }),
        }
    }

    /// Returns the bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for FileMode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        let invalid = || InvalidMode { text: text.chars().take(20).collect() };
        if !text.chars().all(|digit| digit.is_digit(8)) || !(3..=4).contains(&text.len()) {
            return Err(invalid());
        }
        let bits = u32::from_str_radix(text, 8).map_err(|_| invalid())?;
        Self::new(bits).map_err(|_| invalid())
    }
}

impl TryFrom<String> for FileMode {
    type Error = InvalidMode;

    fn try_from(text: String) -> Result<Self, InvalidMode> {
        text.parse()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text or number that is no file mode.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a file mode from 0400 to 0777 that lets the owner read")]
pub struct InvalidMode {
    /// What was given, cut to 20 characters.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_nothing_but_permission_bits() {
        assert_eq!("0644".parse::<FileMode>().unwrap().bits(), 0o644);
        assert_eq!("755".parse::<FileMode>().unwrap().to_string(), "0755");
        for text in ["4755", "1777", "0000", "0244", "8", "0o644", "", "+644", "00644", "u+x"] {
            assert!(text.parse::<FileMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_survives_its_stored_form() {
        let text = r#"{"file":{"path":"/srv/www/latest.json","mode":"0644","existing":"fail"}}"#;
        let target: Target = serde_json::from_str(text).unwrap();
        assert_eq!(target.existing(), Existing::Fail);
        assert_eq!(serde_json::to_string(&target).unwrap(), text);
    }
}
