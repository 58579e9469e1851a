//! The language in which jobs are chosen: a part of AIP-160, and nothing beside it.
//!
//! A filter is conditions joined by `AND`, `OR`, `NOT` and parentheses:
//! `state = RUNNING AND (labels.team = sales OR NOT by = ci) AND received > -24h`. A space between
//! two conditions is an `AND`. Here `AND` and `OR` beside each other want parentheses: AIP-160 binds
//! `OR` tighter and everybody else `AND`, so one half of all readers would be wrong about it.
//!
//! Reading a filter is pure; whoever judges a job by it says what is known of the job, and what
//! time it is. What is not known leaves the answer open (Kleene's three-valued logic), so that an
//! index can rule jobs out of which it knows little.

mod facts;
mod parse;
mod problem;
mod value;

use std::str::FromStr;

pub use facts::{Ended, Facts};
pub use problem::{FilterProblem, InvalidFilter};
use value::{Instant, Order, Pattern};
use votum_machine::WallTime;

use crate::JobState;

/// A condition on jobs, as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    root: Expression,
}

impl Filter {
    /// Returns it as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says whether a job is wanted; none if what is known of it leaves that open.
    #[must_use]
    pub fn judge(&self, job: &Facts<'_>, now: WallTime) -> Option<bool> {
        self.root.judge(job, now)
    }

    /// Returns a time before which no wanted job was received, if there is one.
    #[must_use]
    pub fn received_since(&self, now: WallTime) -> Option<WallTime> {
        self.root.received_since(now)
    }

    /// Says whether it asks for a state, or for anything but it.
    #[must_use]
    pub fn names(&self, state: JobState) -> bool {
        self.root.names(state)
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        Ok(Self { text: text.to_owned(), root: parse::expression(text)? })
    }
}

/// Conditions and how they are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Is(Condition),
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// It is in this state.
    State(JobState),
    /// It is held, whatever its state.
    Paused,
    /// It aborts, or aborted, because somebody cancelled it.
    Cancelled,
    /// A text of it is such a one.
    Text(TextField, Pattern),
    /// It has this label with such a value.
    Label(String, Pattern),
    /// It was received before or after a time.
    Received(Order, Instant),
    /// It has ended, before or after a time.
    Ended(Order, Instant),
    /// It has ended.
    HasEnded,
}

/// A text that every job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextField {
    Id,
    Name,
    By,
}

impl Expression {
    fn judge(&self, job: &Facts<'_>, now: WallTime) -> Option<bool> {
        match self {
            Self::All(parts) => all(parts.iter().map(|part| part.judge(job, now))),
            Self::Any(parts) => any(parts.iter().map(|part| part.judge(job, now))),
            Self::Not(part) => part.judge(job, now).map(|wanted| !wanted),
            Self::Is(condition) => condition.judge(job, now),
        }
    }

    fn received_since(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::All(parts) => parts.iter().filter_map(|part| part.received_since(now)).max(),
            Self::Any(parts) => {
                let bounds: Option<Vec<_>> =
                    parts.iter().map(|part| part.received_since(now)).collect();
                bounds?.into_iter().min()
            }
            Self::Is(Condition::Received(Order::After | Order::NotBefore, instant)) => {
                Some(instant.at(now))
            }
            Self::Is(_) | Self::Not(_) => None,
        }
    }

    fn names(&self, state: JobState) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.names(state)),
            Self::Not(part) => part.names(state),
            Self::Is(condition) => *condition == Condition::State(state),
        }
    }
}

impl Condition {
    fn judge(&self, job: &Facts<'_>, now: WallTime) -> Option<bool> {
        match self {
            Self::State(wanted) => Some(job.state? == *wanted),
            Self::Paused => job.paused,
            Self::Cancelled => job.cancelled,
            Self::Text(TextField::Id, pattern) => Some(pattern.matches(job.job.as_str())),
            Self::Text(TextField::Name, pattern) => Some(pattern.matches(job.name?)),
            Self::Text(TextField::By, pattern) => Some(pattern.matches(job.by?)),
            Self::Label(key, pattern) => {
                let value = job.labels?.get(key);
                Some(value.is_some_and(|value| pattern.matches(value)))
            }
            Self::Received(order, instant) => Some(order.holds(job.received, instant.at(now))),
            Self::Ended(order, instant) => match job.ended {
                Ended::Unknown => None,
                Ended::NotYet => Some(false),
                Ended::At(ended) => Some(order.holds(ended, instant.at(now))),
            },
            Self::HasEnded => match job.ended {
                Ended::Unknown => None,
                Ended::NotYet => Some(false),
                Ended::At(_) => Some(true),
            },
        }
    }
}

/// Says whether everything holds: not if anything does not, and nobody knows if that is open.
pub(crate) fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

/// Says whether anything holds, which it does unless all is otherwise.
pub(crate) fn any(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.map(|part| part.map(|holds| !holds))).map(|none| !none)
}

/// Longest filter that is read.
pub const BYTES_MAX: usize = 2048;
/// Most conditions of one filter.
pub const CONDITIONS_MAX: usize = 64;
/// So deep parentheses may be nested.
pub const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests;
