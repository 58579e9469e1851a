//! What the engine itself knows of an open job, beyond its machines: who asked, and when what happened.

use std::{collections::BTreeSet, sync::Arc};

use votum_commit::{Cause, CoordinatorRecord, Decision, Forced, Heuristic, Installation};
use votum_driver::Stamped;
use votum_ids::{TaskId, TxnId};
use votum_job::JobSpec;
use votum_machine::WallTime;
use votum_schedule::Submission;
use votum_wire::{ForcedKind, HookAttempt};

use crate::{exchange::Exchange, record::JobRecord};

/// An open job's submission and its times, for people; only `over` decides something: that nothing
/// but its settlement keeps the job open.
#[derive(Debug, Clone)]
pub(crate) struct OpenJob {
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) submission: Submission,
    pub(crate) received: WallTime,
    /// From when its time counts; none while it waits for its key.
    pub(crate) since: Option<WallTime>,
    /// The first task was assigned.
    pub(crate) started: Option<WallTime>,
    /// The current or deciding round was opened.
    pub(crate) prepared: Option<WallTime>,
    pub(crate) decided: Option<WallTime>,
    pub(crate) ended: Option<WallTime>,
    /// Who publishes, once the commit is decided.
    pub(crate) publishers: Vec<Installation>,
    /// Who had promised to publish something in the round that committed.
    pub(crate) promised: BTreeSet<Installation>,
    /// In whose place others publish what it had promised.
    replaced: BTreeSet<Installation>,
    /// The round that committed.
    pub(crate) round: Option<TxnId>,
    /// What was exchanged with the participants of the current or deciding round.
    pub(crate) exchange: Exchange,
    /// Why it aborts, once that is decided.
    pub(crate) cause: Option<Cause>,
    /// What people have forced, oldest first.
    pub(crate) forced: Vec<ForcedOutcome>,
    /// Its decision is carried out wherever it is waited for; only its settlement, or what is
    /// owed to somebody who was given up, keeps it open.
    pub(crate) over: Option<Decision>,
    /// The last tries of its hooks that were given to workers, oldest first.
    pub(crate) tries: Vec<(TaskId, HookAttempt)>,
}

/// What a person has forced for one participant, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct ForcedOutcome {
    pub(crate) holder: Installation,
    pub(crate) kind: ForcedKind,
    /// The round in which it was forced.
    pub(crate) txn: TxnId,
    pub(crate) forced: Forced,
    pub(crate) at: WallTime,
    /// The decision is another one.
    pub(crate) contradicts: bool,
    /// It has done after all what was decided.
    pub(crate) healed: Option<WallTime>,
    /// Its installation was removed for good.
    pub(crate) removed: Option<WallTime>,
}

impl OpenJob {
    /// Starts with a job that was just received.
    pub(crate) fn new(spec: Arc<JobSpec>, submission: Submission, received: WallTime) -> Self {
        Self {
            spec,
            submission,
            received,
            since: Some(received),
            started: None,
            prepared: None,
            decided: None,
            ended: None,
            publishers: Vec::new(),
            promised: BTreeSet::new(),
            replaced: BTreeSet::new(),
            round: None,
            exchange: Exchange::default(),
            cause: None,
            forced: Vec::new(),
            over: None,
            tries: Vec::new(),
        }
    }

    /// Rebuilds it from a job's records; none if the first one is missing.
    pub(crate) fn replay(records: &[Stamped<JobRecord>]) -> Option<Self> {
        let Stamped { at, record } = records.first()?;
        let Some(votum_schedule::Record::Received { spec, submission, .. }) = &record.schedule
        else {
            return None;
        };
        let mut open = Self::new(spec.clone(), submission.clone(), *at);
        for Stamped { at, record } in records {
            open.prepared = record.prepared.or(open.prepared);
            open.note(*at, record.schedule.as_ref(), record.commit.as_ref());
            if let Some(settle) = &record.settle {
                open.note_try(settle);
            }
            if let (Some(_), Some(closing)) = (&record.ruling, &record.closing) {
                open.over.get_or_insert(closing.decision);
                open.decided.get_or_insert(*at);
            }
        }
        Some(open)
    }

    /// Notes to whom a try of a hook is given.
    pub(crate) fn note_try(&mut self, record: &votum_settle::Record) {
        let votum_settle::Record::Intended { hook, number, at: Some((host, token)), .. } = record
        else {
            return;
        };
        let worker = host.worker.clone();
        let given = HookAttempt { number: *number, worker, token: *token };
        self.tries.push((hook.clone(), given));
        let earlier = self.tries.iter().filter(|(known, _)| known == hook).count();
        if earlier > TRIES_KEPT
            && let Some(oldest) = self.tries.iter().position(|(known, _)| known == hook)
        {
            self.tries.remove(oldest);
        }
    }

