//! What a job is: data and pure rules.

mod assignment;
mod graph;
mod invalid;
mod inventory;
mod paths;
mod report;
mod rules;
mod spec;
mod suggestion;

pub use assignment::{Assignment, InputSource, ResolvedInput};
pub use graph::{EDGES_MAX, Graph, OUTPUTS_MAX, PROBLEMS_MAX, TASKS_MAX};
pub use invalid::{InvalidJob, Problem};
pub use inventory::{AttemptState, ListedAttempt};
pub use report::{AttemptEnd, Failure, FailureKind, StagedOutput, Usage};
pub use rules::{
    ATTEMPTS_MAX, DISPLAY_NAME_BYTES_MAX, DURATION_MAX, SCRIPT_BYTES_MAX, SPEC_BYTES_MAX,
    VARIABLES_MAX,
};
pub use spec::{
    GRACE_PERIOD_DEFAULT, INTERPRETER_DEFAULT, InputSpec, JobSpec, OutputSpec,
    PREPARE_TIMEOUT_DEFAULT, Placement, Program, RETENTION_DEFAULT, RetryPolicy, TIMEOUT_DEFAULT,
    TaskSpec,
};
pub use suggestion::closest;
