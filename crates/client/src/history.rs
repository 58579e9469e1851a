//! The durable history of a job, and how a finished one is forgotten.

use votum_ids::JobId;
use votum_wire::{
    Translate as _,
    history::{EventPage, EventView, ListEvents},
    listing::DeleteJob,
};

use crate::{Client, ClientError};

impl Client {
    /// Reads the events of a job that follow one, oldest first; 0: from the beginning.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_FOUND`.
    pub async fn events(&self, job: &JobId, after: u64) -> Result<Vec<EventView>, ClientError> {
        let mut events = Vec::new();
        let mut after = after;
        loop {
            let page = self.event_page(job, after).await?;
            after = page.events.last().map_or(after, |last| last.id);
            let is_last = page.next.is_none() || page.events.is_empty();
            events.extend(page.events);
            if is_last {
                return Ok(events);
            }
        }
    }

    /// Reads one page of the events that follow one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_FOUND`.
    pub async fn event_page(&self, job: &JobId, after: u64) -> Result<EventPage, ClientError> {
        let request = ListEvents::request(job, PAGE_SIZE, after);
        let answer = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.list_events(request).await }
            })
            .await?;
        Ok(EventPage::from_proto(answer)?)
    }

    /// Forgets a job that has ended; durable when this returns. What it published stays.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `JOB_NOT_FOUND`, `JOB_NOT_ENDED` or `JOB_QUARANTINED`.
    pub async fn delete_job(&self, job: &JobId) -> Result<(), ClientError> {
        let request = DeleteJob { job: job.clone() }.to_proto();
        self.repeat(|| {
            let (mut jobs, request) = (self.jobs_service(), request.clone());
            async move { jobs.delete_job(request).await }
        })
        .await?;
        Ok(())
    }
}

/// How many events are asked for at once.
const PAGE_SIZE: usize = 1000;
