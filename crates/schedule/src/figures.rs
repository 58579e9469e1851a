//! The tasks of all open jobs in numbers: plain sums, computed when somebody looks.

use crate::{Scheduler, active_job::Phase};

/// How many tasks of open jobs stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskFigures {
    /// They wait for other tasks, for another attempt, or for a job that is held or in line.
    pub waiting: u64,
    /// They wait for a worker: the depth of the queue.
    pub ready: u64,
    /// An attempt of them is with a worker.
    pub live: u64,
    /// Their outputs are sealed.
    pub staged: u64,
}

impl TaskFigures {
    /// Returns each number with the word for it.
    #[must_use]
    pub fn by_state(&self) -> [(&'static str, u64); 4] {
        let Self { waiting, ready, live, staged } = *self;
        [("WAITING", waiting), ("READY", ready), ("LIVE", live), ("STAGED", staged)]
    }
}

impl Scheduler {
    /// Counts the tasks of jobs that still run; costs the same however many tasks a job has.
    #[must_use]
    pub fn task_figures(&self) -> TaskFigures {
        let mut figures = TaskFigures { ready: self.queue.len() as u64, ..TaskFigures::default() };
        let mut all = 0;
        for job in self.jobs.values() {
            figures.live += job.live as u64;
            figures.staged += job.staged as u64;
            // What an aborting job has not run it never will.
            if !matches!(job.phase, Phase::Aborting { .. }) {
                all += job.tasks.len() as u64;
            } else {
                all += (job.live + job.staged) as u64;
            }
        }
        figures.waiting = all.saturating_sub(figures.ready + figures.live + figures.staged);
        figures
    }
}
