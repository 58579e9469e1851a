//! Durations and sizes as people read them.

use std::time::Duration;

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
    const NAMES: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut name = 0;
    while value >= 1023.95 && name + 1 < NAMES.len() {
        value /= 1024.0;
        name += 1;
    }
    format!("{value:.1} {}", NAMES[name])
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
