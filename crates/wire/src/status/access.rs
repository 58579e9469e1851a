//! What callers are told who may not do what they ask.

use std::fmt::Display;

use tonic::Status;

use crate::problem::{Problem, Reason};

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