    /// Notes when something was recorded.
    pub(crate) fn note(
        &mut self,
        at: WallTime,
        schedule: Option<&votum_schedule::Record>,
        commit: Option<&CoordinatorRecord>,
    ) {
        if let Some(votum_schedule::Record::Received { in_line: Some(2..), .. }) = schedule {
            self.since = None;
        }
        if let Some(votum_schedule::Record::KeyTaken { .. }) = schedule {
            self.since = Some(at);
        }
        if let Some(votum_schedule::Record::Assigned { .. }) = schedule {
            self.started.get_or_insert(at);
        }
        match commit {
            Some(CoordinatorRecord::CommitDecided { txn, shares }) => {
                self.decided.get_or_insert(at);
                self.round = Some(txn.clone());
                self.publishers = shares.iter().map(|share| share.holder.clone()).collect();
                self.promised = self.publishers.iter().cloned().collect();
                if shares.is_empty() {
                    self.over = Some(Decision::Commit);
                    self.ended.get_or_insert(at);
                }
            }
            Some(CoordinatorRecord::Aborting { cause, .. }) => {
                self.decided.get_or_insert(at);
                self.cause = Some(cause.clone());
            }
            Some(CoordinatorRecord::Replaced { from, numbers, to, .. }) => {
                if numbers.contains(&0) {
                    self.replaced.insert(from.clone());
                }
                if !self.owes_its_promise(from) {
                    self.publishers.retain(|publisher| publisher != from);
                }
                for share in to {
                    if !self.publishers.contains(&share.holder) {
                        self.publishers.push(share.holder.clone());
                    }
                }
            }
            Some(CoordinatorRecord::Ended { .. }) => {
                let aborted = self.cause.is_some();
                self.over = Some(if aborted { Decision::Abort } else { Decision::Commit });
                self.ended.get_or_insert(at);
            }
            Some(CoordinatorRecord::GivenUp { txn, holder, forced }) => {
                self.forced.push(ForcedOutcome {
                    holder: holder.clone(),
                    kind: ForcedKind::GivenUp,
                    txn: txn.clone(),
                    forced: forced.clone(),
                    at,
                    contradicts: true,
                    healed: None,
                    removed: None,
                });
            }
            Some(CoordinatorRecord::Heuristic { holder, heuristic }) => {
                self.note_heuristic(holder, heuristic);
            }
            Some(CoordinatorRecord::CaughtUp { holder, .. }) => {
                self.forced_for(holder, |outcome| outcome.healed = Some(at));
            }
            Some(CoordinatorRecord::Removed { holder, .. }) => {
                self.forced_for(holder, |outcome| outcome.removed = Some(at));
            }
            None => {}
        }
    }
}

impl OpenJob {
    /// Returns what was forced for an installation that has not published what is committed.
    pub(crate) fn missing(&self, holder: &Installation) -> Option<&ForcedOutcome> {
        let missing = |outcome: &&ForcedOutcome| match outcome.kind {
            ForcedKind::GivenUp | ForcedKind::Aborted => outcome.is_mixed(),
            ForcedKind::Committed => false,
        };
        self.forced.iter().filter(missing).find(|outcome| outcome.holder == *holder)
    }

    /// Says whether a participant stands otherwise than the decision says.
    pub(crate) fn is_mixed(&self) -> bool {
        self.forced.iter().any(ForcedOutcome::is_mixed)
    }

    /// Says whether it is known what was forced at an installation in a round.
    pub(crate) fn has_heard(&self, holder: &Installation, txn: &TxnId) -> bool {
        let heuristics = self.forced.iter().filter(|known| known.kind != ForcedKind::GivenUp);
        heuristics.into_iter().any(|known| known.holder == *holder && known.txn == *txn)
    }

    /// Says whether an installation is the one to publish what it had promised, whatever it
    /// publishes for others.
    fn owes_its_promise(&self, holder: &Installation) -> bool {
        self.promised.contains(holder) && !self.replaced.contains(holder)
    }

