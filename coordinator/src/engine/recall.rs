//! Inquiries: what a worker in doubt is told, and what the journal is asked before anything is presumed (C6).

use votum_commit::{CoordinatorEvent, Decision, Installation, Message, Reply};
use votum_ids::TxnId;
use votum_wire::FromCoordinator;

use super::Engine;
use crate::{action::Action, event::Past, open_job::OpenJob, turn::Turn};

impl Engine {
    /// Answers a worker that is in doubt about a round.
    ///
    /// Presumption is for what nobody remembers: a job that is not open, or over for everybody else,
    /// is looked up first.
    pub(super) fn inquired(&mut self, turn: &mut Turn, from: Installation, txn: TxnId) {
        if self.commit.is_stale() && self.peers_know(&txn) {
            return; // Silence sends it to its peers.
        }
        match self.jobs.get(&txn.job).map(|open| open.over) {
            None if self.may_judge(&txn.job) => turn.act(Action::Recall { from, txn }),
            // It was given up, and comes back (C14).
            Some(Some(Decision::Commit)) if self.owed(&txn.job).contains(&from) => {
                self.answer(turn, from, txn, false);
            }
            Some(Some(Decision::Commit)) => turn.act(Action::Recall { from, txn }),
            None | Some(None | Some(Decision::Abort)) => self.answer(turn, from, txn, false),
        }
    }

    /// Answers a worker that knows of a commit, and asks whether another publishes by now (C13).
    ///
    /// Of a job that is closed everything has been acknowledged: nothing is left to be published.
    pub(super) fn asked_for_publisher(&mut self, turn: &mut Turn, from: Installation, txn: TxnId) {
        match self.jobs.get(&txn.job).map(|open| open.over) {
            None => self.release_leftover(&from.worker, txn.job),
            // It has acknowledged, and is released when the job is settled.
            Some(Some(Decision::Commit)) if !self.owed(&txn.job).contains(&from) => {}
            Some(None | Some(_)) => self.answer(turn, from, txn, true),
        }
    }

    /// Answers an inquiry about a job that was looked up.
    pub(super) fn recalled(&mut self, turn: &mut Turn, from: Installation, txn: TxnId, past: Past) {
        if self.refuse(&from).is_some() {
            return;
        }
        let over = |open: &OpenJob| open.over == Some(Decision::Commit);
        match past {
            // The id may have been given out again since.
            _ if self.jobs.get(&txn.job).is_some_and(|open| !over(open)) => {
                self.answer(turn, from, txn, false);
            }
            // What it promised in a round that ended without commit binds nobody (C10).
            Past::OtherRoundCommitted => {
                // An open job may have an effect there; its end releases everything.
                if !self.jobs.contains_key(&txn.job) {
                    self.release_leftover(&from.worker, txn.job.clone());
                }
                let frame = FromCoordinator::Commit(Message::RoundEnded { txn });
                turn.act(Action::Send { worker: from.worker, frame });
            }
            // It is over for everyone else, so nobody would ever release it there.
            Past::NotCommitted => {
                self.release_leftover(&from.worker, txn.job.clone());
                self.answer(turn, from, txn, false);
            }
            Past::Committed => {
                let alarm = format!(
                    "{} is in doubt about {txn}, although the job {} has committed and it has acknowledged that; its disk was set back, so compare what it has published with the other workers",
                    from.worker, txn.job
                );
                leave_in_doubt(turn, from, txn, alarm);
            }
            Past::Unreadable => {
                let alarm = format!("cannot read what became of the job {}", txn.job);
                leave_in_doubt(turn, from, txn, alarm);
            }
        }
    }

    fn answer(&mut self, turn: &mut Turn, from: Installation, txn: TxnId, committed: bool) {
        let reply = Reply::Inquired { txn, committed };
        self.overhear(turn.now(), &from, &reply);
        self.commit(turn, CoordinatorEvent::Received { from, reply });
    }
}

/// Whoever voted Yes in the round that committed has acknowledged before the round ended here.
/// If it asks again, its disk was set back, and what it would publish may have been replaced
/// since: it is neither told to discard nor to publish, but to keep what it has (C9).
fn leave_in_doubt(turn: &mut Turn, from: Installation, txn: TxnId, alarm: String) {
    turn.act(Action::Raise { alarm });
    let frame = FromCoordinator::Commit(Message::Undecided { txn });
    turn.act(Action::Send { worker: from.worker, frame });
}
