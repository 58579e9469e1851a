//! What is measured, one file for each kind of question.

pub(crate) mod committing;
pub(crate) mod counting;
pub(crate) mod crowding;
pub(crate) mod recovering;
pub(crate) mod storing;
pub(crate) mod submitting;
