//! What people see: values in, text out; nothing here knows a terminal or a clock.

pub(crate) mod amount;
mod attempts;
pub(crate) mod case;
pub(crate) mod cluster;
mod doubt;
pub(crate) mod dry_vote;
pub(crate) mod encoding;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod forced;
pub(crate) mod frame;
pub(crate) mod graph;
pub(crate) mod hooks;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod log_lines;
pub(crate) mod outcome;
pub(crate) mod outputs;
pub(crate) mod paint;
pub(crate) mod plan;
pub(crate) mod progress;
mod quarantine;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
pub(crate) mod txns;
