//! What a peer sent that means nothing: the one error of every translation.

use std::fmt::Display;

use thiserror::Error;
use votum_ids::{InvalidName, MalformedDigest, MalformedTxnId};
use votum_job::InvalidKey;

/// A field that means nothing to this version of Votum.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {fault}")]
pub struct Malformed {
    /// Path of the field from the message that was read, such as `voted.txn_id`.
    pub field: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Malformed {
    /// Says what is wrong with one field.
    pub(crate) fn new(field: impl Into<String>, fault: impl Into<Fault>) -> Self {
        Self { field: field.into(), fault: fault.into() }
    }

    /// Lengthens the path by the field that the message was read from.
    #[must_use]
    pub fn below(mut self, field: impl Display) -> Self {
        self.field = if self.field.is_empty() {
            field.to_string()
        } else {
            format!("{field}.{}", self.field)
        };
        self
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It must be set.
    #[error("must be set")]
    Missing,
    /// An enumeration has no such value, or it is the unspecified one.
    #[error("{0} is not a known value")]
    UnknownValue(i32),
    /// A map or a list has the same key twice.
    #[error("{0:?} stands there twice")]
    Twice(String),
    /// It breaks the rule of its kind of name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It is no concurrency key.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// It is no digest.
    #[error(transparent)]
    Digest(#[from] MalformedDigest),
    /// It names no round.
    #[error(transparent)]
    Txn(#[from] MalformedTxnId),
    /// It is no UUID.
    #[error("{0:?} is not a UUID")]
    Uuid(String),
    /// It has not the form of its kind.
    #[error("{text:?} has not the form {form}")]
    Form {
        /// What was given, cut to 120 characters.
        text: String,
        /// What was wanted.
        form: &'static str,
    },
    /// It means nothing beside what else is set.
    #[error("{0}")]
    Meaningless(String),
    /// A number, duration or time lies outside of what is allowed.
    #[error("{0} is out of range")]
    OutOfRange(String),
    /// A list is longer than allowed.
    #[error("{count} entries are more than the {limit} allowed")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Fault {
    /// Says that a text has not the wanted form.
    pub(crate) fn form(text: &str, form: &'static str) -> Self {
        Self::Form { text: text.chars().take(120).collect(), form }
    }

    /// Says that a number is out of range.
    pub(crate) fn out_of_range(number: impl Display) -> Self {
        Self::OutOfRange(number.to_string())
    }
}

impl From<Malformed> for tonic::Status {
    fn from(malformed: Malformed) -> Self {
        crate::status::malformed(&malformed)
    }
}
