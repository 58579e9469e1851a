//! The engine with somebody who counts and traces what it records; the engine knows nothing of it.

use std::borrow::Cow;

use votum_commit::{CoordinatorRecord, Decision, Message, Objection, Reply, Vote};
use votum_ids::{JobId, TaskId};
use votum_job::AttemptEnd;
use votum_machine::{Machine, Moment, Reaction, WallTime};
use votum_settle::Trial;
use votum_wire::{FromCoordinator, FromWorker};

use super::{Metrics, families::Words};
use crate::{
    action::Action,
    engine::Engine,
    event::Event,
    lines,
    record::{Closing, JobRecord, Record},
    traces::{Tracer, traceparent},
};

/// An engine whose steps are counted.
#[derive(Debug)]
pub(crate) struct Observed {
    engine: Engine,
    metrics: Metrics,
    /// None if nobody collects traces.
    tracer: Option<Tracer>,
}

impl Observed {
    /// Counts the steps of an engine.
    pub(crate) fn new(engine: Engine, metrics: Metrics, tracer: Option<Tracer>) -> Self {
        if let Some(tracer) = &tracer {
            tracer.resume(&engine);
        }
        Self { engine, metrics, tracer }
    }

    /// Lets a program that is started go on with the trace of its job; what its job sets stands.
    fn hand_on_trace(&self, action: &mut Action) {
        let Action::Send { frame: FromCoordinator::Start(assignment), .. } = action else { return };
        let job = &assignment.attempt.job;
        let told = match self.tracer {
            Some(_) => self.engine.trace_of(job).map(|it| traceparent(&it, &assignment.attempt)),
            // Nobody would ever see a span of the attempt.
            None => self.engine.caller_of(job).map(ToOwned::to_owned),
        };
        if let Some(told) = told {
            assignment.spec.env.entry(TRACEPARENT.to_owned()).or_insert(told);
        }
    }

    fn overhear(&self, at: WallTime, event: &Event) {
        if let (Some(tracer), Event::Frame { from, frame: FromWorker::Commit(reply) }) =
            (&self.tracer, event)
        {
            tracer.hear(at, from, reply);
        }
    }
}

impl Machine for Observed {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction<Record, Action> {
        self.metrics.see_event(&event);
        let at = self.engine.anchor().at(now);
        self.overhear(at, &event);
        let mut reaction = self.engine.step(now, event);
        reaction.actions.iter_mut().for_each(|action| self.hand_on_trace(action));
        if let Some(Record::Job(record)) = &reaction.record {
            if let Some(tracer) = &self.tracer {
                tracer.follow(&self.engine, at, record);
            }
            let kind = |job: &JobId, hook: &TaskId| self.engine.hook_kind(job, hook);
            self.metrics.see_record(now, at, record, kind);
            lines::recorded(&self.engine, record);
        }
        for action in &reaction.actions {
            self.metrics.see_action(now, action);
        }
        reaction
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.engine.next_deadline()
    }
}

impl Metrics {
    fn see_event(&self, event: &Event) {
        match event {
            Event::SessionOpened(_) => {
                self.sessions.inc();
            }
            Event::Frame { frame: FromWorker::Commit(Reply::Voted { vote, .. }), .. } => {
                self.votes.get_or_create(&[("vote", vote_word(vote))]).inc();
            }
            Event::Frame { .. }
            | Event::Asked { .. }
            | Event::SessionClosed { .. }
            | Event::Answered { .. }
            | Event::Expired { .. }
            | Event::Crumbled { .. }
            | Event::Recalled { .. }
            | Event::ForcedRecalled { .. }
            | Event::LookedUp { .. }
            | Event::Tick => {}
        }
    }

    fn see_record(
        &self,
        now: Moment,
        at: WallTime,
        record: &JobRecord,
        kind: impl Fn(&JobId, &TaskId) -> &'static str,
    ) {
        if let Some(record) = &record.schedule {
            self.see_schedule(record);
        }
        if let Some(record) = &record.commit {
            self.see_commit(now, record);
        }
        if let Some(votum_settle::Record::Tried { job, hook, trial, .. }) = &record.settle {
            let outcome = trial_word(trial);
            let words = [("kind", kind(job, hook).into()), ("outcome", outcome.into())];
            self.hooks.get_or_create(&words).inc();
        }
        // A note to a job that had closed before states its end once more.
        let noted = matches!(record.schedule, Some(votum_schedule::Record::Returned { .. }))
            || matches!(record.commit, Some(CoordinatorRecord::Heuristic { .. }));
        if let Some(closing) = record.closing.as_ref().filter(|_| !noted) {
            self.see_closing(at, closing);
            lines::over(closing);
        }
    }

