//! Durations and sizes as people read them.

use std::time::Duration;

use votum_job::Size;
use votum_machine::WallTime;

/// Writes a duration as `2h 5m`, in its two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 && duration.subsec_millis() > 0 {
        return format!("{}ms", duration.subsec_millis());
    }
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest:02}s"),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Writes a size with a binary unit, as `4.1 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    Size(bytes).to_string()
}

/// Writes a time on a stopwatch: `4.1s` while that says something, then `2m 05s`.
pub(crate) fn stopwatch(elapsed: Duration) -> String {
    if elapsed < Duration::from_mins(1) {
        format!("{}.{}s", elapsed.as_secs(), elapsed.subsec_millis() / 100)
    } else {
        duration(elapsed)
    }
}

/// Writes how long something lasts, as `6m`, in its largest unit.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, _) => format!("{hours}h"),
        (days, _, _) => format!("{days}d"),
    }
}

/// Writes `1 file` or `3 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Writes a moment in UTC, as `2026-11-21 01:09:31Z`.
pub(crate) fn time(time: WallTime) -> String {
    let millisecond = i64::try_from(time.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millisecond) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_for_people() {
        assert_eq!(duration(Duration::from_millis(40)), "40ms");
        assert_eq!(duration(Duration::from_secs(242)), "4m 02s");
        assert_eq!(duration(Duration::from_secs(90_000)), "1d 1h");
        assert_eq!(size(512), "512 B");
        assert_eq!(size(4_198), "4.1 KiB");
        assert_eq!(size(1_048_575), "1.0 MiB");
    }
}
