//! Attempts between coordinator and workers: assignments, ends and staged outputs.

use votum_ids::{AttemptId, Epoch, FencingToken, OutputName};
use votum_job::{
    Assignment, AttemptEnd, AttemptState, Failure, FailureKind, InputSource, ListedAttempt,
    ResolvedInput, StagedOutput, Usage,
};
use votum_proto::worker::v1 as pb;

use crate::{
    Fault, Malformed, Translate,
    hook::{role_from_proto, role_to_proto},
    spec::{task_from_proto, task_to_proto},
    time::{duration, read_duration},
    translate::{cut, parse, read, read_all, read_if_any, set, write_all},
};

impl Translate for FencingToken {
    type Proto = pb::FencingToken;

    fn to_proto(&self) -> pb::FencingToken {
        pb::FencingToken { epoch: self.epoch.0, counter: self.counter }
    }

    fn from_proto(proto: pb::FencingToken) -> Result<Self, Malformed> {
        Ok(Self { epoch: Epoch(proto.epoch), counter: proto.counter })
    }
}

impl Translate for AttemptId {
    type Proto = pb::AttemptRef;

    fn to_proto(&self) -> pb::AttemptRef {
        pb::AttemptRef {
            job_id: self.job.to_string(),
            task_id: self.task.to_string(),
            token: Some(self.token.to_proto()),
        }
    }

    fn from_proto(proto: pb::AttemptRef) -> Result<Self, Malformed> {
        Ok(Self {
            job: parse("job_id", &proto.job_id)?,
            task: parse("task_id", &proto.task_id)?,
            token: read("token", proto.token)?,
        })
    }
}

/// Names a sealed output or a checkpoint on the worker that holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArtifactId {
    /// The attempt that sealed it.
    pub attempt: AttemptId,
    /// What of it.
    pub part: ArtifactPart,
}

/// What of an attempt is served to other workers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArtifactPart {
    /// An output, by its name in the task.
    Output(OutputName),
    /// A checkpoint, by its sequence.
    Checkpoint(u64),
}

impl std::fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.part {
            ArtifactPart::Output(output) => write!(f, "{}/{output}", self.attempt),
            ArtifactPart::Checkpoint(sequence) => {
                write!(f, "checkpoint {sequence} of {}", self.attempt)
            }
        }
    }
}

impl Translate for ArtifactId {
    type Proto = pb::ArtifactRef;

    fn to_proto(&self) -> pb::ArtifactRef {
        use pb::artifact_ref::Part;
        let part = match &self.part {
            ArtifactPart::Output(output) => Part::Output(output.to_string()),
            ArtifactPart::Checkpoint(sequence) => Part::Checkpoint(*sequence),
        };
        pb::ArtifactRef { attempt: Some(self.attempt.to_proto()), part: Some(part) }
    }

    fn from_proto(proto: pb::ArtifactRef) -> Result<Self, Malformed> {
        use pb::artifact_ref::Part;
        let part = match set("part", proto.part)? {
            Part::Output(output) => ArtifactPart::Output(parse("output", &output)?),
            Part::Checkpoint(sequence) => ArtifactPart::Checkpoint(sequence),
        };
        Ok(Self { attempt: read("attempt", proto.attempt)?, part })
    }
}

impl Translate for Assignment {
    type Proto = pb::Assignment;

    fn to_proto(&self) -> pb::Assignment {
        pb::Assignment {
            attempt: Some(self.attempt.to_proto()),
            number: self.number,
            worker_id: self.worker.to_string(),
            job_name: self.job_name.clone(),
            spec: Some(task_to_proto(&self.attempt.task, &self.spec)),
            job_env: self.job_env.clone(),
            params: self.params.clone(),
            inputs: write_all(&self.inputs),
            time_limit: duration(self.time_limit),
            resume_points: write_all(&self.resume),
            hook: role_to_proto(&self.role),
        }
    }

    fn from_proto(proto: pb::Assignment) -> Result<Self, Malformed> {
        let attempt: AttemptId = read("attempt", proto.attempt)?;
        let spec = set("spec", proto.spec)?;
        let (task, spec) = task_from_proto(spec).map_err(|malformed| malformed.below("spec"))?;
        if task != attempt.task {
            let fault = Fault::form(task.as_str(), "the task of the attempt");
            return Err(Malformed::new("spec.task_id", fault));
        }
        Ok(Self {
            attempt,
            number: proto.number,
            worker: parse("worker_id", &proto.worker_id)?,
            job_name: proto.job_name,
            spec,
            job_env: proto.job_env,
            params: proto.params,
            inputs: read_all("inputs", proto.inputs)?,
            time_limit: read_duration("time_limit", proto.time_limit)?,
            resume: read_all("resume_points", proto.resume_points)?,
            role: role_from_proto(proto.hook)?,
        })
    }
}

