//! Jobs as people are shown them, on the wire.

use std::sync::Arc;

use tonic_types::pb::Status as RpcStatus;
use votum_commit::{Cause, Decision, Objection, Vote};
use votum_ids::{Digest, JobId, TaskId};
use votum_job::{Failure, FailureKind, Usage};
use votum_proto::v1;

use crate::{
    ATTEMPTS_SHOWN_MAX, AttemptView, CheckpointView, Fault, JobState, JobView, Malformed, Outcome,
    OutputState, OutputView, ParticipantView, TaskState, TaskView, Translate,
    names::{
        AttemptName, job_name, output_name, read_attempt_name, read_job_name, read_output_name,
        read_scope, read_token, read_worker_name, task_name, worker_name,
    },
    problem::{Problem, Reason},
    spec::{job_spec_from_proto, job_spec_to_proto},
    time::{duration, read_duration, read_timestamp, read_timestamp_if_any, timestamp},
    translate::{
        Numbered, count, enumerated, enumerated_if_any, number, numbered, parse, read_if_any, uuid,
        write_all,
    },
};

impl Translate for JobView {
    type Proto = v1::Job;

    fn to_proto(&self) -> v1::Job {
        v1::Job {
            name: job_name(&self.job),
            uid: self.uid.to_string(),
            display_name: self.display_name.clone(),
            spec: self.spec.as_deref().map(job_spec_to_proto),
            state: self.state.number(),
            state_message: self.state_message.clone(),
            decision: self.decision.map_or(0, Numbered::number),
            error: self.cause.as_ref().map(cause_to_proto),
            tasks: self.tasks.iter().map(|task| task_to_proto(&self.job, task)).collect(),
            participants: self.participants.iter().map(Translate::to_proto).collect(),
            create_time: Some(timestamp(self.created)),
            start_time: self.started.map(timestamp),
            prepare_time: self.prepared.map(timestamp),
            decide_time: self.decided.map(timestamp),
            end_time: self.ended.map(timestamp),
            creator: self.creator.clone(),
            pause: self.pause.as_ref().map(Translate::to_proto),
            rescued_from: self.rescued_from.as_ref().map(job_name).unwrap_or_default(),
            keep_time: self.kept_until.map(timestamp),
            further_pauses: write_all(&self.further_pauses),
            kept_release: self.kept_release.as_ref().map(Translate::to_proto),
            rescued_by: self.rescued_by.as_ref().map(job_name).unwrap_or_default(),
            quarantine: self.quarantine.as_ref().map(Translate::to_proto),
            worker_damages: write_all(&self.worker_damages),
            hooks: write_all(&self.hooks),
            forced_outcomes: write_all(&self.forced),
            held_back_by: self.held_back.iter().map(worker_name).collect(),
            approval: self.approval.as_ref().map(Translate::to_proto),
            dry_vote: self.dry_vote.as_ref().map(Translate::to_proto),
            queue: self.queue.as_ref().map(Translate::to_proto),
        }
    }

