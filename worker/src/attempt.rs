//! One attempt on this worker, from its acceptance until nobody wants it any more.
//!
//! | phase | Adopted | Fetched | Exited | Sealed | Failed | Stop | Discard | Tick (due) |
//! |---|---|---|---|---|---|---|---|---|
//! | CutOff | Running | – | – | – | record `Failed`, report | Stopping | Discarding | – |
//! | Fetching | – | run | – | – | record `Failed`, report | Stopping | Discarding | Stopping |
//! | Running | – | – | seal | – | record `Failed`, report | Stopping | Discarding | Stopping |
//! | Stopping | stop again | record `Failed`, report | same | – | same | – | Discarding | – |
//! | Sealing | – | – | – | record `Sealed` (forced), report | record `Failed`, report | Stopping | Discarding | – |
//! | Sealed, Failed | – | – | – | – | – | report again | record `Discarded`, discard | – |
//! | Discarding | stop | discard | discard | discard | discard | – | – | – |
//!
//! *Stopping* is entered with a record of its cause, and the stop waits until that is durable:
//! whoever finds the end of the program after a crash knows whose doing it was.
//!
//! A restart begins in *CutOff*, or in *Stopping*, and decides there (R6): on proof of its
//! processes, or of their end, the attempt is adopted and goes on as if nothing
//! had happened; otherwise whatever was left of it has been ended, and it failed.

use std::{mem, time::Duration};

use votum_ids::{AttemptId, Digest, OutputName};
use votum_job::{
    Assignment, AttemptEnd, AttemptState, Comeback, Failure, FailureKind, ListedAttempt,
    SelfReport, StagedOutput, Usage,
};
use votum_machine::Moment;
use votum_wire::FromWorker;

use crate::{
    action::Action,
    engine::Reaction,
    event::AttemptEvent,
    limits::Limits,
    record::{Record, Rest},
};

/// One attempt on this worker.
#[derive(Debug)]
pub(crate) struct Attempt {
    id: AttemptId,
    number: u32,
    /// It tries an effect or a compensation, which the end of its job does not touch.
    hook: bool,
    phase: Phase,
    /// What its program has said of itself.
    told: Option<Told>,
}

/// What a program has said of itself.
#[derive(Debug)]
struct Told {
    report: Box<SelfReport>,
    /// When it said the last of it.
    at: Moment,
    /// Whether it was passed on in the present session.
    sent: bool,
}

#[derive(Debug)]
enum Phase {
    /// It was under way when the daemon ended; what is left of it is looked for.
    CutOff,
    /// Its inputs are on their way.
    Fetching { assignment: Box<Assignment>, limits: Limits },
    /// Its program was asked for, and runs if it has a process id.
    Running { assignment: Box<Assignment>, pid: Option<u32>, limits: Limits },
    /// It ends early, as this failure, when nothing of it is under way any more.
    Stopping { cause: Cause, grace: Duration },
    /// Its program succeeded; what it left is being sealed.
    Sealing { usage: Usage },
    /// It ended well.
    Sealed { outputs: Vec<StagedOutput>, usage: Usage, report: Report },
    /// It ended badly, and the coordinator may not know yet.
    Failed { failure: Failure, usage: Usage },
    /// Nobody wants it; what it staged goes when nothing of it is under way any more.
    Discarding,
    /// Nothing of it is left here.
    Gone,
}

/// Why an attempt ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Cause {
    /// The coordinator wants it to end.
    pub(crate) fn stopped(reason: &str) -> Self {
        Self { kind: FailureKind::Stopped, message: format!("stopped: {reason}") }
    }

    /// The worker's daemon ends, or has begun again.
    pub(crate) fn interrupted(message: &str) -> Self {
        Self { kind: FailureKind::Interrupted, message: message.to_owned() }
    }
}

/// Whether the coordinator holds the report of the end durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Open,
    Acknowledged,
}

