//! Durations and sizes as people write them: `1h 30m`, `30d`, `4GiB`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a duration; a day has 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.trim().parse::<f64>().is_ok() {
        return Err(format!("write a unit, such as `{}s`", text.trim()));
    }
    let span: Span = text.parse().map_err(|_| DURATION_RULE.to_owned())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err("months and years have no fixed length; write days".to_owned());
    }
    let nanoseconds = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| DURATION_RULE.to_owned())?;
    Duration::try_from(nanoseconds).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Reads a size in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| SIZE_RULE.to_owned())?;
    let unit = unit.trim();
    let (_, factor) =
        UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| SIZE_RULE.to_owned())?;
    number.checked_mul(*factor).ok_or_else(|| "larger than any disk".to_owned())
}

/// Reads processor cores as thousandths of one.
pub(crate) fn cores(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(CORES_RULE.to_owned());
    }
    let thousandths = format!("{whole}{fraction:0<3}");
    thousandths.parse().map_err(|_| "more cores than any machine has".to_owned())
}

const CORES_RULE: &str = "cores are written as `2`, `0.5` or `1.25`, in thousandths at most";
const DURATION_RULE: &str = "a duration is written as `90s`, `45m`, `1h 30m` or `30d`";
const SIZE_RULE: &str = "a size is written as `500`, `20kB`, `64MiB` or `4GiB`";
const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("45m"), Ok(2_700));
        assert_eq!(seconds("1h 30m"), Ok(5_400));
        assert_eq!(seconds("30d"), Ok(30 * 86_400));
        assert_eq!(seconds("2w"), Ok(14 * 86_400));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_duration_says_how_to_write_one() {
        assert_eq!(duration("60"), Err("write a unit, such as `60s`".to_owned()));
        assert_eq!(duration("soon"), Err(DURATION_RULE.to_owned()));
        assert!(duration("1 month").is_err());
        assert!(duration("-5s").is_err());
        assert!(duration("").is_err());
    }

    #[test]
    fn cores_are_read_as_thousandths() {
        assert_eq!(cores("2"), Ok(2_000));
        assert_eq!(cores("0.5"), Ok(500));
        assert_eq!(cores("1.125"), Ok(1_125));
        assert_eq!(cores("0.0001"), Err(CORES_RULE.to_owned()));
        assert_eq!(cores(".5"), Err(CORES_RULE.to_owned()));
        assert_eq!(cores("-1"), Err(CORES_RULE.to_owned()));
        assert!(cores("5000000").is_err());
    }

    #[test]
    fn sizes_are_read_with_decimal_and_binary_units() {
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("20 kB"), Ok(20_000));
        assert_eq!(size("17"), Ok(17));
        assert!(size("4gb").is_err());
        assert!(size("99999999TiB").is_err());
    }
}
