//! How people name a job: by its id, by the beginning of it, or by its display name.

use tonic::Code;
use votum_ids::JobId;
use votum_wire::request::{Detail, Wanted};

use crate::{Client, ClientError};

impl Client {
    /// Finds the job that a person means: the one with this id, else the newest of this display
    /// name, else the only one whose id begins so. Where there is none, one whose records were
    /// removed is found in the same order.
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
        for removed in [false, true] {
            if let Some(found) = self.named(reference, removed).await? {
                return Ok(found);
            }
        }
        Err(ClientError::NoSuchJob { reference: reference.to_owned() })
    }

    /// Finds a job by its name or the beginning of its id; removed ones are looked for apart.
    async fn named(&self, reference: &str, removed: bool) -> Result<Option<JobId>, ClientError> {
        let text = Some(reference.to_owned());
        let named = Wanted { display_name: text.clone(), removed, ..Wanted::default() };
        if let [newest, ..] = self.jobs(&named, Detail::Basic, 1).await?.as_slice() {
            return Ok(Some(newest.job.clone()));
        }
        let begun = Wanted { prefix: text, removed, ..Wanted::default() };
        let mut jobs = self.jobs(&begun, Detail::Basic, CANDIDATES_MAX).await?;
        if jobs.len() > 1 {
            let candidates = jobs.into_iter().map(|view| view.job).collect();
            return Err(ClientError::Ambiguous { reference: reference.to_owned(), candidates });
        }
        Ok(jobs.pop().map(|only| only.job))
    }
}

/// So many jobs are named to somebody who was not clear enough.
const CANDIDATES_MAX: usize = 10;