impl Attempt {
    /// Takes an attempt on.
    pub(crate) fn accept(now: Moment, assignment: Box<Assignment>) -> (Self, Reaction) {
        let (id, number) = (assignment.attempt.clone(), assignment.number);
        let hook = !assignment.role.is_task();
        let reaction = Reaction::perform([Action::Fetch(assignment.clone())])
            .durably(Record::Accepted { attempt: id.clone(), number, hook });
        let limits = Limits::accepted(now, &assignment);
        let phase = Phase::Fetching { assignment, limits };
        (Self { id, number, hook, phase, told: None }, reaction)
    }

    /// Remembers an attempt that was under way when the daemon ended.
    pub(crate) fn cut_off(id: AttemptId, number: u32, hook: bool) -> Self {
        Self { id, number, hook, phase: Phase::CutOff, told: None }
    }

    /// Says whether it tries an effect or a compensation.
    pub(crate) fn is_hook(&self) -> bool {
        self.hook
    }

    /// Goes on with its program, or with the end of it, after a restart (R6).
    ///
    /// It may run for as long as it could have without the restart.
    pub(crate) fn adopt(
        &mut self,
        now: Moment,
        assignment: Box<Assignment>,
        pid: Option<u32>,
        elapsed: Duration,
    ) -> Reaction {
        let (reason, grace) = match &self.phase {
            Phase::CutOff => {
                let limits = Limits::adopted(now, &assignment, elapsed);
                self.phase = Phase::Running { assignment, pid, limits };
                return Reaction::perform(self.report());
            }
            // That it should end was known before the restart.
            Phase::Stopping { cause, grace } => (cause.message.clone(), *grace),
            Phase::Discarding => (UNWANTED.to_owned(), assignment.spec.grace_period),
            Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Gone => return Reaction::none(),
        };
        let attempt = self.id.clone();
        Reaction::perform([Action::Stop { attempt, grace, reason }])
    }

    /// Applies what happened to it here.
    pub(crate) fn step(&mut self, now: Moment, event: AttemptEvent) -> Reaction {
        match (mem::replace(&mut self.phase, Phase::Gone), event) {
            (Phase::Fetching { assignment, limits }, AttemptEvent::Fetched { inputs, resumed }) => {
                let limits = limits.fetched(now, &assignment);
                self.phase = Phase::Running { assignment: assignment.clone(), pid: None, limits };
                Reaction::perform([Action::Run { assignment, inputs, resumed }])
            }
            (Phase::Running { assignment, limits, .. }, AttemptEvent::Started { pid }) => {
                let limits = limits.started(now, &assignment);
                self.phase = Phase::Running { assignment, pid: Some(pid), limits };
                Reaction::perform(self.report())
            }
            (
                Phase::Running { assignment, pid, limits },
                AttemptEvent::Reported { report, checkpoints: _ },
            ) => {
                let limits = limits.reported(now, &assignment);
                self.phase = Phase::Running { assignment, pid, limits };
                self.told = Some(Told { report, at: now, sent: false });
                Reaction::none()
            }
            (
                Phase::Running { assignment, pid, limits },
                AttemptEvent::HealthChecked { verdict },
            ) => self.checked(assignment, pid, limits, verdict),
            (phase @ Phase::Running { .. }, AttemptEvent::LimitReached { kind, message }) => {
                self.phase = phase;
                let reason = message.clone();
                // A grace would be time to take even more.
                self.stop(Duration::ZERO, &reason, Cause { kind, message })
            }
            (Phase::Running { assignment, .. }, AttemptEvent::Exited { usage }) => {
                self.phase = Phase::Sealing { usage };
                Reaction::perform([Action::Seal(assignment)])
            }
            (Phase::Sealing { usage }, AttemptEvent::Sealed { outputs }) => {
                self.seal(outputs, usage)
            }
            (
                Phase::CutOff | Phase::Fetching { .. } | Phase::Running { .. },
                AttemptEvent::Failed { failure, usage },
            )
            | (Phase::Sealing { usage }, AttemptEvent::Failed { failure, .. }) => {
                self.fail(failure, usage)
            }
            (Phase::Stopping { cause, grace }, event) => self.stopped(cause, grace, event),
            // Whatever was under way for it is over.
            (
                Phase::Discarding,
                AttemptEvent::Fetched { .. }
                | AttemptEvent::Exited { .. }
                | AttemptEvent::Sealed { .. }
                | AttemptEvent::Failed { .. },
            ) => Reaction::perform([Action::Discard(self.id.clone())]),
            // A repeated answer, or one that was overtaken by the end.
            (
                phase @ (Phase::CutOff
                | Phase::Fetching { .. }
                | Phase::Running { .. }
                | Phase::Sealing { .. }
                | Phase::Sealed { .. }
                | Phase::Failed { .. }
                | Phase::Discarding
                | Phase::Gone),
                _late,
            ) => {
                self.phase = phase;
                Reaction::none()
            }
        }
    }