    fn see_schedule(&self, record: &votum_schedule::Record) {
        use votum_schedule::Record as Noted;
        match record {
            Noted::Received { .. } => {
                self.jobs_received.inc();
            }
            Noted::Ended { end: AttemptEnd::Sealed { outputs, .. }, .. } => {
                self.attempts.get_or_create(&[("outcome", "STAGED")]).inc();
                self.staged_bytes.inc_by(outputs.iter().map(|output| output.bytes).sum());
            }
            Noted::Ended { end: AttemptEnd::Failed { failure, .. }, .. } => {
                self.attempts.get_or_create(&[("outcome", failure.kind.reason())]).inc();
            }
            Noted::Lost { attempts, .. } => {
                let lost = votum_job::FailureKind::WorkerLost.reason();
                self.attempts.get_or_create(&[("outcome", lost)]).inc_by(attempts.len() as u64);
            }
            Noted::Assigned { .. }
            | Noted::Started { .. }
            | Noted::KeyTaken { .. }
            | Noted::Replicated { .. }
            | Noted::ReplicaLost { .. }
            | Noted::Paused { .. }
            | Noted::Unpaused { .. }
            | Noted::RetryAsked { .. }
            | Noted::KeptReleased { .. }
            | Noted::Rescued { .. }
            | Noted::Returned { .. }
            | Noted::CheckpointHeld { .. }
            | Noted::CheckpointGone { .. }
            | Noted::DryVoted { .. }
            | Noted::ApprovalAsked { .. }
            | Noted::Approved { .. }
            | Noted::Registered(_)
            | Noted::Ordered { .. } => {}
        }
    }

    fn see_commit(&self, now: Moment, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::CommitDecided { txn, shares } => {
                self.jobs_decided.get_or_create(&decided("COMMITTED", "")).inc();
                if let Some(took) = self.phases().decide(now, txn) {
                    self.observe_phase("prepare", took);
                }
                if shares.is_empty() {
                    self.phases().forget(&txn.job);
                }
            }
            CoordinatorRecord::Aborting { job, cause } => {
                self.jobs_decided.get_or_create(&decided("ABORTED", &cause.reason)).inc();
                self.phases().forget(job);
            }
            CoordinatorRecord::Ended { job } => {
                if let Some(took) = self.phases().apply(now, job) {
                    self.observe_phase("apply", took);
                }
            }
            CoordinatorRecord::Replaced { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Heuristic { .. } => {}
        }
    }

    fn see_closing(&self, at: WallTime, closing: &Closing) {
        let outcome = match closing.decision {
            Decision::Commit => "COMMITTED",
            Decision::Abort => "ABORTED",
        };
        let seconds = at.since(closing.received).as_secs_f64();
        self.job_duration.get_or_create(&[("outcome", outcome)]).observe(seconds);
        self.phases().forget(&closing.job);
    }

    fn see_action(&self, now: Moment, action: &Action) {
        match action {
            Action::Send {
                frame: FromCoordinator::Commit(Message::Prepare { txn, .. }), ..
            } => {
                self.phases().prepare(now, txn);
            }
            Action::Raise { .. } => {
                self.alarms.inc();
            }
            Action::Send { .. }
            | Action::SendDurable { .. }
            | Action::Refuse { .. }
            | Action::Reply { .. }
            | Action::Post(_)
            | Action::Recall { .. }
            | Action::RecallForced { .. }
            | Action::LookUp { .. }
            | Action::StartAgain
            | Action::JobChanged { .. } => {}
        }
    }

    pub(super) fn observe_phase(&self, phase: &'static str, took: std::time::Duration) {
        self.phase_duration.get_or_create(&[("phase", phase)]).observe(took.as_secs_f64());
    }
}

/// Returns the labels of a decision; a cause is a stable word, and whatever is none is not shown.
fn decided(outcome: &'static str, cause: &str) -> Words {
    [("outcome", outcome.into()), ("cause", stable_word(cause))]
}

/// Returns the cause of an abort if it is a word of the program, and else that it is none.
pub(crate) fn stable_word(cause: &str) -> Cow<'static, str> {
    let is_word = cause.len() <= CAUSE_BYTES_MAX
        && cause.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if is_word { Cow::Owned(cause.to_owned()) } else { Cow::Borrowed("OTHER") }
}

/// Returns the word of a vote.
pub(crate) fn vote_word(vote: &Vote) -> &'static str {
    match vote {
        Vote::Yes => "yes",
        Vote::ReadOnly => "read_only",
        Vote::No(Objection::Refused) => "no_refused",
        Vote::No(Objection::NotHeld) => "no_not_held",
        Vote::No(Objection::WrongInstallation) => "no_wrong_installation",
        Vote::No(Objection::Failed { .. }) => "no_check_failed",
    }
}

fn trial_word(trial: &Trial) -> &'static str {
    match trial {
        Trial::Done => "done",
        Trial::Failed { hopeless: false, .. } => "failed",
        Trial::Failed { hopeless: true, .. } => "refused",
        Trial::Unknown { .. } => "unknown",
    }
}

/// Where a program finds the span below which it goes on, as W3C trace context has it.
const TRACEPARENT: &str = "TRACEPARENT";
/// Longer words are no words of the program.
const CAUSE_BYTES_MAX: usize = 40;
