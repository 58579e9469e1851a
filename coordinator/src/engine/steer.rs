//! What a person wants of a job that is not decided: hold it, let it go, try again at once.

use votum_commit::Decision;
use votum_ids::JobId;
use votum_schedule::Event as Asked;

use super::Engine;
use crate::{
    action::{Answer, Refusal},
    question::Wish,
    turn::Turn,
};

impl Engine {
    /// Fulfils a wish, or says why it changes nothing; the answer waits for the record (C12).
    pub(super) fn steer(&mut self, turn: &mut Turn, job: JobId, by: String, wish: Wish) -> Answer {
        if let Err(refusal) = self.may_steer(turn, &job, &wish) {
            return Answer::Refused(refusal);
        }
        let event = match wish {
            Wish::Pause { reason, live } => {
                Asked::PauseAsked { job: job.clone(), by, reason, live }
            }
            Wish::Unpause => Asked::UnpauseAsked { job: job.clone(), by },
            Wish::Retry { task } => Asked::RetryAsked { job: job.clone(), task, by },
        };
        self.schedule(turn, event);
        let view = self.view(turn.now(), &job).expect("a wish does not end the job");
        Answer::Steered(Box::new(view))
    }

    fn may_steer(&self, turn: &Turn, job: &JobId, wish: &Wish) -> Result<(), Refusal> {
        self.not_quarantined(job)?;
        let Some(view) = self.view(turn.now(), job) else {
            return Err(Refusal::NotOpen { job: job.clone() });
        };
        if self.commit.is_stale() {
            return Err(Refusal::LogStale);
        }
        let decision = view.decision;
        if let Some(Decision::Commit | Decision::Abort) = decision {
            return Err(Refusal::Decided { job: job.clone(), state: view.state });
        }
        match wish {
            Wish::Pause { .. } => Ok(()),
            Wish::Unpause if !self.scheduler.holds(job).is_empty() => Ok(()),
            Wish::Unpause => Err(Refusal::NotPaused { job: job.clone() }),
            Wish::Retry { task: Some(task) } if view.tasks.iter().all(|one| one.task != *task) => {
                Err(Refusal::NoSuchTask { job: job.clone(), task: task.clone() })
            }
            Wish::Retry { task } if self.scheduler.retryable(job, task.as_ref()).is_empty() => {
                Err(Refusal::NothingToRetry { job: job.clone(), task: task.clone() })
            }
            Wish::Retry { .. } => Ok(()),
        }
    }
}
