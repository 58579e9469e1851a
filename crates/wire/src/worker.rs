//! Workers as people are shown them, on the wire.

use votum_ids::{Incarnation, WorkerUid};
use votum_proto::v1;

use crate::{
    DrainView, Malformed, Translate, WorkerState, WorkerView,
    limit::{read_limits, write_limits},
    names::{
        AttemptName, job_name, read_attempt_name, read_job_name, read_worker_name, worker_name,
    },
    time::{read_timestamp, read_timestamp_if_any, timestamp},
    translate::{
        Numbered, count, enumerated, number, numbered, read_all, read_if_any, uuid, write_all,
    },
};

numbered!(WorkerState, v1::WorkerState {
    Ready = Ready,
    Suspect = Suspect,
    Lost = Lost,
    Reconciling = Reconciling,
    Absent = Absent,
    Draining = Draining,
    Drained = Drained,
});

impl Translate for WorkerView {
    type Proto = v1::Worker;

    fn to_proto(&self) -> v1::Worker {
        v1::Worker {
            name: worker_name(&self.worker),
            uid: self.uid.to_string(),
            state: self.state.number(),
            labels: self.labels.clone(),
            version: self.version.clone(),
            artifact_address: self.artifact_address.clone(),
            incarnation: self.incarnation.to_string(),
            publish_roots: self.publish_roots.clone(),
            last_seen_time: self.last_seen.map(timestamp),
            running_attempts: self.running.iter().map(AttemptName::to_string).collect(),
            slots: i32::try_from(self.slots).unwrap_or(i32::MAX),
            free_bytes: self.free_bytes.map(count),
            holding_jobs: self.holds.iter().map(job_name).collect(),
            keeping_jobs: self.keeps.iter().map(job_name).collect(),
            drain: self.drain.as_ref().map(Translate::to_proto),
            protocol_version: i32::try_from(self.protocol).unwrap_or(i32::MAX),
            job_damages: write_all(&self.damages),
            limits: write_limits(&self.limits),
            clock_ahead_millis: self.clock_ahead_ms,
        }
    }

    fn from_proto(proto: v1::Worker) -> Result<Self, Malformed> {
        let running = proto.running_attempts.iter().enumerate();
        let running =
            running.map(|(i, name)| read_attempt_name(&format!("running_attempts[{i}]"), name));
        let holds = proto.holding_jobs.iter().enumerate();
        let holds = holds.map(|(i, name)| read_job_name(&format!("holding_jobs[{i}]"), name));
        let keeps = proto.keeping_jobs.iter().enumerate();
        let keeps = keeps.map(|(i, name)| read_job_name(&format!("keeping_jobs[{i}]"), name));
        Ok(Self {
            worker: read_worker_name("name", &proto.name)?,
            uid: WorkerUid(uuid("uid", &proto.uid)?),
            incarnation: Incarnation(uuid("incarnation", &proto.incarnation)?),
            state: enumerated("state", proto.state)?,
            labels: proto.labels,
            version: proto.version,
            artifact_address: proto.artifact_address,
            publish_roots: proto.publish_roots,
            last_seen: read_timestamp_if_any("last_seen_time", proto.last_seen_time)?,
            running: running.collect::<Result<_, _>>()?,
            slots: number("slots", proto.slots)?,
            free_bytes: proto.free_bytes.map(|bytes| number("free_bytes", bytes)).transpose()?,
            holds: holds.collect::<Result<_, _>>()?,
            keeps: keeps.collect::<Result<_, _>>()?,
            drain: read_if_any("drain", proto.drain)?,
            protocol: number("protocol_version", proto.protocol_version)?,
            damages: read_all("job_damages", proto.job_damages)?,
            limits: read_limits(&proto.limits),
            clock_ahead_ms: proto.clock_ahead_millis,
        })
    }
}

impl Translate for DrainView {
    type Proto = v1::Drain;

    fn to_proto(&self) -> v1::Drain {
        v1::Drain {
            creator: self.by.clone(),
            reason: self.reason.clone(),
            create_time: Some(timestamp(self.ordered)),
            deadline_time: self.deadline.map(timestamp),
        }
    }

    fn from_proto(proto: v1::Drain) -> Result<Self, Malformed> {
        Ok(Self {
            by: proto.creator,
            reason: proto.reason,
            ordered: read_timestamp("create_time", proto.create_time)?,
            deadline: read_timestamp_if_any("deadline_time", proto.deadline_time)?,
        })
    }
}
