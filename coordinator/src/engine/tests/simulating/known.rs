//! What has become known of the job so far: what every invariant is held against.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use votum_commit::{
    CoordinatorRecord, Decision, Heuristic, Installation, ParticipantRecord, Pledge, Reply, Share,
    Vote,
};
use votum_ids::{AttemptId, Digest, OutputName, TaskId, TxnId};
use votum_job::JobSpec;
use votum_wire::FromWorker;
use votum_worker::Record as WorkerRecord;

use super::{cast::BOOK, fact::Fact};
use crate::record::Record;

/// An output, whoever made it.
pub(super) type Output = (TaskId, OutputName);

/// Everything that is durable or visible, by facts alone.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What the client wants; the machines may have been told something else by a planted bug.
    pub(super) spec: Option<Arc<JobSpec>>,
    pub(super) received: bool,
    /// The first decision in the log.
    pub(super) decision: Option<Decision>,
    pub(super) round: Option<TxnId>,
    /// What the deciding round named, and who has to publish it by now.
    pub(super) shares: Vec<Share>,
    pub(super) owners: BTreeMap<Output, Installation>,
    /// What each publisher number stands for.
    pub(super) taken_over: BTreeMap<u64, Share>,
    pub(super) replaced: BTreeSet<Installation>,
    pub(super) given_up: BTreeSet<Installation>,
    /// Given up, and then removed by an operator.
    pub(super) removed: BTreeSet<Installation>,
    /// Of whom the log has it that something was forced there.
    pub(super) heuristics: BTreeSet<Installation>,
    pub(super) closed: bool,
    pub(super) prepared: BTreeMap<(Installation, TxnId), Vec<Pledge>>,
    pub(super) read_only: BTreeSet<(Installation, TxnId)>,
    pub(super) refused: BTreeSet<(Installation, TxnId)>,
    /// Participants that have learned Commit, durably, and of which round.
    pub(super) committed: BTreeSet<(Installation, TxnId)>,
    /// What a person has forced, durably.
    pub(super) forced: BTreeMap<Installation, Heuristic>,
    /// Attempts whose Sealed is durable on a worker.
    pub(super) sealed: BTreeSet<(Installation, AttemptId)>,
    /// The bytes that a worker's disk holds.
    pub(super) kept: BTreeMap<(Installation, AttemptId), BTreeMap<OutputName, Digest>>,
    /// What is visible where.
    pub(super) visible: BTreeMap<(Installation, Output), Pledge>,
    /// What was visible at any time.
    pub(super) ever_shown: BTreeSet<(Installation, Output)>,
    pub(super) gone: BTreeSet<Installation>,
    /// Whether something is booked outside.
    pub(super) booked: bool,
    /// How often each hook took place.
    pub(super) took_place: BTreeMap<TaskId, u32>,
    /// Hooks that a person has given up.
    pub(super) abandoned: BTreeSet<TaskId>,
}