impl Translate for ResolvedInput {
    type Proto = pb::ResolvedInput;

    fn to_proto(&self) -> pb::ResolvedInput {
        let source = match &self.source {
            InputSource::Staged { holder, address, attempt, output, digest, bytes, read_token } => {
                pb::resolved_input::Source::Staged(pb::StagedSource {
                    holder_id: holder.to_string(),
                    address: address.clone(),
                    attempt: Some(attempt.to_proto()),
                    output: output.to_string(),
                    digest: digest.to_string(),
                    size_bytes: *bytes,
                    read_token: read_token.clone(),
                })
            }
            InputSource::WorkerPath(path) => pb::resolved_input::Source::WorkerPath(path.clone()),
        };
        pb::ResolvedInput { name: self.name.to_string(), source: Some(source) }
    }

    fn from_proto(proto: pb::ResolvedInput) -> Result<Self, Malformed> {
        let name = parse("name", &proto.name)?;
        let source = match set("source", proto.source)? {
            pb::resolved_input::Source::Staged(staged) => {
                read_staged(staged).map_err(|malformed| malformed.below("staged"))?
            }
            pb::resolved_input::Source::WorkerPath(path) => InputSource::WorkerPath(path),
        };
        Ok(Self { name, source })
    }
}

fn read_staged(proto: pb::StagedSource) -> Result<InputSource, Malformed> {
    Ok(InputSource::Staged {
        holder: parse("holder_id", &proto.holder_id)?,
        address: proto.address,
        attempt: read("attempt", proto.attempt)?,
        output: parse("output", &proto.output)?,
        digest: parse("digest", &proto.digest)?,
        bytes: proto.size_bytes,
        read_token: proto.read_token,
    })
}

impl Translate for ListedAttempt {
    type Proto = pb::ListedAttempt;

    fn to_proto(&self) -> pb::ListedAttempt {
        let end = match &self.state {
            AttemptState::Live => None,
            AttemptState::Ended(end) => Some(end.to_proto()),
        };
        pb::ListedAttempt { attempt: Some(self.attempt.to_proto()), number: self.number, end }
    }

    fn from_proto(proto: pb::ListedAttempt) -> Result<Self, Malformed> {
        let end = read_if_any("end", proto.end)?;
        Ok(Self {
            attempt: read("attempt", proto.attempt)?,
            number: proto.number,
            state: end.map_or(AttemptState::Live, AttemptState::Ended),
        })
    }
}

impl Translate for AttemptEnd {
    type Proto = pb::AttemptEnd;

    fn to_proto(&self) -> pb::AttemptEnd {
        let (end, usage) = match self {
            Self::Sealed { outputs, usage } => {
                (pb::attempt_end::End::Sealed(pb::Sealed { outputs: write_all(outputs) }), usage)
            }
            Self::Failed { failure, usage } => {
                (pb::attempt_end::End::Failure(failure.to_proto()), usage)
            }
        };
        pb::AttemptEnd { end: Some(end), usage: Some(usage.to_proto()) }
    }

    fn from_proto(proto: pb::AttemptEnd) -> Result<Self, Malformed> {
        let usage = read("usage", proto.usage)?;
        match set("end", proto.end)? {
            pb::attempt_end::End::Sealed(sealed) => {
                let outputs = read_all("outputs", sealed.outputs)
                    .map_err(|malformed| malformed.below("sealed"))?;
                Ok(Self::Sealed { outputs, usage })
            }
            pb::attempt_end::End::Failure(failure) => {
                Ok(Self::Failed { failure: read("failure", Some(failure))?, usage })
            }
        }
    }
}

impl Translate for StagedOutput {
    type Proto = pb::StagedOutput;

    fn to_proto(&self) -> pb::StagedOutput {
        pb::StagedOutput {
            name: self.name.to_string(),
            digest: self.digest.to_string(),
            file_count: self.files,
            size_bytes: self.bytes,
            read_token: self.read_token.clone(),
        }
    }

    fn from_proto(proto: pb::StagedOutput) -> Result<Self, Malformed> {
        Ok(Self {
            name: parse("name", &proto.name)?,
            digest: parse("digest", &proto.digest)?,
            files: proto.file_count,
            bytes: proto.size_bytes,
            read_token: cut(proto.read_token),
        })
    }
}

impl Translate for Failure {
    type Proto = pb::Failure;

