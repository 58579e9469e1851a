//! The saving of running attempts: who asks for a checkpoint, and what becomes of it (R7).
//!
//! One checkpoint of an attempt is sealed at a time; whoever asks meanwhile is
//! answered by the next one. An answer, and a word to the coordinator, follow
//! the record, and the record follows the bytes. A program that is stopped in
//! order to go on later is asked for a last checkpoint first, for as long as its
//! grace lasts.

use std::time::Duration;

use votum_ids::{AttemptId, CheckpointId, Digest, JobId};
use votum_job::{Assignment, CheckpointPolicy, FailureKind, HeldCheckpoint, Program, ResumePoint};
use votum_machine::Moment;
use votum_wire::FromWorker;

use super::{Engine, Reaction};
use crate::{
    action::{Action, Resumed, SealOrder},
    attempt::{Attempt, Cause},
    event::{Ask, CheckpointEvent},
    record::{Record, Rest},
};

/// What is saved of one running attempt.
#[derive(Debug)]
pub(crate) struct Saving {
    assignment: Box<Assignment>,
    /// Of the last checkpoint, be it sealed here or gone on from; 0: none.
    sequence: u64,
    /// Of the last one that was sealed here.
    digest: Option<Digest>,
    /// How many steps are done and durable.
    steps: u32,
    /// Who is answered by the checkpoint that is being sealed.
    serving: Vec<Ask>,
    /// Who is answered by the next one.
    waiting: Vec<Ask>,
    /// When a checkpoint is due although nobody asks.
    due: Option<Moment>,
    /// It is to be stopped after one more checkpoint.
    last: Option<Last>,
}

/// The last checkpoint of a program before it is stopped.
#[derive(Debug)]
struct Last {
    /// The number from which on a checkpoint is the one that is waited for.
    sequence: u64,
    /// When the program is stopped at the latest.
    until: Moment,
    grace: Duration,
    reason: String,
    cause: Cause,
}

impl Saving {
    /// Begins with what the attempt goes on from.
    pub(crate) fn new(now: Moment, assignment: Box<Assignment>, resumed: Resumed) -> Self {
        let due = policy(&assignment).and_then(|policy| policy.every).map(|every| now.after(every));
        Self {
            assignment,
            sequence: resumed.sequence,
            digest: None,
            steps: resumed.steps,
            serving: Vec::new(),
            waiting: Vec::new(),
            due,
            last: None,
        }
    }

    /// Takes an ask; returns the order to seal unless one is being carried out.
    fn ask(&mut self, id: &AttemptId, ask: Ask) -> Option<Action> {
        if self.waiting.len() >= ASKS_MAX {
            return answers(id, vec![ask], "failed too many ask at once");
        }
        self.waiting.push(ask);
        if self.serving.is_empty() { self.serve(id) } else { None }
    }

    fn serve(&mut self, id: &AttemptId) -> Option<Action> {
        if self.waiting.is_empty() {
            return None;
        }
        self.serving = std::mem::take(&mut self.waiting);
        let steps = self.serving.iter().map(|ask| match ask {
            Ask::Step { done, .. } => *done,
            Ask::Task { .. } | Ask::Line | Ask::Interval | Ask::Last => 0,
        });
        let whole = matches!(self.assignment.spec.program, Program::Steps(_));
        let idle = self.serving.iter().all(|ask| matches!(ask, Ask::Interval | Ask::Last));
        let bytes_max = policy(&self.assignment).and_then(|policy| policy.bytes_max);
        Some(Action::SealCheckpoint(SealOrder {
            id: CheckpointId { attempt: id.clone(), sequence: self.sequence + 1 },
            steps: steps.max().unwrap_or(0).max(self.steps),
            whole,
            bytes_max,
            unless: if idle { Some(self.digest) } else { None },
        }))
    }

    /// Lets the program be stopped at once if `over`: what was waited for is here, or will not be.
    fn last_is(&mut self, over: impl Fn(&Last) -> bool) {
        if let Some(last) = self.last.as_mut().filter(|last| over(last)) {
            last.until = Moment::START;
        }
    }
}

impl Engine {
    /// Goes on with the saving of an attempt that an earlier start of the daemon ran.
    pub(super) fn saving_of_adopted(&self, now: Moment, assignment: &Assignment) -> Saving {
        let own = self.saved.last_of(&assignment.attempt);
        let from = assignment.resume.first();
        let resumed = Resumed {
            sequence: own
                .map(|own| own.id.sequence)
                .or(from.map(|from| from.id.sequence))
                .unwrap_or_default(),
            steps: own.map(|own| own.steps).or(from.map(|from| from.steps)).unwrap_or_default(),
        };
        Saving::new(now, Box::new(assignment.clone()), resumed)
    }

