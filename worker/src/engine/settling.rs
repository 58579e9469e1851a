//! Tries of effects and compensations beside the attempts of tasks.

use std::collections::BTreeMap;

use votum_ids::AttemptId;
use votum_job::{Assignment, Role};

use super::{Engine, Pending};
use crate::attempt::Attempt;

impl Engine {
    /// Says whether a compensation came while something that it undoes is under way here.
    ///
    /// What it undoes is told to end; a crash forgets that the compensation waits, and the
    /// coordinator gives it out again at the next inventory.
    pub(super) fn must_wait(&self, assignment: &Assignment) -> bool {
        let undoes = match &assignment.role {
            Role::Task => false,
            Role::Hook(hook) => !hook.undoes.is_empty(),
        };
        undoes && self.is_under_way_before(&assignment.attempt)
    }

    /// Takes up what waited for the end of what it undoes.
    pub(super) fn take_up_deferred(&mut self) {
        if self.deferred.is_empty() {
            return;
        }
        let deferred = std::mem::take(&mut self.deferred);
        let (waiting, ready): (BTreeMap<_, _>, BTreeMap<_, _>) =
            deferred.into_iter().partition(|(id, _)| self.is_under_way_before(id));
        self.deferred = waiting;
        self.pending.extend(ready.into_values().map(Pending::Start));
    }

    fn is_under_way_before(&self, id: &AttemptId) -> bool {
        let live = |older: &AttemptId| self.attempts.find(older).is_some_and(Attempt::is_live);
        self.attempts.older(id).iter().any(live)
    }
}
