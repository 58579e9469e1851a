//! What a daemon has written down, read from the files of its journal.
//!
//! The files are read as they lie there, without the daemon's own code and
//! without its index, also while the daemon writes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One record of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Whether anything had to wait for its sync.
    pub forced: bool,
    /// The stream that it belongs to, such as `job/sales-7`.
    pub stream: String,
    /// The record itself.
    pub record: Value,
}

impl Written {
    /// Returns a part of the record by the names that lead to it.
    #[must_use]
    pub fn part(&self, names: &[&str]) -> Option<&Value> {
        names.iter().try_fold(&self.record, |value, name| value.get(name))
    }
}

/// Reads every record of the journal in a folder, oldest first; none if there is no journal.
#[must_use]
pub fn written(folder: &Path) -> Vec<Written> {
    read(folder, |_| true)
}

/// Reads every record of one stream, oldest first; the others cost little.
#[must_use]
pub(crate) fn written_in(folder: &Path, stream: &str) -> Vec<Written> {
    read(folder, |found| found == stream)
}

/// Replaces what one record of a stream says, counted from 1, by as many bytes that mean nothing,
/// and makes its checksum right: the daemon must not be running.
///
/// # Panics
/// If there is no such record, or its file cannot be written.
pub fn spoil(folder: &Path, stream: &str, number: usize) {
    let mut left = number;
    for path in segments(folder) {
        let mut segment = fs::read(&path).expect("a segment can be read");
        let mut at = HEADER_BYTES;
        while let Some((frame, bytes)) = frame(&segment[at..], &|found| found == stream) {
            left -= usize::from(frame.is_some());
            if frame.is_some() && left == 0 {
                overwrite(&mut segment, at, bytes);
                return fs::write(&path, segment).expect("a segment can be written");
            }
            at += bytes;
        }
    }
    panic!("{} has no record {number} of {stream}", folder.display());
}

/// Overwrites the payload of the frame at an offset, and seals it again.
fn overwrite(segment: &mut [u8], at: usize, bytes: usize) {
    let payload_bytes =
        u32_at(segment, at + PAYLOAD_BYTES_AT).expect("the frame was read before") as usize;
    let padding = segment[at..at + bytes].iter().rev().take_while(|byte| **byte == 0).count();
    let end = at + bytes - padding;
    segment[end - payload_bytes..end].fill(b'?');
    let mut sum = crc32c::crc32c(&segment[CLUSTER_AT..CLUSTER_AT + 16]);
    for part in [
        &segment[FIRST_AT..FIRST_AT + 8],
        &(at as u64).to_le_bytes()[..],
        &segment[at..at + 4],
        &segment[at + PREFIX_BYTES..at + bytes],
    ] {
        sum = crc32c::crc32c_append(sum, part);
    }
    let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
    segment[at + 4..at + PREFIX_BYTES].copy_from_slice(&masked.to_le_bytes());
}

fn read(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Written> {
    let segments = segments(folder);
    segments.iter().flat_map(|path| frames(&fs::read(path).unwrap_or_default(), &wanted)).collect()
}

/// Returns the segments of a journal, oldest first; none if there is no journal.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut segments: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(is_segment))
        .collect();
    segments.sort();
    segments
}

fn is_segment(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.split('.')
        .next()
        .is_some_and(|stem| stem.len() == DIGITS && stem.bytes().all(|byte| byte.is_ascii_digit()))
}

fn frames(segment: &[u8], wanted: &impl Fn(&str) -> bool) -> Vec<Written> {
    let mut frames = Vec::new();
    let mut rest = segment.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((frame, bytes)) = frame(rest, wanted) {
        frames.extend(frame);
        rest = &rest[bytes..];
    }
    frames
}

/// Reads one frame, if its stream is wanted, and its length; nothing where zeros or half a frame
/// stand.
fn frame(bytes: &[u8], wanted: &impl Fn(&str) -> bool) -> Option<(Option<Written>, usize)> {
    let length = u32_at(bytes, 0)? as usize + PREFIX_BYTES;
    if length <= FIXED_BYTES || bytes.len() < length {
        return None;
    }
    let frame = &bytes[..length];
    let forced = *frame.get(FORCED_AT)? == 1;
    let stream_bytes = usize::from(u16_at(frame, STREAM_BYTES_AT)?);
    let changes = u16_at(frame, CHANGES_AT)?;
    let payload_bytes = u32_at(frame, PAYLOAD_BYTES_AT)? as usize;
    let mut rest = frame.get(FIXED_BYTES..)?;
    let stream = String::from_utf8(take(&mut rest, stream_bytes)?.to_vec()).ok()?;
    if !wanted(&stream) {
        return Some((None, length));
    }
    for _ in 0..changes {
        let puts = take(&mut rest, 1)?[0] == 1;
        for _ in 0..if puts { 2 } else { 1 } {
            let length = usize::from(u16_at(take(&mut rest, 2)?, 0)?);
            take(&mut rest, length)?;
        }
    }
    let stamped: Value = serde_json::from_slice(take(&mut rest, payload_bytes)?).ok()?;
    let record = stamped.get("record")?.clone();
    Some((Some(Written { forced, stream, record }), length))
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many digits a segment is named with.
const DIGITS: usize = 20;
/// Where a segment's header names its cluster.
const CLUSTER_AT: usize = 16;
/// Where it has the number of its first frame.
const FIRST_AT: usize = 32;
/// Before the first frame of a segment.
const HEADER_BYTES: usize = 64;
/// Length and checksum.
const PREFIX_BYTES: usize = 8;
/// Everything of a frame before its stream's name.
const FIXED_BYTES: usize = 64;
/// Prefix, five numbers of eight bytes, the version.
const FORCED_AT: usize = PREFIX_BYTES + 5 * 8 + 2;
/// Behind urgency and bearing.
const STREAM_BYTES_AT: usize = FORCED_AT + 2;
const CHANGES_AT: usize = STREAM_BYTES_AT + 2;
const PAYLOAD_BYTES_AT: usize = CHANGES_AT + 2;
