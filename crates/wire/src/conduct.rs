//! How a task is watched, kept, limited and stopped while it runs.

use votum_job::{
    CheckpointPolicy, HEALTH_FAILURES_DEFAULT, HEALTH_INTERVAL_DEFAULT, HEALTH_TIMEOUT_DEFAULT,
    HealthCheck, OnExhausted, OnUnreachable, Resources, TaskSignal,
};
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    time::{duration, read_duration_if_any},
    translate::{Numbered as _, count, enumerated_if_any, number, numbered},
};

numbered!(TaskSignal, v1::TaskSignal {
    Term = Term, Int = Int, Hup = Hup, Quit = Quit, Usr1 = Usr1, Usr2 = Usr2,
});
numbered!(OnExhausted, v1::ExhaustedPolicy { Abort = Abort, Pause = Pause });
numbered!(OnUnreachable, v1::UnreachablePolicy { Wait = Wait, Proceed = Proceed });

impl Translate for CheckpointPolicy {
    type Proto = v1::CheckpointPolicy;

    fn to_proto(&self) -> v1::CheckpointPolicy {
        v1::CheckpointPolicy {
            interval: self.every.and_then(duration),
            signal: self.signal.map(TaskSignal::number).unwrap_or_default(),
            replicate: self.replicate,
            max_bytes: self.bytes_max.map(count),
        }
    }

    fn from_proto(proto: v1::CheckpointPolicy) -> Result<Self, Malformed> {
        Ok(Self {
            every: read_duration_if_any("interval", proto.interval)?,
            signal: enumerated_if_any("signal", proto.signal)?,
            replicate: proto.replicate,
            bytes_max: proto.max_bytes.map(|bytes| number("max_bytes", bytes)).transpose()?,
        })
    }
}

impl Translate for HealthCheck {
    type Proto = v1::HealthCheck;

    fn to_proto(&self) -> v1::HealthCheck {
        v1::HealthCheck {
            argv: self.command.clone(),
            interval: duration(self.interval),
            timeout: duration(self.timeout),
            failures: i32::try_from(self.failures).unwrap_or(i32::MAX),
        }
    }

    fn from_proto(proto: v1::HealthCheck) -> Result<Self, Malformed> {
        let interval = read_duration_if_any("interval", proto.interval)?;
        let timeout = read_duration_if_any("timeout", proto.timeout)?;
        Ok(Self {
            command: proto.argv,
            interval: interval.unwrap_or(HEALTH_INTERVAL_DEFAULT),
            timeout: timeout.unwrap_or(HEALTH_TIMEOUT_DEFAULT),
            failures: match proto.failures {
                0 => HEALTH_FAILURES_DEFAULT,
                given => number("failures", given)?,
            },
        })
    }
}

impl Translate for Resources {
    type Proto = v1::Resources;

    fn to_proto(&self) -> v1::Resources {
        let small = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        v1::Resources {
            cpu_millis: self.cpu_millis.map(small),
            memory_bytes: self.memory_bytes.map(count),
            max_processes: self.processes.map(small),
            disk_bytes: self.disk_bytes.map(count),
        }
    }

    fn from_proto(proto: v1::Resources) -> Result<Self, Malformed> {
        let large = |field, given: Option<i64>| given.map(|given| number(field, given)).transpose();
        let small = |field, given: Option<i32>| given.map(|given| number(field, given)).transpose();
        Ok(Self {
            cpu_millis: small("cpu_millis", proto.cpu_millis)?,
            memory_bytes: large("memory_bytes", proto.memory_bytes)?,
            processes: small("max_processes", proto.max_processes)?,
            disk_bytes: large("disk_bytes", proto.disk_bytes)?,
        })
    }
}
