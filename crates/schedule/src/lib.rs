//! Which worker runs which attempt, and when.

mod action;
mod active_job;
mod agenda;
mod attempt;
mod config;
mod event;
mod placement;
mod queue;
mod record;
mod replay;
mod reports;
mod retry;
mod roster;
mod scheduler;
mod session;
mod view;

pub use action::{Action, HeldOutput, Holding};
pub use attempt::{Attempt, Outcome};
pub use config::Config;
pub use event::{Event, Registration};
pub use record::{Record, Submission};
pub use replay::CorruptSchedule;
pub use retry::MISHAPS_MAX;
pub use scheduler::{Reaction, Scheduler};
pub use view::{JobState, JobSummary, JobView, TaskStanding, TaskView, WorkerState, WorkerView};
