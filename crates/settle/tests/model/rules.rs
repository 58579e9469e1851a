//! The promises, checked wherever something happens that could break one.

use std::fmt;

use votum_ids::{TaskId, WorkerId};
use votum_job::{EffectWork, OnUnknown, Trigger};
use votum_settle::{HookState, HookView, Verdict};

use crate::{
    AT_ONCE, DONE_TWICE, FORGOTTEN, LEFT_BEHIND, OTHER_DECISION, OUT_OF_ORDER, SAME_BYTES,
    TRIED_AFTER_CLOSED, UNDONE_BY_A_CRASH,
    cast::job,
    chief::{Cluster, digest},
    site::{End, Stage},
};

/// A promise that was broken.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    pub(crate) promise: &'static str,
    /// How, and after which turns.
    pub(crate) story: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, but {}", self.promise, self.story)
    }
}

impl Cluster {
    /// Checks an order or a request that leaves.
    pub(crate) fn check_begun(&mut self, hook: &TaskId, bytes: &str) -> Result<(), Broken> {
        let foreign = match self.spec.effects.get(hook).map(|effect| effect.after) {
            Some(Trigger::Commit) => self.verdict == Verdict::Abort,
            // A compensation undoes a task.
            Some(Trigger::Abort) | None => self.verdict == Verdict::Commit,
            Some(Trigger::End) => false,
        };
        if foreign {
            return broken(OTHER_DECISION, format!("{hook} is begun"));
        }
        if self.past.closed.contains(hook) {
            return broken(TRIED_AFTER_CLOSED, format!("{hook} is begun"));
        }
        if self.past.sure.contains(hook) {
            return broken(FORGOTTEN, format!("{hook} is begun"));
        }
        let bytes = digest(bytes);
        if *self.past.bytes.entry(hook.clone()).or_insert(bytes) != bytes {
            return broken(SAME_BYTES, format!("{hook} has others"));
        }
        Ok(())
    }

    /// Checks a request that leaves: no other one of the hook is on its way.
    pub(crate) fn check_post(&self, hook: &TaskId) -> Result<(), Broken> {
        if self.posts.iter().any(|(other, _)| other == hook) {
            return broken(AT_ONCE, format!("two requests of {hook} are on their way"));
        }
        Ok(())
    }

    /// Checks a program that may begin: no other try of the hook runs, unless its worker is lost.
    pub(crate) fn check_at_once(&self, at: usize, hook: &TaskId, token: u8) -> Result<(), Broken> {
        for (other, site) in self.sites.iter().enumerate() {
            for ((running, number), stage) in &site.tries {
                let beside = *stage == Stage::Live { parted: false } && running == hook;
                // The worker itself fences and ends the older ones.
                if beside && other != at {
                    let story = format!("{hook}#{token} begins beside #{number} on another worker");
                    return broken(AT_ONCE, story);
                }
            }
        }
        Ok(())
    }

    /// Notes that a hook may take effect here and now.
    pub(crate) fn may_be_done(&mut self, hook: &TaskId) -> Result<(), Broken> {
        let done = self.past.done.entry(hook.clone()).or_default();
        *done += 1;
        let wished = self.past.wished.get(hook).copied().unwrap_or_default();
        let park = |effect: &votum_job::EffectSpec| effect.on_unknown == OnUnknown::Park;
        if *done > 1 + wished && self.spec.effects.get(hook).is_some_and(park) {
            return broken(DONE_TWICE, format!("{hook} may have been done {done} times"));
        }
        Ok(())
    }

    /// Notes that a worker has learnt that its report is known.
    pub(crate) fn note_acknowledged(&mut self, hook: &TaskId) {
        let done = |view: &HookView| view.hook == *hook && view.state == HookState::Done;
        if self.machine.hooks(&job()).iter().any(done) {
            self.past.sure.insert(hook.clone());
        }
    }

    /// Checks that a worker that is given up has nothing that another one could do.
    pub(crate) fn check_moved(&self, lost: &WorkerId) -> Result<(), Broken> {
        for view in self.machine.hooks(&job()) {
            let here = view.state == HookState::Running { worker: Some(lost.clone()) };
            if here && self.may_run(&view.hook, 1) {
                return broken(LEFT_BEHIND, format!("{} stays on {lost}", view.hook));
            }
        }
        Ok(())
    }

    /// Notes that a try says it took no effect.
    pub(crate) fn known_undone(&mut self, hook: &TaskId, end: End) {
        if end == End::Failed
            && let Some(done) = self.past.done.get_mut(hook)
        {
            *done -= 1;
        }
    }

    /// Checks a hook that is intended: what comes before it is over, or a case.
    pub(crate) fn check_order(&self, hook: &TaskId) -> Result<(), Broken> {
        for view in self.machine.hooks(&job()) {
            let (over, still) = match view.state {
                HookState::Done | HookState::Closed { .. } => (true, true),
                HookState::Parked => (false, true),
                HookState::Waiting | HookState::Due { .. } | HookState::Running { .. } => {
                    (false, false)
                }
            };
            let undone_before =
                self.spec.tasks.get(&view.hook).is_some_and(|task| task.needs.contains(hook));
            let needed =
                self.spec.effects.get(hook).is_some_and(|effect| effect.needs.contains(&view.hook));
            if (undone_before && !still) || (needed && !over) {
                return broken(OUT_OF_ORDER, format!("{hook} is tried before {}", view.hook));
            }
        }
        Ok(())
    }

    /// Checks that a restart remembers what a person closed.
    pub(crate) fn check_closed(&self) -> Result<(), Broken> {
        for view in self.machine.hooks(&job()) {
            let closed = matches!(view.state, HookState::Closed { .. });
            if self.past.closed.contains(&view.hook) != closed {
                return broken(UNDONE_BY_A_CRASH, format!("{} is {:?}", view.hook, view.state));
            }
        }
        Ok(())
    }

    /// Says whether a worker can run a hook.
    pub(crate) fn may_run(&self, hook: &TaskId, at: usize) -> bool {
        let pinned = match self.spec.effects.get(hook).map(|effect| &effect.work) {
            Some(EffectWork::Program { placement, .. }) => placement.worker.is_some(),
            Some(EffectWork::Webhook { .. }) => true,
            None => {
                let task = self.spec.tasks.get(hook);
                !task.and_then(|task| task.compensate.as_ref()).is_some_and(|undo| undo.elsewhere)
            }
        };
        at == 0 || !pinned
    }
}

pub(crate) fn broken(promise: &'static str, story: String) -> Result<(), Broken> {
    Err(Broken { promise, story })
}
