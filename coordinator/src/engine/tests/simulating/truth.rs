//! What really happened, and what must never have: the rules that every world is held to.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{CoordinatorRecord, Decision, Pledge, Share};
use votum_ids::{AttemptId, TaskId, TxnId, WorkerId};
use votum_job::{Assignment, JobSpec, Role, Trigger};
use votum_machine::WallTime;

use super::cast::BOOK;
use crate::record::Record;

/// Everything that somebody outside could have seen.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// The first decision in the log, once it is durable.
    pub(super) decision: Option<Decision>,
    committed: Option<(TxnId, Vec<Share>)>,
    read: usize,
    /// What is visible where.
    published: BTreeSet<(WorkerId, String)>,
    /// What runs and acts outside: the task, and whether it is its compensation.
    acting: BTreeMap<AttemptId, bool>,
    /// Whether something is booked outside.
    booked: bool,
    /// How often the task that books began, and how often it was undone.
    pub(super) bookings: u32,
    pub(super) undone: u32,
    /// How often each effect took place.
    pub(super) effects: BTreeMap<TaskId, u32>,
    /// Effects that may have taken place, for all that anybody knows.
    unseen: BTreeSet<TaskId>,
    /// The key and the bytes of each effect and compensation.
    requests: BTreeMap<TaskId, (String, String)>,
}

impl Truth {
    /// Reads what has become durable in the coordinator's journal.
    pub(super) fn learn(&mut self, durable: &[(WallTime, Record)]) {
        for (_, record) in &durable[self.read.min(durable.len())..] {
            let Record::Job(record) = record else { continue };
            match &record.commit {
                Some(CoordinatorRecord::CommitDecided { txn, shares }) => {
                    assert_eq!(self.decision, None, "decided twice");
                    self.decision = Some(Decision::Commit);
                    self.committed = Some((txn.clone(), shares.clone()));
                }
                Some(CoordinatorRecord::Aborting { .. }) => {
                    assert_eq!(self.decision, None, "decided twice");
                    self.decision = Some(Decision::Abort);
                }
                // Who publishes and who is waited for is another matter than what was decided.
                Some(
                    CoordinatorRecord::Ended { .. }
                    | CoordinatorRecord::Replaced { .. }
                    | CoordinatorRecord::GivenUp { .. }
                    | CoordinatorRecord::CaughtUp { .. }
                    | CoordinatorRecord::Removed { .. }
                    | CoordinatorRecord::Heuristic { .. },
                )
                | None => {}
            }
        }
        self.read = durable.len();
    }

    /// A worker or a client is told that the job aborts (C11).
    pub(super) fn tell_abort(&self) {
        assert_eq!(self.decision, Some(Decision::Abort), "an abort was told that is not durable");
    }

    /// A worker makes outputs visible (C1, C3, C13).
    pub(super) fn publish(&mut self, worker: &WorkerId, txn: &TxnId, pledges: &[Pledge]) {
        let (decided, shares) = self.committed.as_ref().expect("published without a decision");
        assert_eq!(txn, decided, "another round published");
        for pledge in pledges {
            let named = shares
                .iter()
                .any(|share| share.holder.worker == *worker && share.pledges.contains(pledge));
            assert!(named, "{worker} publishes {pledge:?}, which the decision does not name");
            self.published.insert((worker.clone(), pledge.output.to_string()));
        }
    }

    /// A program begins on a worker.
    pub(super) fn begin(&mut self, spec: &JobSpec, order: &Assignment) {
        let task = &order.attempt.task;
        match &order.role {
            Role::Task => {
                if task.as_str() == BOOK {
                    assert_eq!(self.acting, BTreeMap::new(), "two act outside at once (R1)");
                    assert_eq!(self.undone, 0, "begins after it was undone");
                    self.acting.insert(order.attempt.clone(), false);
                    self.booked = true;
                    self.bookings += 1;
                }
            }
            Role::Hook(hook) => {
                self.request(task, &hook.key, &hook.announcement);
                assert_eq!(hook.verdict, self.verdict(), "a hook of the other decision");
                if task.as_str() == BOOK {
                    assert_eq!(self.acting, BTreeMap::new(), "undone while it acts");
                    self.acting.insert(order.attempt.clone(), true);
                } else {
                    self.check_trigger(spec, task);
                }
            }
        }
    }