    /// Notes what was forced at a worker, and compares it with the decision, which is older.
    fn note_heuristic(&mut self, holder: &Installation, heuristic: &Heuristic) {
        let Heuristic { txn, outcome, forced, at } = heuristic;
        let (kind, contradicts) = match outcome {
            // Whoever had promised in the round that committed does what was decided; what was
            // published of any other round was decided by nobody.
            Decision::Commit => (ForcedKind::Committed, !self.promised.contains(holder)),
            // What another one publishes in its place is not missing.
            Decision::Abort => {
                let owed = self.round.as_ref() == Some(txn) && self.owes_its_promise(holder);
                (ForcedKind::Aborted, owed)
            }
        };
        self.forced.push(ForcedOutcome {
            holder: holder.clone(),
            kind,
            txn: txn.clone(),
            forced: forced.clone(),
            at: *at,
            contradicts,
            healed: None,
            removed: None,
        });
    }

    fn forced_for(&mut self, holder: &Installation, change: impl Fn(&mut ForcedOutcome)) {
        let given_up = |outcome: &&mut ForcedOutcome| {
            outcome.holder == *holder && outcome.kind == ForcedKind::GivenUp
        };
        self.forced.iter_mut().filter(given_up).for_each(change);
    }
}

impl ForcedOutcome {
    /// Says whether it makes the job mixed.
    pub(crate) fn is_mixed(&self) -> bool {
        self.contradicts && self.healed.is_none()
    }
}

/// So many tries of a hook are kept for people; the log has all.
const TRIES_KEPT: usize = 10;

#[cfg(test)]
mod tests {
    use votum_commit::Share;
    use votum_ids::{Epoch, TxnId, WorkerId, WorkerUid};

    use super::*;
    use crate::engine::tests::{job, spec, submission};

    #[test]
    fn the_opening_of_the_deciding_round_outlives_a_restart() {
        let at = |millis, record| Stamped { at: WallTime(millis), record };
        let received = votum_schedule::Record::Received {
            job: job(),
            spec: Arc::new(spec("sales", "s1")),
            submission: submission(),
            in_line: None,
        };
        let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
        let decided = CoordinatorRecord::CommitDecided { txn, shares: Vec::new() };
        let prepared = Some(WallTime(5_000));
        let (schedule, commit) = (Some(received), Some(decided));
        let records = [
            JobRecord {
                job: job(),
                schedule,
                commit: None,
                prepared: None,
                settle: None,
                ruling: None,
                closing: None,
            },
            JobRecord {
                job: job(),
                schedule: None,
                commit,
                prepared,
                settle: None,
                ruling: None,
                closing: None,
            },
        ];
        // As the journal holds them.
        let records = records.map(|record| {
            let written = serde_json::to_string(&record).unwrap();
            serde_json::from_str::<JobRecord>(&written).unwrap()
        });
        let [first, last] = records;

        let open = OpenJob::replay(&[at(1_000, first), at(5_012, last)]).unwrap();

        assert_eq!((open.prepared, open.decided), (prepared, Some(WallTime(5_012))));
    }

    /// What somebody publishes for others says nothing of what it had promised itself.
    #[test]
    fn an_abort_forced_at_one_whose_promise_others_publish_makes_no_mix() {
        let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
        let (alice, bob) = (holder("alice"), holder("bob"));
        let share = |holder: &Installation| Share {
            holder: holder.clone(),
            address: String::new(),
            pledges: Vec::new(),
        };
        let replaced = |from: &Installation, number, first, by: &Installation| {
            let (txn, from, to) = (txn.clone(), from.clone(), vec![share(by)]);
            CoordinatorRecord::Replaced { txn, from, numbers: vec![number], first, to }
        };
        let aborted = |holder: &Installation| {
            let (by, reason) = ("ana".to_owned(), "it waits".to_owned());
            let forced = Forced { by, reason, evidence: Vec::new() };
            let (outcome, at) = (Decision::Abort, WallTime(7));
            let heuristic = Heuristic { txn: txn.clone(), outcome, forced, at };
            CoordinatorRecord::Heuristic { holder: holder.clone(), heuristic }
        };
        let shares = vec![share(&alice), share(&bob)];
        let decided = CoordinatorRecord::CommitDecided { txn: txn.clone(), shares };
        let before = [decided, replaced(&alice, 0, 1, &bob), replaced(&bob, 1, 2, &alice)];
        for (whom, is_mixed) in [(&alice, false), (&bob, true)] {
            let mut open = OpenJob::new(Arc::new(spec("sales", "s1")), submission(), WallTime(1));
            for record in before.iter().chain([&aborted(whom)]) {
                open.note(WallTime(2), None, Some(record));
            }
            assert_eq!(open.is_mixed(), is_mixed, "{}", whom.worker);
            assert!(open.publishers.contains(whom), "{}", whom.worker);
        }
    }

    fn holder(worker: &str) -> Installation {
        Installation { worker: WorkerId::new(worker).unwrap(), uid: WorkerUid(uuid::Uuid::nil()) }
    }
}
