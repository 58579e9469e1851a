//! Bugs that the simulation has to catch, planted between the machines and their world.
//!
//! The production code is not touched: each bug twists what a driver hands to a machine, or what
//! it does with its reaction.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use votum_commit::{
    CoordinatorRecord, Installation, LogPosition, Message, ParticipantEvent, ParticipantRecord,
    Reply, Stage, Vote,
};
use votum_ids::{AttemptId, ClusterId, Epoch, Incarnation, TaskId, TxnId};
use votum_job::{JobSpec, Role};
use votum_machine::WallTime;
use votum_settle::{Record as SettleRecord, Trial};
use votum_wire::{FromCoordinator, FromWorker};
use votum_worker::{Event as WorkerEvent, Record as WorkerRecord};

use crate::{
    action::Action,
    engine::{Engine, tests::job},
    event::Event,
    record::Record,
};

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// COMMIT is sent before its record is durable (C3).
    CommitBeforeItsRecord,
    /// Clients are answered before what they are told is durable (C12).
    AnswerBeforeItsRecord,
    /// An effect is begun before decision and intent are durable (C3).
    EffectBeforeTheDecision,
    /// A late vote of an earlier round is counted in the current one (C2).
    VotesCarriedOver,
    /// One vote fewer than asked for is taken for all (C2).
    CommitAtOneVoteLess,
    /// The commit is forgotten one acknowledgement too early (C8, C14).
    ForgottenTooEarly,
    /// The coordinator starts from a log that lacks its end, and presumes abort of it (C6).
    PartialLog,
    /// The report of an old attempt is taken for that of the last one (R1).
    FencingOff,
    /// The coordinator forgets at a restart which hooks are done.
    ForgetsWhatIsDone,
    /// Nobody is asked before the vote although the job wants it.
    ApprovalSkipped,
    /// A sync that has failed is passed over (V3).
    FailedSyncPassedOver,
    /// Yes is sent before Prepared is durable (C4).
    YesBeforePrepared,
    /// Staged is said before Sealed is durable.
    SealedNotForced,
    /// A replica is counted before it is durable (C13).
    ReplicaNotForced,
    /// A peer is told "refused" before the refusal is durable (C7).
    RefusalNotForced,
    /// Outputs become visible before Committed is durable (C8).
    PublishBeforeCommitted,
    /// Outputs are acknowledged before they are visible (C8).
    AckBeforePublication,
    /// Who is in doubt for long aborts on its own (C5).
    UnilateralAbort,
    /// "Ended without commit" is taken for an abort (C9).
    DiscardOnRoundEnded,
    /// The end of a connection is taken for an abort (C9).
    DiscardOnDisconnect,
    /// An effect's key is another one at every try.
    KeyOfTheTry,
    /// A replaced publisher takes nothing back (C13).
    NothingWithdrawn,
    /// What was forced in doubt is told to nobody (H2).
    ForcedNotTold,
    /// The largest epoch is not forced before it is acted on.
    EpochNotForced,
}

impl Bug {
    /// Every bug.
    pub(super) const ALL: [Self; 24] = [
        Self::CommitBeforeItsRecord,
        Self::AnswerBeforeItsRecord,
        Self::EffectBeforeTheDecision,
        Self::VotesCarriedOver,
        Self::CommitAtOneVoteLess,
        Self::ForgottenTooEarly,
        Self::PartialLog,
        Self::FencingOff,
        Self::ForgetsWhatIsDone,
        Self::ApprovalSkipped,
        Self::FailedSyncPassedOver,
        Self::YesBeforePrepared,
        Self::SealedNotForced,
        Self::ReplicaNotForced,
        Self::RefusalNotForced,
        Self::PublishBeforeCommitted,
        Self::AckBeforePublication,
        Self::UnilateralAbort,
        Self::DiscardOnRoundEnded,
        Self::DiscardOnDisconnect,
        Self::KeyOfTheTry,
        Self::NothingWithdrawn,
        Self::ForcedNotTold,
        Self::EpochNotForced,
    ];

