//! Checkpoints between coordinator and workers.

use votum_ids::CheckpointId;
use votum_job::{CheckpointHolder, HeldCheckpoint, ResumePoint};
use votum_proto::worker::v1 as pb;

use crate::{
    Malformed, Translate,
    translate::{cut, parse, read, read_all, write_all},
};

impl Translate for CheckpointId {
    type Proto = pb::CheckpointRef;

    fn to_proto(&self) -> pb::CheckpointRef {
        pb::CheckpointRef { attempt: Some(self.attempt.to_proto()), sequence: self.sequence }
    }

    fn from_proto(proto: pb::CheckpointRef) -> Result<Self, Malformed> {
        Ok(Self { attempt: read("attempt", proto.attempt)?, sequence: proto.sequence })
    }
}

impl Translate for HeldCheckpoint {
    type Proto = pb::HeldCheckpoint;

    fn to_proto(&self) -> pb::HeldCheckpoint {
        pb::HeldCheckpoint {
            checkpoint: Some(self.id.to_proto()),
            digest: self.digest.to_string(),
            size_bytes: self.bytes,
            steps_done: self.steps,
            read_token: self.read_token.clone(),
        }
    }

    fn from_proto(proto: pb::HeldCheckpoint) -> Result<Self, Malformed> {
        Ok(Self {
            id: read("checkpoint", proto.checkpoint)?,
            digest: parse("digest", &proto.digest)?,
            bytes: proto.size_bytes,
            steps: proto.steps_done,
            read_token: cut(proto.read_token),
        })
    }
}

impl Translate for ResumePoint {
    type Proto = pb::ResumePoint;

    fn to_proto(&self) -> pb::ResumePoint {
        pb::ResumePoint {
            checkpoint: Some(self.id.to_proto()),
            digest: self.digest.to_string(),
            size_bytes: self.bytes,
            steps_done: self.steps,
            holders: write_all(&self.holders),
        }
    }

    fn from_proto(proto: pb::ResumePoint) -> Result<Self, Malformed> {
        Ok(Self {
            id: read("checkpoint", proto.checkpoint)?,
            digest: parse("digest", &proto.digest)?,
            bytes: proto.size_bytes,
            steps: proto.steps_done,
            holders: read_all("holders", proto.holders)?,
        })
    }
}

impl Translate for CheckpointHolder {
    type Proto = pb::CheckpointHolder;

    fn to_proto(&self) -> pb::CheckpointHolder {
        pb::CheckpointHolder {
            worker_id: self.worker.to_string(),
            address: self.address.clone(),
            read_token: self.read_token.clone(),
        }
    }

    fn from_proto(proto: pb::CheckpointHolder) -> Result<Self, Malformed> {
        Ok(Self {
            worker: parse("worker_id", &proto.worker_id)?,
            address: proto.address,
            read_token: proto.read_token,
        })
    }
}
