//! The rescue of an aborted job: who asks for it, what it makes of each task, and who gave up on it.

use std::collections::BTreeMap;

use tonic::Status;
use votum_ids::{JobId, RequestId, TaskId, WorkerId};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    JobView, Malformed, Translate,
    names::{job_name, read_job_name, read_worker_name, worker_name},
    time::{read_timestamp, timestamp},
    translate::{parse, read_all, read_if_any, uuid, write_all},
};

/// Asks for a job that takes over what an aborted one has staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescueJob {
    /// The aborted job.
    pub job: JobId,
    /// Recognises a repeated request.
    pub request: Option<RequestId>,
    /// Say what would be done; nothing is received.
    pub validate_only: bool,
}

impl RescueJob {
    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the field that means nothing.
    pub fn read(proto: v1::RescueJobRequest) -> Result<Self, Status> {
        Self::from_proto(proto).map_err(|malformed| crate::status::malformed(&malformed))
    }
}

impl Translate for RescueJob {
    type Proto = v1::RescueJobRequest;

    fn to_proto(&self) -> v1::RescueJobRequest {
        v1::RescueJobRequest {
            name: job_name(&self.job),
            request_id: self.request.as_ref().map(RequestId::to_string).unwrap_or_default(),
            validate_only: self.validate_only,
        }
    }

    fn from_proto(proto: v1::RescueJobRequest) -> Result<Self, Malformed> {
        let request = match proto.request_id.as_str() {
            "" => None,
            text => Some(RequestId(uuid("request_id", text)?)),
        };
        let job = read_job_name("name", &proto.name)?;
        Ok(Self { job, request, validate_only: proto.validate_only })
    }
}

/// Answers a rescue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// What it makes of each task; empty if the same request had been received before.
    pub plan: Vec<RescuedTask>,
    /// The durable job; absent if nothing was to be received.
    pub job: Option<JobView>,
    /// The same request had been received before.
    pub duplicate: bool,
}

impl Translate for Rescued {
    type Proto = v1::RescueJobResponse;

    fn to_proto(&self) -> v1::RescueJobResponse {
        v1::RescueJobResponse {
            tasks: write_all(&self.plan),
            job: self.job.as_ref().map(Translate::to_proto),
            duplicate: self.duplicate,
        }
    }

    fn from_proto(proto: v1::RescueJobResponse) -> Result<Self, Malformed> {
        Ok(Self {
            plan: read_all("tasks", proto.tasks)?,
            job: read_if_any("job", proto.job)?,
            duplicate: proto.duplicate,
        })
    }
}

/// What a rescue makes of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescuedTask {
    /// The task.
    pub task: TaskId,
    /// Who holds what is taken over; absent: it runs again.
    pub holder: Option<WorkerId>,
    /// Why it runs again, for people; empty if it is taken over.
    pub runs: String,
}

impl Translate for RescuedTask {
    type Proto = v1::RescuedTask;

    fn to_proto(&self) -> v1::RescuedTask {
        v1::RescuedTask {
            task: self.task.to_string(),
            worker: self.holder.as_ref().map(worker_name).unwrap_or_default(),
            reason: self.runs.clone(),
        }
    }

    fn from_proto(proto: v1::RescuedTask) -> Result<Self, Malformed> {
        let holder = match proto.worker.as_str() {
            "" => None,
            name => Some(read_worker_name("worker", name)?),
        };
        Ok(Self { task: parse("task", &proto.task)?, holder, runs: proto.reason })
    }
}

/// What an aborted job kept for a rescue and somebody gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReleaseView {
    /// Who gave it up.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When that was durable.
    pub at: WallTime,
    /// Whose outputs, and on which worker each lay; at most one entry for each task of the job.
    pub kept: BTreeMap<TaskId, WorkerId>,
}

impl Translate for KeptReleaseView {
    type Proto = v1::KeptRelease;

    fn to_proto(&self) -> v1::KeptRelease {
        let task = |(task, worker): (&TaskId, &WorkerId)| v1::KeptTask {
            task: task.to_string(),
            worker: worker_name(worker),
        };
        v1::KeptRelease {
            by: self.by.clone(),
            reason: self.reason.clone(),
            create_time: Some(timestamp(self.at)),
            tasks: self.kept.iter().map(task).collect(),
        }
    }

    fn from_proto(proto: v1::KeptRelease) -> Result<Self, Malformed> {
        let task = |(i, kept): (usize, v1::KeptTask)| {
            let read =
                || Ok((parse("task", &kept.task)?, read_worker_name("worker", &kept.worker)?));
            read().map_err(|malformed: Malformed| malformed.below(format_args!("tasks[{i}]")))
        };
        Ok(Self {
            by: proto.by,
            reason: proto.reason,
            at: read_timestamp("create_time", proto.create_time)?,
            kept: proto.tasks.into_iter().enumerate().map(task).collect::<Result<_, _>>()?,
        })
    }
}
