//! Inquiries about jobs that are not open: presumed aborted, unless the journal remembers better (C6).

use votum_commit::{CoordinatorEvent, Installation, Message, Reply};
use votum_ids::{JobId, TxnId};
use votum_wire::FromCoordinator;

use super::Engine;
use crate::{action::Action, event::Past, turn::Turn};

impl Engine {
    /// Says whether presumption would answer an inquiry about the job.
    pub(super) fn is_past(&self, job: &JobId) -> bool {
        self.may_judge(job) && !self.jobs.contains_key(job)
    }

    /// Answers an inquiry about a job that was looked up.
    ///
    /// Whoever voted Yes in a round that committed has acknowledged before the job closed. If it
    /// asks again, its disk was set back, and what it would publish may have been replaced
    /// since: it is neither told to discard nor to publish, but to keep what it has (C9).
    pub(super) fn recalled(&mut self, turn: &mut Turn, from: Installation, txn: TxnId, past: Past) {
        if self.refuse(&from).is_some() {
            return;
        }
        let alarm = match past {
            // The id may have been given out again since.
            _ if self.jobs.contains_key(&txn.job) => None,
            Past::NotCommitted => None,
            Past::Committed => Some(format!(
                "{} is in doubt about {txn}, although the job {} has committed and it has acknowledged that; its disk was set back, so compare what it has published with the other workers",
                from.worker, txn.job
            )),
            Past::Unreadable => Some(format!("cannot read what became of the job {}", txn.job)),
        };
        match alarm {
            None => {
                let reply = Reply::Inquired { txn };
                self.commit(turn, CoordinatorEvent::Received { from, reply });
            }
            Some(alarm) => {
                turn.act(Action::Raise { alarm });
                let frame = FromCoordinator::Commit(Message::Undecided { txn });
                turn.act(Action::Send { worker: from.worker, frame });
            }
        }
    }
}
