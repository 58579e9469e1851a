//! Attempts as real processes, with `supervisor.rs` as their supervisor.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod durability;
mod fuzzing;
mod lease;
mod limits;
mod namespace;
mod outcome;
mod output;
mod stop;
mod survival;
mod user;
mod world;
