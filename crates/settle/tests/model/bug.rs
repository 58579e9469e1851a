//! Bugs that the model has to catch, planted between the machine and its world.
//!
//! The production code is not touched: each bug twists what a driver hands to the machine, or
//! what it does with its reaction.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// A restart takes the decision for the other one (C3).
    DecisionTurned,
    /// Each try has a key of its own.
    KeyPerTry,
    /// A worker is told to start before the intent is durable (§4).
    StartBeforeIntent,
    /// A worker is given up while it is connected (R2).
    LostWhileConnected,
    /// The report of any try is taken for one of the try that is under way (R1).
    TokensNotCompared,
    /// A report is acknowledged before its record is durable.
    AckBeforeRecord,
    /// The machine does not learn that a person decides about what nobody knows.
    ParkingIgnored,
    /// A person is answered before the resolution is durable (C12).
    ResolutionNotForced,
    /// What a person gave up is taken for a wish to retry.
    ClosedIsRetried,
    /// The machine does not learn which task follows which.
    OrderForgotten,
    /// A restart does not end the replay of the job.
    NotResumed,
    /// The end of an inventory is not passed on.
    InventoryWithoutEnd,
    /// A loss is passed on once, although it makes a record.
    LossToldOnce,
}
