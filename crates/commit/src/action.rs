//! What the two machines ask of their drivers.

use votum_ids::{JobId, TxnId, WorkerId};

use crate::{Alarm, Cause, Installation, Knowledge, Message, Peer, Pledge, Reply};

/// What the coordinator's half asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorAction {
    /// Send to a worker, if it is connected; asked for again until answered.
    Send {
        /// To whom.
        to: WorkerId,
        /// What.
        message: Message,
    },
    /// Report: a round has opened and votes are being collected.
    Preparing {
        /// The round.
        txn: TxnId,
    },
    /// Report: the round ended without commit because this participant no longer holds its share.
    ShareLost {
        /// The job.
        job: JobId,
        /// Who.
        holder: Installation,
    },
    /// Report: the decision is Commit; it is durable when this is performed.
    Committing {
        /// The deciding round.
        txn: TxnId,
    },
    /// Report: every participant has acknowledged; the job is committed.
    ///
    /// With nobody to publish it is the only report, and its record is lazy.
    Committed {
        /// The job.
        job: JobId,
    },
    /// Report: others publish in the place of a lost one; it is durable when this is performed.
    Replaced {
        /// The round.
        txn: TxnId,
        /// Who was replaced.
        from: Installation,
    },
    /// Report: who was to publish in the place of another does not hold it.
    Declined {
        /// The job.
        job: JobId,
        /// Who.
        holder: Installation,
    },
    /// Report: the decision is Abort; it is durable when this is performed.
    Aborting {
        /// The job.
        job: JobId,
        /// Why.
        cause: Cause,
    },
    /// Report: an abort was asked for after Commit was decided, and is refused.
    TooLate {
        /// The job.
        job: JobId,
    },
    /// Report: an observation that the protocol excludes.
    Raise(Alarm),
}

/// What a participant asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParticipantAction {
    /// Send to the coordinator, if it is connected.
    Send(Reply),
    /// Compare digests, file identities and targets; answer with `Checked`.
    Check {
        /// The round.
        txn: TxnId,
        /// What would be published.
        pledges: Vec<Pledge>,
    },
    /// Make these visible, durably; answer with `Published`. Idempotent.
    Publish {
        /// The deciding round.
        txn: TxnId,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Make these visible in the place of another, durably; answer with `TookOver`. Idempotent.
    TakeOver {
        /// The deciding round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Let nothing be visible of what was published under this number, durably, and what stood
    /// there before stand there again; answer with `Withdrawn`. Idempotent.
    Withdraw {
        /// The deciding round.
        txn: TxnId,
        /// The publisher number that was lost.
        number: u64,
        /// What.
        pledges: Vec<Pledge>,
    },
    /// Remove everything of the job that is staged here. Idempotent.
    Discard {
        /// The job.
        job: JobId,
    },
    /// Ask a peer about a round (C7).
    AskPeer {
        /// Whom.
        peer: Peer,
        /// The round.
        txn: TxnId,
    },
    /// Answer a peer.
    AnswerPeer {
        /// Who asked.
        to: Installation,
        /// The round.
        txn: TxnId,
        /// What is known.
        knowledge: Knowledge,
    },
    /// Report: an observation that the protocol excludes.
    Raise(Alarm),
}
