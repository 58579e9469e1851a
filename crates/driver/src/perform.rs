//! What a shell offers to the loop: doing one action, without ever waiting.

/// Performs the actions of a machine.
pub trait Perform<A> {
    /// Does or starts one action. Never waits for a peer or a disk: slow work
    /// is handed over, and its completion comes back as an event.
    fn perform(&mut self, action: A);
}

/// Says which records an action waits for.
pub trait Awaits {
    /// Returns true for what others take as durable: acknowledgements, replies, views.
    ///
    /// Every action waits for the forced records up to its step; these wait for the lazy ones too.
    fn awaits_lazy_records(&self) -> bool;
}

/// An event type that can say that time has passed.
pub trait Tick {
    /// Returns the event.
    fn tick() -> Self;
}
