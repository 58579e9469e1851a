//! What is known of one open job, and the spans that its records, questions and answers end.

use std::{borrow::Cow, collections::BTreeMap};

use votum_commit::{CoordinatorRecord, Decision, Installation, Message, Reply};
use votum_ids::{AttemptId, FencingToken, JobId, TaskId, TxnId, WorkerId};
use votum_job::{AttemptEnd, FailureKind};
use votum_machine::WallTime;
use votum_schedule::{Attempt, Outcome, Record as Noted};

use super::{Context, context::SpanId};
use crate::{
    metrics::{stable_word, vote_word},
    record::{Closing, JobRecord},
};

pub(super) use super::span::{Kind, Span};

/// An open job, as far as spans are to be made of it.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    job: JobId,
    context: Context,
    /// Until the decision, which ends them all.
    tasks: BTreeMap<TaskId, Work>,
    round: Option<Round>,
    decided: Option<WallTime>,
    /// What was recorded and is not known to be durable.
    forcing: Option<Forcing>,
    /// Who was sent COMMIT, and when first; none once that has been acknowledged.
    told: BTreeMap<WorkerId, Option<WallTime>>,
    closed: bool,
}

/// A task, from its first attempt to the end of its last.
#[derive(Debug, Clone)]
struct Work {
    began: WallTime,
    ended: Option<WallTime>,
    failure: Option<&'static str>,
    live: Option<Live>,
}

/// The attempt of a task that has not ended.
#[derive(Debug, Clone)]
struct Live {
    token: FencingToken,
    number: u32,
    worker: WorkerId,
    assigned: WallTime,
}

/// A round that asks for votes.
#[derive(Debug, Clone)]
struct Round {
    txn: TxnId,
    opened: WallTime,
    /// Who was asked, and when first; none once the vote has come.
    asked: BTreeMap<WorkerId, Option<WallTime>>,
}

/// A span that ends when a record is durable.
#[derive(Debug, Clone)]
struct Forcing {
    span: Span,
    proof: Proof,
}

/// What proves that a record is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Whoever watches the job is woken.
    Woken,
    /// COMMIT leaves.
    Told,
}

impl Followed {
    /// Begins to follow a job of which nothing but this is known.
    pub(crate) fn new(job: JobId, context: Context) -> Self {
        let (tasks, told) = Default::default();
        Self { job, context, tasks, round: None, decided: None, forcing: None, told, closed: false }
    }

    /// Goes on with the attempts of a task that is not decided.
    pub(crate) fn resume_task(&mut self, task: TaskId, attempts: &[Attempt]) {
        let (Some(first), Some(last)) = (attempts.first(), attempts.last()) else { return };
        let (failure, live) = match &last.outcome {
            Outcome::Live => (None, Some(Live::of(last))),
            Outcome::Sealed { .. } => (None, None),
            Outcome::Failed { failure, .. } => (Some(failure.kind.reason()), None),
            Outcome::Lost => (Some(FailureKind::WorkerLost.reason()), None),
            Outcome::Superseded => (Some(SUPERSEDED), None),
        };
        let work = Work { began: first.assigned, ended: last.ended, failure, live };
        self.tasks.insert(task, work);
    }

    /// Goes on with a job that was decided then.
    pub(crate) fn resume_decided(&mut self, at: WallTime) {
        self.decided = Some(at);
    }

