//! Colour, where it is wanted; the words carry the meaning without it.

use votum_wire::view::{JobState, JobView, TaskState, WorkerState};

/// How something is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Like everything else.
    #[default]
    Plain,
    /// Beside the point.
    Soft,
    /// Stands out.
    Strong,
    /// Well.
    Good,
    /// Under way.
    Busy,
    /// Odd, or waited for.
    Odd,
    /// Bad.
    Bad,
}

impl Tone {
    /// Returns the tone of a job's state.
    pub(crate) fn of_job(state: JobState) -> Self {
        match state {
            JobState::Committed => Self::Good,
            JobState::Running | JobState::Preparing | JobState::Committing => Self::Busy,
            JobState::Queued | JobState::AwaitingApproval => Self::Odd,
            JobState::Received => Self::Plain,
            JobState::Aborting | JobState::Aborted | JobState::Quarantined => Self::Bad,
        }
    }

    /// Returns the tone of a job: that of its state, unless it is held.
    pub(crate) fn of_view(view: &JobView) -> Self {
        if view.pause.is_some() { Self::Odd } else { Self::of_job(view.state) }
    }

    /// Returns the tone of a task's state.
    pub(crate) fn of_task(state: TaskState) -> Self {
        match state {
            TaskState::Waiting | TaskState::Discarded | TaskState::Cancelled => Self::Soft,
            TaskState::Ready | TaskState::Retrying => Self::Odd,
            TaskState::Starting | TaskState::Running => Self::Busy,
            TaskState::Staged | TaskState::Prepared | TaskState::Committed => Self::Good,
            TaskState::Failed => Self::Bad,
        }
    }

    /// Returns the tone of a worker's state.
    pub(crate) fn of_worker(state: WorkerState) -> Self {
        match state {
            WorkerState::Ready => Self::Good,
            WorkerState::Suspect
            | WorkerState::Reconciling
            | WorkerState::Absent
            | WorkerState::Draining
            | WorkerState::Drained => Self::Odd,
            WorkerState::Lost => Self::Bad,
        }
    }
}

/// Colours text, or leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Leaves it alone.
    Off,
    /// Colours it.
    On,
}

impl Paint {
    /// Returns the text in a tone.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        let code = match (self, tone) {
            (Self::Off, _) | (_, Tone::Plain) => return text.to_owned(),
            (Self::On, Tone::Soft) => "2",
            (Self::On, Tone::Strong) => "1",
            (Self::On, Tone::Good) => "32",
            (Self::On, Tone::Busy) => "36",
            (Self::On, Tone::Odd) => "33",
            (Self::On, Tone::Bad) => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
