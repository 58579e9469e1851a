//! The shapes of a job file: every field that there is, what it holds and what it means.

mod hook;
mod job;
mod output;
mod task;

pub(crate) use self::{
    hook::{COMPENSATION, EFFECT, WEBHOOK},
    job::{COMMIT, CONCURRENCY, JOB, PARAM},
    output::{INPUT, OUTPUT, PUBLISH},
    task::{CHECKPOINT, HEALTH, RESOURCES, RETRY, STEP, TASK},
};

/// Every shape.
pub(crate) const ALL: [&super::shape::Shape; 16] = [
    &JOB,
    &PARAM,
    &CONCURRENCY,
    &COMMIT,
    &TASK,
    &STEP,
    &RETRY,
    &HEALTH,
    &CHECKPOINT,
    &RESOURCES,
    &INPUT,
    &OUTPUT,
    &PUBLISH,
    &COMPENSATION,
    &EFFECT,
    &WEBHOOK,
];