    /// A program that had begun is over, with all its processes.
    pub(super) fn end(&mut self, order: &Assignment, well: bool) {
        let undoes = self.acting.remove(&order.attempt);
        match (&order.role, undoes) {
            (Role::Hook(_), Some(true)) if well => {
                self.booked = false;
                self.undone += 1;
            }
            (Role::Hook(_), None) if well => self.count(&order.attempt.task),
            (Role::Task | Role::Hook(_), _) => {}
        }
    }

    /// The receiver of a webhook takes a request.
    pub(super) fn post(&mut self, spec: &JobSpec, effect: &TaskId, key: &str, body: &str) {
        self.request(effect, key, body);
        self.check_trigger(spec, effect);
        self.count(effect);
    }

    /// A request of a webhook leaves; what may have taken place already waits for a person.
    pub(super) fn send(&self, effect: &TaskId) {
        assert!(!self.unseen.contains(effect), "{effect} is sent again without being asked about");
    }

    /// Nobody knows whether an effect took place.
    pub(super) fn lose_sight(&mut self, effect: &TaskId) {
        self.unseen.insert(effect.clone());
    }

    /// A person has looked whether it did.
    pub(super) fn see(&mut self, effect: &TaskId) {
        self.unseen.remove(effect);
    }

    /// Holds the end of the job against everything that happened.
    pub(super) fn judge(&self, spec: &JobSpec) {
        let commits = match self.decision.expect("decided") {
            Decision::Commit => true,
            Decision::Abort => false,
        };
        let visible = self.published.len();
        assert_eq!(visible, if commits { 2 } else { 0 }, "{:?}", self.published);
        assert_eq!(self.acting, BTreeMap::new());
        if commits {
            assert_eq!(self.undone, 0, "undone although it committed");
            assert!(self.booked, "what committed was never booked");
        } else {
            assert!(!self.booked, "left booked after an abort");
        }
        for (effect, spec) in &spec.effects {
            let wanted = match spec.after {
                Trigger::Commit => commits,
                Trigger::Abort => !commits,
                Trigger::End => true,
            };
            let times = self.effects.get(effect).copied().unwrap_or_default();
            assert_eq!(times > 0, wanted, "{effect} took place {times} times");
        }
    }

    fn verdict(&self) -> &'static str {
        match self.decision.expect("nothing follows a decision that is not durable") {
            Decision::Commit => "commit",
            Decision::Abort => "abort",
        }
    }

    fn check_trigger(&self, spec: &JobSpec, effect: &TaskId) {
        let decided = self.decision.expect("an effect before the decision is durable");
        let allowed = match (spec.effects[effect].after, decided) {
            (Trigger::Commit, Decision::Commit)
            | (Trigger::Abort, Decision::Abort)
            | (Trigger::End, _) => true,
            (Trigger::Commit, Decision::Abort) | (Trigger::Abort, Decision::Commit) => false,
        };
        assert!(allowed, "{effect} after {decided:?}");
    }

    /// Every try is the same request, byte for byte.
    fn request(&mut self, hook: &TaskId, key: &str, bytes: &str) {
        let request = (key.to_owned(), bytes.to_owned());
        let first = self.requests.entry(hook.clone()).or_insert_with(|| request.clone());
        assert_eq!(*first, request, "{hook} was asked for in another way");
    }

    fn count(&mut self, effect: &TaskId) {
        *self.effects.entry(effect.clone()).or_default() += 1;
    }
}
