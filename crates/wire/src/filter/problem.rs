//! What is wrong with a filter, and where.

use thiserror::Error;

use super::{BYTES_MAX, CONDITIONS_MAX, DEPTH_MAX};

/// A filter that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem} (byte {at} of the filter)")]
pub struct InvalidFilter {
    /// At which byte it begins, counted from 0; the length of the filter if its end is wrong.
    pub at: usize,
    /// What is wrong there.
    pub problem: FilterProblem,
}

impl From<InvalidFilter> for tonic::Status {
    fn from(invalid: InvalidFilter) -> Self {
        crate::status::filter_invalid(&invalid)
    }
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterProblem {
    /// It is too long.
    #[error("more than the {BYTES_MAX} bytes that are read")]
    TooLong,
    /// It has too many conditions.
    #[error("more than the {CONDITIONS_MAX} conditions that are read")]
    TooManyConditions,
    /// It is nested too deep.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// It ends, or a parenthesis closes, where a condition was to follow.
    #[error("a condition is missing here, such as `state = RUNNING`")]
    ConditionMissing,
    /// A character stands where a condition begins.
    #[error("`{0}` begins no condition; one is written as `state = RUNNING`")]
    Unexpected(char),
    /// A word without a comparison.
    #[error(
        "`{0}` is compared with nothing; jobs whose id begins so are found by `id = \"{0}*\"`, \
         those of the name by `name = {0}`"
    )]
    NothingCompared(String),
    /// A keyword in small letters.
    #[error("write `{0}` in capitals")]
    SmallLetters(&'static str),
    /// A minus before a condition, which the whole of AIP-160 knows.
    #[error("write `NOT` in place of the minus")]
    Minus,
    /// `AND` and `OR` in one row.
    #[error("`AND` and `OR` beside each other want parentheses, as `a AND (b OR c)`")]
    Mixed,
    /// A parenthesis that is not closed.
    #[error("this parenthesis is not closed")]
    NotClosed,
    /// A parenthesis that was not opened.
    #[error("no parenthesis is open that this could close")]
    NotOpened,
    /// A quote that is not closed.
    #[error("this quote is not closed")]
    QuoteNotClosed,
    /// No such field.
    #[error("there is no field `{name}`; {}", did_you_mean(*nearest))]
    UnknownField {
        /// As it was written.
        name: String,
        /// The field that is written most alike.
        nearest: Option<&'static str>,
    },
    /// The field is not compared in that way.
    #[error("`{field}` is not compared by `{comparator}`, but by {comparators}")]
    Comparator {
        /// Which.
        field: &'static str,
        /// How it was compared.
        comparator: &'static str,
        /// How it can be.
        comparators: &'static str,
    },
    /// Nothing follows a comparator.
    #[error("a value is missing here; one that is empty is written as `\"\"`")]
    ValueMissing,
    /// A value that must be quoted.
    #[error("quote a value that has `{0}` in it")]
    Unquoted(char),
    /// No such state.
    #[error("there is no state `{name}`; {}", did_you_mean(*nearest))]
    UnknownState {
        /// As it was written.
        name: String,
        /// The state that is written most alike.
        nearest: Option<&'static str>,
    },
    /// Neither true nor false.
    #[error("`{0}` is neither `true` nor `false`")]
    NoFlag(String),
    /// No time.
    #[error(
        "`{0}` is no time; write one as `2026-11-20`, as `2026-11-20T18:30:00Z` or as an age, \
         such as `-24h` (s, m, h, d or w)"
    )]
    NoTime(String),
    /// A `*` in the middle of a value.
    #[error("`*` stands for anything at the beginning or the end of a value only")]
    Star,
    /// Labels without a key.
    #[error("name a label: `labels.KEY = VALUE`, or `labels:KEY` if any value will do")]
    KeyMissing,
}

/// Words what was probably meant, or what there is.
fn did_you_mean(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "see `votum list --help`".to_owned(),
    }
}
