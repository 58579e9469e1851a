//! One execution of a task as the coordinator knows it, from its assignment on.

use votum_ids::{AttemptId, WorkerId, WorkerUid};
use votum_job::{Comeback, Failure, StagedOutput, Usage};
use votum_machine::WallTime;

use crate::Replica;

/// One execution of one task on one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// Counts the attempts of the task from 1, for people.
    pub number: u32,
    /// Who runs it.
    pub worker: WorkerId,
    /// On which installation.
    pub uid: WorkerUid,
    /// When it was given to the worker.
    pub assigned: WallTime,
    /// When the worker reported that its program runs.
    pub started: Option<WallTime>,
    /// When its end was recorded.
    pub ended: Option<WallTime>,
    /// Whether it was asked to stop because its job is paused: that end costs nobody an attempt.
    pub set_aside: bool,
    /// How it stands.
    pub outcome: Outcome,
    /// When its worker was heard of it again after it was given up, and what it was by then.
    pub comeback: Option<(WallTime, Comeback)>,
    /// Who ran it, and who held its outputs after that, where those were lost and another worker holds
    /// them by now; the oldest first. They may come back, and are released like everybody else.
    pub moved_from: Vec<WorkerId>,
}

/// How an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is the one that counts, and it has not ended.
    Live,
    /// Its outputs were sealed.
    Sealed {
        /// What was sealed.
        outputs: Vec<StagedOutput>,
        /// What it used.
        usage: Usage,
        /// Whether the worker still has them; false for ever once a loss is recorded.
        held: bool,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// What it used.
        usage: Usage,
    },
    /// It was lost with its worker.
    Lost,
    /// What it read or wrote was made again differently (R5).
    Superseded,
}

impl Attempt {
    /// Returns what is still held of what was sealed.
    #[must_use]
    pub fn held_outputs(&self) -> &[StagedOutput] {
        match &self.outcome {
            Outcome::Sealed { outputs, held: true, .. } => outputs,
            Outcome::Sealed { held: false, .. }
            | Outcome::Live
            | Outcome::Failed { .. }
            | Outcome::Lost
            | Outcome::Superseded => &[],
        }
    }

    /// Says whether its worker holds its seal; true also of a seal without outputs.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.outcome, Outcome::Sealed { held: true, .. })
    }

    pub(crate) fn is_live(&self) -> bool {
        self.outcome == Outcome::Live
    }

    /// Says whether its return is worth a note: it was given up, and none was made.
    pub(crate) fn may_come_back(&self) -> bool {
        self.outcome == Outcome::Lost && self.comeback.is_none()
    }

    pub(crate) fn close(&mut self, at: WallTime, outcome: Outcome) {
        self.ended = Some(at);
        self.outcome = outcome;
    }

    /// Notes that another worker holds what was sealed.
    pub(crate) fn move_to(&mut self, worker: WorkerId, replica: Replica) {
        let from = std::mem::replace(&mut self.worker, worker);
        self.moved_from.push(from);
        self.uid = replica.uid;
        if let Outcome::Sealed { outputs, .. } = &mut self.outcome {
            *outputs = replica.outputs;
        }
    }

    /// Notes that the worker no longer has what was sealed.
    pub(crate) fn let_go(&mut self) {
        if let Outcome::Sealed { held, .. } = &mut self.outcome {
            *held = false;
        }
    }
}
