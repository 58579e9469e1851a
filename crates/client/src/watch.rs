//! Watching one job: a view at every change, over broken connections and restarts.

use tonic::Streaming;
use votum_ids::JobId;
use votum_proto::v1::{WatchJobRequest, WatchJobResponse};
use votum_wire::{JobView, names};

use crate::{Client, ClientError, backoff::Backoff, client::read_job, error::broken};

/// The changes of one job.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    job: JobId,
    stream: Option<Streaming<WatchJobResponse>>,
    last: Option<JobView>,
    /// Pauses between streams that bring nothing.
    backoff: Backoff,
}

impl Client {
    /// Watches a job from its present state to its final one.
    #[must_use]
    pub fn watch(&self, job: &JobId) -> Watch {
        let backoff = Backoff::start();
        Watch { client: self.clone(), job: job.clone(), stream: None, last: None, backoff }
    }
}

impl Watch {
    /// Waits for the next view that differs from the one before; `None` after a final state.
    ///
    /// After an error the watch may be asked again, and connects again.
    pub async fn next(&mut self) -> Option<Result<JobView, ClientError>> {
        loop {
            if self.last.as_ref().is_some_and(|job| job.state.is_final()) {
                return None;
            }
            match self.step().await {
                Ok(Some(job)) if self.last.as_ref() == Some(&job) => {}
                Ok(Some(job)) => {
                    self.last = Some(job.clone());
                    self.backoff = Backoff::start();
                    return Some(Ok(job));
                }
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Receives one view, or opens the stream again when it broke.
    async fn step(&mut self) -> Result<Option<JobView>, ClientError> {
        let Some(stream) = &mut self.stream else {
            let request = WatchJobRequest { name: names::job_name(&self.job) };
            let call = || {
                let (mut jobs, request) = (self.client.jobs_service(), request.clone());
                async move { jobs.watch_job(request).await }
            };
            let stream = self.client.repeat(call).await?;
            self.stream = Some(stream);
            return Ok(None);
        };
        match stream.message().await {
            Ok(Some(answer)) => read_job(answer.job).map(Some),
            ended => {
                self.stream = None;
                // A coordinator that goes away in good order ends the stream without an error.
                if let Err(status) = ended {
                    tracing::debug!(
                        reason = status.message(),
                        "the watch broke off, and is begun again"
                    );
                    broken(self.client.address(), &status)?;
                }
                self.backoff.pause(None).await;
                Ok(None)
            }
        }
    }
}