    fn from_proto(proto: v1::Job) -> Result<Self, Malformed> {
        let job = read_job_name("name", &proto.name)?;
        let spec = proto.spec.map(job_spec_from_proto).transpose();
        let spec = spec.map_err(|mut found| found.swap_remove(0).below("spec"))?;
        let task = |(i, task)| {
            task_from_proto(&job, task)
                .map_err(|malformed: Malformed| malformed.below(format_args!("tasks[{i}]")))
        };
        let tasks = proto.tasks.into_iter().enumerate().map(task).collect::<Result<_, _>>()?;
        let held_back = proto.held_back_by.iter().enumerate();
        let held_back = held_back
            .map(|(i, name)| read_worker_name(&format!("held_back_by[{i}]"), name))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            uid: uuid("uid", &proto.uid)?,
            display_name: proto.display_name,
            spec: spec.map(Arc::new),
            state: enumerated("state", proto.state)?,
            state_message: proto.state_message,
            decision: enumerated_if_any("decision", proto.decision)?,
            cause: proto.error.map(|error| cause_from_proto(&error)),
            tasks,
            participants: crate::translate::read_all("participants", proto.participants)?,
            created: read_timestamp("create_time", proto.create_time)?,
            started: read_timestamp_if_any("start_time", proto.start_time)?,
            prepared: read_timestamp_if_any("prepare_time", proto.prepare_time)?,
            decided: read_timestamp_if_any("decide_time", proto.decide_time)?,
            ended: read_timestamp_if_any("end_time", proto.end_time)?,
            creator: proto.creator,
            pause: read_if_any("pause", proto.pause)?,
            further_pauses: crate::translate::read_all("further_pauses", proto.further_pauses)?,
            rescued_from: match proto.rescued_from.as_str() {
                "" => None,
                name => Some(read_job_name("rescued_from", name)?),
            },
            kept_until: read_timestamp_if_any("keep_time", proto.keep_time)?,
            kept_release: read_if_any("kept_release", proto.kept_release)?,
            rescued_by: match proto.rescued_by.as_str() {
                "" => None,
                name => Some(read_job_name("rescued_by", name)?),
            },
            quarantine: read_if_any("quarantine", proto.quarantine)?,
            worker_damages: crate::translate::read_all("worker_damages", proto.worker_damages)?,
            hooks: crate::translate::read_all("hooks", proto.hooks)?,
            forced: crate::translate::read_all("forced_outcomes", proto.forced_outcomes)?,
            held_back,
            approval: read_if_any("approval", proto.approval)?,
            dry_vote: read_if_any("dry_vote", proto.dry_vote)?,
            queue: read_if_any("queue", proto.queue)?,
            job,
        })
    }
}

numbered!(JobState, v1::JobState {
    Received = Received,
    Queued = Queued,
    Running = Running,
    AwaitingApproval = AwaitingApproval,
    Preparing = Preparing,
    Committing = Committing,
    Committed = Committed,
    Aborting = Aborting,
    Aborted = Aborted,
    Quarantined = Quarantined,
});

numbered!(Decision, v1::Decision { Commit = Commit, Abort = Abort });

numbered!(TaskState, v1::TaskState {
    Waiting = Waiting,
    Ready = Ready,
    Starting = Starting,
    Running = Running,
    Retrying = Retrying,
    Staged = Staged,
    Prepared = Prepared,
    Committed = Committed,
    Failed = Failed,
    Cancelled = Cancelled,
    Discarded = Discarded,
});

numbered!(OutputState, v1::OutputState {
    Staged = Staged,
    Prepared = Prepared,
    Published = Published,
    Discarded = Discarded,
});

fn cause_to_proto(cause: &Cause) -> RpcStatus {
    Problem::words(Reason::Other(cause.reason.clone()), &cause.message)
        .with("by", &cause.by)
        .into_rpc_status()
}

fn cause_from_proto(error: &RpcStatus) -> Cause {
    let mut problem = Problem::from_rpc_status(error);
    Cause {
        reason: problem.reason.as_str().to_owned(),
        message: problem.message,
        by: problem.metadata.remove("by").unwrap_or_default(),
    }
}

fn task_to_proto(job: &JobId, task: &TaskView) -> v1::Task {
    let omitted = task.attempts.len().saturating_sub(ATTEMPTS_SHOWN_MAX);
    v1::Task {
        name: task_name(job, &task.task),
        state: task.state.number(),
        worker: task.worker.as_ref().map(worker_name).unwrap_or_default(),
        attempts: task.attempts[omitted..]
            .iter()
            .map(|attempt| attempt_to_proto(job, &task.task, attempt))
            .collect(),
        outputs: task
            .outputs
            .iter()
            .map(|output| output_to_proto(job, &task.task, output))
            .collect(),
        retry_time: task.retry_at.map(timestamp),
        progress: task.report.as_ref().map(Translate::to_proto),
        checkpoint: task.checkpoint.as_ref().map(checkpoint_to_proto),
        omitted_attempt_count: task
            .omitted_attempts
            .saturating_add(u32::try_from(omitted).unwrap_or(u32::MAX)),
        wait_reason: task.waits.clone().unwrap_or_default(),
    }
}

fn checkpoint_to_proto(checkpoint: &CheckpointView) -> v1::TaskCheckpoint {
    v1::TaskCheckpoint {
        sequence: checkpoint.sequence,
        steps_done: checkpoint.steps,
        seal_time: Some(timestamp(checkpoint.recorded)),
        size_bytes: checkpoint.bytes,
        workers: checkpoint.workers.iter().map(worker_name).collect(),
    }
}