    /// Ends it if its health command has failed too often.
    fn checked(
        &mut self,
        assignment: Box<Assignment>,
        pid: Option<u32>,
        limits: Limits,
        verdict: Result<(), String>,
    ) -> Reaction {
        let (limits, unwell) = match verdict {
            Ok(()) => (limits.well(), None),
            Err(complaint) => limits.unwell(&assignment, &complaint),
        };
        self.phase = Phase::Running { assignment, pid, limits };
        unwell.map_or_else(Reaction::none, |cause| self.end_early(cause))
    }

    /// Answers the order to run it when that comes again.
    pub(crate) fn repeat(&self) -> Reaction {
        Reaction::perform(self.report())
    }

    /// Ends it early; an attempt that has ended is reported again.
    ///
    /// The cause is recorded, and the program is asked to end when that is durable.
    pub(crate) fn stop(&mut self, grace: Duration, reason: &str, cause: Cause) -> Reaction {
        let attempt = self.id.clone();
        let actions = match self.phase {
            Phase::Fetching { .. } | Phase::Running { .. } | Phase::Sealing { .. } => {
                let (attempt, reason) = (attempt.clone(), reason.to_owned());
                Some(Action::Stop { attempt, grace, reason })
            }
            // Nothing of it is in reach yet; what is found is stopped.
            Phase::CutOff => None,
            Phase::Sealed { .. } | Phase::Failed { .. } => return self.repeat(),
            Phase::Stopping { .. } | Phase::Discarding | Phase::Gone => return Reaction::none(),
        };
        let Cause { kind, message } = cause.clone();
        self.phase = Phase::Stopping { cause, grace };
        Reaction::perform(actions).durably(Record::StopDecided { attempt, kind, message, grace })
    }

    /// Notes that the report of its end is durable at the coordinator.
    pub(crate) fn acknowledge(&mut self, rest: Rest) -> Reaction {
        let record = Record::Acknowledged { attempt: self.id.clone(), rest };
        match &mut self.phase {
            Phase::Sealed { report: report @ Report::Open, .. } => {
                *report = Report::Acknowledged;
                Reaction::none().durably(record)
            }
            Phase::Failed { .. } => {
                self.phase = Phase::Gone;
                Reaction::perform([Action::Discard(self.id.clone())]).durably(record)
            }
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { report: Report::Acknowledged, .. }
            | Phase::Discarding
            | Phase::Gone => Reaction::none(),
        }
    }

    /// Obeys the order to discard it.
    pub(crate) fn discard(&mut self, rest: Rest) -> Reaction {
        let attempt = self.id.clone();
        let action = match self.phase {
            Phase::Fetching { .. } | Phase::Running { .. } | Phase::Sealing { .. } => {
                let (grace, reason) = (self.grace(), UNWANTED.to_owned());
                self.phase = Phase::Discarding;
                Some(Action::Stop { attempt: attempt.clone(), grace, reason })
            }
            Phase::CutOff | Phase::Stopping { .. } => {
                self.phase = Phase::Discarding;
                None
            }
            Phase::Sealed { .. } | Phase::Failed { .. } => {
                self.phase = Phase::Gone;
                Some(Action::Discard(attempt.clone()))
            }
            Phase::Discarding | Phase::Gone => return Reaction::none(),
        };
        Reaction::perform(action).durably(Record::Discarded { attempt, rest })
    }

