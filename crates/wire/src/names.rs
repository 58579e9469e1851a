//! Resource names (AIP-122): how jobs, tasks, attempts, outputs and workers are called on the API.

use std::{fmt, str::FromStr};

use votum_ids::{FencingToken, JobId, OutputName, TaskId, WorkerId};

use crate::{Fault, HookKind, Malformed};

/// Returns the resource name of a job.
#[must_use]
pub fn job_name(job: &JobId) -> String {
    format!("jobs/{job}")
}

/// Reads the resource name of a job.
///
/// # Errors
/// [`Malformed`] when the text has not the form `jobs/{job}`.
pub fn read_job_name(field: &str, text: &str) -> Result<JobId, Malformed> {
    read_single(field, text, "jobs/", "jobs/{job}")
}

/// Returns the resource name of a worker.
#[must_use]
pub fn worker_name(worker: &WorkerId) -> String {
    format!("workers/{worker}")
}

/// Reads the resource name of a worker.
///
/// # Errors
/// [`Malformed`] when the text has not the form `workers/{worker}`.
pub fn read_worker_name(field: &str, text: &str) -> Result<WorkerId, Malformed> {
    read_single(field, text, "workers/", "workers/{worker}")
}

/// Returns the resource name of a task.
pub(crate) fn task_name(job: &JobId, task: &TaskId) -> String {
    format!("jobs/{job}/tasks/{task}")
}

/// Returns the resource name of an output.
pub(crate) fn output_name(job: &JobId, task: &TaskId, output: &OutputName) -> String {
    format!("jobs/{job}/outputs/{task}.{output}")
}

/// Reads the output of a task from a resource name.
pub(crate) fn read_output_name(
    field: &str,
    text: &str,
) -> Result<(JobId, TaskId, OutputName), Malformed> {
    let form = "jobs/{job}/outputs/{task}.{output}";
    let parts = || {
        let (job, output) = text.strip_prefix("jobs/")?.split_once("/outputs/")?;
        let (task, output) = output.split_once('.')?;
        Some((JobId::new(job).ok()?, TaskId::new(task).ok()?, OutputName::new(output).ok()?))
    };
    parts().ok_or_else(|| Malformed::new(field, Fault::form(text, form)))
}

fn read_single<T>(field: &str, text: &str, prefix: &str, form: &'static str) -> Result<T, Malformed>
where
    T: FromStr,
    Fault: From<T::Err>,
{
    let Some(id) = text.strip_prefix(prefix) else {
        return Err(Malformed::new(field, Fault::form(text, form)));
    };
    id.parse().map_err(|fault: T::Err| Malformed::new(field, fault))
}

/// The name people know an attempt by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptName {
    /// The job.
    pub job: JobId,
    /// The task in it, or the effect.
    pub task: TaskId,
    /// What it tries around the decision; none: the task itself.
    pub hook: Option<HookKind>,
    /// Counts the attempts of the task, or the tries of the hook, from 1.
    pub number: u32,
}

impl AttemptName {
    /// Returns what the names of such attempts have in common.
    fn collection(&self) -> &'static str {
        match self.hook {
            None => "tasks",
            Some(HookKind::Effect) => "effects",
            Some(HookKind::Compensation) => "compensations",
        }
    }
}

impl fmt::Display for AttemptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (collection, number) = (self.collection(), self.number);
        write!(f, "jobs/{}/{collection}/{}/attempts/{number}", self.job, self.task)
    }
}

/// A job, one task of it, or one attempt of that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The job.
    pub job: JobId,
    /// One task; every task if absent.
    pub task: Option<TaskScope>,
}

/// One task, or one attempt of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskScope {
    /// The task.
    pub task: TaskId,
    /// One attempt; every attempt if absent.
    pub number: Option<u32>,
}

impl Scope {
    /// Takes in a whole job.
    #[must_use]
    pub fn job(job: JobId) -> Self {
        Self { job, task: None }
    }

    /// Says whether an attempt lies in it. A compensation lies in its task, but is none of that
    /// task's numbered attempts.
    #[must_use]
    pub fn contains(&self, attempt: &AttemptName) -> bool {
        let is_numbered = attempt.hook != Some(HookKind::Compensation);
        self.job == attempt.job
            && self.task.as_ref().is_none_or(|scope| {
                scope.task == attempt.task
                    && scope.number.is_none_or(|number| is_numbered && number == attempt.number)
            })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jobs/{}", self.job)?;
        if let Some(TaskScope { task, number }) = &self.task {
            write!(f, "/tasks/{task}")?;
            if let Some(number) = number {
                write!(f, "/attempts/{number}")?;
            }
        }
        Ok(())
    }
}

/// Reads the resource name of a job, task or attempt.
pub(crate) fn read_scope(field: &str, text: &str) -> Result<Scope, Malformed> {
    let form = "jobs/{job}[/tasks/{task}[/attempts/{attempt}]]";
    let parts: Vec<&str> = text.split('/').collect();
    let scope = || {
        let (job, rest) = match parts.as_slice() {
            ["jobs", job, rest @ ..] => (JobId::new(job).ok()?, rest),
            [..] => return None,
        };
        let task = match rest {
            [] => None,
            ["tasks", task] => Some(TaskScope { task: TaskId::new(task).ok()?, number: None }),
            ["tasks", task, "attempts", number] => {
                Some(TaskScope { task: TaskId::new(task).ok()?, number: Some(ordinal(number)?) })
            }
            [..] => return None,
        };
        Some(Scope { job, task })
    };
    scope().ok_or_else(|| Malformed::new(field, Fault::form(text, form)))
}

/// Reads the resource name of an attempt of a task, or of a try of a hook.
pub(crate) fn read_attempt_name(field: &str, text: &str) -> Result<AttemptName, Malformed> {
    let name = || {
        let parts: Vec<&str> = text.split('/').collect();
        let ["jobs", job, collection, task, "attempts", number] = parts.as_slice() else {
            return None;
        };
        let hook = match *collection {
            "tasks" => None,
            "effects" => Some(HookKind::Effect),
            "compensations" => Some(HookKind::Compensation),
            _ => return None,
        };
        let (job, task) = (JobId::new(*job).ok()?, TaskId::new(*task).ok()?);
        Some(AttemptName { job, task, hook, number: ordinal(number)? })
    };
    let form = "jobs/{job}/{tasks|effects|compensations}/{name}/attempts/{attempt}";
    name().ok_or_else(|| Malformed::new(field, Fault::form(text, form)))
}

/// Reads a fencing token's textual form.
pub(crate) fn read_token(field: &str, text: &str) -> Result<FencingToken, Malformed> {
    let token = || {
        let (epoch, counter) = text.split_once('.')?;
        let epoch = votum_ids::Epoch(epoch.parse().ok()?);
        Some(FencingToken { epoch, counter: counter.parse().ok()? })
    };
    token().ok_or_else(|| Malformed::new(field, Fault::form(text, "{epoch}.{counter}")))
}

/// Reads a number that counts from 1, in its only spelling.
fn ordinal(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}
