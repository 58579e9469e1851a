//! What clients were promised, and nothing else: a call that failed may have done anything or nothing.

use std::collections::BTreeMap;

use votum_commit::Decision;
use votum_wire::{
    Verdict,
    view::{JobState, JobView},
};

use super::invariants::{Held, hold};
use crate::{
    action::{Answer, Refusal},
    replies::ReplyId,
};

/// A client's knowledge.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pending: BTreeMap<ReplyId, Call>,
    /// The job was received: it must end.
    pub(super) received: bool,
    /// How it must end, because somebody was told so, and by what.
    promised: Option<(Decision, &'static str)>,
    /// Calls that got no answer.
    pub(super) unknown: u32,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Submit,
    Cancel,
    Approve(Verdict),
    Show,
    /// Something of which nothing is promised but that it is done.
    Other,
}

impl Oracle {
    /// Notes that an answer is waited for.
    pub(super) fn ask(&mut self, reply: ReplyId, call: Call) {
        self.pending.insert(reply, call);
    }

    /// Says whether such a call waits for its answer.
    pub(super) fn waits_for(&self, call: Call) -> bool {
        self.pending.values().any(|pending| *pending == call)
    }

    /// The coordinator died: nobody knows what became of the calls.
    pub(super) fn lose_calls(&mut self) {
        self.unknown += u32::try_from(self.pending.len()).unwrap();
        self.pending.clear();
    }

    /// Takes an answer; `closed` is the job as the log shows it, once it is closed there.
    ///
    /// # Errors
    /// When it contradicts an earlier one.
    pub(super) fn hear(
        &mut self,
        reply: ReplyId,
        answer: &Answer,
        closed: Option<&JobView>,
    ) -> Held {
        let Some(call) = self.pending.remove(&reply) else { return Ok(()) };
        match (call, answer) {
            (Call::Submit, Answer::Received { .. }) => {
                self.received = true;
                Ok(())
            }
            (Call::Cancel, Answer::Cancelling(_)) => {
                self.promise(Decision::Abort, "a cancellation was accepted")
            }
            (Call::Cancel, Answer::Refused(Refusal::AlreadyCommitting { .. })) => {
                self.promise(Decision::Commit, "it was too late for a cancellation")
            }
            (Call::Approve(Verdict::Reject), Answer::Approved(_)) => {
                self.promise(Decision::Abort, "a rejection was accepted")
            }
            (Call::Show, Answer::Jobs(jobs)) => self.look(jobs.first().or(closed)),
            _ => Ok(()),
        }
    }

    /// Looks at the job as it is shown.
    ///
    /// # Errors
    /// When it was shown or promised otherwise.
    pub(super) fn look(&mut self, view: Option<&JobView>) -> Held {
        let Some(view) = view else {
            return hold(!self.received, || "a job that was received is not known".to_owned());
        };
        match view.state {
            JobState::Committing | JobState::Committed => {
                self.promise(Decision::Commit, "it was shown as decided to commit")
            }
            JobState::Aborting | JobState::Aborted => {
                self.promise(Decision::Abort, "it was shown as decided to abort")
            }
            JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing => hold(self.promised.is_none(), || {
                format!("{:?} was promised, and it is shown as {:?}", self.promised, view.state)
            }),
            JobState::Quarantined => Err("it is quarantined".to_owned()),
        }
    }

    fn promise(&mut self, decision: Decision, why: &'static str) -> Held {
        let (first, before) = *self.promised.get_or_insert((decision, why));
        hold(first == decision, || format!("{before}, and then {why}"))
    }
}

/// What it checks.
pub(super) const RULE: &str =
    "C12: what anybody was told is durable before: received, cancelled, approved, decided";
/// Where that comes from.
pub(super) const SOURCE: &str =
    "Herlihy, Wing 1990, linearizability; Jepsen: an operation without an answer may have happened";