    fn is(self, bug: Option<Self>) -> bool {
        bug == Some(self)
    }

    /// Says whether a record of the coordinator is written as if it were lazy.
    pub(super) fn neglects_chief(bug: Option<Self>, record: &Record) -> bool {
        let Record::Job(record) = record else { return false };
        let decides = matches!(record.commit, Some(CoordinatorRecord::CommitDecided { .. }));
        Self::CommitBeforeItsRecord.is(bug) && decides
    }

    /// Says whether an action of the coordinator waits for no record.
    pub(super) fn hurries_chief(bug: Option<Self>, action: &Action) -> bool {
        match action {
            Action::Reply { .. } => Self::AnswerBeforeItsRecord.is(bug),
            Action::Post(_) => Self::EffectBeforeTheDecision.is(bug),
            Action::Send { frame: FromCoordinator::Start(order), .. } => {
                Self::EffectBeforeTheDecision.is(bug) && !order.role.is_task()
            }
            _ => false,
        }
    }

    /// Says whether a record of a worker is written as if it were lazy.
    pub(super) fn neglects_worker(
        bug: Option<Self>,
        record: &WorkerRecord,
        copies: &BTreeSet<AttemptId>,
    ) -> bool {
        match record {
            WorkerRecord::EpochSeen { .. } => Self::EpochNotForced.is(bug),
            WorkerRecord::Sealed { attempt, .. } => {
                Self::SealedNotForced.is(bug)
                    || (Self::ReplicaNotForced.is(bug) && copies.contains(attempt))
            }
            WorkerRecord::Participant(ParticipantRecord::Prepared { .. }) => {
                Self::YesBeforePrepared.is(bug)
            }
            WorkerRecord::Participant(ParticipantRecord::Refused { .. }) => {
                Self::RefusalNotForced.is(bug)
            }
            WorkerRecord::Participant(ParticipantRecord::Committed { .. }) => {
                Self::PublishBeforeCommitted.is(bug)
            }
            _ => false,
        }
    }

    /// Changes what the coordinator is told.
    pub(super) fn twist_chief_event(
        bug: Option<Self>,
        engine: &Engine,
        newest: &BTreeMap<TaskId, AttemptId>,
        event: Event,
    ) -> Event {
        let Event::Frame { from, frame } = event else { return event };
        let frame = match frame {
            FromWorker::Commit(Reply::Voted { txn, vote }) if Self::VotesCarriedOver.is(bug) => {
                let txn = open_round(engine).map_or(txn, |(current, _)| current);
                FromWorker::Commit(Reply::Voted { txn, vote })
            }
            FromWorker::Ended { attempt, end } if Self::FencingOff.is(bug) => {
                FromWorker::Ended { attempt: last_of(newest, attempt), end }
            }
            FromWorker::Inventory(mut page) if Self::FencingOff.is(bug) => {
                for listed in &mut page.attempts {
                    listed.attempt = last_of(newest, listed.attempt.clone());
                }
                FromWorker::Inventory(page)
            }
            other => other,
        };
        Event::Frame { from, frame }
    }

    /// Returns what the coordinator is told that nobody has said.
    pub(super) fn invented(bug: Option<Self>, engine: &Engine) -> Option<Event> {
        let (from, reply) = if Self::CommitAtOneVoteLess.is(bug) {
            let (txn, silent) = open_round(engine)?;
            (silent?, Reply::Voted { txn, vote: Vote::Yes })
        } else if Self::ForgottenTooEarly.is(bug) {
            let stage = engine.commit.phase(&job()).map(|standing| standing.stage)?;
            let Stage::Delivering { txn, unacked, .. } = stage else { return None };
            let mut waiting = unacked.into_iter();
            (waiting.next().filter(|_| waiting.next().is_none())?, Reply::Acked { txn })
        } else {
            return None;
        };
        Some(Event::Frame { from, frame: FromWorker::Commit(reply) })
    }

