//! How people name a job: by its id, by the beginning of it, or by its display name.

use tonic::Code;
use votum_ids::JobId;
use votum_wire::{
    JobView,
    request::{Detail, Wanted},
};

use crate::{Client, ClientError};

impl Client {
    /// Finds the job that a person means: the one with this id, else the newest of this display
    /// name, else the only one whose id begins so.
    ///
    /// # Errors
    /// [`ClientError::NoSuchJob`] and [`ClientError::Ambiguous`].
    pub async fn resolve(&self, reference: &str) -> Result<JobId, ClientError> {
        let reference = reference.strip_prefix("jobs/").unwrap_or(reference);
        if let Ok(job) = JobId::new(reference) {
            match self.job(&job).await {
                Ok(found) => return Ok(found.job),
                Err(ClientError::Refused(problem)) if problem.code == Code::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if reference.is_empty() {
            return Err(ClientError::NoSuchJob { reference: reference.to_owned() });
        }
        let jobs = self.jobs(&Wanted::default(), Detail::Basic, SEARCHED_MAX).await?;
        choose(reference, &jobs)
    }
}

/// Chooses among jobs, newest first.
fn choose(reference: &str, jobs: &[JobView]) -> Result<JobId, ClientError> {
    if let Some(newest) = jobs.iter().find(|job| job.display_name == reference) {
        return Ok(newest.job.clone());
    }
    let begins = |job: &&JobView| job.job.as_str().starts_with(reference);
    let mut candidates: Vec<JobId> =
        jobs.iter().filter(begins).map(|job| job.job.clone()).take(CANDIDATES_MAX).collect();
    match (candidates.pop(), candidates.is_empty()) {
        (None, _) => Err(ClientError::NoSuchJob { reference: reference.to_owned() }),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            candidates.push(last);
            Err(ClientError::Ambiguous { reference: reference.to_owned(), candidates })
        }
    }
}

/// Among so many of the newest jobs a name or a beginning is looked for.
const SEARCHED_MAX: usize = 10_000;
/// So many jobs are named to somebody who was not clear enough.
const CANDIDATES_MAX: usize = 10;
