//! One hook: where it stands, and what becomes of it when a try ends.

use std::collections::{BTreeSet, VecDeque};

use votum_ids::{FencingToken, TaskId};
use votum_job::RetryPolicy;
use votum_machine::{Moment, WallTime};

use crate::{CaseCause, Host, Resolution, Trial, TrialView};

/// What kind of hook it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// An effect of the job, under its own name.
    Effect,
    /// What undoes a task, under the name of the task.
    Compensation,
}

impl HookKind {
    /// Returns the word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Compensation => "compensation",
        }
    }
}

/// One hook of one decided job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Hook {
    pub(crate) kind: HookKind,
    /// Must be done, or closed by a person, before it is due.
    pub(crate) needs: BTreeSet<TaskId>,
    /// Must not be under way or to come any more; a case does not keep it back.
    pub(crate) follows: BTreeSet<TaskId>,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// Since a person asked for a fresh budget.
    failures: u32,
    /// The last try, if it was on a worker and nobody knows yet what became of it.
    pub(crate) missed: Option<Try>,
    /// The last time that a person had it tried again.
    pub(crate) asked: Option<Asked>,
    pub(crate) state: State,
    pub(crate) trials: VecDeque<TrialView>,
}

/// A person's wish to try it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) at: WallTime,
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// Where a hook stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Waiting,
    /// `sought` says whether it only looks for a worker; else it waits out a backoff.
    Due {
        at: Moment,
        sought: bool,
    },
    Running(Try),
    Done,
    Parked {
        cause: CaseCause,
        message: String,
        since: WallTime,
    },
    Closed {
        resolution: Resolution,
        by: String,
        reason: String,
        at: WallTime,
    },
}

/// A try that is under way, as far as the log knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Try {
    pub(crate) number: u32,
    pub(crate) place: Place,
}

/// Who makes a try.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A worker; `listed` says whether it has named the try since it connected.
    Worker { host: Host, token: FencingToken, listed: bool },
    /// This coordinator sends a request.
    Here,
    /// An earlier start of the coordinator sent a request, and its answer was lost.
    Forgotten,
}

/// What is done about a try of which nobody knows the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnUnknown {
    Repeat,
    Park,
}

impl Hook {
    pub(crate) fn new(kind: HookKind, needs: BTreeSet<TaskId>, follows: BTreeSet<TaskId>) -> Self {
        let (tries, failures) = (0, 0);
        let (state, trials) = (State::Waiting, VecDeque::new());
        let (missed, asked) = (None, None);
        Self { kind, needs, follows, tries, failures, missed, asked, state, trials }
    }

    /// Says whether what needs it may go on.
    pub(crate) fn is_over(&self) -> bool {
        match self.state {
            State::Done | State::Closed { .. } => true,
            State::Waiting | State::Due { .. } | State::Running(_) | State::Parked { .. } => false,
        }
    }

    /// Says whether nothing of it is under way or comes by itself.
    pub(crate) fn is_still(&self) -> bool {
        self.is_over() || self.is_parked()
    }

    /// Says whether it is a case.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked { .. })
    }

    /// Applies that it may be tried from here on.
    pub(crate) fn intend(&mut self, number: u32, place: Place) {
        self.tries = number;
        self.missed = None;
        self.state = State::Running(Try { number, place });
    }

    /// Lets it be tried from this moment on.
    pub(crate) fn make_due(&mut self, at: Moment) {
        self.state = State::Due { at, sought: false };
    }

    /// Says whether a try was given up for its worker's loss, and a success of it still counts:
    /// no later try has begun, and no person has closed it.
    pub(crate) fn misses(&self, number: u32) -> bool {
        let open = match self.state {
            State::Waiting | State::Due { .. } | State::Parked { .. } => true,
            State::Running(_) | State::Done | State::Closed { .. } => false,
        };
        open && self.missed.as_ref().is_some_and(|missed| missed.number == number)
    }

    /// Applies the end of a try: of the one that is under way, or the late success of the last.
    pub(crate) fn end_try(
        &mut self,
        now: Moment,
        at: WallTime,
        trial: &Trial,
        retry: &RetryPolicy,
        on_unknown: OnUnknown,
    ) {
        let known = match &self.state {
            State::Running(running) => Some(running),
            State::Waiting | State::Due { .. } | State::Parked { .. } => self.missed.as_ref(),
            State::Done | State::Closed { .. } => None,
        };
        let Some(ended) = known.cloned() else { return };
        self.keep(&ended, at, trial);
        let unknown = matches!(trial, Trial::Unknown { .. });
        self.missed = Some(ended).filter(|ended| unknown && ended.is_on_worker());
        let park =
            |cause, message: &str| State::Parked { cause, message: message.to_owned(), since: at };
        self.state = match trial {
            Trial::Done => State::Done,
            Trial::Failed { message, hopeless: true } => park(CaseCause::Hopeless, message),
            Trial::Unknown { message } if on_unknown == OnUnknown::Park => {
                park(CaseCause::Unknown, message)
            }
            Trial::Failed { message, hopeless: false } | Trial::Unknown { message } => {
                self.failures += 1;
                if self.failures >= retry.attempts {
                    park(CaseCause::Exhausted, message)
                } else {
                    let at = now.after(retry.wait_after(self.failures));
                    State::Due { at, sought: false }
                }
            }
        };
    }

    fn keep(&mut self, ended: &Try, at: WallTime, trial: &Trial) {
        let worker = match &ended.place {
            Place::Worker { host, .. } => Some(host.worker.clone()),
            Place::Here | Place::Forgotten => None,
        };
        if self.trials.len() == TRIALS_KEPT {
            self.trials.pop_front();
        }
        let (number, trial) = (ended.number, trial.clone());
        self.trials.push_back(TrialView { number, worker, ended: at, trial });
    }

    /// Applies that no worker will ever take it.
    pub(crate) fn strand(&mut self, at: WallTime, message: &str) {
        let message = message.to_owned();
        self.state = State::Parked { cause: CaseCause::Stranded, message, since: at };
    }

    /// Applies what a person made of the case.
    pub(crate) fn resolve(
        &mut self,
        now: Moment,
        at: WallTime,
        resolution: Resolution,
        by: &str,
        reason: &str,
    ) {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        self.state = match resolution {
            Resolution::Retry => {
                self.failures = 0;
                self.asked = Some(Asked { at, by, reason });
                State::Due { at: now, sought: false }
            }
            Resolution::Done | Resolution::GiveUp => State::Closed { resolution, by, reason, at },
        };
    }
}

impl Try {
    fn is_on_worker(&self) -> bool {
        match self.place {
            Place::Worker { .. } => true,
            Place::Here | Place::Forgotten => false,
        }
    }
}

/// So many ended tries of a hook are kept for people; the log has all.
const TRIALS_KEPT: usize = 10;
