//! Logs every event and every reaction once, as fields.

use std::fmt::Debug;

use votum_machine::Reaction;

/// Logs an event before its step.
pub(crate) fn event(event: &impl Debug) {
    tracing::trace!(?event);
}

/// Logs what a step asked for.
pub(crate) fn reaction<R: Debug, A: Debug>(reaction: &Reaction<R, A>) {
    if let Some(record) = &reaction.record {
        tracing::debug!(?record);
    }
    for action in &reaction.actions {
        tracing::trace!(?action);
    }
}
