//! How people name a job: by its id, by the beginning of it, or by its display name.

use tonic::Code;
use votum_ids::JobId;
use votum_wire::request::{Detail, Wanted};

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
        let named = Wanted { display_name: Some(reference.to_owned()), ..Wanted::default() };
        if let [newest, ..] = self.jobs(&named, Detail::Basic, 1).await?.as_slice() {
            return Ok(newest.job.clone());
        }
        let begun = Wanted { prefix: Some(reference.to_owned()), ..Wanted::default() };
        let jobs = self.jobs(&begun, Detail::Basic, CANDIDATES_MAX).await?;
        match jobs.as_slice() {
            [] => Err(ClientError::NoSuchJob { reference: reference.to_owned() }),
            [only] => Ok(only.job.clone()),
            [_, _, ..] => {
                let candidates = jobs.into_iter().map(|view| view.job).collect();
                Err(ClientError::Ambiguous { reference: reference.to_owned(), candidates })
            }
        }
    }
}

/// So many jobs are named to somebody who was not clear enough.
const CANDIDATES_MAX: usize = 10;
