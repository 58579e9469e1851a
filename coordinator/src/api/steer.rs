//! What clients want of a job that is not decided: pause, unpause, retry.

use tonic::Status;
use votum_ids::JobId;
use votum_wire::{status, view::JobView};

use super::{Desk, refused};
use crate::{
    action::{Answer, Refusal},
    event::{Event, Wish},
};

impl Desk {
    /// Hands a wish in and waits until it is durable.
    pub(super) async fn steer(
        &self,
        job: JobId,
        by: String,
        wish: Wish,
    ) -> Result<JobView, Status> {
        let (reply, caller) = self.replies.register();
        if !self.inbox.send(Event::Steer { reply, job, by, wish }).await {
            return Err(status::shutting_down());
        }
        match caller.answer().await {
            Some(Answer::Steered(view)) => Ok(*view),
            // It has ended, or never was.
            Some(Answer::Refused(Refusal::NotOpen { job })) => {
                let state = self.closed_job(&job)?.state;
                Err(status::decided(&job, state))
            }
            Some(Answer::Refused(refusal)) => Err(refused(&refusal)),
            Some(_) | None => Err(status::shutting_down()),
        }
    }
}
