//! What has happened in a history of the model, and which promise it broke.

use votum_ids::{TxnId, WorkerUid};

use crate::bits::Bits;

/// Facts that have happened; nothing ever undoes them.
pub(crate) type Facts = Bits<4>;

/// Something that a spectator remembers, although a crash may make everybody else forget it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// An installation has made Prepared durable.
    Promised(WorkerUid, TxnId),
    /// A commit is durable.
    Decided(TxnId),
    /// A durable commit names this installation.
    Named(WorkerUid, TxnId),
    /// An abort is durable.
    Aborting,
    /// Somebody was told that this round is refused.
    Refused(TxnId),
    /// An operator has given an installation up that owes this commit.
    GivenUp(WorkerUid, TxnId),
    /// Outputs became visible.
    Published(WorkerUid, TxnId),
    /// An installation holds nothing any more.
    Discarded(WorkerUid),
    /// A check has ended well, and would end well again.
    Passed(WorkerUid, TxnId),
    /// A check has failed, and would fail again.
    Failed(WorkerUid, TxnId),
}

/// A promise of the protocol that a history has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub(crate) enum Broken {
    Agreement = 1,
    Validity = 1 << 1,
    Refusal = 1 << 2,
    Publication = 1 << 3,
    OneDecision = 1 << 4,
    Impossible = 1 << 5,
    SoundLog = 1 << 6,
    Acknowledgement = 1 << 7,
    End = 1 << 8,
}
