//! Every way a spec can be wrong, with the path of the field that says so.

use std::{fmt, time::Duration};

use thiserror::Error;
use votum_ids::{InvalidName, OutputName, TaskId, WorkerId};

use crate::Kind;

/// One reason why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct InvalidJob {
    /// Where: a path such as `tasks.load.outputs.rows.path`.
    pub field: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A job without tasks commits nothing.
    #[error("a job needs at least one task")]
    NoTasks,
    /// The graph has too many nodes.
    #[error("the job has {count} tasks, at most {limit} are allowed")]
    TooManyTasks {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The graph has too many edges.
    #[error("the job has {count} dependencies, at most {limit} are allowed")]
    TooManyEdges {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The job has too many outputs: one record names them all when it commits.
    #[error("the job has {count} outputs, at most {limit} are allowed")]
    TooManyOutputs {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The spec as a whole is too large.
    #[error("the spec has {bytes} bytes, at most {bytes_max} are allowed")]
    SpecTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// A text breaks the rule for names.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A display name leaves no room for the suffix that makes it a job's id.
    #[error("the name has {bytes} characters, at most {bytes_max} are allowed")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A name was given twice where it must be unique.
    #[error("{name:?} is given twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Two names become one environment variable.
    #[error("{first:?} and {second:?} both become the variable {variable}")]
    VariableCollision {
        /// What both become.
        variable: String,
        /// One name.
        first: String,
        /// The other name.
        second: String,
    },
    /// A parameter's name cannot become an environment variable.
    #[error(
        "{name:?} is not a parameter name: only letters, digits, '-', '_' and '.' may stand in it"
    )]
    ParameterName {
        /// What was given.
        name: String,
    },
    /// A task that does not exist is named.
    #[error("there is no task {task}{}", DidYouMean(.suggestion.as_ref().map(TaskId::as_str)))]
    UnknownTask {
        /// What was named.
        task: TaskId,
        /// The task that was perhaps meant.
        suggestion: Option<TaskId>,
    },
    /// An output that does not exist is named.
    #[error(
        "task {task} has no output {output}{}",
        DidYouMean(.suggestion.as_ref().map(OutputName::as_str))
    )]
    UnknownOutput {
        /// The task, which exists.
        task: TaskId,
        /// What was named.
        output: OutputName,
        /// The output that was perhaps meant.
        suggestion: Option<OutputName>,
    },
    /// Tasks wait for each other.
    #[error("these tasks wait for each other, each for the one before it: {}", Cycle(.cycle))]
    DependencyCycle {
        /// The whole cycle, each before the one that waits for it.
        cycle: Vec<TaskId>,
    },
    /// Two outputs would become visible at one place.
    #[error(
        "{path:?} is also published by {other_task}.{other_output}{}",
        OnWorker(.worker.as_ref())
    )]
    PublishConflict {
        /// The target's path.
        path: String,
        /// The task of the other output.
        other_task: TaskId,
        /// The other output.
        other_output: OutputName,
        /// The worker that both are pinned to, if there is one.
        worker: Option<WorkerId>,
    },
    /// The argument vector is empty.
    #[error("there is nothing to run")]
    NothingToRun,
    /// A text would end at a NUL.
    #[error("a NUL byte may not stand in it")]
    ContainsNul,
    /// A script is too large.
    #[error("the script has {bytes} bytes, at most {bytes_max} are allowed")]
    ScriptTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// A text is no name of an environment variable.
    #[error("{name:?} is not a variable name: letters, digits and '_', not starting with a digit")]
    VariableName {
        /// What was given.
        name: String,
    },
    /// Variables that Votum sets cannot be set by a job.
    #[error("{name:?} is protected: names that start with VOTUM_ are set by Votum")]
    ProtectedVariable {
        /// What was given.
        name: String,
    },
    /// Too many environment variables.
    #[error("there are {count} variables, at most {limit} are allowed")]
    TooManyVariables {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A path that cannot be used.
    #[error("{path:?} is not a usable path: {rule}")]
    Path {
        /// What was given, cut to 80 characters.
        path: String,
        /// The rule it breaks, in words.
        rule: &'static str,
    },
    /// Two outputs of a task have one path, or one lies below the other.
    #[error("{path:?} overlaps with the path of output {other}")]
    OverlappingOutputs {
        /// The path.
        path: String,
        /// The other output.
        other: OutputName,
    },
    /// What is written and what becomes visible are not of one kind.
    #[error("{path:?} {}", if *.tree { "must end in '/' to be published as a tree" } else { "ends in '/' and cannot be published as a file" })]
    KindMismatch {
        /// The output's path.
        path: String,
        /// Whether the target is a tree.
        tree: bool,
    },
    /// A duration is zero or too long.
    #[error("{given:?} is not allowed: it must be more than zero and at most {max:?}")]
    Duration {
        /// What was given.
        given: Duration,
        /// The longest allowed.
        max: Duration,
    },
    /// There are too many steps.
    #[error("there are {count} steps, at most {limit} are allowed")]
    TooManySteps {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A step consists of steps.
    #[error("a step cannot have steps of its own")]
    NestedSteps,
    /// A limit of zero allows nothing.
    #[error("it must be more than zero")]
    Zero,
    /// A limit that no machine reaches is a slip.
    #[error("it is more than any machine has: at most {most} is allowed")]
    TooMuch {
        /// The highest limit, in words.
        most: String,
    },
    /// A field means nothing without another.
    #[error("it means nothing without {needed:?}")]
    Alone {
        /// The other field.
        needed: &'static str,
    },
    /// The number of failures is out of range.
    #[error("{given} failures are not allowed: at least 1 and at most {limit}")]
    Failures {
        /// What was given.
        given: u32,
        /// How many may be.
        limit: u32,
    },
    /// The number of attempts is out of range.
    #[error("{given} attempts are not allowed: at least 1 and at most {limit}")]
    Attempts {
        /// What was given.
        given: u32,
        /// How many may be.
        limit: u32,
    },
    /// The number of workers that shall hold an output is out of range.
    #[error("{given} replicas are not allowed: at least 1, the output itself, and at most {limit}")]
    Replicas {
        /// What was given.
        given: u32,
        /// How many may be.
        limit: u32,
    },
    /// The number of earlier generations that a target keeps is out of range.
    #[error("{given} earlier generations cannot be kept: at least 1, and at most {limit}")]
    GenerationsKept {
        /// What was given.
        given: u32,
        /// How many may be.
        limit: u32,
    },
    /// A task waits for an effect, which an abort could not undo.
    #[error(
        "{effect} is an effect: it cannot be undone, so it runs only after the decision and no \
         {} task can wait for it ({})", .kind.word(), Chain(.path)
    )]
    EffectBeforeTask {
        /// The effect.
        effect: TaskId,
        /// The task that waits for it.
        task: TaskId,
        /// How the task would be undone.
        kind: Kind,
        /// From the first effect to the task.
        path: Vec<TaskId>,
    },
    /// A task reads what an effect would write.
    #[error(
        "{effect} is an effect: it runs only after the decision and has no outputs ({})",
        Chain(.path)
    )]
    OutputOfEffect {
        /// The effect.
        effect: TaskId,
        /// From the first effect to the task.
        path: Vec<TaskId>,
    },
    /// An effect names a task as what comes first.
    #[error("{task} is a task; every effect runs after all tasks, and needs only effects")]
    EffectNeedsTask {
        /// The task.
        task: TaskId,
    },
    /// An effect that does not exist is named.
    #[error(
        "there is no effect {effect}{}", DidYouMean(.suggestion.as_ref().map(TaskId::as_str))
    )]
    UnknownEffect {
        /// What was named.
        effect: TaskId,
        /// The effect that was perhaps meant.
        suggestion: Option<TaskId>,
    },
    /// Two effects never run after the same decision in this order.
    #[error("{effect} never runs before it: they belong to different decisions")]
    NeverBefore {
        /// The other effect.
        effect: TaskId,
    },
    /// There are too many effects.
    #[error("there are {count} effects, at most {limit} are allowed")]
    TooManyEffects {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// What an abort keeps for a rescue would have been undone meanwhile.
    #[error("nothing can be kept for a rescue of what the compensation of {task} undoes")]
    KeptButUndone {
        /// A task with a compensation.
        task: TaskId,
    },
    /// An effect or compensation consists of steps.
    #[error("an effect or a compensation cannot have steps")]
    HookWithSteps,
    /// A text is no usable URL.
    #[error("{url:?} is not a usable URL: {rule}")]
    Url {
        /// What was given, cut to 80 characters.
        url: String,
        /// The rule it breaks, in words.
        rule: &'static str,
    },
    /// A header cannot be sent.
    #[error("the header {name:?} cannot be sent: {rule}")]
    Header {
        /// Its name, cut to 80 characters.
        name: String,
        /// The rule it breaks, in words.
        rule: &'static str,
    },
    /// There are too many headers.
    #[error("there are {count} headers, at most {limit} are allowed")]
    TooManyHeaders {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
}

impl Problem {
    /// Returns the stable word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooManyTasks { .. }
            | Self::TooManyEdges { .. }
            | Self::TooManyOutputs { .. }
            | Self::SpecTooLarge { .. }
            | Self::ScriptTooLarge { .. }
            | Self::TooManySteps { .. }
            | Self::TooManyEffects { .. }
            | Self::TooManyHeaders { .. } => "SPEC_TOO_LARGE",
            Self::EffectBeforeTask { .. } | Self::OutputOfEffect { .. } => "NOT_UNDOABLE",
            Self::DuplicateName { .. } | Self::VariableCollision { .. } => "DUPLICATE_NAME",
            Self::UnknownTask { .. } | Self::UnknownEffect { .. } => "UNKNOWN_TASK",
            Self::UnknownOutput { .. } => "UNKNOWN_OUTPUT",
            Self::DependencyCycle { .. } => "DEPENDENCY_CYCLE",
            Self::PublishConflict { .. } => "PUBLISH_CONFLICT",
            Self::NoTasks
            | Self::Name(_)
            | Self::NameTooLong { .. }
            | Self::ParameterName { .. }
            | Self::NothingToRun
            | Self::ContainsNul
            | Self::VariableName { .. }
            | Self::ProtectedVariable { .. }
            | Self::TooManyVariables { .. }
            | Self::Path { .. }
            | Self::OverlappingOutputs { .. }
            | Self::KindMismatch { .. }
            | Self::Duration { .. }
            | Self::NestedSteps
            | Self::Zero
            | Self::TooMuch { .. }
            | Self::Alone { .. }
            | Self::Failures { .. }
            | Self::Attempts { .. }
            | Self::Replicas { .. }
            | Self::GenerationsKept { .. }
            | Self::EffectNeedsTask { .. }
            | Self::NeverBefore { .. }
            | Self::KeptButUndone { .. }
            | Self::HookWithSteps
            | Self::Url { .. }
            | Self::Header { .. } => "INVALID_SPEC",
        }
    }
}

struct DidYouMean<'a>(Option<&'a str>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, "; did you mean {name}?"))
    }
}

struct OnWorker<'a>(Option<&'a WorkerId>);

impl fmt::Display for OnWorker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |worker| write!(f, " on worker {worker}"))
    }
}

struct Chain<'a>(&'a [TaskId]);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, task) in self.0.iter().enumerate() {
            write!(f, "{}{task}", if at == 0 { "" } else { " -> " })?;
        }
        Ok(())
    }
}

struct Cycle<'a>(&'a [TaskId]);

impl fmt::Display for Cycle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first is repeated at the end, so that the ring is seen as one.
        for task in self.0 {
            write!(f, "{task} -> ")?;
        }
        self.0.first().map_or(Ok(()), |task| fmt::Display::fmt(task, f))
    }
}
