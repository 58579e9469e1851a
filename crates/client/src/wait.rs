//! Waiting for a job to come far enough.

use std::time::Duration;

use tokio::time::timeout;
use votum_ids::JobId;
use votum_wire::JobView;

use crate::{Client, ClientError};

/// How far a job must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Its decision is durable.
    Decided,
    /// Every participant has applied the decision.
    Ended,
    /// It has ended, or a lost participant keeps a commit from ending: a person decides.
    EndedOrHeldBack,
}

impl Until {
    /// Says whether a job has come this far.
    #[must_use]
    pub fn reached(self, job: &JobView) -> bool {
        match self {
            Self::Decided => job.decision.is_some() || job.state.is_final(),
            Self::Ended => job.state.is_final(),
            Self::EndedOrHeldBack => job.state.is_final() || job.is_held_back(),
        }
    }
}

impl Client {
    /// Waits until a job has come far enough, for ever if no limit is given.
    ///
    /// # Errors
    /// [`ClientError::NotYet`] with the job as it was seen last when the limit is over.
    pub async fn wait(
        &self,
        job: &JobId,
        until: Until,
        limit: Option<Duration>,
    ) -> Result<JobView, ClientError> {
        let mut last = None;
        let reached = async {
            let mut watch = self.watch(job);
            while let Some(next) = watch.next().await {
                let view = next?;
                if until.reached(&view) {
                    return Ok(view);
                }
                last = Some(view);
            }
            // A watch ends after a final state only, and that reaches everything.
            self.job(job).await
        };
        let Some(limit) = limit else { return reached.await };
        match timeout(limit, reached).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let job = match last {
                    Some(view) => view,
                    None => self.job(job).await?,
                };
                Err(ClientError::NotYet { job: Box::new(job), limit })
            }
        }
    }
}
