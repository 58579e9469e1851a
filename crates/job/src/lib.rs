//! What a job is: data and pure rules.

mod assignment;
mod inventory;
mod report;
mod spec;

pub use assignment::{Assignment, InputSource, ResolvedInput};
pub use inventory::{AttemptState, ListedAttempt};
pub use report::{AttemptEnd, Failure, FailureKind, StagedOutput, Usage};
pub use spec::{
    GRACE_PERIOD_DEFAULT, INTERPRETER_DEFAULT, InputSpec, JobSpec, OutputSpec,
    PREPARE_TIMEOUT_DEFAULT, Placement, Program, RETENTION_DEFAULT, RetryPolicy, TIMEOUT_DEFAULT,
    TaskSpec,
};
