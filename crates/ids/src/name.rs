//! Names chosen by people, checked once: jobs, tasks, workers and outputs.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Says why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {kind} name: {rule}")]
pub struct InvalidName {
    /// What was wanted, such as `task`.
    pub kind: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
    /// The rule it breaks, in words.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, underscore: $underscore:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks a text and makes it a name.
            ///
            /// # Errors
            /// [`InvalidName`] when the text breaks the rule of the type.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                match broken_rule(text, $underscore) {
                    None => Ok(Self(text.into())),
                    Some(rule) => Err(InvalidName {
                        kind: $kind,
                        text: text.chars().take(80).collect(),
                        rule,
                    }),
                }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Names one job for ever: `<display name>-<8 base32 characters>`, or chosen by the submitter.
    JobId, "job", underscore: false
);
name!(
    /// Names a task within its job.
    TaskId, "task", underscore: true
);
name!(
    /// Names a worker within its cluster, such as `s1`.
    WorkerId, "worker", underscore: false
);
name!(
    /// Names a step within its task.
    StepName, "step", underscore: true
);
name!(
    /// Names a secret that workers hold.
    SecretName, "secret", underscore: true
);
name!(
    /// Names an output within its task.
    OutputName, "output", underscore: true
);

/// Returns the rule that `text` breaks, if it breaks one.
///
/// The alphabet is chosen so that a name is one safe path component, one
/// environment variable suffix after mangling, and one word on a terminal.
fn broken_rule(text: &str, underscore: bool) -> Option<&'static str> {
    let lower = |c: char| c.is_ascii_lowercase();
    let lower_or_digit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| lower_or_digit(c) || c == '-' || (underscore && c == '_');
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > NAME_BYTES_MAX {
        Some("it is longer than 63 characters")
    } else if !text.starts_with(lower) {
        Some("it must start with a lower-case letter")
    } else if !text.ends_with(lower_or_digit) {
        Some("it must end with a lower-case letter or a digit")
    } else if !text.chars().all(inner) {
        Some(if underscore {
            "only a-z, 0-9, - and _ may stand in it"
        } else {
            "only a-z, 0-9 and - may stand in it"
        })
    } else {
        None
    }
}

/// Longest name, as a DNS label.
const NAME_BYTES_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_safe_path_component() {
        for text in ["a", "nightly-sales-k3f9x2ab", "t2"] {
            assert_eq!(JobId::new(text).unwrap().as_str(), text);
        }
        let long = "a".repeat(64);
        for text in ["", ".", "..", "a/b", "A", "1a", "a-", "a\0", "a\n", "ä", "a_b", &long] {
            assert!(JobId::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tasks_and_outputs_may_use_underscores() {
        assert!(TaskId::new("load_rows").is_ok());
        assert!(OutputName::new("daily_rows").is_ok());
        assert!(TaskId::new("_load").is_err());
    }

    #[test]
    fn a_stored_name_is_checked_when_read_back() {
        let read: Result<JobId, _> = JobId::try_from("../etc".to_owned());
        assert!(read.is_err());
    }
}
