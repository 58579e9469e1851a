//! A job that is held: who asks for it, and how it is shown.

use votum_ids::{JobId, TaskId};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Fault, Malformed, Translate,
    names::{job_name, read_job_name, read_scope, task_name},
    request::checked_reason,
    time::{read_timestamp, timestamp},
    translate::{Numbered, enumerated, numbered},
};

/// Asks for a job to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseJob {
    /// Which.
    pub job: JobId,
    /// Shown with the job, and told to the tasks that are asked to stop.
    pub reason: String,
    /// Whether the attempts that run are asked to stop.
    pub stop_running: bool,
}

impl Translate for PauseJob {
    type Proto = v1::PauseJobRequest;

    fn to_proto(&self) -> v1::PauseJobRequest {
        v1::PauseJobRequest {
            name: job_name(&self.job),
            reason: self.reason.clone(),
            stop_running: self.stop_running,
        }
    }

    fn from_proto(proto: v1::PauseJobRequest) -> Result<Self, Malformed> {
        Ok(Self {
            job: read_job_name("name", &proto.name)?,
            reason: checked_reason(proto.reason)?,
            stop_running: proto.stop_running,
        })
    }
}

/// Lets a job go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpauseJob {
    /// Which.
    pub job: JobId,
}

impl Translate for UnpauseJob {
    type Proto = v1::UnpauseJobRequest;

    fn to_proto(&self) -> v1::UnpauseJobRequest {
        v1::UnpauseJobRequest { name: job_name(&self.job) }
    }

    fn from_proto(proto: v1::UnpauseJobRequest) -> Result<Self, Malformed> {
        Ok(Self { job: read_job_name("name", &proto.name)? })
    }
}

/// Asks for tasks to be tried at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryJob {
    /// Of which job.
    pub job: JobId,
    /// Only this one; every one that waits for it if absent.
    pub task: Option<TaskId>,
}

impl Translate for RetryJob {
    type Proto = v1::RetryJobRequest;

    fn to_proto(&self) -> v1::RetryJobRequest {
        let name = match &self.task {
            Some(task) => task_name(&self.job, task),
            None => job_name(&self.job),
        };
        v1::RetryJobRequest { name }
    }

    fn from_proto(proto: v1::RetryJobRequest) -> Result<Self, Malformed> {
        let scope = read_scope("name", &proto.name)?;
        if scope.task.as_ref().is_some_and(|task| task.number.is_some()) {
            let fault = Fault::form(&proto.name, "jobs/{job}[/tasks/{task}]");
            return Err(Malformed::new("name", fault));
        }
        Ok(Self { job: scope.job, task: scope.task.map(|task| task.task) })
    }
}

/// Why nothing of a job is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseView {
    /// Who holds it.
    pub by: String,
    /// For people; may be empty.
    pub reason: String,
    /// Since when.
    pub since: WallTime,
    /// What made it pause.
    pub origin: PauseOrigin,
    /// Whether what ran was asked to stop.
    pub stop_running: bool,
}

/// What made a job pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseOrigin {
    /// A person asked for it.
    Asked,
    /// A task failed for good in a job that waits then.
    Exhausted,
}

numbered!(PauseOrigin, v1::PauseOrigin { Asked = Asked, Exhausted = Exhausted });

impl Translate for PauseView {
    type Proto = v1::JobPause;

    fn to_proto(&self) -> v1::JobPause {
        v1::JobPause {
            by: self.by.clone(),
            reason: self.reason.clone(),
            create_time: Some(timestamp(self.since)),
            origin: self.origin.number(),
            stop_running: self.stop_running,
        }
    }

    fn from_proto(proto: v1::JobPause) -> Result<Self, Malformed> {
        Ok(Self {
            by: proto.by,
            reason: proto.reason,
            since: read_timestamp("create_time", proto.create_time)?,
            origin: enumerated("origin", proto.origin)?,
            stop_running: proto.stop_running,
        })
    }
}
