//! Watching the list of jobs, over broken connections and restarts.

use tonic::Streaming;
use votum_proto::v1::{WatchJobsRequest, WatchJobsResponse};
use votum_wire::{Translate as _, listing::ListChange};

use crate::{Client, ClientError, backoff::Backoff, error::broken};

/// What changes in the list of jobs.
#[derive(Debug)]
pub struct ListWatch {
    client: Client,
    stream: Option<Streaming<WatchJobsResponse>>,
    /// Pauses between streams that bring nothing.
    backoff: Backoff,
}

impl Client {
    /// Watches the list of jobs.
    #[must_use]
    pub fn watch_list(&self) -> ListWatch {
        ListWatch { client: self.clone(), stream: None, backoff: Backoff::start() }
    }
}

impl ListWatch {
    /// Waits for the next change. The first is always [`ListChange::Missed`], and so is the first
    /// after a connection broke: whoever shows the list reads it then.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] when the patience is over; it may be asked again.
    pub async fn next(&mut self) -> Result<ListChange, ClientError> {
        loop {
            let Some(stream) = &mut self.stream else {
                let call = || {
                    let mut jobs = self.client.jobs_service();
                    async move { jobs.watch_jobs(WatchJobsRequest {}).await }
                };
                self.stream = Some(self.client.repeat(call).await?);
                return Ok(ListChange::Missed);
            };
            match stream.message().await {
                Ok(Some(change)) => {
                    self.backoff = Backoff::start();
                    return Ok(ListChange::from_proto(change)?);
                }
                ended => {
                    self.stream = None;
                    if let Err(status) = ended {
                        broken(self.client.address(), &status)?;
                    }
                    self.backoff.pause(None).await;
                }
            }
        }
    }
}
