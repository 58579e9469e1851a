//! Which worker runs which attempt, and when.

mod action;
mod event;
mod record;

pub use action::{Action, HeldOutput, Holding};
pub use event::{Event, Registration};
pub use record::{Record, Submission};
