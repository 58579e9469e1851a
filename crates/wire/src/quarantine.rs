//! What cannot be read in a log, on the wire.

use votum_proto::{v1, worker::v1 as pb};

use crate::{
    JobDamage, JobHolder, Malformed, QuarantineView, QuarantinedStream, RecordDamage, Translate,
    UnreadableJob, WorkerDamage,
    names::{job_name, read_job_name, read_worker_name, worker_name},
    time::{read_timestamp_if_any, timestamp},
    translate::{Numbered as _, count, cut, enumerated_if_any, number, parse, read_all, write_all},
};

impl Translate for QuarantineView {
    type Proto = v1::JobQuarantine;

    fn to_proto(&self) -> v1::JobQuarantine {
        v1::JobQuarantine {
            record_count: count(self.records),
            damages: write_all(&self.damages),
            last_state: self.last_state.map_or(0, |state| state.number()),
            last_record_time: self.last_recorded.map(timestamp),
            holders: write_all(&self.holders),
        }
    }

    fn from_proto(proto: v1::JobQuarantine) -> Result<Self, Malformed> {
        Ok(Self {
            records: number("record_count", proto.record_count)?,
            damages: read_all("damages", proto.damages)?,
            last_state: enumerated_if_any("last_state", proto.last_state)?,
            last_recorded: read_timestamp_if_any("last_record_time", proto.last_record_time)?,
            holders: read_all("holders", proto.holders)?,
        })
    }
}

impl Translate for RecordDamage {
    type Proto = v1::RecordDamage;

    fn to_proto(&self) -> v1::RecordDamage {
        v1::RecordDamage {
            record_number: count(self.number),
            lsn: count(self.lsn),
            version: i32::from(self.version),
            kind: self.kind.clone().unwrap_or_default(),
            forced: self.forced,
            problem: self.problem.clone(),
        }
    }

    fn from_proto(proto: v1::RecordDamage) -> Result<Self, Malformed> {
        Ok(Self {
            number: number("record_number", proto.record_number)?,
            lsn: number("lsn", proto.lsn)?,
            version: number("version", proto.version)?,
            kind: Some(proto.kind).filter(|kind| !kind.is_empty()),
            forced: proto.forced,
            problem: proto.problem,
        })
    }
}

impl Translate for JobHolder {
    type Proto = v1::JobHolder;

    fn to_proto(&self) -> v1::JobHolder {
        v1::JobHolder { worker: worker_name(&self.worker), holding: self.holding.clone() }
    }

    fn from_proto(proto: v1::JobHolder) -> Result<Self, Malformed> {
        Ok(Self { worker: read_worker_name("worker", &proto.worker)?, holding: proto.holding })
    }
}

impl Translate for WorkerDamage {
    type Proto = v1::WorkerDamage;

    fn to_proto(&self) -> v1::WorkerDamage {
        v1::WorkerDamage { worker: worker_name(&self.worker), problem: self.problem.clone() }
    }

    fn from_proto(proto: v1::WorkerDamage) -> Result<Self, Malformed> {
        Ok(Self { worker: read_worker_name("worker", &proto.worker)?, problem: proto.problem })
    }
}

impl Translate for JobDamage {
    type Proto = v1::JobDamage;

    fn to_proto(&self) -> v1::JobDamage {
        v1::JobDamage { job: job_name(&self.job), problem: self.problem.clone() }
    }

    fn from_proto(proto: v1::JobDamage) -> Result<Self, Malformed> {
        Ok(Self { job: read_job_name("job", &proto.job)?, problem: proto.problem })
    }
}

impl Translate for QuarantinedStream {
    type Proto = v1::QuarantinedStream;

    fn to_proto(&self) -> v1::QuarantinedStream {
        v1::QuarantinedStream { stream: self.stream.clone(), problem: self.problem.clone() }
    }

    fn from_proto(proto: v1::QuarantinedStream) -> Result<Self, Malformed> {
        Ok(Self { stream: proto.stream, problem: proto.problem })
    }
}

impl Translate for UnreadableJob {
    type Proto = pb::UnreadableJob;

    fn to_proto(&self) -> pb::UnreadableJob {
        pb::UnreadableJob { job: self.job.to_string(), problem: cut(self.problem.clone()) }
    }

    fn from_proto(proto: pb::UnreadableJob) -> Result<Self, Malformed> {
        Ok(Self { job: parse("job", &proto.job)?, problem: cut(proto.problem) })
    }
}
