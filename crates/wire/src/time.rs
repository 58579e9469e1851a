//! Durations and times of day on the wire.

use std::time::Duration;

use votum_machine::WallTime;

use crate::{Fault, Malformed, translate::set};

/// Writes a duration; one beyond the end of the field is written as its end.
pub(crate) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    let longest = prost_types::Duration { seconds: SECONDS_MAX, nanos: 0 };
    match prost_types::Duration::try_from(duration) {
        Ok(written) if written.seconds < SECONDS_MAX => Some(written),
        Ok(_) | Err(_) => Some(longest),
    }
}

/// Reads a duration that may be absent.
pub(crate) fn read_duration_if_any(
    field: &str,
    proto: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Malformed> {
    let Some(proto) = proto else { return Ok(None) };
    let wrong = || {
        let text = format!("{}.{:09} s", proto.seconds, proto.nanos);
        Malformed::new(field, Fault::OutOfRange(text))
    };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(proto.seconds), u32::try_from(proto.nanos))
    else {
        return Err(wrong());
    };
    if proto.seconds > SECONDS_MAX || nanos >= 1_000_000_000 {
        return Err(wrong());
    }
    Ok(Some(Duration::new(seconds, nanos)))
}

/// Reads a duration that must be set.
pub(crate) fn read_duration(
    field: &str,
    proto: Option<prost_types::Duration>,
) -> Result<Duration, Malformed> {
    set(field, read_duration_if_any(field, proto)?)
}

/// Writes a time of day.
pub(crate) fn timestamp(time: WallTime) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.0 % 1000).expect("below 1000") * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(time.0 / 1000).unwrap_or(i64::MAX), nanos }
}

/// Reads a time of day that may be absent; Votum's are in whole milliseconds.
pub(crate) fn read_timestamp_if_any(
    field: &str,
    proto: Option<prost_types::Timestamp>,
) -> Result<Option<WallTime>, Malformed> {
    let Some(proto) = proto else { return Ok(None) };
    let wrong = || {
        let text = format!("{}.{:09} s since 1970", proto.seconds, proto.nanos);
        Malformed::new(field, Fault::OutOfRange(text))
    };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(proto.seconds), u64::try_from(proto.nanos))
    else {
        return Err(wrong());
    };
    let millis = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanos / 1_000_000));
    millis.map(|ms| Some(WallTime(ms))).ok_or_else(wrong)
}

/// Reads a time of day that must be set.
pub(crate) fn read_timestamp(
    field: &str,
    proto: Option<prost_types::Timestamp>,
) -> Result<WallTime, Malformed> {
    set(field, read_timestamp_if_any(field, proto)?)
}

/// The largest number of seconds of a `google.protobuf.Duration`: 10 000 years.
const SECONDS_MAX: i64 = 315_576_000_000;