impl Known {
    /// Takes note of a fact.
    pub(super) fn learn(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Logged(Record::Job(record)) => {
                let received =
                    matches!(record.schedule, Some(votum_schedule::Record::Received { .. }));
                self.received |= received;
                if let Some(commit) = &record.commit {
                    self.decide(commit);
                }
                if let Some(votum_settle::Record::Resolved {
                    hook,
                    resolution: votum_settle::Resolution::GiveUp,
                    ..
                }) = &record.settle
                {
                    self.abandoned.insert(hook.clone());
                }
                self.closed |= record.closing.is_some();
            }
            Fact::Noted { at, record: WorkerRecord::Participant(record) } => {
                self.promise(at, record);
            }
            Fact::Noted { at, record: WorkerRecord::Sealed { attempt, .. } } => {
                self.sealed.insert(((*at).clone(), attempt.clone()));
            }
            Fact::Said { from, frame: FromWorker::Commit(Reply::Voted { txn, vote }) }
                if *vote == Vote::ReadOnly =>
            {
                self.read_only.insert(((*from).clone(), txn.clone()));
            }
            Fact::Kept { at, attempt, output, digest } => {
                let kept = self.kept.entry(((*at).clone(), (*attempt).clone())).or_default();
                kept.insert((*output).clone(), *digest);
            }
            Fact::Dropped { at, attempt } => {
                self.kept.remove(&((*at).clone(), (*attempt).clone()));
            }
            Fact::Shown { at, pledge, .. } => {
                let place = ((*at).clone(), output(pledge));
                self.ever_shown.insert(place.clone());
                self.visible.insert(place, (*pledge).clone());
            }
            Fact::Hidden { at, pledge } => {
                self.visible.remove(&((*at).clone(), output(pledge)));
            }
            Fact::Began { order, .. } if order.role.is_task() => {
                self.booked |= order.attempt.task.as_str() == BOOK;
            }
            Fact::Ended { order, well: true, .. } if !order.role.is_task() => {
                let task = &order.attempt.task;
                self.booked &= task.as_str() != BOOK;
                *self.took_place.entry(task.clone()).or_default() += 1;
            }
            Fact::Taken { hook } => *self.took_place.entry((*hook).clone()).or_default() += 1,
            Fact::Lost { at } => drop(self.gone.insert((*at).clone())),
            _ => {}
        }
    }

    fn decide(&mut self, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::CommitDecided { txn, shares } => {
                self.decision.get_or_insert(Decision::Commit);
                self.round.get_or_insert_with(|| txn.clone());
                self.shares.clone_from(shares);
                for share in shares {
                    self.own(share);
                }
            }
            CoordinatorRecord::Aborting { .. } => {
                self.decision.get_or_insert(Decision::Abort);
            }
            CoordinatorRecord::Replaced { from, first, to, .. } => {
                self.replaced.insert(from.clone());
                for (number, share) in (*first..).zip(to) {
                    self.own(share);
                    self.taken_over.insert(number, share.clone());
                }
            }
            CoordinatorRecord::GivenUp { holder, .. } => {
                self.given_up.insert(holder.clone());
            }
            CoordinatorRecord::Removed { holder, .. } => {
                self.removed.insert(holder.clone());
            }
            CoordinatorRecord::CaughtUp { holder, .. } => {
                self.given_up.remove(holder);
            }
            CoordinatorRecord::Heuristic { holder, .. } => {
                self.heuristics.insert(holder.clone());
            }
            CoordinatorRecord::Ended { .. } => {}
        }
    }

    fn own(&mut self, share: &Share) {
        for pledge in share.pledges.iter().filter(|pledge| pledge.target.is_some()) {
            self.owners.insert(output(pledge), share.holder.clone());
        }
    }

    fn promise(&mut self, at: &Installation, record: &ParticipantRecord) {
        let at = at.clone();
        match record {
            ParticipantRecord::Prepared { txn, pledges, .. } => {
                self.prepared.insert((at, txn.clone()), pledges.clone());
            }
            ParticipantRecord::Refused { txn } => drop(self.refused.insert((at, txn.clone()))),
            ParticipantRecord::Committed { txn, .. } | ParticipantRecord::TakenOver { txn, .. } => {
                self.committed.insert((at, txn.clone()));
            }
            ParticipantRecord::Forced(heuristic) => {
                self.forced.insert(at, heuristic.clone());
            }
            ParticipantRecord::RoundEnded { .. }
            | ParticipantRecord::StoodDown { .. }
            | ParticipantRecord::Aborted { .. }
            | ParticipantRecord::Released { .. } => {}
        }
    }

    /// Says whether a person has forced this outcome there.
    pub(super) fn has_forced(&self, at: &Installation, outcome: Decision) -> bool {
        self.forced.get(at).is_some_and(|forced| forced.outcome == outcome)
    }

    /// Says whether the log excludes that the job aborts: it knows it, and nothing says so.
    pub(super) fn excludes_abort(&self) -> bool {
        self.received && self.decision != Some(Decision::Abort)
    }
}

/// Returns which output a pledge is about.
fn output(pledge: &Pledge) -> Output {
    (pledge.task.clone(), pledge.output.clone())
}
