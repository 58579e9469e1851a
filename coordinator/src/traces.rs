//! One trace a job, told to an OpenTelemetry collector: from its submission to the last acknowledgement.
//!
//! Spans are made of what is recorded, said and heard, with the times of the
//! engine's own clock, and their ids follow from names: a coordinator that
//! restarts goes on with the same trace, and nothing about it is recorded but
//! who called, the `traceparent` of the submission. Spans leave through a
//! bounded queue that never waits; what does not fit is counted and lost. No
//! span holds a word of a program, a path, a name of a person or a value of the
//! job's file: only ids, numbers and words of a short list.

mod context;
mod export;
mod followed;
mod span;
mod tracer;

pub(crate) use context::{Context, is_traceparent};
pub(crate) use export::Export;
pub(crate) use followed::{Followed, traceparent};
pub(crate) use tracer::Tracer;
