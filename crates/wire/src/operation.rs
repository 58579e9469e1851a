//! What operators ask of workers, read and checked.

use std::time::Duration;

use votum_ids::WorkerId;
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    names::{read_worker_name, worker_name},
    request::checked_reason,
    time::{duration, read_duration_if_any},
};

/// Asks that a worker takes no further attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainWorker {
    /// Which.
    pub worker: WorkerId,
    /// How long what runs there may go on; for ever if none.
    pub time_limit: Option<Duration>,
    /// Told to the tasks that are stopped, and shown.
    pub reason: String,
}

impl Translate for DrainWorker {
    type Proto = v1::DrainWorkerRequest;

    fn to_proto(&self) -> v1::DrainWorkerRequest {
        v1::DrainWorkerRequest {
            name: worker_name(&self.worker),
            time_limit: self.time_limit.and_then(duration),
            reason: self.reason.clone(),
        }
    }

    fn from_proto(proto: v1::DrainWorkerRequest) -> Result<Self, Malformed> {
        Ok(Self {
            worker: read_worker_name("name", &proto.name)?,
            time_limit: read_duration_if_any("time_limit", proto.time_limit)?,
            reason: checked_reason(proto.reason)?,
        })
    }
}

/// Asks that an installation is removed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteWorker {
    /// Who bears the name.
    pub worker: WorkerId,
    /// Told to the installation if it returns.
    pub reason: String,
}

impl Translate for DeleteWorker {
    type Proto = v1::DeleteWorkerRequest;

    fn to_proto(&self) -> v1::DeleteWorkerRequest {
        v1::DeleteWorkerRequest { name: worker_name(&self.worker), reason: self.reason.clone() }
    }

    fn from_proto(proto: v1::DeleteWorkerRequest) -> Result<Self, Malformed> {
        Ok(Self {
            worker: read_worker_name("name", &proto.name)?,
            reason: checked_reason(proto.reason)?,
        })
    }
}
