//! All or nothing: two-phase commit with presumed abort.

mod action;
mod alarm;
mod decision;
mod event;
mod message;
mod record;
mod vote;

pub use action::{CoordinatorAction, ParticipantAction};
pub use alarm::Alarm;
pub use decision::{Cause, Decision};
pub use event::{CoordinatorEvent, ParticipantEvent};
pub use message::{Installation, Knowledge, LogPosition, Message, Peer, Pledge, Reply, Share};
pub use record::{CoordinatorRecord, ParticipantRecord};
pub use vote::{Objection, Vote};
