//! Who wants to know how long the disk takes: a journal reads no clock, so it says when to look.

/// Told about each sync of a group, on the thread that syncs; must not wait for anything.
pub trait SyncObserver: Send {
    /// A group is written, and its sync begins.
    fn sync_begins(&mut self);

    /// The sync has succeeded; after a failed one the process ends.
    fn sync_ended(&mut self);
}

/// Wants to know nothing.
#[derive(Debug)]
pub(crate) struct Unobserved;

impl SyncObserver for Unobserved {
    fn sync_begins(&mut self) {}

    fn sync_ended(&mut self) {}
}