    /// Returns the job as the coordinator is told of it.
    pub(super) fn twist_spec(bug: Option<Self>, mut spec: JobSpec) -> JobSpec {
        if Self::ApprovalSkipped.is(bug) {
            spec.approval = None;
        }
        spec
    }

    /// Says what a start of the coordinator finds of its log.
    pub(super) fn twist_log(bug: Option<Self>, log: &mut Vec<(WallTime, Record)>, lacks: usize) {
        if Self::PartialLog.is(bug) {
            let rest = log.len().saturating_sub(lacks).max(1);
            log.truncate(rest);
        }
        if Self::ForgetsWhatIsDone.is(bug) {
            log.retain(|(_, record)| match record {
                Record::Job(record) => {
                    let done = matches!(
                        record.settle,
                        Some(SettleRecord::Tried { trial: Trial::Done, .. })
                    );
                    !done || record.closing.is_some()
                }
                _ => true,
            });
        }
    }

    /// Changes what a worker tells of the log.
    pub(super) fn twist_seen(bug: Option<Self>, seen: Option<LogPosition>) -> Option<LogPosition> {
        seen.filter(|_| !Self::PartialLog.is(bug))
    }

    /// Changes what a worker is told.
    pub(super) fn twist_worker_event(bug: Option<Self>, event: WorkerEvent) -> WorkerEvent {
        let WorkerEvent::Received { session, mut frame } = event else { return event };
        if let (true, FromCoordinator::Start(order)) = (Self::KeyOfTheTry.is(bug), &mut frame.body)
            && let Role::Hook(hook) = &mut order.role
        {
            hook.key = format!("{}-{}", hook.key, order.number);
        }
        WorkerEvent::Received { session, frame }
    }

    /// Says whether a worker keeps something to itself.
    pub(super) fn keeps_silent(bug: Option<Self>, frame: &FromWorker) -> bool {
        Self::ForcedNotTold.is(bug) && matches!(frame, FromWorker::Commit(Reply::Forced(_)))
    }

    /// Returns what a worker takes for its decision when it has to ask for it.
    pub(super) fn decides_alone(bug: Option<Self>, frame: &FromWorker) -> Option<ParticipantEvent> {
        let FromWorker::Commit(Reply::Inquired { txn, .. }) = frame else { return None };
        let log = LogPosition {
            cluster: ClusterId(Uuid::nil()),
            epoch: Epoch(1),
            start: Incarnation(Uuid::nil()),
            lsn: 0,
        };
        let message = Message::Abort { job: txn.job.clone() };
        Self::UnilateralAbort.is(bug).then_some(ParticipantEvent::Received { message, log })
    }

    /// Says whether a worker removes what it has staged when it reads this.
    pub(super) fn discards_at(bug: Option<Self>, frame: &FromCoordinator) -> bool {
        let ended = matches!(frame, FromCoordinator::Commit(Message::RoundEnded { .. }));
        Self::DiscardOnRoundEnded.is(bug) && ended
    }
}

/// Returns the last attempt of the task, whichever one is meant.
fn last_of(newest: &BTreeMap<TaskId, AttemptId>, attempt: AttemptId) -> AttemptId {
    let last = newest.get(&attempt.task).filter(|last| last.token > attempt.token);
    last.cloned().unwrap_or(attempt)
}

/// Returns the round that is open, and who alone has not voted in it.
fn open_round(engine: &Engine) -> Option<(TxnId, Option<Installation>)> {
    let stage = engine.commit.phase(&job()).map(|standing| standing.stage)?;
    let Stage::Preparing { txn, votes } = stage else { return None };
    let mut silent = votes.into_iter().filter(|(_, vote)| vote.is_none()).map(|(who, _)| who);
    let last = silent.next().filter(|_| silent.next().is_none());
    Some((txn, last))
}
