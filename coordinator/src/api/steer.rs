//! What clients want of a job that is not decided: pause, unpause, retry.

use tonic::Status;
use votum_ids::JobId;
use votum_wire::{status, view::JobView};

use super::{Desk, refused};
use crate::{
    action::{Answer, Refusal},
    question::{Question, Wish},
};

impl Desk {
    /// Hands a wish in and waits until it is durable.
    pub(super) async fn steer(
        &self,
        job: JobId,
        by: String,
        wish: Wish,
    ) -> Result<JobView, Status> {
        match self.put(Question::Steer { job, by, wish }).await? {
            Ok(Answer::Steered(view)) => Ok(*view),
            // It has ended, or never was.
            Err(Refusal::NotOpen { job }) => {
                let state = self.closed_job(&job)?.state;
                Err(status::decided(&job, state))
            }
            Err(refusal) => Err(refused(&refusal)),
            Ok(_) => Err(status::shutting_down()),
        }
    }
}