    /// Ends it if it has run for as long as it may.
    pub(crate) fn expire(&mut self, now: Moment) -> Reaction {
        let overdue = match &self.phase {
            Phase::Fetching { assignment, limits } => {
                limits.overdue(now, assignment, "its inputs did not arrive")
            }
            Phase::Running { assignment, limits, .. } => {
                limits.overdue(now, assignment, "it did not end")
            }
            Phase::CutOff
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => None,
        };
        overdue.map_or_else(Reaction::none, |cause| self.end_early(cause))
    }

    fn end_early(&mut self, cause: Cause) -> Reaction {
        let reason = cause.message.clone();
        self.stop(self.grace(), &reason, cause)
    }

    /// Returns what its program has said and the coordinator has not heard in this session.
    pub(crate) fn pass_on(&mut self, now: Moment) -> Option<FromWorker> {
        let told = self.told.as_mut().filter(|told| !told.sent)?;
        told.sent = true;
        let (attempt, report) = (self.id.clone(), told.report.clone());
        Some(FromWorker::Reported { attempt, report, age: now.since(told.at) })
    }

    /// Begins a session: the coordinator may have forgotten what was said.
    pub(crate) fn repeat_report(&mut self) {
        if let Some(told) = &mut self.told {
            told.sent = false;
        }
    }

