//! What the two machines of the protocol react to.

use std::time::Duration;

use votum_ids::{JobId, TxnId, WorkerUid};
use votum_machine::{Moment, WallTime};

use crate::{
    Cause, Decision, Forced, Installation, Knowledge, LogPosition, Message, Reply, Share, Vote,
};

/// What happens to the coordinator's half.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CoordinatorEvent {
    /// A job was received: questions about it are answered from its transaction from here on.
    Opened {
        /// The job.
        job: JobId,
        /// After this moment a silent participant costs the job, not the round.
        deadline: Option<Moment>,
    },
    /// The time of a job counts from here on: it has waited for its turn until now.
    TimeBegan {
        /// The job.
        job: JobId,
        /// As when it was opened.
        deadline: Moment,
    },
    /// The job keeps what is staged when it aborts: its participants are not told to discard.
    KeepsStaged {
        /// The job.
        job: JobId,
    },
    /// Every task is staged: open a round with these participants, at once.
    AllStaged {
        /// The job.
        job: JobId,
        /// The participants; their order carries no meaning.
        shares: Vec<Share>,
        /// How long a round waits for every vote.
        prepare_timeout: Duration,
    },
    /// What a round named is no longer held: end the round without commit, decide nothing.
    ///
    /// Ignored once the job is decided.
    Withdrawn {
        /// The job.
        job: JobId,
    },
    /// A participant spoke.
    Received {
        /// The installation whose session it came on.
        from: Installation,
        /// What it said.
        reply: Reply,
    },
    /// Somebody wants the job to abort: a client, a failed task, a deadline.
    AbortAsked {
        /// The job.
        job: JobId,
        /// Why, and who.
        cause: Cause,
    },
    /// A worker introduced itself; no inquiry of it is answered Abort before (C6).
    Met {
        /// The installation.
        from: Installation,
        /// The furthest position of a coordinator's log that it knows.
        seen: Option<LogPosition>,
    },
    /// A worker's inventory lists a round that it has decided Commit and not released.
    FoundCommitted {
        /// The installation.
        from: Installation,
        /// The round.
        txn: TxnId,
        /// What it was told to publish.
        share: Share,
    },
    /// An operator waits no longer for the acknowledgement of a participant.
    ///
    /// Ignored unless Commit is decided and it is waited for: a decision is never changed (H1).
    GiveUpAsked {
        /// The job.
        job: JobId,
        /// Who is given up.
        holder: Installation,
        /// By whom, and why.
        forced: Forced,
    },
    /// An operator has removed an installation for good; nothing that was given up is owed to
    /// it any more, and nobody has to tell it that it was replaced.
    Removed {
        /// The job.
        job: JobId,
        /// Who.
        holder: Installation,
    },
    /// A publisher is lost, and these hold what it owes: let them publish in its place.
    ///
    /// Ignored unless they publish exactly that.
    Replace {
        /// The job.
        job: JobId,
        /// Who is lost.
        from: Installation,
        /// Who publishes what instead.
        to: Vec<Share>,
    },
    /// A person aborts a job of which a stale log does not tell enough (C6); ignored once it is
    /// decided.
    AbortSettled {
        /// The job.
        job: JobId,
        /// Why, and who.
        cause: Cause,
    },
    /// A person has closed a job of which the log does not tell enough: it is forgotten.
    EndSettled {
        /// The job.
        job: JobId,
    },
    /// An aborted job has nothing left that runs: it may be forgotten.
    Stopped {
        /// The job.
        job: JobId,
    },
    /// Time has passed; does the one most urgent thing that is due.
    Tick,
}

impl CoordinatorEvent {
    /// Returns the one job that the event is about, if there is one.
    #[must_use]
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::Opened { job, .. }
            | Self::TimeBegan { job, .. }
            | Self::KeepsStaged { job }
            | Self::AllStaged { job, .. }
            | Self::Withdrawn { job }
            | Self::AbortAsked { job, .. }
            | Self::GiveUpAsked { job, .. }
            | Self::Removed { job, .. }
            | Self::Replace { job, .. }
            | Self::AbortSettled { job, .. }
            | Self::EndSettled { job }
            | Self::Stopped { job } => Some(job),
            Self::Received { reply, .. } => Some(&reply.txn().job),
            Self::FoundCommitted { txn, .. } => Some(&txn.job),
            Self::Met { .. } | Self::Tick => None,
        }
    }
}

/// What happens to a participant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ParticipantEvent {
    /// This worker has sealed an output of the job (or found one at its start).
    Sealed {
        /// The job.
        job: JobId,
    },
    /// The coordinator spoke.
    Received {
        /// What it said.
        message: Message,
        /// How far its log had grown; forced with Prepared.
        log: LogPosition,
    },
    /// The check that was asked for has ended.
    Checked {
        /// The round it was for.
        txn: TxnId,
        /// Yes if all is held and can be published; never ReadOnly.
        result: Vote,
    },
    /// Everything named is visible and durable.
    Published {
        /// The round.
        txn: TxnId,
    },
    /// Everything that is published in the place of another is visible and durable.
    TookOver {
        /// The round.
        txn: TxnId,
        /// The publisher number.
        number: u64,
    },
    /// Nothing that was published under this number is visible any more, durably.
    Withdrawn {
        /// The round.
        txn: TxnId,
        /// The publisher number that was lost.
        number: u64,
    },
    /// A peer that is in doubt asks about a round (C7).
    PeerAsked {
        /// The round.
        txn: TxnId,
        /// The installation that the round names for this worker.
        asked: WorkerUid,
        /// Whether the round names something to publish here.
        updates: bool,
        /// Who asks.
        by: Installation,
    },
    /// A peer answered.
    PeerAnswered {
        /// The round.
        txn: TxnId,
        /// What it knows.
        knowledge: Knowledge,
    },
    /// A person forces an outcome of the round that is in doubt; ignored unless one is (H1).
    ForceAsked {
        /// The job.
        job: JobId,
        /// What this participant shall do.
        outcome: Decision,
        /// By whom, and why.
        forced: Forced,
        /// The time of day.
        at: WallTime,
    },
    /// The coordinator is reachable again: ask what is in doubt without waiting.
    Connected,
    /// Time has passed; does the one most urgent thing that is due.
    Tick,
}
