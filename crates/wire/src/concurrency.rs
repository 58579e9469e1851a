//! Concurrency keys: what a job says of its own, and what it waits behind.

use votum_job::{Concurrency, ConcurrencyKey, ConcurrencyPolicy};
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    names::{job_name, read_job_name},
    translate::{Numbered as _, enumerated_if_any, number, numbered, parse},
    view::QueueView,
};

numbered!(ConcurrencyPolicy, v1::ConcurrencyPolicy {
    Queue = Queue, Reject = Reject, Replace = Replace,
});

impl Translate for Concurrency {
    type Proto = v1::Concurrency;

    fn to_proto(&self) -> v1::Concurrency {
        v1::Concurrency { key: self.key.to_string(), policy: self.policy.number() }
    }

    fn from_proto(proto: v1::Concurrency) -> Result<Self, Malformed> {
        Ok(Self {
            key: parse::<ConcurrencyKey>("key", &proto.key)?,
            policy: enumerated_if_any("policy", proto.policy)?.unwrap_or_default(),
        })
    }
}

impl Translate for QueueView {
    type Proto = v1::JobQueue;

    fn to_proto(&self) -> v1::JobQueue {
        v1::JobQueue {
            key: self.key.to_string(),
            holder: self.holder.as_ref().map(job_name).unwrap_or_default(),
            ahead: u32::try_from(self.ahead).unwrap_or(u32::MAX),
        }
    }

    fn from_proto(proto: v1::JobQueue) -> Result<Self, Malformed> {
        Ok(Self {
            key: parse::<ConcurrencyKey>("key", &proto.key)?,
            holder: match proto.holder.as_str() {
                "" => None,
                name => Some(read_job_name("holder", name)?),
            },
            ahead: number("ahead", proto.ahead)?,
        })
    }
}