    /// Says when it must end at the latest.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Fetching { limits, .. } | Phase::Running { limits, .. } => Some(limits.first()),
            Phase::CutOff
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => None,
        }
    }

    /// Says how far it has come, for the history of its job; one that is gone has told already.
    pub(crate) fn comeback(&self) -> Option<Comeback> {
        match &self.phase {
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. } => Some(Comeback::Running),
            Phase::Sealed { .. } => Some(Comeback::Sealed),
            Phase::Failed { .. } => Some(Comeback::Failed),
            Phase::Discarding | Phase::Gone => None,
        }
    }

    /// Says whether it may have effects, by now or soon, that must not meet those of a successor.
    pub(crate) fn needs_lease(&self) -> bool {
        match &self.phase {
            Phase::Fetching { assignment, .. } | Phase::Running { assignment, .. } => {
                assignment.spec.acts_outside()
            }
            // Until it is found its supervisor alone watches the lease.
            Phase::CutOff
            // No program runs, or it is being stopped already.
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => false,
        }
    }

    /// Says how long its program may take from SIGTERM to its end.
    pub(crate) fn grace(&self) -> Duration {
        match &self.phase {
            Phase::Fetching { assignment, .. } | Phase::Running { assignment, .. } => {
                assignment.spec.grace_period
            }
            // No program runs, or it is being stopped already.
            Phase::CutOff
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => Duration::ZERO,
        }
    }

    /// Returns its line of the inventory; one that nobody wants has none.
    pub(crate) fn listed(&self) -> Option<ListedAttempt> {
        let state = match self.end() {
            None => AttemptState::Live,
            Some(end) => AttemptState::Ended(end),
        };
        self.is_wanted().then(|| ListedAttempt {
            attempt: self.id.clone(),
            number: self.number,
            state,
        })
    }

    /// Says whether something of it may still be under way.
    pub(crate) fn is_live(&self) -> bool {
        match self.phase {
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Discarding => true,
            Phase::Sealed { .. } | Phase::Failed { .. } | Phase::Gone => false,
        }
    }

    /// Says whether its program runs, or was asked for.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Says whether a checkpoint that its program left counts.
    pub(crate) fn may_save(&self) -> bool {
        matches!(self.phase, Phase::Running { .. } | Phase::Stopping { .. } | Phase::Failed { .. })
    }

    /// Says whether anybody may still want something of it.
    pub(crate) fn is_wanted(&self) -> bool {
        !matches!(self.phase, Phase::Discarding | Phase::Gone)
    }

    /// Says whether nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// Says whether its outputs are sealed here.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.phase, Phase::Sealed { .. })
    }

    /// Says whether this output with this digest is sealed here.
    pub(crate) fn holds(&self, output: &OutputName, digest: &Digest) -> bool {
        match &self.phase {
            Phase::Sealed { outputs, .. } => {
                outputs.iter().any(|sealed| sealed.name == *output && sealed.digest == *digest)
            }
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => false,
        }
    }

    /// Forgets it without a record of its own: that of its job says so.
    pub(crate) fn forget(&mut self) -> Option<Action> {
        self.discard(Rest::Something).actions.pop()
    }

    /// Ends it because its job was aborted.
    pub(crate) fn abort(&mut self) -> Reaction {
        let reason = "the job was aborted";
        self.stop(self.grace(), reason, Cause::stopped(reason))
    }

    /// Repeats a record of the journal; what has ended since is not asked to end.
    pub(crate) fn replay_stop(&mut self, cause: Cause, grace: Duration) {
        if matches!(self.phase, Phase::CutOff) {
            self.phase = Phase::Stopping { cause, grace };
        }
    }

    /// Repeats a record of the journal.
    pub(crate) fn replay_sealed(&mut self, outputs: Vec<StagedOutput>, usage: Usage) {
        self.phase = Phase::Sealed { outputs, usage, report: Report::Open };
    }

    /// Repeats a record of the journal.
    pub(crate) fn replay_failed(&mut self, failure: Failure, usage: Usage) {
        self.phase = Phase::Failed { failure, usage };
    }

    fn seal(&mut self, outputs: Vec<StagedOutput>, usage: Usage) -> Reaction {
        let attempt = self.id.clone();
        let record = Record::Sealed { attempt, outputs: outputs.clone(), usage };
        self.phase = Phase::Sealed { outputs, usage, report: Report::Open };
        Reaction::perform(self.report()).durably(record)
    }

    fn fail(&mut self, failure: Failure, usage: Usage) -> Reaction {
        let attempt = self.id.clone();
        let record = Record::Failed { attempt, failure: failure.clone(), usage };
        self.phase = Phase::Failed { failure, usage };
        Reaction::perform(self.report()).durably(record)
    }

    /// Ends an attempt that was asked to end, when whatever was under way is over.
    fn stopped(
        &mut self,
        Cause { kind, message }: Cause,
        grace: Duration,
        event: AttemptEvent,
    ) -> Reaction {
        let (stderr_tail, usage) = match event {
            // The process began while it was asked to end; its end is still to come.
            AttemptEvent::Started { .. }
            | AttemptEvent::Reported { .. }
            | AttemptEvent::HealthChecked { .. }
            | AttemptEvent::LimitReached { .. } => {
                self.phase = Phase::Stopping { cause: Cause { kind, message }, grace };
                return Reaction::none();
            }
            AttemptEvent::Fetched { .. } | AttemptEvent::Sealed { .. } => Default::default(),
            AttemptEvent::Exited { usage } => (String::new(), usage),
            AttemptEvent::Failed { failure, usage } => (failure.stderr_tail, usage),
        };
        self.fail(Failure { kind, message, stderr_tail }, usage)
    }

    /// Tells the coordinator where it stands.
    pub(crate) fn report(&self) -> Option<Action> {
        let attempt = self.id.clone();
        if let Some(end) = self.end() {
            return Some(Action::Send(FromWorker::Ended { attempt, end }));
        }
        match self.phase {
            Phase::Running { pid: Some(pid), .. } => {
                Some(Action::Send(FromWorker::Started { attempt, pid }))
            }
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { pid: None, .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Sealed { .. }
            | Phase::Failed { .. }
            | Phase::Discarding
            | Phase::Gone => None,
        }
    }

    fn end(&self) -> Option<AttemptEnd> {
        match &self.phase {
            Phase::Sealed { outputs, usage, .. } => {
                Some(AttemptEnd::Sealed { outputs: outputs.clone(), usage: *usage })
            }
            Phase::Failed { failure, usage } => {
                Some(AttemptEnd::Failed { failure: failure.clone(), usage: *usage })
            }
            Phase::CutOff
            | Phase::Fetching { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Sealing { .. }
            | Phase::Discarding
            | Phase::Gone => None,
        }
    }
}

/// Told to a task whose attempt was discarded.
const UNWANTED: &str = "nobody wants this attempt";
