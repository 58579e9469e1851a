//! Sizes and times as operators write them: a number and its unit.

use std::{str::FromStr, time::Duration};

use serde::Deserialize;
use thiserror::Error;

/// A number of bytes, such as `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

/// A time, such as `10s` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// A text that is no number with one of the units.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a whole number followed by one of {units}")]
pub struct InvalidMeasure {
    text: String,
    units: &'static str,
}

impl FromStr for Bytes {
    type Err = InvalidMeasure;

    fn from_str(text: &str) -> Result<Self, InvalidMeasure> {
        let invalid = || InvalidMeasure { text: text.to_owned(), units: "B, KiB, MiB, GiB, TiB" };
        let (number, unit) = split(text).ok_or_else(invalid)?;
        let factor: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _unknown => return Err(invalid()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

impl FromStr for Span {
    type Err = InvalidMeasure;

    fn from_str(text: &str) -> Result<Self, InvalidMeasure> {
        let invalid = || InvalidMeasure { text: text.to_owned(), units: "ms, s, m, h, d" };
        let (number, unit) = split(text).ok_or_else(invalid)?;
        let factor: u64 = match unit {
            "ms" => return Ok(Self(Duration::from_millis(number))),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _unknown => return Err(invalid()),
        };
        number.checked_mul(factor).map(|s| Self(Duration::from_secs(s))).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Bytes {
    type Error = InvalidMeasure;

    fn try_from(text: String) -> Result<Self, InvalidMeasure> {
        text.parse()
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidMeasure;

    fn try_from(text: String) -> Result<Self, InvalidMeasure> {
        text.parse()
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_a_number_with_its_unit() {
        assert_eq!("64MiB".parse(), Ok(Bytes(64 << 20)));
        assert_eq!("5 GiB".parse(), Ok(Bytes(5 << 30)));
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        assert_eq!("7d".parse(), Ok(Span(Duration::from_hours(168))));
        for text in ["", "7", "s", "-1s", "1.5h", "99999999999999999d", "1 parsec"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
