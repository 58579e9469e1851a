//! What operators order about workers, and who may bear a worker's name.

use votum_commit::{Installation, Stage};
use votum_ids::{JobId, WorkerId};
use votum_schedule::{Admission, Drain, REMOVALS_MAX, Removal, WorkerView};
use votum_wire::Hello;

use super::Engine;
use crate::{
    action::{Answer, Refusal},
    question::Operation,
    turn::Turn,
    view,
};

impl Engine {
    /// Does what an operator orders; the order is durable before the answer (C12).
    pub(super) fn operate(
        &mut self,
        turn: &mut Turn,
        worker: WorkerId,
        operation: Operation,
        by: String,
        reason: String,
    ) -> Answer {
        let Some(before) = self.scheduler.worker(&worker) else {
            let deleted = self.scheduler.is_removed_worker(&worker);
            return Answer::Refused(Refusal::NoWorker { worker, deleted });
        };
        let ordered = self.anchor.at(turn.now());
        let event = match operation {
            Operation::Drain { time_limit } => {
                let drain = Drain { by, reason, ordered, time_limit };
                votum_schedule::Event::DrainOrdered { worker: worker.clone(), drain }
            }
            Operation::Resume => votum_schedule::Event::ResumeOrdered { worker: worker.clone() },
            Operation::Remove => {
                if let Some(refusal) = self.keep(&before) {
                    return Answer::Refused(refusal);
                }
                let removal = Removal { by, reason, ordered };
                votum_schedule::Event::RemovalOrdered { worker: worker.clone(), removal }
            }
        };
        self.schedule(turn, event);
        if operation == Operation::Remove {
            self.forget_removed();
        }
        // What was removed is shown as it was.
        let shown = self.scheduler.worker(&worker).unwrap_or(before);
        let view = self.with_damages(view::worker::one(self.anchor, shown, &self.scheduler));
        if operation == Operation::Remove {
            self.vitals.forget(&worker);
        }
        Answer::Ordered(Box::new(view))
    }

    /// Says why a worker cannot be removed; none: it can.
    fn keep(&self, view: &WorkerView) -> Option<Refusal> {
        let worker = view.registration.worker.clone();
        if view.connected {
            let (running, holding) = (view.running.len(), view.holds.len());
            return Some(Refusal::WorkerConnected { worker, running, holding });
        }
        let installation = Installation { worker: worker.clone(), uid: view.registration.uid };
        let jobs = self.undecided_without(&installation);
        if !jobs.is_empty() {
            return Some(Refusal::WorkerInDoubt { worker, jobs });
        }
        let max = REMOVALS_MAX;
        (view.removals >= max).then_some(Refusal::TooManyRemovals { worker, max })
    }

    /// Returns the jobs whose vote or commit waits for an installation: removing it would decide.
    fn undecided_without(&self, installation: &Installation) -> Vec<JobId> {
        let waits = |job: &&JobId| match self.commit.phase(job).map(|standing| standing.stage) {
            Some(Stage::Preparing { votes, .. }) => votes.contains_key(installation),
            Some(Stage::Delivering { unacked, .. }) => unacked.contains(installation),
            // It may be in doubt there, or hold all that is left of it.
            Some(Stage::Quarantined) => self.holds_quarantined(&installation.worker, job),
            // What is owed to one that was given up goes with it.
            Some(Stage::Working | Stage::Owing { .. } | Stage::Aborting { .. }) | None => false,
        };
        self.commit.jobs().filter(waits).cloned().collect()
    }

    /// Chooses the version of the protocol for a session, unless its worker is not admitted.
    pub(super) fn negotiate(&self, hello: &Hello) -> Result<u32, Refusal> {
        if let Some(refusal) = self.refuse(&hello.installation) {
            return Err(refusal);
        }
        let (ours, theirs) = (self.lease.protocols, hello.protocols);
        ours.chosen_with(theirs).map_err(|behind| Refusal::ProtocolMismatch {
            worker: hello.installation.worker.clone(),
            theirs,
            ours,
            behind,
        })
    }

    /// Says why an installation is not admitted under its name; none: it is.
    pub(super) fn refuse(&self, installation: &Installation) -> Option<Refusal> {
        let Installation { worker, uid } = installation;
        match self.scheduler.admission(worker, *uid) {
            Admission::Admitted => None,
            Admission::NameTaken { uid: holder } => {
                Some(Refusal::NameTaken { worker: worker.clone(), holder })
            }
            Admission::Removed(Removal { by, reason, .. }) => {
                Some(Refusal::WorkerRemoved { worker: worker.clone(), uid: *uid, by, reason })
            }
        }
    }
}
