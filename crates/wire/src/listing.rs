//! What changes in the list of jobs, and how a job leaves it.

use votum_ids::JobId;
use votum_proto::v1::{self, watch_jobs_response::Change};

use crate::{
    Fault, JobView, Malformed, Translate,
    names::{job_name, read_job_name},
    translate::set,
};

/// A change of the list of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// The job as it is, without details.
    Job(Box<JobView>),
    /// The job is no longer in the list.
    Deleted(JobId),
    /// Changes were missed: list again.
    Missed,
}

impl Translate for ListChange {
    type Proto = v1::WatchJobsResponse;

    fn to_proto(&self) -> v1::WatchJobsResponse {
        let change = match self {
            Self::Job(view) => Change::Job(view.to_proto()),
            Self::Deleted(job) => Change::DeletedJob(job_name(job)),
            Self::Missed => Change::Missed(true),
        };
        v1::WatchJobsResponse { change: Some(change) }
    }

    fn from_proto(proto: v1::WatchJobsResponse) -> Result<Self, Malformed> {
        match set("change", proto.change)? {
            Change::Job(view) => {
                let view = JobView::from_proto(view).map_err(|wrong| wrong.below("job"))?;
                Ok(Self::Job(Box::new(view)))
            }
            Change::DeletedJob(name) => Ok(Self::Deleted(read_job_name("deleted_job", &name)?)),
            Change::Missed(true) => Ok(Self::Missed),
            Change::Missed(false) => {
                let fault = Fault::Meaningless("it is only sent when it is so".to_owned());
                Err(Malformed { field: "missed".to_owned(), fault })
            }
        }
    }
}

/// Asks for a job that has ended to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteJob {
    /// Which.
    pub job: JobId,
}

impl Translate for DeleteJob {
    type Proto = v1::DeleteJobRequest;

    fn to_proto(&self) -> v1::DeleteJobRequest {
        v1::DeleteJobRequest { name: job_name(&self.job) }
    }

    fn from_proto(proto: v1::DeleteJobRequest) -> Result<Self, Malformed> {
        Ok(Self { job: read_job_name("name", &proto.name)? })
    }
}
