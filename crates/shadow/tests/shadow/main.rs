//! What the crate promises, tried on a real filesystem.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod arriving;
mod checking;
mod checkpoints;
mod crash_images;
mod crashing;
mod discarding;
mod escaping;
mod field;
mod fuzzing;
mod handing_over;
mod opening;
mod publishing;
mod putting_back;
mod rehearsing;
mod retiring;
mod sealing;
mod syncing;
mod withdrawing;