    /// Applies what happened to the saving of an attempt.
    pub(super) fn saving_changed(&mut self, id: &AttemptId, event: CheckpointEvent) -> Reaction {
        match event {
            CheckpointEvent::Asked(ask) => self.ask(id, ask),
            CheckpointEvent::Sealed(held) => self.sealed_checkpoint(id, held),
            CheckpointEvent::Unchanged => {
                let Some(saving) = self.savings.get_mut(id) else { return Reaction::none() };
                let served = std::mem::take(&mut saving.serving);
                saving.last_is(|_| served.contains(&Ask::Last));
                Reaction::perform(saving.serve(id))
            }
            CheckpointEvent::Failed { kind, message } => self.unsaved(id, kind, &message),
        }
    }

    fn ask(&mut self, id: &AttemptId, ask: Ask) -> Reaction {
        if !self.attempts.find(id).is_some_and(Attempt::is_running) {
            return Reaction::none();
        }
        let saving = self.savings.get_mut(id);
        Reaction::perform(saving.and_then(|saving| saving.ask(id, ask)))
    }

    fn sealed_checkpoint(&mut self, id: &AttemptId, held: HeldCheckpoint) -> Reaction {
        if !self.attempts.find(id).is_some_and(Attempt::may_save) {
            return Reaction::perform([Action::RemoveCheckpoint(held.id)]);
        }
        let mut reaction = self.hold(held.clone());
        if let Some(saving) = self.savings.get_mut(id) {
            saving.sequence = held.id.sequence;
            saving.digest = Some(held.digest);
            saving.steps = held.steps;
            saving.last_is(|last| last.sequence <= held.id.sequence);
            let answer = format!("sealed {}", held.id.sequence);
            let asks = std::mem::take(&mut saving.serving);
            reaction.actions.extend(answers(id, asks, &answer));
            reaction.actions.extend(saving.serve(id));
        }
        reaction
    }

    /// Goes on without the checkpoint, unless a step must not be followed by the next.
    fn unsaved(&mut self, id: &AttemptId, kind: FailureKind, message: &str) -> Reaction {
        let Some(saving) = self.savings.get_mut(id) else { return Reaction::none() };
        let asks = std::mem::take(&mut saving.serving);
        let hopeless = asks.contains(&Ask::Last) || saving.waiting.is_empty();
        saving.last_is(|_| hopeless);
        let step = asks.iter().any(|ask| matches!(ask, Ask::Step { .. }));
        let mut reaction = Reaction::perform(answers(id, asks, &format!("failed {message}")));
        if step {
            let message = format!("a step cannot be made durable: {message}");
            let cause = Cause { kind, message: message.clone() };
            let stop = |attempt: &mut Attempt| attempt.stop(attempt.grace(), &message, cause);
            let stopped = self.attempts.react(id, stop);
            reaction.actions.extend(stopped.actions);
            reaction.record = stopped.record;
        } else {
            reaction.actions.extend(saving.serve(id));
        }
        reaction
    }

    /// Notes that a checkpoint is whole and durable here, and tells the coordinator.
    pub(super) fn hold(&mut self, held: HeldCheckpoint) -> Reaction {
        if self.quarantined.contains_key(&held.id.attempt.job) {
            return Reaction::none();
        }
        let superfluous = self.saved.hold(held.clone());
        let tell = Action::Send(FromWorker::CheckpointHeld(held.clone()));
        let remove = superfluous.into_iter().map(Action::RemoveCheckpoint);
        Reaction::perform([tell].into_iter().chain(remove)).durably(Record::CheckpointHeld { held })
    }

    /// Notes that a checkpoint is not what it was, and tells the coordinator.
    pub(super) fn spoilt(&mut self, id: CheckpointId) -> Reaction {
        if !self.saved.forget(&id) {
            return Reaction::none();
        }
        let rest = self.rest_of(&id.attempt.job);
        Reaction::perform([
            Action::Send(FromWorker::CheckpointGone(id.clone())),
            Action::RemoveCheckpoint(id.clone()),
        ])
        .durably(Record::CheckpointGone { id, rest })
    }

    /// Obeys the order to copy a checkpoint.
    pub(super) fn replicate(&self, point: Box<ResumePoint>) -> Reaction {
        if self.quarantined.contains_key(&point.id.attempt.job) {
            return Reaction::none();
        }
        match self.saved.find(&point.id) {
            Some(held) => {
                Reaction::perform([Action::Send(FromWorker::CheckpointHeld(held.clone()))])
            }
            None => Reaction::perform([Action::Replicate(point)]),
        }
    }

    /// Lets the checkpoints of a job go that is over for everyone.
    ///
    /// With its own record unless that of the same step ends the job.
    pub(super) fn release_checkpoints(&mut self, job: &JobId, reaction: &mut Reaction) {
        if !self.saved.forget_job(job) {
            return;
        }
        if reaction.record.is_none() {
            let rest = self.rest_of(job);
            reaction.record = Some(Record::CheckpointsReleased { job: job.clone(), rest });
        }
        reaction.actions.push(Action::RemoveCheckpoints(job.clone()));
    }