fn checkpoint_from_proto(proto: v1::TaskCheckpoint) -> Result<CheckpointView, Malformed> {
    let workers = proto.workers.iter().enumerate();
    let recorded = read_timestamp_if_any("seal_time", proto.seal_time)?;
    Ok(CheckpointView {
        sequence: proto.sequence,
        steps: proto.steps_done,
        recorded: recorded.ok_or_else(|| Malformed::new("seal_time", Fault::Missing))?,
        bytes: proto.size_bytes,
        workers: workers
            .map(|(i, name)| read_worker_name(&format!("workers[{i}]"), name))
            .collect::<Result<_, _>>()?,
    })
}

fn task_from_proto(job: &JobId, proto: v1::Task) -> Result<TaskView, Malformed> {
    let foreign = || Malformed::new("name", Fault::form(&proto.name, "a task of the job"));
    let scope = read_scope("name", &proto.name)?;
    let task = scope.task.filter(|task| scope.job == *job && task.number.is_none());
    let task = task.ok_or_else(foreign)?.task;
    let mut attempts = Vec::with_capacity(proto.attempts.len());
    for (i, attempt) in proto.attempts.into_iter().enumerate() {
        attempts.push(
            attempt_from_proto(job, &task, attempt)
                .map_err(|malformed| malformed.below(format_args!("attempts[{i}]")))?,
        );
    }
    let mut outputs = Vec::with_capacity(proto.outputs.len());
    for (i, output) in proto.outputs.into_iter().enumerate() {
        outputs.push(
            output_from_proto(job, &task, output)
                .map_err(|malformed| malformed.below(format_args!("outputs[{i}]")))?,
        );
    }
    let worker = match proto.worker.as_str() {
        "" => None,
        name => Some(read_worker_name("worker", name)?),
    };
    Ok(TaskView {
        state: enumerated("state", proto.state)?,
        worker,
        attempts,
        outputs,
        retry_at: read_timestamp_if_any("retry_time", proto.retry_time)?,
        report: read_if_any("progress", proto.progress)?,
        checkpoint: proto
            .checkpoint
            .map(|checkpoint| checkpoint_from_proto(checkpoint).map_err(|m| m.below("checkpoint")))
            .transpose()?,
        omitted_attempts: proto.omitted_attempt_count,
        waits: Some(proto.wait_reason).filter(|reason| !reason.is_empty()),
        task,
    })
}

fn attempt_to_proto(job: &JobId, task: &TaskId, attempt: &AttemptView) -> v1::Attempt {
    let name =
        AttemptName { job: job.clone(), task: task.clone(), hook: None, number: attempt.number };
    let failure = match &attempt.outcome {
        Some(Outcome::Failed(failure)) => Some(failure),
        Some(Outcome::Succeeded) | None => None,
    };
    let (exit_code, signal) = match failure.map(|failure| failure.kind) {
        Some(FailureKind::ExitCode(code)) => (Some(code), None),
        Some(FailureKind::Signal(signal)) => (None, Some(signal)),
        Some(_) | None => (None, None),
    };
    let error = |failure: &Failure| {
        Problem::words(Reason::Other(failure.kind.reason().to_owned()), &failure.message)
            .into_rpc_status()
    };
    v1::Attempt {
        name: name.to_string(),
        worker: worker_name(&attempt.worker),
        fencing_token: attempt.token.to_string(),
        outcome: attempt.outcome.as_ref().map_or(0, |outcome| outcome_number(outcome) as i32),
        exit_code,
        signal,
        error: failure.map(error),
        stderr_tail: failure.map(|failure| failure.stderr_tail.clone()).unwrap_or_default(),
        start_time: attempt.started.map(timestamp),
        end_time: attempt.ended.map(timestamp),
        usage: attempt.usage.as_ref().map(usage_to_proto),
    }
}