    /// Says whether nothing more will be told of it.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.forcing.is_none()
    }

    /// Returns the spans that a record ends.
    pub(super) fn record(&mut self, at: WallTime, record: &JobRecord) -> Vec<Span> {
        let mut spans = Vec::new();
        if let Some(noted) = &record.schedule {
            self.scheduled(at, noted, &mut spans);
        }
        if let Some(noted) = &record.commit {
            self.committed(at, record.prepared, noted, &mut spans);
        }
        if let Some(closing) = &record.closing {
            spans.push(self.whole(at, closing));
            self.closed = true;
        }
        spans
    }

    /// Returns the span that the words of a participant end.
    pub(super) fn hear(&mut self, at: WallTime, from: &Installation, reply: &Reply) -> Vec<Span> {
        let worker = &from.worker;
        let span = match reply {
            Reply::Voted { txn, vote } => self.voted(at, worker, txn, Some(vote_word(vote))),
            Reply::Acked { .. } | Reply::TookOver { .. } => {
                let since = self.told.get_mut(worker).and_then(Option::take);
                since.map(|since| {
                    let mut span = self.span(&["publish", worker.as_str()], "publish", since, at);
                    span.parent = Some(self.context.span(&["apply"]));
                    span.tell("votum.worker", worker.to_string())
                })
            }
            Reply::Declined { .. }
            | Reply::StoodDown { .. }
            | Reply::Forced(_)
            | Reply::Inquired { .. } => None,
        };
        span.into_iter().collect()
    }

    /// Returns the span that a message ends which leaves for a participant.
    pub(super) fn say(&mut self, at: WallTime, message: &Message) -> Vec<Span> {
        let mut spans = Vec::new();
        match message {
            // Taken before a decision of the same batch, it may leave after that.
            Message::Prepare { .. } if self.decided.is_some() => {}
            Message::Prepare { txn, holder, .. } => {
                if self.round.as_ref().is_none_or(|round| round.txn != *txn) {
                    self.end_round(at, None, Some("ROUND_ENDED"), &mut spans);
                    let (txn, asked) = (txn.clone(), BTreeMap::new());
                    self.round = Some(Round { txn, opened: at, asked });
                }
                if let Some(round) = &mut self.round {
                    round.asked.entry(holder.worker.clone()).or_insert(Some(at));
                }
            }
            Message::Commit { holder, .. } | Message::TakeOver { holder, .. } => {
                self.told.entry(holder.worker.clone()).or_insert(Some(at));
                spans.extend(self.forced(at, Proof::Told));
            }
            Message::Replaced { .. }
            | Message::Abort { .. }
            | Message::Undecided { .. }
            | Message::RoundEnded { .. }
            | Message::Noted { .. }
            | Message::Release { .. } => {}
        }
        spans
    }

    /// Returns the span that ends when what was recorded is durable.
    pub(super) fn durable(&mut self, at: WallTime) -> Vec<Span> {
        self.forced(at, Proof::Woken).into_iter().collect()
    }

    fn forced(&mut self, at: WallTime, proof: Proof) -> Option<Span> {
        let forcing = self.forcing.take_if(|forcing| forcing.proof == proof)?;
        Some(Span { ended: at, ..forcing.span })
    }

    fn scheduled(&mut self, at: WallTime, noted: &Noted, spans: &mut Vec<Span>) {
        match noted {
            Noted::Received { .. } => {
                let mut span = self.span(&["submit"], "submit", at, at);
                span.kind = Kind::Server;
                self.forcing = Some(Forcing { span, proof: Proof::Woken });
            }
            Noted::Assigned { attempt, number, worker, .. } => {
                // A consumer that is to run again is fenced without a word of its own.
                let fenced = self.tasks.get(&attempt.task).and_then(|work| work.live.clone());
                spans.extend(fenced.and_then(|live| {
                    self.end_attempt(at, &attempt.task, live.token, Some(SUPERSEDED))
                }));
                let (number, worker) = (*number, worker.clone());
                let live = Live { token: attempt.token, number, worker, assigned: at };
                let fresh = Work { began: at, ended: None, failure: None, live: None };
                self.tasks.entry(attempt.task.clone()).or_insert(fresh).live = Some(live);
            }
            Noted::Ended { attempt, end, .. } => {
                let failure = match end {
                    AttemptEnd::Sealed { .. } => None,
                    AttemptEnd::Failed { failure, .. } => Some(failure.kind.reason()),
                };
                spans.extend(self.end_attempt(at, &attempt.task, attempt.token, failure));
            }
            Noted::Lost { attempts, .. } => {
                let lost = Some(FailureKind::WorkerLost.reason());
                for AttemptId { task, token, .. } in attempts {
                    spans.extend(self.end_attempt(at, task, *token, lost));
                }
            }
            Noted::Started { .. }
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

    fn committed(
        &mut self,
        at: WallTime,
        prepared: Option<WallTime>,
        noted: &CoordinatorRecord,
        spans: &mut Vec<Span>,
    ) {
        match noted {
            CoordinatorRecord::CommitDecided { shares, .. } => {
                self.end_round(at, prepared, None, spans);
                self.end_tasks(at, spans);
                let span = self.span(&["decide"], "decide", at, at);
                let span = span.tell("votum.decision", "COMMIT");
                let proof = if shares.is_empty() { Proof::Woken } else { Proof::Told };
                self.forcing = Some(Forcing { span, proof });
                self.decided = Some(at);
            }
            CoordinatorRecord::Aborting { cause, .. } => {
                let why = stable_word(&cause.reason);
                self.end_round(at, prepared, Some("ABORTED"), spans);
                self.end_tasks(at, spans);
                let span = self.span(&["decide"], "decide", at, at);
                let span = span.tell("votum.decision", "ABORT").tell("votum.cause", why);
                self.forcing = Some(Forcing { span, proof: Proof::Woken });
                self.decided = Some(at);
            }
            CoordinatorRecord::Ended { .. } => {
                let began = self.decided.unwrap_or(at);
                spans.push(self.span(&["apply"], "apply", began, at));
            }
            CoordinatorRecord::Replaced { .. }
            | CoordinatorRecord::GivenUp { .. }
            | CoordinatorRecord::CaughtUp { .. }
            | CoordinatorRecord::Removed { .. }
            | CoordinatorRecord::Heuristic { .. } => {}
        }
    }

    fn end_attempt(
        &mut self,
        at: WallTime,
        task: &TaskId,
        token: FencingToken,
        failure: Option<&'static str>,
    ) -> Option<Span> {
        let work = self.tasks.get_mut(task)?;
        let live = work.live.take_if(|live| live.token == token)?;
        (work.ended, work.failure) = (Some(at), failure);
        let id = attempt_span(&self.context, task, token);
        let mut span = self.span(&[], "attempt", live.assigned, at);
        (span.id, span.parent) = (id, Some(self.context.span(&["task", task.as_str()])));
        span.failure = failure.map(Cow::Borrowed);
        let span = span.tell("votum.task.id", task.to_string());
        let span = span.tell("votum.worker", live.worker.to_string());
        Some(span.tell("votum.attempt.number", live.number.to_string()))
    }

    /// Ends every task with the decision; what still runs then is not wanted any longer.
    fn end_tasks(&mut self, at: WallTime, spans: &mut Vec<Span>) {
        let live: Vec<(TaskId, FencingToken)> = self
            .tasks
            .iter()
            .filter_map(|(task, work)| Some((task.clone(), work.live.as_ref()?.token)))
            .collect();
        for (task, token) in live {
            spans.extend(self.end_attempt(at, &task, token, Some("ABORTED")));
        }
        for (task, work) in std::mem::take(&mut self.tasks) {
            let ended = work.ended.unwrap_or(at);
            let mut span = self.span(&["task", task.as_str()], "task", work.began, ended);
            span.failure = work.failure.map(Cow::Borrowed);
            spans.push(span.tell("votum.task.id", task.to_string()));
        }
    }

    fn voted(
        &mut self,
        at: WallTime,
        worker: &WorkerId,
        txn: &TxnId,
        vote: Option<&'static str>,
    ) -> Option<Span> {
        let round = self.round.as_mut().filter(|round| round.txn == *txn)?;
        let asked = round.asked.get_mut(worker)?.take()?;
        let number = round_number(txn);
        let mut span = self.span(&["vote", &number, worker.as_str()], "vote", asked, at);
        span.parent = Some(self.context.span(&["prepare", &number]));
        span.failure = vote.is_none().then_some(Cow::Borrowed("NO_VOTE"));
        let span = span.tell("votum.worker", worker.to_string()).tell("votum.round", number);
        Some(span.tell("votum.vote", vote.unwrap_or("none")))
    }

    fn end_round(
        &mut self,
        at: WallTime,
        opened: Option<WallTime>,
        failure: Option<&'static str>,
        spans: &mut Vec<Span>,
    ) {
        let Some(round) = self.round.clone() else { return };
        for worker in round.asked.keys() {
            spans.extend(self.voted(at, worker, &round.txn, None));
        }
        self.round = None;
        let number = round_number(&round.txn);
        let opened = opened.unwrap_or(round.opened);
        let mut span = self.span(&["prepare", &number], "prepare", opened, at);
        span.failure = failure.map(Cow::Borrowed);
        spans.push(span.tell("votum.round", number));
    }

    fn whole(&self, at: WallTime, closing: &Closing) -> Span {
        let mut span = self.span(&["job"], "job", closing.received, at);
        span.parent = self.context.caller;
        let (outcome, failure) = match closing.decision {
            Decision::Commit => ("COMMITTED", None),
            Decision::Abort => ("ABORTED", Some(Cow::Borrowed("ABORTED"))),
        };
        span.failure = failure;
        span.tell("votum.job.outcome", outcome)
    }

    /// Makes a span below that of the job; its id follows from what it is.
    fn span(&self, words: &[&str], name: &'static str, began: WallTime, ended: WallTime) -> Span {
        let (context, kind) = (self.context, Kind::Internal);
        let (id, parent) = (context.span(words), Some(context.span(&["job"])));
        let attributes = vec![("votum.job.id", Cow::Owned(self.job.to_string()))];
        Span { context, id, parent, name, kind, began, ended, attributes, failure: None }
    }
}

impl Live {
    fn of(attempt: &Attempt) -> Self {
        let Attempt { id, number, worker, assigned, .. } = attempt;
        let (number, assigned) = (*number, *assigned);
        Self { token: id.token, number, worker: worker.clone(), assigned }
    }
}

/// Returns what the program of an attempt is given as `TRACEPARENT`.
pub(crate) fn traceparent(context: &Context, attempt: &AttemptId) -> String {
    context.traceparent(attempt_span(context, &attempt.task, attempt.token))
}

fn attempt_span(context: &Context, task: &TaskId, token: FencingToken) -> SpanId {
    context.span(&["attempt", task.as_str(), &token.to_string()])
}

/// Rounds of two starts of the coordinator may bear the same number.
fn round_number(txn: &TxnId) -> String {
    format!("{}.{}", txn.epoch, txn.counter)
}

/// What an attempt was fenced for: what it read was made again differently (R5).
const SUPERSEDED: &str = "SUPERSEDED";

#[cfg(test)]
mod tests;
