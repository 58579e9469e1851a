//! What callers are told who may not do what they ask.

use std::{fmt::Display, time::Duration};

use tonic::Status;
use votum_ids::WorkerId;

use crate::problem::{Problem, Reason};

/// It is not known who asks.
#[must_use]
pub fn not_authenticated(why: impl Display) -> Status {
    Problem::words(Reason::NotAuthenticated, why.to_string()).into()
}

/// Somebody tries to speak for a worker that it is not.
#[must_use]
pub fn not_that_worker(name: &str, worker: &WorkerId) -> Status {
    let words = format!("{name} cannot speak for worker {worker}");
    Problem::words(Reason::NotAllowed, words).with("principal", name).with("worker", worker).into()
}

/// The caller is known, and has not the role that the call needs.
#[must_use]
pub fn role_needed(name: &str, call: &str, role: impl Display) -> Status {
    let words = format!("{name} may not call {call}: it needs the role {role}");
    Problem::words(Reason::NotAllowed, words)
        .with("principal", name)
        .with("call", call)
        .with("role", role)
        .into()
}

/// Nobody may call it: it is in no table.
#[must_use]
pub fn no_such_call(call: &str) -> Status {
    Problem::words(Reason::NoSuchCall, format!("there is no call {call}")).with("call", call).into()
}

/// The caller asks more often than it may.
#[must_use]
pub fn too_often(who: &str, wait: Duration) -> Status {
    let words = format!("{who} asks more often than this coordinator lets anybody");
    Problem::words(Reason::QuotaExceeded, words).with("principal", who).retry_after(wait).into()
}
