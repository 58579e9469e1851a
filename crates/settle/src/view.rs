//! Where the hooks of a job stand, as plain data for people and status pages.

use votum_ids::{TaskId, WorkerId};
use votum_machine::{Moment, WallTime};

use crate::{
    Case, Evidence, HookKind, Resolution, Started, Trial,
    hook::{Asked, Hook, Place, State, Try},
    plan::Plan,
};

/// A picture of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookView {
    /// Its name: an effect's own, or the task's that it undoes.
    pub hook: TaskId,
    /// What kind of hook it is.
    pub kind: HookKind,
    /// Where it stands.
    pub state: HookState,
    /// How often it was tried.
    pub tries: u32,
    /// The last tries, oldest first.
    pub trials: Vec<TrialView>,
}

/// Where a hook stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookState {
    /// Other hooks come first.
    Waiting,
    /// It is tried as soon as a worker takes it, not before this moment.
    Due {
        /// When.
        at: Moment,
    },
    /// It is being tried.
    Running {
        /// Where; none: by the coordinator.
        worker: Option<WorkerId>,
    },
    /// It took effect.
    Done,
    /// It is a case.
    Parked,
    /// A person closed it.
    Closed {
        /// What they made of it.
        resolution: Resolution,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: WallTime,
    },
}

/// A try that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrialView {
    /// Counts from 1.
    pub number: u32,
    /// Where; none: by the coordinator.
    pub worker: Option<WorkerId>,
    /// When its end was recorded.
    pub ended: WallTime,
    /// How it ended.
    pub trial: Trial,
}

impl Plan {
    /// Returns a picture of every hook, by name.
    pub(crate) fn view(&self) -> Vec<HookView> {
        self.hooks.iter().map(|(name, hook)| shown(name, hook)).collect()
    }

    /// Returns what a person may decide about a hook, if it is a case.
    pub(crate) fn case(&self, name: &TaskId) -> Option<Case> {
        let hook = self.hooks.get(name)?;
        let State::Parked { cause, message, since } = &hook.state else { return None };
        Some(Case {
            job: self.job.clone(),
            hook: name.clone(),
            kind: hook.kind,
            cause: *cause,
            since: *since,
            message: message.clone(),
            evidence: self.evidence(name, hook),
            legal: Resolution::ALL.to_vec(),
        })
    }

    fn evidence(&self, name: &TaskId, hook: &Hook) -> Vec<Evidence> {
        let word = self.facts.verdict.word();
        let decided = format!("the decision is {word}; it stands whatever becomes of this");
        let key = format!("every try carries the key {}", self.key(name));
        let at = self.facts.decided;
        let mut evidence = vec![Evidence { at, text: decided }, Evidence { at, text: key }];
        if let Some(started) = self.started.iter().find(|started| started.task == *name) {
            let Started { attempts, host, .. } = started;
            let given_out = match attempts.len() {
                1 => "one attempt was given out,".to_owned(),
                count => format!("{count} attempts were given out, the last"),
            };
            let text = format!("{name} may have acted: {given_out} to {}", host.worker);
            evidence.push(Evidence { at: self.facts.decided, text });
        }
        evidence.extend(hook.trials.iter().map(|trial| {
            let place = trial.worker.as_ref().map_or_else(
                || "sent by the coordinator".to_owned(),
                |worker| format!("on {worker}"),
            );
            let end = trial.trial.message().unwrap_or("done");
            let text = format!("try {}, {place}: {end}", trial.number);
            Evidence { at: trial.ended, text }
        }));
        evidence.extend(hook.asked.iter().map(|Asked { at, by, reason }| {
            let text = format!("{by} had it tried again: {reason}");
            Evidence { at: *at, text }
        }));
        evidence.sort_by_key(|evidence| evidence.at);
        evidence
    }
}

fn shown(name: &TaskId, hook: &Hook) -> HookView {
    let state = match &hook.state {
        State::Waiting => HookState::Waiting,
        State::Due { at, .. } => HookState::Due { at: *at },
        State::Running(Try { place, .. }) => HookState::Running {
            worker: match place {
                Place::Worker { host, .. } => Some(host.worker.clone()),
                Place::Here | Place::Forgotten => None,
            },
        },
        State::Done => HookState::Done,
        State::Parked { .. } => HookState::Parked,
        State::Closed { resolution, by, reason, at } => HookState::Closed {
            resolution: *resolution,
            by: by.clone(),
            reason: reason.clone(),
            at: *at,
        },
    };
    HookView {
        hook: name.clone(),
        kind: hook.kind,
        state,
        tries: hook.tries,
        trials: hook.trials.iter().cloned().collect(),
    }
}
