//! The end of all faults: whoever is needed comes back, and everything must come to its end.

use std::collections::HashSet;

use votum_settle::HookState;

use crate::{
    NO_END,
    cast::job,
    chief::Cluster,
    rules::{Broken, broken},
    search::fingerprint,
    site::End,
    turn::{Again, Cut, Turn},
};

impl Cluster {
    /// Lets everything go well from here on, and every program and request end in one way.
    ///
    /// `healed` are states from which that was seen before.
    pub(crate) fn heal(mut self, how: End, healed: &mut HashSet<u64>) -> Result<(), Broken> {
        let mut walked = Vec::new();
        for _ in 0..TURNS_MAX {
            let state = fingerprint(&self);
            if healed.contains(&state) {
                break;
            }
            walked.push(state);
            let Some(turn) = self.next_good_turn(how) else {
                self.check_ended()?;
                break;
            };
            if walked.len() == TURNS_MAX {
                return broken(NO_END, format!("it goes on for ever with {turn:?}"));
            }
            self.take(&turn)?;
        }
        healed.extend(walked);
        Ok(())
    }

    fn next_good_turn(&mut self, how: End) -> Option<Turn> {
        for at in 0..self.sites.len() {
            if !self.sites[at].connected {
                return Some(Turn::Join(at));
            }
            if self.outlived(at).is_some() {
                return Some(Turn::Gone(at));
            }
            if let Some(frame) = self.sites[at].inbox.pop_first() {
                return Some(Turn::Deliver(at, frame, Again::No));
            }
            if let Some((hook, token)) = self.sites[at].live().next() {
                return Some(Turn::Finish(at, hook.clone(), token, how));
            }
            if let Some((hook, token, end)) = self.sites[at].outbox.pop_first() {
                return Some(Turn::Report(at, hook, token, end, Again::No));
            }
        }
        if let Some((hook, number)) = self.posts.first() {
            return Some(Turn::Answer(hook.clone(), *number, how));
        }
        if self.durable < self.log.len() {
            return Some(Turn::Sync);
        }
        if let Some(hook) = self.wanted.first() {
            return Some(Turn::Offer(hook.clone(), 0, Cut::Whole));
        }
        self.is_due().then_some(Turn::Tick(Cut::Whole))
    }

    fn check_ended(&self) -> Result<(), Broken> {
        let views = self.machine.hooks(&job());
        let cases = self.cases();
        for view in &views {
            let ended = match view.state {
                HookState::Done | HookState::Closed { .. } | HookState::Parked => true,
                // It needs one that only a person can end.
                HookState::Waiting => self
                    .spec
                    .effects
                    .get(&view.hook)
                    .is_some_and(|effect| effect.needs.iter().any(|name| cases.contains(name))),
                HookState::Due { .. } | HookState::Running { .. } => false,
            };
            if !ended {
                return broken(NO_END, format!("{} is {:?}", view.hook, view.state));
            }
        }
        let over = |view: &votum_settle::HookView| {
            matches!(view.state, HookState::Done | HookState::Closed { .. })
        };
        if views.iter().all(over) != self.machine.is_settled(&job()) {
            return broken(NO_END, "nobody says so".to_owned());
        }
        let kept = self.sites.iter().flat_map(|site| &site.tries).next();
        match kept {
            Some(kept) => broken(NO_END, format!("a worker keeps {kept:?}")),
            None => Ok(()),
        }
    }
}

/// Nothing takes longer to heal.
const TURNS_MAX: usize = 400;
