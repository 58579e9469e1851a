//! What a job is: data and pure rules.

mod assignment;
mod checkpoint;
mod concurrency;
mod dry_vote;
mod expression;
mod flat_map;
mod graph;
mod health;
mod hook;
mod invalid;
mod inventory;
mod kind;
mod paths;
mod report;
mod report_line;
mod resources;
mod rules;
mod self_report;
mod signal;
mod size;
mod spec;
mod suggestion;

pub use assignment::{Assignment, HookRole, InputSource, ResolvedInput, Role};
pub use checkpoint::{
    CHECKPOINT_BYTES_DEFAULT, CHECKPOINTS_KEPT, CheckpointHolder, CheckpointPolicy, HeldCheckpoint,
    ResumePoint,
};
pub use concurrency::{Concurrency, ConcurrencyKey, ConcurrencyPolicy, InvalidKey, KEY_BYTES_MAX};
pub use dry_vote::{
    BASE_CHANGED, Base, Candidate, DRY_VOTE_INTERVAL_MIN, DRY_VOTE_PROTOCOL, DryVoteAnswer,
    DryVoteRequest, FINDINGS_MAX, Finding, NOT_ASKED, NOT_REACHABLE, SealedAs,
};
pub use expression::Expression;
pub use flat_map::FlatMap;
pub use graph::{EDGES_MAX, Graph, OUTPUTS_MAX, PROBLEMS_MAX, TASKS_MAX};
pub use health::{
    HEALTH_FAILURES_DEFAULT, HEALTH_INTERVAL_DEFAULT, HEALTH_TIMEOUT_DEFAULT, HealthCheck,
};
pub use hook::{
    Compensation, EffectSpec, EffectWork, HOOK_TIMEOUT_DEFAULT, OnUnknown, Trigger,
    hook_retry_default,
};
pub use invalid::{InvalidJob, Problem};
pub use inventory::{AttemptState, Comeback, ListedAttempt};
pub use kind::{EFFECTS_MAX, HEADERS_MAX, Kind};
pub use report::{AttemptEnd, Failure, FailureKind, StagedOutput, Usage};
pub use report_line::{MalformedLine, ReportLine};
pub use resources::{BACKEND_LABEL, Enforced, RESERVED_LABELS, Resources, TASK_USER_LABEL};
pub use rules::{
    ATTEMPTS_MAX, DISPLAY_NAME_BYTES_MAX, DURATION_MAX, HEALTH_FAILURES_MAX, SCRIPT_BYTES_MAX,
    SPEC_BYTES_MAX, STEPS_MAX, VARIABLES_MAX, mangled,
};
pub use self_report::{Amount, Progress, SelfReport, WHOLE};
pub use signal::{TaskSignal, UnknownSignal};
pub use size::Size;
pub use spec::{
    APPROVAL_DEFAULT, GENERATIONS_KEPT_MAX, GRACE_PERIOD_DEFAULT, INTERPRETER_DEFAULT, InputSpec,
    JobSpec, OnExhausted, OnUnreachable, OutputSpec, PREPARE_TIMEOUT_DEFAULT, Placement, Program,
    REPLICAS_MAX, RETENTION_DEFAULT, RetryPolicy, Step, TIMEOUT_DEFAULT, TaskSpec,
};
pub use suggestion::closest;
