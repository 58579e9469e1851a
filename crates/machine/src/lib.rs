//! The contract between every pure machine and whatever drives it.

mod moment;

pub use moment::{Moment, WallTime};

/// A state machine that decides and never acts.
pub trait Machine {
    /// What happened.
    type Event;
    /// A fact that must outlive a crash.
    type Record;
    /// Something the driver shall do.
    type Action;

    /// Applies one event. Same state, same `now`, same event: same reaction.
    fn step(&mut self, now: Moment, event: Self::Event) -> Reaction<Self::Record, Self::Action>;

    /// Says when the machine next wants a tick, if nothing happens before.
    ///
    /// A moment that has passed means: now. A tick does the one most urgent
    /// thing, so the driver ticks until nothing is due.
    fn next_deadline(&self) -> Option<Moment>;
}

/// What one step asks of its driver: make `record` durable, then perform
/// `actions` in order. Acting before recording cannot be spelled.
///
/// A crash may fall anywhere: before the record, or after any prefix of the
/// actions. Actions are therefore idempotent, and each is asked for again.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction<R, A> {
    /// The one fact of this step, if there is one.
    pub record: Option<R>,
    /// What to do once the fact is as durable as its type asks for.
    pub actions: Vec<A>,
}

impl<R, A> Reaction<R, A> {
    /// Asks for nothing.
    pub fn none() -> Self {
        Self { record: None, actions: Vec::new() }
    }

    /// Asks for actions that depend on no new fact.
    pub fn perform(actions: impl IntoIterator<Item = A>) -> Self {
        Self { record: None, actions: actions.into_iter().collect() }
    }

    /// Makes the actions depend on `record`.
    ///
    /// # Panics
    /// If the reaction has a record: a step is one decision, and one decision is one record.
    pub fn durably(mut self, record: R) -> Self {
        assert!(self.record.is_none(), "a step makes at most one record");
        self.record = Some(record);
        self
    }

    /// Adds an action after those already asked for.
    pub fn then(mut self, action: A) -> Self {
        self.actions.push(action);
        self
    }
}