fn outcome_number(outcome: &Outcome) -> v1::AttemptOutcome {
    let failure = match outcome {
        Outcome::Succeeded => return v1::AttemptOutcome::Succeeded,
        Outcome::Failed(failure) => failure,
    };
    match failure.kind {
        FailureKind::TimedOut | FailureKind::StartTimedOut | FailureKind::Stuck => {
            v1::AttemptOutcome::TimedOut
        }
        FailureKind::Stopped | FailureKind::Drained => v1::AttemptOutcome::Cancelled,
        FailureKind::WorkerLost => v1::AttemptOutcome::Lost,
        FailureKind::ExitCode(_)
        | FailureKind::Signal(_)
        | FailureKind::Unhealthy
        | FailureKind::SpawnFailed
        | FailureKind::SecretUnknown
        | FailureKind::OutputMissing
        | FailureKind::OutputRefused
        | FailureKind::InputUnavailable
        | FailureKind::StorageFailed
        | FailureKind::OutOfMemory
        | FailureKind::DiskFull
        | FailureKind::Interrupted => v1::AttemptOutcome::Failed,
    }
}

fn attempt_from_proto(
    job: &JobId,
    task: &TaskId,
    proto: v1::Attempt,
) -> Result<AttemptView, Malformed> {
    let name = read_attempt_name("name", &proto.name)?;
    if name.job != *job || name.task != *task {
        return Err(Malformed::new("name", Fault::form(&proto.name, "an attempt of the task")));
    }
    let outcome = match v1::AttemptOutcome::try_from(proto.outcome) {
        Ok(v1::AttemptOutcome::Unspecified) => None,
        Ok(v1::AttemptOutcome::Succeeded) => Some(Outcome::Succeeded),
        Ok(
            v1::AttemptOutcome::Failed
            | v1::AttemptOutcome::TimedOut
            | v1::AttemptOutcome::Lost
            | v1::AttemptOutcome::Cancelled,
        ) => Some(Outcome::Failed(failure_from_proto(&proto)?)),
        Err(_) => return Err(Malformed::new("outcome", Fault::UnknownValue(proto.outcome))),
    };
    let usage = proto.usage.map(usage_from_proto).transpose();
    Ok(AttemptView {
        number: name.number,
        worker: read_worker_name("worker", &proto.worker)?,
        token: read_token("fencing_token", &proto.fencing_token)?,
        started: read_timestamp_if_any("start_time", proto.start_time)?,
        ended: read_timestamp_if_any("end_time", proto.end_time)?,
        outcome,
        usage: usage.map_err(|malformed| malformed.below("usage"))?,
    })
}

fn failure_from_proto(proto: &v1::Attempt) -> Result<Failure, Malformed> {
    let error = proto.error.as_ref().ok_or_else(|| Malformed::new("error", Fault::Missing))?;
    let problem = Problem::from_rpc_status(error);
    let reason = problem.reason.as_str();
    let kind = if let Some(code) = proto.exit_code {
        Some(FailureKind::ExitCode(code))
    } else if let Some(signal) = proto.signal {
        Some(FailureKind::Signal(signal))
    } else {
        KINDS_WITHOUT_NUMBER.into_iter().find(|kind| kind.reason() == reason)
    };
    let kind = kind.ok_or_else(|| {
        Malformed::new("error", Fault::form(reason, "a reason why attempts fail"))
    })?;
    Ok(Failure { kind, message: problem.message, stderr_tail: proto.stderr_tail.clone() })
}

/// Every kind of failure that its reason alone tells.
const KINDS_WITHOUT_NUMBER: [FailureKind; 16] = [
    FailureKind::TimedOut,
    FailureKind::StartTimedOut,
    FailureKind::Stuck,
    FailureKind::Unhealthy,
    FailureKind::SpawnFailed,
    FailureKind::SecretUnknown,
    FailureKind::OutputMissing,
    FailureKind::OutputRefused,
    FailureKind::InputUnavailable,
    FailureKind::StorageFailed,
    FailureKind::OutOfMemory,
    FailureKind::DiskFull,
    FailureKind::Interrupted,
    FailureKind::Stopped,
    FailureKind::WorkerLost,
    FailureKind::Drained,
];

fn usage_to_proto(usage: &Usage) -> v1::Usage {
    v1::Usage {
        cpu_time: duration(usage.cpu_time),
        run_time: duration(usage.run_time),
        max_rss_bytes: count(usage.rss_bytes_max),
    }
}

