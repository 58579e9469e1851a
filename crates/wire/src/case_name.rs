//! What a case is about, and how it is called.

use std::{fmt, str::FromStr};

use votum_ids::{JobId, TaskId, WorkerId};

use crate::{Fault, Malformed};

/// The name of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseName {
    /// The job; none for the coordinator's log as a whole.
    pub job: Option<JobId>,
    /// What of it.
    pub subject: Subject,
}

/// What of a job a case is about. No name of a task or an effect has a colon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An effect, or the task that is compensated.
    Hook(TaskId),
    /// A participant that is lost.
    Worker(WorkerId),
    /// The job's records, which cannot all be read.
    Log,
    /// What a stale log may lack: of a job, or of all.
    Stale,
}

impl CaseName {
    /// Names the case of an effect, or of the task that is compensated.
    #[must_use]
    pub fn hook(job: JobId, hook: TaskId) -> Self {
        Self { job: Some(job), subject: Subject::Hook(hook) }
    }

    /// Names the case of a lost participant.
    #[must_use]
    pub fn worker(job: JobId, worker: WorkerId) -> Self {
        Self { job: Some(job), subject: Subject::Worker(worker) }
    }

    /// Names the case of a job whose records cannot all be read.
    #[must_use]
    pub fn log(job: JobId) -> Self {
        Self { job: Some(job), subject: Subject::Log }
    }

    /// Names the case of a job whose decision a stale log may lack.
    #[must_use]
    pub fn stale(job: JobId) -> Self {
        Self { job: Some(job), subject: Subject::Stale }
    }

    /// Names the case of a stale log as a whole.
    #[must_use]
    pub fn stale_log() -> Self {
        Self { job: None, subject: Subject::Stale }
    }

    /// Returns the name as a resource of the API.
    #[must_use]
    pub fn resource(&self) -> String {
        match &self.job {
            Some(job) => format!("jobs/{job}/cases/{}", self.subject),
            None => format!("cases/{}", self.subject),
        }
    }

    /// Reads the resource name.
    ///
    /// # Errors
    /// [`Malformed`] when the text has not the form `jobs/{job}/cases/{subject}`, and does not
    /// name the stale log.
    pub fn read(field: &str, text: &str) -> Result<Self, Malformed> {
        if text == Self::stale_log().resource() {
            return Ok(Self::stale_log());
        }
        let parts = || {
            let (job, subject) = text.strip_prefix("jobs/")?.split_once("/cases/")?;
            let job = Some(JobId::new(job).ok()?);
            Some(Self { job, subject: subject.parse().ok()? })
        };
        let form = "jobs/{job}/cases/{subject}";
        parts().ok_or_else(|| Malformed::new(field, Fault::form(text, form)))
    }
}

impl fmt::Display for CaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.job {
            Some(job) => write!(f, "{job}/{}", self.subject),
            None => write!(f, "{}", self.subject),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hook(task) => write!(f, "{task}"),
            Self::Worker(worker) => write!(f, "{WORKER}{worker}"),
            Self::Log => f.write_str(LOG),
            Self::Stale => f.write_str(STALE),
        }
    }
}

impl FromStr for Subject {
    type Err = votum_ids::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(WORKER) {
            Some(worker) => Ok(Self::Worker(WorkerId::new(worker)?)),
            None if text == LOG => Ok(Self::Log),
            None if text == STALE => Ok(Self::Stale),
            None => Ok(Self::Hook(TaskId::new(text)?)),
        }
    }
}

/// Before the name of a worker.
const WORKER: &str = "worker:";
/// The name of what the log holds of the job.
const LOG: &str = "log:damaged";
/// The name of what a stale log may lack.
const STALE: &str = "log:stale";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for text in ["announce", "worker:s3", "log:damaged", "log:stale"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "worker:", "machine:s3", "log:", "a:b"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_stale_log_is_a_case_of_no_job() {
        let name = CaseName::stale_log();
        assert_eq!(
            (name.to_string(), name.resource()),
            ("log:stale".into(), "cases/log:stale".into())
        );
        assert_eq!(CaseName::read("name", "cases/log:stale").unwrap(), name);
        assert!(CaseName::read("name", "cases/log:damaged").is_err());
        let of_job = CaseName::stale(JobId::new("sales-7").unwrap());
        assert_eq!(CaseName::read("name", &of_job.resource()).unwrap(), of_job);
    }
}
