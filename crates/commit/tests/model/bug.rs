//! Bugs that the model has to catch, planted between the machines and their world.
//!
//! The production code is not touched: each bug twists what a driver hands to
//! a machine, or what it does with its reaction.

use votum_commit::{
    Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Installation, Message,
    ParticipantAction, ParticipantEvent, ParticipantRecord, Reply, Stage, Vote,
};
use votum_ids::WorkerUid;
use votum_machine::{Machine, Reaction};

use crate::cast::{END_OF_TIME, cancel, job};

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A late vote of an earlier round is counted in the current one (C2).
    VotesCarriedOver,
    /// One vote fewer than asked for is taken for all (C2).
    CommitAtOneVoteLess,
    /// Commit is sent before its record is durable (C3).
    CommitBeforeItsRecord,
    /// Yes is sent before Prepared is durable (C4).
    YesBeforePrepared,
    /// Whoever is in doubt for long aborts on its own (C5).
    UnilateralAbort,
    /// A log is put back that lacks its last decision, and nobody says so (C6).
    LogWithoutItsDecision,
    /// A peer is told "refused" before the refusal is durable (C7).
    RefusalNotForced,
    /// A wiped installation refuses rounds that its predecessor may have voted in (C7).
    WipedInstallationRefuses,
    /// Outputs are acknowledged before they are visible (C8).
    AckBeforePublication,
    /// Outputs become visible before Committed is durable (C8).
    PublishBeforeCommitted,
    /// "Ended without commit" is taken for an abort (C9).
    DiscardOnRoundEnded,
    /// A cancellation is obeyed after the decision (C11).
    AbortAfterCommit,
    /// Whoever is given up counts as if it had acknowledged: nothing is owed to it (C14).
    GivenUpIsForgotten,
    /// Whoever is given up before the decision leaves the round (H1).
    GivenUpLeavesTheRound,
    /// Nobody compares installations: not the worker that is asked, not who counts votes (C13).
    InstallationNotChecked,
}

impl Bug {
    /// Says whether this is the bug that is planted.
    pub(crate) fn is(self, bug: Option<Self>) -> bool {
        bug == Some(self)
    }

    /// Says whether a record of the coordinator is written as if it were lazy.
    pub(crate) fn neglects_chief(bug: Option<Self>, record: &CoordinatorRecord) -> bool {
        Self::CommitBeforeItsRecord.is(bug)
            && matches!(record, CoordinatorRecord::CommitDecided { .. })
    }

    /// Says whether a record of a worker is written as if it were lazy.
    pub(crate) fn neglects_worker(bug: Option<Self>, record: &ParticipantRecord) -> bool {
        match record {
            ParticipantRecord::Prepared { .. } => Self::YesBeforePrepared.is(bug),
            ParticipantRecord::Refused { .. } => Self::RefusalNotForced.is(bug),
            ParticipantRecord::Committed { .. } => Self::PublishBeforeCommitted.is(bug),
            ParticipantRecord::RoundEnded { .. }
            | ParticipantRecord::TakenOver { .. }
            | ParticipantRecord::StoodDown { .. }
            | ParticipantRecord::Forced(_)
            | ParticipantRecord::Aborted { .. }
            | ParticipantRecord::Released { .. } => false,
        }
    }

    /// Changes what the coordinator is told.
    pub(crate) fn twist_chief_event(
        bug: Option<Self>,
        machine: &Coordinator,
        event: CoordinatorEvent,
    ) -> CoordinatorEvent {
        let stage = machine.phase(&job()).map(|standing| standing.stage);
        if let CoordinatorEvent::GiveUpAsked { holder, .. } = &event {
            let reply = match stage {
                Some(Stage::Preparing { txn, .. }) if Self::GivenUpLeavesTheRound.is(bug) => {
                    Reply::Voted { txn, vote: Vote::ReadOnly }
                }
                Some(Stage::Delivering { txn, .. }) if Self::GivenUpIsForgotten.is(bug) => {
                    Reply::Acked { txn }
                }
                Some(_) | None => return event,
            };
            return CoordinatorEvent::Received { from: holder.clone(), reply };
        }
        let Some(Stage::Preparing { txn: current, votes }) = stage else { return event };
        let CoordinatorEvent::Received { from, reply: Reply::Voted { txn, vote } } = event else {
            return event;
        };
        let txn = if Self::VotesCarriedOver.is(bug) { current } else { txn };
        let named = votes.keys().find(|named| named.worker == from.worker);
        let from = match named {
            Some(named) if Self::InstallationNotChecked.is(bug) => named.clone(),
            Some(_) | None => from,
        };
        CoordinatorEvent::Received { from, reply: Reply::Voted { txn, vote } }
    }

    /// Changes what the coordinator wants.
    pub(crate) fn twist_chief_reaction(
        bug: Option<Self>,
        machine: &mut Coordinator,
        reaction: &mut Reaction<CoordinatorRecord, CoordinatorAction>,
    ) {
        if Self::CommitAtOneVoteLess.is(bug) && reaction.record.is_none() {
            let Some(Stage::Preparing { txn, votes }) =
                machine.phase(&job()).map(|standing| standing.stage)
            else {
                return;
            };
            let silent: Vec<Installation> = votes
                .iter()
                .filter(|(_, vote)| vote.is_none())
                .map(|(named, _)| named.clone())
                .collect();
            if let [last] = silent.as_slice() {
                let reply = Reply::Voted { txn, vote: Vote::Yes };
                let event = CoordinatorEvent::Received { from: last.clone(), reply };
                *reaction = machine.step(END_OF_TIME, event);
            }
        }
        if Self::AbortAfterCommit.is(bug)
            && reaction.actions.contains(&CoordinatorAction::TooLate { job: job() })
        {
            let CoordinatorEvent::AbortAsked { job, cause } = cancel() else { return };
            *reaction = Reaction::none().durably(CoordinatorRecord::Aborting { job, cause });
        }
    }

    /// Changes what a worker is told.
    pub(crate) fn twist_worker_event(
        bug: Option<Self>,
        own: WorkerUid,
        event: ParticipantEvent,
    ) -> ParticipantEvent {
        let mut event = event;
        if let ParticipantEvent::PeerAsked { asked, .. } = &mut event
            && Self::WipedInstallationRefuses.is(bug)
        {
            *asked = own;
        }
        if let ParticipantEvent::Received { message: Message::Prepare { holder, .. }, .. } =
            &mut event
            && Self::InstallationNotChecked.is(bug)
        {
            holder.uid = own;
        }
        event
    }

    /// Changes what a worker wants.
    pub(crate) fn twist_worker_reaction(
        bug: Option<Self>,
        reaction: &mut Reaction<ParticipantRecord, ParticipantAction>,
    ) {
        let recorded = reaction.record.as_ref();
        if Self::DiscardOnRoundEnded.is(bug)
            && matches!(recorded, Some(ParticipantRecord::RoundEnded { .. }))
        {
            reaction.actions.push(ParticipantAction::Discard { job: job() });
        }
        if let (true, Some(ParticipantRecord::Committed { txn, .. })) =
            (Self::AckBeforePublication.is(bug), recorded)
        {
            let ack = ParticipantAction::Send(Reply::Acked { txn: txn.clone() });
            reaction.actions.insert(0, ack);
        }
    }
}