    fn to_proto(&self) -> pb::Failure {
        let (kind, number) = kind_to_proto(self.kind);
        pb::Failure {
            kind: kind as i32,
            number,
            message: self.message.clone(),
            stderr_tail: self.stderr_tail.clone(),
        }
    }

    fn from_proto(proto: pb::Failure) -> Result<Self, Malformed> {
        let kind = kind_from_proto(proto.kind, proto.number)
            .ok_or_else(|| Malformed::new("kind", Fault::UnknownValue(proto.kind)))?;
        Ok(Self { kind, message: cut(proto.message), stderr_tail: cut(proto.stderr_tail) })
    }
}

fn kind_to_proto(kind: FailureKind) -> (pb::FailureKind, i32) {
    match kind {
        FailureKind::ExitCode(code) => (pb::FailureKind::ExitCode, code),
        FailureKind::Signal(signal) => (pb::FailureKind::Signal, signal),
        FailureKind::TimedOut => (pb::FailureKind::TimedOut, 0),
        FailureKind::StartTimedOut => (pb::FailureKind::StartTimedOut, 0),
        FailureKind::Stuck => (pb::FailureKind::Stuck, 0),
        FailureKind::Unhealthy => (pb::FailureKind::Unhealthy, 0),
        FailureKind::SpawnFailed => (pb::FailureKind::SpawnFailed, 0),
        FailureKind::SecretUnknown => (pb::FailureKind::SecretUnknown, 0),
        FailureKind::OutputMissing => (pb::FailureKind::OutputMissing, 0),
        FailureKind::OutputRefused => (pb::FailureKind::OutputRefused, 0),
        FailureKind::InputUnavailable => (pb::FailureKind::InputUnavailable, 0),
        FailureKind::StorageFailed => (pb::FailureKind::StorageFailed, 0),
        FailureKind::OutOfMemory => (pb::FailureKind::OutOfMemory, 0),
        FailureKind::DiskFull => (pb::FailureKind::DiskFull, 0),
        FailureKind::Interrupted => (pb::FailureKind::Interrupted, 0),
        FailureKind::Stopped => (pb::FailureKind::Stopped, 0),
        FailureKind::WorkerLost => (pb::FailureKind::WorkerLost, 0),
        FailureKind::Drained => (pb::FailureKind::Drained, 0),
    }
}

fn kind_from_proto(kind: i32, number: i32) -> Option<FailureKind> {
    Some(match pb::FailureKind::try_from(kind).ok()? {
        pb::FailureKind::Unspecified => return None,
        pb::FailureKind::ExitCode => FailureKind::ExitCode(number),
        pb::FailureKind::Signal => FailureKind::Signal(number),
        pb::FailureKind::TimedOut => FailureKind::TimedOut,
        pb::FailureKind::StartTimedOut => FailureKind::StartTimedOut,
        pb::FailureKind::Stuck => FailureKind::Stuck,
        pb::FailureKind::Unhealthy => FailureKind::Unhealthy,
        pb::FailureKind::SpawnFailed => FailureKind::SpawnFailed,
        pb::FailureKind::SecretUnknown => FailureKind::SecretUnknown,
        pb::FailureKind::OutputMissing => FailureKind::OutputMissing,
        pb::FailureKind::OutputRefused => FailureKind::OutputRefused,
        pb::FailureKind::InputUnavailable => FailureKind::InputUnavailable,
        pb::FailureKind::StorageFailed => FailureKind::StorageFailed,
        pb::FailureKind::OutOfMemory => FailureKind::OutOfMemory,
        pb::FailureKind::DiskFull => FailureKind::DiskFull,
        pb::FailureKind::Interrupted => FailureKind::Interrupted,
        pb::FailureKind::Stopped => FailureKind::Stopped,
        pb::FailureKind::WorkerLost => FailureKind::WorkerLost,
        pb::FailureKind::Drained => FailureKind::Drained,
    })
}

impl Translate for Usage {
    type Proto = pb::ResourceUsage;

    fn to_proto(&self) -> pb::ResourceUsage {
        pb::ResourceUsage {
            cpu_time: duration(self.cpu_time),
            run_time: duration(self.run_time),
            max_rss_bytes: self.rss_bytes_max,
        }
    }

    fn from_proto(proto: pb::ResourceUsage) -> Result<Self, Malformed> {
        Ok(Self {
            cpu_time: read_duration("cpu_time", proto.cpu_time)?,
            run_time: read_duration("run_time", proto.run_time)?,
            rss_bytes_max: proto.max_rss_bytes,
        })
    }
}
