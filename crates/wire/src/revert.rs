//! The revert of a committed job: who asks for it, and what stands at each target afterwards.

use tonic::Status;
use votum_ids::{JobId, RequestId, WorkerId};
use votum_proto::{v1, worker::v1 as worker};

use crate::{
    Fault, JobView, Malformed, Translate,
    names::{job_name, read_job_name, read_worker_name, worker_name},
    output::OutputId,
    request::checked_reason,
    translate::{read_all, read_if_any, uuid, write_all},
};

/// Asks for a job that puts back what stood at the targets of a committed one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertJob {
    /// The committed job.
    pub job: JobId,
    /// Recognises a repeated request.
    pub request: Option<RequestId>,
    /// Say what would be put back; nothing is received.
    pub validate_only: bool,
    /// Why; may be empty.
    pub reason: String,
}

impl RevertJob {
    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the field that means nothing.
    pub fn read(proto: v1::RevertJobRequest) -> Result<Self, Status> {
        Self::from_proto(proto).map_err(|malformed| crate::status::malformed(&malformed))
    }
}

impl Translate for RevertJob {
    type Proto = v1::RevertJobRequest;

    fn to_proto(&self) -> v1::RevertJobRequest {
        v1::RevertJobRequest {
            name: job_name(&self.job),
            request_id: self.request.as_ref().map(RequestId::to_string).unwrap_or_default(),
            validate_only: self.validate_only,
            reason: self.reason.clone(),
        }
    }

    fn from_proto(proto: v1::RevertJobRequest) -> Result<Self, Malformed> {
        let request = match proto.request_id.as_str() {
            "" => None,
            text => Some(RequestId(uuid("request_id", text)?)),
        };
        let job = read_job_name("name", &proto.name)?;
        let reason = checked_reason(proto.reason)?;
        Ok(Self { job, request, validate_only: proto.validate_only, reason })
    }
}

/// Answers a revert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// What is put back where; empty if the same request had been received before.
    pub targets: Vec<RevertedTarget>,
    /// The durable job; absent if nothing was to be received.
    pub job: Option<JobView>,
    /// The same request had been received before.
    pub duplicate: bool,
}

impl Translate for Reverted {
    type Proto = v1::RevertJobResponse;

    fn to_proto(&self) -> v1::RevertJobResponse {
        v1::RevertJobResponse {
            targets: write_all(&self.targets),
            job: self.job.as_ref().map(Translate::to_proto),
            duplicate: self.duplicate,
        }
    }

    fn from_proto(proto: v1::RevertJobResponse) -> Result<Self, Malformed> {
        Ok(Self {
            targets: read_all("targets", proto.targets)?,
            job: read_if_any("job", proto.job)?,
            duplicate: proto.duplicate,
        })
    }
}

/// A target, and what is put back there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertedTarget {
    /// What stands there until then.
    pub output: OutputId,
    /// On which worker.
    pub worker: WorkerId,
    /// Where.
    pub path: String,
    /// What stands there afterwards.
    pub then: Earlier,
}

/// What is put back at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: the target was new.
    Nothing,
    /// The output of a job.
    Of(JobId),
    /// Something that no job had published.
    Ordinary,
}

impl Translate for RevertedTarget {
    type Proto = v1::RevertedTarget;

    fn to_proto(&self) -> v1::RevertedTarget {
        v1::RevertedTarget {
            output: self.output.to_string(),
            worker: worker_name(&self.worker),
            path: self.path.clone(),
            job: match &self.then {
                Earlier::Of(job) => job_name(job),
                Earlier::Nothing | Earlier::Ordinary => String::new(),
            },
            ordinary: self.then == Earlier::Ordinary,
        }
    }

    fn from_proto(proto: v1::RevertedTarget) -> Result<Self, Malformed> {
        Ok(Self {
            output: OutputId::read(&proto.output)?,
            worker: read_worker_name("worker", &proto.worker)?,
            path: proto.path,
            then: match proto.job.as_str() {
                "" if proto.ordinary => Earlier::Ordinary,
                "" => Earlier::Nothing,
                name => Earlier::Of(read_job_name("job", name)?),
            },
        })
    }
}

/// What stood at a target before an output was published there, as its worker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlierContent {
    /// It is kept.
    Kept(Earlier),
    /// The output of another job, which is not kept any more.
    Retired {
        /// Whose.
        job: JobId,
        /// For people.
        problem: String,
    },
    /// Something that cannot be put back.
    NotRevertible {
        /// Why, for people.
        problem: String,
    },
}

impl Translate for EarlierContent {
    type Proto = worker::EarlierContent;

    fn to_proto(&self) -> worker::EarlierContent {
        use worker::EarlierState as State;
        let (state, job, problem) = match self {
            Self::Kept(Earlier::Nothing) => (State::Nothing, None, ""),
            Self::Kept(Earlier::Of(job)) => (State::Kept, Some(job), ""),
            Self::Kept(Earlier::Ordinary) => (State::Ordinary, None, ""),
            Self::Retired { job, problem } => (State::Retired, Some(job), problem.as_str()),
            Self::NotRevertible { problem } => (State::NotRevertible, None, problem.as_str()),
        };
        worker::EarlierContent {
            state: state.into(),
            job: job.map(job_name).unwrap_or_default(),
            problem: problem.to_owned(),
        }
    }

    fn from_proto(proto: worker::EarlierContent) -> Result<Self, Malformed> {
        use worker::EarlierState as State;
        let unknown = || Malformed::new("state", Fault::UnknownValue(proto.state));
        let job = || read_job_name("job", &proto.job);
        Ok(match State::try_from(proto.state).map_err(|_| unknown())? {
            State::Unspecified => return Err(unknown()),
            State::Nothing => Self::Kept(Earlier::Nothing),
            State::Kept => Self::Kept(Earlier::Of(job()?)),
            State::Ordinary => Self::Kept(Earlier::Ordinary),
            State::Retired => Self::Retired { job: job()?, problem: proto.problem },
            State::NotRevertible => Self::NotRevertible { problem: proto.problem },
        })
    }
}
