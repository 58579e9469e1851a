//! What the commit protocol has come to for a job, and what that makes of its tasks and outputs.

use votum_commit::{Cause, Decision, Installation, Stage, Vote};
use votum_ids::WorkerId;
use votum_schedule::TaskStanding;
use votum_wire::view::{JobState, OutputState, ParticipantView, TaskState};

use crate::{open_job::OpenJob, view::task::word};

/// What the commit protocol has come to for a job.
pub(crate) struct Fate {
    pub(crate) state: JobState,
    pub(crate) decision: Option<Decision>,
    pub(crate) cause: Option<Cause>,
    pub(crate) participants: Vec<ParticipantView>,
    /// Whether an aborted job keeps what is staged.
    pub(crate) kept: bool,
}

/// Returns the state of an open job; `kept` says that only what it staged outlives its abort,
/// `awaits` that it waits for a person before anything is voted on.
pub(crate) fn state(stage: Option<&Stage>, open: &OpenJob, kept: bool, awaits: bool) -> JobState {
    let started = open.started.is_some();
    match open.over {
        Some(Decision::Commit) => return JobState::Committed,
        Some(Decision::Abort) => return JobState::Aborted,
        None => {}
    }
    match stage {
        Some(Stage::Preparing { .. }) => JobState::Preparing,
        Some(Stage::Delivering { .. }) => JobState::Committing,
        Some(Stage::Owing { .. }) => JobState::Committed,
        // Nothing of it runs, and nothing of it ever becomes visible.
        Some(Stage::Aborting { .. }) if kept => JobState::Aborted,
        Some(Stage::Aborting { .. }) => JobState::Aborting,
        Some(Stage::Working) if awaits => JobState::AwaitingApproval,
        Some(Stage::Working | Stage::Quarantined) | None if open.since.is_none() => {
            JobState::Queued
        }
        Some(Stage::Working | Stage::Quarantined) | None if started => JobState::Running,
        Some(Stage::Working | Stage::Quarantined) | None => JobState::Received,
    }
}

impl Fate {
    pub(super) fn of(stage: Option<Stage>, open: &OpenJob) -> Self {
        let mut fate = Self {
            state: JobState::Running,
            decision: None,
            cause: None,
            participants: Vec::new(),
            kept: false,
        };
        if let Some(over) = open.over {
            fate.decision = Some(over);
            fate.cause.clone_from(&open.cause);
            let published = |holder: &Installation| ParticipantView {
                worker: holder.worker.clone(),
                vote: Some(Vote::Yes),
                acknowledged: open.missing(holder).is_none(),
            };
            fate.participants = open.publishers.iter().map(published).collect();
            return fate;
        }
        match stage {
            Some(Stage::Preparing { votes, .. }) => {
                let asked = votes.into_iter().map(|(holder, vote)| ParticipantView {
                    worker: holder.worker,
                    vote,
                    acknowledged: false,
                });
                fate.participants = asked.collect();
            }
            Some(Stage::Delivering { unacked, given_up, .. }) => {
                fate.decision = Some(Decision::Commit);
                let told = open.publishers.iter().map(|holder| ParticipantView {
                    worker: holder.worker.clone(),
                    vote: Some(Vote::Yes),
                    acknowledged: !unacked.contains(holder)
                        && !given_up.contains(holder)
                        && open.missing(holder).is_none(),
                });
                fate.participants = told.collect();
            }
            Some(Stage::Aborting { cause }) => {
                fate.decision = Some(Decision::Abort);
                fate.cause = Some(cause);
            }
            // Its end is recorded, so that it is over.
            Some(Stage::Owing { .. } | Stage::Working | Stage::Quarantined) | None => {}
        }
        fate
    }

    fn has_acknowledged(&self, worker: &WorkerId) -> bool {
        self.participants.iter().any(|one| one.acknowledged && one.worker == *worker)
    }

    /// Says whether the worker was given up and has published nothing since.
    fn is_missing(&self, worker: &WorkerId) -> bool {
        self.participants.iter().any(|one| !one.acknowledged && one.worker == *worker)
    }

    fn has_voted_yes(&self, worker: &WorkerId) -> bool {
        let yes = |one: &ParticipantView| one.vote == Some(Vote::Yes) && one.worker == *worker;
        self.participants.iter().any(yes)
    }

    pub(super) fn task_state(
        &self,
        standing: TaskStanding,
        worker: Option<&WorkerId>,
    ) -> TaskState {
        let staged = standing == TaskStanding::Staged;
        match (self.state, worker) {
            (JobState::Preparing, Some(worker)) if staged && self.has_voted_yes(worker) => {
                TaskState::Prepared
            }
            (JobState::Committing, Some(worker)) if staged && !self.has_acknowledged(worker) => {
                TaskState::Prepared
            }
            (JobState::Committed, Some(worker)) if staged && self.is_missing(worker) => {
                TaskState::Prepared
            }
            (JobState::Committing | JobState::Committed, _) if staged => TaskState::Committed,
            (JobState::Aborted, _) if staged && self.kept => TaskState::Staged,
            (JobState::Aborting | JobState::Aborted, _) if staged => TaskState::Discarded,
            (JobState::Aborted, _) if standing != TaskStanding::Failed => TaskState::Cancelled,
            _ => word(standing),
        }
    }

    pub(super) fn output_state(&self, worker: &WorkerId, publishes: bool) -> OutputState {
        match self.state {
            // What a quarantined job holds is shown as it was before the damage.
            JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Quarantined => OutputState::Staged,
            JobState::Preparing if publishes && self.has_voted_yes(worker) => OutputState::Prepared,
            JobState::Preparing => OutputState::Staged,
            JobState::Committing | JobState::Committed
                if publishes && self.has_acknowledged(worker) =>
            {
                OutputState::Published
            }
            JobState::Committing if publishes => OutputState::Prepared,
            JobState::Committed if publishes && self.is_missing(worker) => OutputState::Prepared,
            JobState::Committing => OutputState::Staged,
            JobState::Aborted if self.kept => OutputState::Staged,
            // Intermediates have served their purpose.
            JobState::Committed | JobState::Aborting | JobState::Aborted => OutputState::Discarded,
        }
    }
}