fn usage_from_proto(proto: v1::Usage) -> Result<Usage, Malformed> {
    Ok(Usage {
        cpu_time: read_duration("cpu_time", proto.cpu_time)?,
        run_time: read_duration("run_time", proto.run_time)?,
        rss_bytes_max: number("max_rss_bytes", proto.max_rss_bytes)?,
    })
}

pub(crate) fn output_to_proto(job: &JobId, task: &TaskId, output: &OutputView) -> v1::Output {
    v1::Output {
        name: output_name(job, task, &output.output),
        worker: worker_name(&output.worker),
        state: output.state.number(),
        file_count: count(output.files),
        size_bytes: count(output.bytes),
        digest: output.digest.to_string(),
        publish_path: output.publish_path.clone().unwrap_or_default(),
    }
}

fn output_from_proto(
    job: &JobId,
    task: &TaskId,
    proto: v1::Output,
) -> Result<OutputView, Malformed> {
    let (of_job, of_task, output) = read_output_name("name", &proto.name)?;
    if of_job != *job || of_task != *task {
        return Err(Malformed::new("name", Fault::form(&proto.name, "an output of the task")));
    }
    Ok(OutputView {
        output,
        worker: read_worker_name("worker", &proto.worker)?,
        state: enumerated("state", proto.state)?,
        files: number("file_count", proto.file_count)?,
        bytes: number("size_bytes", proto.size_bytes)?,
        digest: parse::<Digest>("digest", &proto.digest)?,
        publish_path: Some(proto.publish_path).filter(|path| !path.is_empty()),
    })
}

impl Translate for ParticipantView {
    type Proto = v1::Participant;

    fn to_proto(&self) -> v1::Participant {
        let (vote, objection) = match &self.vote {
            None => (v1::Vote::Unspecified, None),
            Some(Vote::Yes) => (v1::Vote::Yes, None),
            Some(Vote::No(objection)) => (v1::Vote::No, Some(objection)),
            Some(Vote::ReadOnly) => (v1::Vote::ReadOnly, None),
        };
        v1::Participant {
            worker: worker_name(&self.worker),
            vote: vote as i32,
            vote_error: objection.map(objection_to_proto),
            acknowledged: self.acknowledged,
        }
    }

    fn from_proto(proto: v1::Participant) -> Result<Self, Malformed> {
        let vote = match v1::Vote::try_from(proto.vote) {
            Ok(v1::Vote::Unspecified) => None,
            Ok(v1::Vote::Yes) => Some(Vote::Yes),
            Ok(v1::Vote::No) => {
                let error = crate::translate::set("vote_error", proto.vote_error)?;
                Some(Vote::No(objection_from_proto(&error)))
            }
            Ok(v1::Vote::ReadOnly) => Some(Vote::ReadOnly),
            Err(_) => return Err(Malformed::new("vote", Fault::UnknownValue(proto.vote))),
        };
        Ok(Self {
            worker: read_worker_name("worker", &proto.worker)?,
            vote,
            acknowledged: proto.acknowledged,
        })
    }
}

fn objection_to_proto(objection: &Objection) -> RpcStatus {
    let (reason, message) = match objection {
        Objection::Refused => (REFUSED, "it refused this round when a peer asked"),
        Objection::NotHeld => (NOT_HELD, "it does not hold what the round names"),
        Objection::WrongInstallation => {
            (WRONG_INSTALLATION, "the round names another installation of this worker")
        }
        Objection::Failed { reason, message } => (reason.as_str(), message.as_str()),
    };
    Problem::words(Reason::Other(reason.to_owned()), message).into_rpc_status()
}

fn objection_from_proto(error: &RpcStatus) -> Objection {
    let problem = Problem::from_rpc_status(error);
    match problem.reason.as_str() {
        REFUSED => Objection::Refused,
        NOT_HELD => Objection::NotHeld,
        WRONG_INSTALLATION => Objection::WrongInstallation,
        reason => Objection::Failed { reason: reason.to_owned(), message: problem.message },
    }
}

const REFUSED: &str = "REFUSED";
const NOT_HELD: &str = "NOT_HELD";
const WRONG_INSTALLATION: &str = "WRONG_INSTALLATION";
