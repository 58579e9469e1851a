//! What fields are compared with: patterns and times.

use std::time::Duration;

use votum_machine::WallTime;

use super::problem::FilterProblem;

/// A text; anything may stand before it, or after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    before: bool,
    after: bool,
}

impl Pattern {
    /// What every text is like.
    pub(super) fn anything() -> Self {
        Self { text: String::new(), before: true, after: true }
    }

    /// Reads `text`, `text*`, `*text` or `*text*`.
    pub(super) fn read(value: &str) -> Result<Self, FilterProblem> {
        let rest = value.strip_prefix('*');
        let (before, rest) = (rest.is_some(), rest.unwrap_or(value));
        let text = rest.strip_suffix('*');
        // A single star is both its beginning and its end.
        let (after, text) = (text.is_some() || value == "*", text.unwrap_or(rest));
        if text.contains('*') {
            return Err(FilterProblem::Star);
        }
        Ok(Self { text: text.to_owned(), before, after })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match (self.before, self.after) {
            (false, false) => text == self.text,
            (false, true) => text.starts_with(&self.text),
            (true, false) => text.ends_with(&self.text),
            (true, true) => text.contains(&self.text),
        }
    }
}

/// How two times lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Before,
    NotAfter,
    NotBefore,
    After,
}

impl Order {
    pub(super) fn holds(self, time: WallTime, other: WallTime) -> bool {
        match self {
            Self::Before => time < other,
            Self::NotAfter => time <= other,
            Self::NotBefore => time >= other,
            Self::After => time > other,
        }
    }
}

/// A time, or how long ago it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    At(WallTime),
    Ago(Duration),
}

impl Instant {
    /// Reads RFC 3339, a date, or an age.
    pub(super) fn read(value: &str) -> Result<Self, FilterProblem> {
        let read = match value.strip_prefix('-') {
            Some(age) => ago(age).map(Self::Ago),
            None => stamp(value).map(Self::At),
        };
        read.ok_or_else(|| FilterProblem::NoTime(value.chars().take(SHOWN_MAX).collect()))
    }

    pub(super) fn at(self, now: WallTime) -> WallTime {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => {
                let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                WallTime(now.0.saturating_sub(millis))
            }
        }
    }
}

fn stamp(value: &str) -> Option<WallTime> {
    let stamp: prost_types::Timestamp = value.parse().ok()?;
    let seconds = u64::try_from(stamp.seconds).ok()?;
    let millis = u64::try_from(stamp.nanos).ok()? / 1_000_000;
    seconds.checked_mul(1000)?.checked_add(millis).map(WallTime)
}

fn ago(age: &str) -> Option<Duration> {
    let (digits, unit) = age.split_at(age.find(|c: char| !c.is_ascii_digit())?);
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(*seconds)?))
}

/// What an age is told in, and how many seconds that has.
const UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];
/// So many characters of a wrong value are repeated.
pub(super) const SHOWN_MAX: usize = 60;
