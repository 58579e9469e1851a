//! What people are shown of a worker.

use votum_machine::{Moment, WallTime};
use votum_schedule::Scheduler;
use votum_wire::{
    names::AttemptName,
    view::{DrainView, WorkerState, WorkerView},
};

/// Shows every worker, by name.
pub(crate) fn all(anchor: WallTime, scheduler: &Scheduler) -> Vec<WorkerView> {
    scheduler.workers().map(|worker| one(anchor, worker, scheduler)).collect()
}

/// Shows one worker.
pub(crate) fn one(
    anchor: WallTime,
    worker: votum_schedule::WorkerView,
    scheduler: &Scheduler,
) -> WorkerView {
    let running = worker.running.iter().map(|attempt| AttemptName {
        job: attempt.job.clone(),
        task: attempt.task.clone(),
        hook: None,
        number: scheduler
            .task(Moment::START, &attempt.job, &attempt.task)
            .and_then(|task| task.attempts.last().map(|last| last.number))
            .unwrap_or_default(),
    });
    let registration = worker.registration;
    WorkerView {
        running: running.collect(),
        worker: registration.worker,
        uid: registration.uid,
        incarnation: registration.incarnation,
        state: match worker.state {
            votum_schedule::WorkerState::Ready => WorkerState::Ready,
            votum_schedule::WorkerState::Reconciling => WorkerState::Reconciling,
            votum_schedule::WorkerState::Suspect => WorkerState::Suspect,
            votum_schedule::WorkerState::Absent => WorkerState::Absent,
            votum_schedule::WorkerState::Lost => WorkerState::Lost,
            votum_schedule::WorkerState::Draining => WorkerState::Draining,
            votum_schedule::WorkerState::Drained => WorkerState::Drained,
        },
        labels: registration.labels,
        version: registration.version,
        artifact_address: registration.artifact_address,
        publish_roots: registration.publish_roots,
        last_seen: (worker.heard > Moment::START).then(|| anchor.at(worker.heard)),
        slots: registration.slots,
        free_bytes: (worker.free_bytes > 0).then_some(worker.free_bytes),
        holds: worker.holds,
        keeps: worker.keeps,
        protocol: registration.protocol,
        drain: worker.drain.map(|drain| DrainView {
            deadline: drain.deadline(),
            by: drain.by,
            reason: drain.reason,
            ordered: drain.ordered,
        }),
        damages: Vec::new(),
        limits: Vec::new(),
        clock_ahead_ms: None,
    }
}