    /// Says what is left of a job.
    fn rest_of(&self, job: &JobId) -> Rest {
        let wanted = self.attempts.of_job(job).any(|(_, attempt)| attempt.is_wanted());
        if wanted || self.promises.contains_key(job) || self.saved.has_any_of(job) {
            Rest::Something
        } else {
            Rest::Nothing
        }
    }

    /// Forgets the saving of attempts that run no longer.
    pub(super) fn settle_saving(&mut self, id: &AttemptId) {
        if !self.attempts.find(id).is_some_and(Attempt::is_running) {
            self.savings.remove(id);
        }
    }

    /// Says when a checkpoint is due although nobody asks.
    pub(super) fn saving_deadline(&self) -> Option<Moment> {
        let last = |saving: &Saving| saving.last.as_ref().map(|last| last.until);
        self.savings.values().flat_map(|saving| saving.due.into_iter().chain(last(saving))).min()
    }

    /// Stops a program that will be gone on with, after a last checkpoint if it saves anything.
    ///
    /// It is waited for as long as the program would get to end. Nothing is recorded: after a
    /// restart whoever wants the stop says so again.
    pub(super) fn save_and_stop(
        &mut self,
        now: Moment,
        id: &AttemptId,
        grace: Duration,
        reason: String,
        cause: Cause,
    ) -> Reaction {
        let running = self.attempts.find(id).is_some_and(Attempt::is_running);
        let saving = self.savings.get_mut(id).filter(|_| running);
        let policy = saving.as_ref().and_then(|saving| policy(&saving.assignment)).cloned();
        let (Some(saving), Some(policy)) = (saving, policy) else {
            return self.stop_for_later(id, grace, &reason, cause);
        };
        if saving.last.is_some() {
            return Reaction::none();
        }
        // One that is being sealed shows the state of before.
        let sequence = saving.sequence + if saving.serving.is_empty() { 1 } else { 2 };
        let last = Last { sequence, until: now.after(grace), grace, reason, cause };
        match policy {
            CheckpointPolicy { signal: Some(signal), .. } => {
                saving.last = Some(last);
                Reaction::perform([Action::Signal { attempt: id.clone(), signal }])
            }
            CheckpointPolicy { every: Some(_), .. } => {
                saving.last = Some(last);
                self.ask(id, Ask::Last)
            }
            // What lies there is good only when the program says so.
            CheckpointPolicy { .. } => self.stop_for_later(id, grace, &last.reason, last.cause),
        }
    }

    fn stop_for_later(
        &mut self,
        id: &AttemptId,
        grace: Duration,
        reason: &str,
        cause: Cause,
    ) -> Reaction {
        self.attempts.react(id, |attempt| attempt.stop(grace, reason, cause))
    }

    /// Stops the one program whose last checkpoint is sealed, or was waited for in vain.
    pub(super) fn stop_saved(&mut self, now: Moment) -> Option<Reaction> {
        let saved = |saving: &Saving| saving.last.as_ref().is_some_and(|last| last.until <= now);
        let (id, saving) = self.savings.iter_mut().find(|(_, saving)| saved(saving))?;
        let (id, Last { grace, reason, cause, .. }) = (id.clone(), saving.last.take()?);
        Some(self.stop_for_later(&id, grace, &reason, cause))
    }

    /// Sees to the one checkpoint that is due, if any is.
    pub(super) fn save_at_interval(&mut self, now: Moment) -> Option<Reaction> {
        let due = |saving: &Saving| saving.due.is_some_and(|due| due <= now);
        let (id, saving) = self.savings.iter_mut().find(|(_, saving)| due(saving))?;
        let every = policy(&saving.assignment).and_then(|policy| policy.every)?;
        saving.due = Some(now.after(every));
        let id = id.clone();
        match policy(&saving.assignment).and_then(|policy| policy.signal) {
            Some(signal) => Some(Reaction::perform([Action::Signal { attempt: id, signal }])),
            None => Some(self.ask(&id, Ask::Interval)),
        }
    }
}

fn policy(assignment: &Assignment) -> Option<&CheckpointPolicy> {
    assignment.spec.checkpoint.as_ref()
}

fn answers(id: &AttemptId, asks: Vec<Ask>, text: &str) -> Option<Action> {
    let requests: Vec<String> = asks
        .into_iter()
        .filter_map(|ask| match ask {
            Ask::Task { request } | Ask::Step { request, .. } => Some(request),
            Ask::Line | Ask::Interval | Ask::Last => None,
        })
        .collect();
    let (attempt, text) = (id.clone(), text.to_owned());
    (!requests.is_empty()).then_some(Action::Answer { attempt, requests, text })
}

/// So many of one attempt wait for the next checkpoint.
const ASKS_MAX: usize = 64;
