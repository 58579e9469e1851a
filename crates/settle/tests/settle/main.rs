//! The settlement as a whole: single claims, transcripts, and random faults.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a failing test stops")]

mod cast;
mod claims;
mod random;
mod transcripts;
mod world;
