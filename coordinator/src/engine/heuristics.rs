//! What a person has forced at a worker that was in doubt: noted in the history of its job (H2).
//!
//! The commit coordinator takes it while it has something to decide or to wait for. A job that is
//! over takes it as a note: whoever was in doubt may come back long after everybody else is done.

use votum_commit::{
    CoordinatorEvent, CoordinatorRecord, Decision, Heuristic, Installation, Message, Reply,
};
use votum_ids::TxnId;
use votum_wire::FromCoordinator;

use super::Engine;
use crate::{action::Action, event::Place, turn::Turn};

impl Engine {
    /// Takes the word of a worker that something was forced there.
    pub(super) fn forced(&mut self, turn: &mut Turn, from: Installation, heuristic: Heuristic) {
        let job = heuristic.txn.job.clone();
        match self.jobs.get(&job) {
            // It stays open for what its decision has left; its end releases everybody.
            Some(open) if open.over.is_some() && self.commit.phase(&job).is_none() => {
                let txn = heuristic.txn.clone();
                if !open.has_heard(&from, &txn) {
                    self.note_forced(turn, &from, heuristic);
                }
                turn.act(noted(&from, txn));
            }
            Some(_) => {
                turn.changed(&job);
                let reply = Reply::Forced(heuristic);
                self.commit(turn, CoordinatorEvent::Received { from, reply });
            }
            None if self.may_judge(&job) => {
                turn.act(Action::RecallForced { from, heuristic: Box::new(heuristic) });
            }
            // What is missing may be the decision: it is kept there, and told again (C9).
            None => {}
        }
    }

    /// Adds it to the history of a job that is closed, and lets the worker forget the job.
    pub(super) fn place_forced(
        &mut self,
        turn: &mut Turn,
        from: &Installation,
        heuristic: Heuristic,
        place: Place,
    ) {
        // The id may have been given out again since; then it is told again.
        if self.refuse(from).is_some() || self.knows(&heuristic.txn.job) {
            return;
        }
        let txn = heuristic.txn.clone();
        match place {
            Place::Unreadable => return,
            Place::Noted => {}
            Place::Closed(closing) => {
                self.note_forced(turn, from, heuristic);
                turn.close(*closing);
            }
            Place::Gone => turn.act(Action::Raise { alarm: homeless(from, &heuristic) }),
        }
        turn.act(noted(from, txn.clone()));
        self.release_leftover(&from.worker, txn.job);
    }

    fn note_forced(&mut self, turn: &mut Turn, from: &Installation, heuristic: Heuristic) {
        let record = CoordinatorRecord::Heuristic { holder: from.clone(), heuristic };
        self.note(turn.now(), Some(record.job().clone()), None, Some(&record));
        turn.commit_record(record);
    }
}

/// Says that something was forced about a job of which the log has no history.
fn homeless(from: &Installation, heuristic: &Heuristic) -> String {
    let Heuristic { txn, outcome, forced, .. } = heuristic;
    let did = match outcome {
        Decision::Commit => "publish its outputs",
        Decision::Abort => "publish nothing",
    };
    format!(
        "{} made {} {did} of round {txn} while it was in doubt ({}); the log has no history of that job to note it in",
        forced.by, from.worker, forced.reason
    )
}

fn noted(to: &Installation, txn: TxnId) -> Action {
    let frame = FromCoordinator::Commit(Message::Noted { txn });
    Action::SendDurable { worker: to.worker.clone(), frame }
}
