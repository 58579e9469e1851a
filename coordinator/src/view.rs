//! What people are shown, made anew for each question from what the machines know.

pub(crate) mod approval;
pub(crate) mod event;
mod fact;
pub(crate) mod fate;
pub(crate) mod hook;
pub(crate) mod job;
mod task;
pub(crate) mod worker;
