//! Actions become frames, answers and wake-ups.

use tokio::sync::watch;
use votum_driver::Perform;

use crate::{
    action::Action, api::refused, changes::Changes, recall::Recall, replies::Replies,
    sessions::Sessions, webhooks::Webhooks,
};

/// The coordinator's hands. Nothing here waits.
#[derive(Debug)]
pub(crate) struct Performer {
    /// Where workers are reached.
    pub(crate) sessions: Sessions,
    /// Who waits for an answer.
    pub(crate) replies: Replies,
    /// Who watches a job.
    pub(crate) changes: Changes,
    /// Who sends the requests of webhooks.
    pub(crate) webhooks: Webhooks,
    /// Where it is looked up what became of a job.
    pub(crate) recall: Recall,
    /// Set once the coordinator shall start again from its log.
    pub(crate) again: watch::Sender<bool>,
}

impl Perform<Action> for Performer {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { worker, frame } | Action::SendDurable { worker, frame } => {
                self.sessions.send(&worker, frame);
            }
            Action::Refuse { installation, refusal } => {
                tracing::warn!(worker = %installation.worker, %refusal, "refuses a session");
                self.sessions.refuse(&installation, refused(&refusal));
            }
            Action::Reply { reply, answer } => self.replies.answer(reply, answer),
            Action::Post(post) => self.webhooks.send(*post),
            // One too many is dropped: whoever is in doubt asks again.
            Action::Recall { from, txn } => self.recall.look_up(from, txn),
            Action::RecallForced { from, heuristic } => self.recall.find_place(from, heuristic),
            Action::LookUp { job } => self.recall.find_end(job),
            Action::StartAgain => {
                self.again.send_replace(true);
            }
            Action::JobChanged { job } => self.changes.wake(&job),
            Action::Raise { alarm } => tracing::error!(%alarm, "the protocol excludes this"),
        }
    }
}
