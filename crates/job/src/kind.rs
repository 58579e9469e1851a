//! The typing of work at submit: what can be undone comes before the decision, what cannot after.
//!
//! Staged and compensatable tasks are the part of a job that an abort undoes; effects are begun
//! only after the decision. A job that would need an effect before is refused, since its abort
//! could not undo everything (flexible transactions: compensatable, pivot, retriable).

use std::collections::BTreeMap;

use votum_ids::TaskId;

use crate::{
    Compensation, EffectSpec, EffectWork, InputSpec, JobSpec, Problem, Program, RetryPolicy,
    TaskSpec, Trigger,
    graph::Findings,
    rules::{check_duration, check_env, check_no_nul, check_program, check_retry},
    suggestion::closest,
};

/// How the work of a job is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is done in shadow storage, which is discarded.
    Staged,
    /// It acts outside while the job runs; its compensation undoes that.
    Compensatable,
    /// It is not: it is begun only after the decision.
    Effect,
}

impl Kind {
    /// Returns the word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Compensatable => "compensatable",
            Self::Effect => "effect",
        }
    }
}

impl TaskSpec {
    /// Says how what the task does is undone.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.compensate.is_some() { Kind::Compensatable } else { Kind::Staged }
    }
}

/// Checks that nothing which can be undone waits for something which cannot.
pub(crate) fn check_kinds(spec: &JobSpec, findings: &mut Findings) {
    for (position, (task, task_spec)) in spec.tasks.iter().enumerate() {
        findings.turn_to(position);
        for effect in task_spec.needs.iter().filter(|name| spec.effects.contains_key(*name)) {
            let problem = too_early(spec, effect, task, task_spec.kind());
            findings.add(format!("tasks.{task}.needs"), problem);
        }
        for (name, input) in &task_spec.inputs {
            if let InputSpec::TaskOutput { task: source, .. } = input
                && spec.effects.contains_key(source)
            {
                let path = path_to(spec, source, task);
                let problem = Problem::OutputOfEffect { effect: source.clone(), path };
                findings.add(format!("tasks.{task}.inputs.{name}"), problem);
            }
        }
        if let Some(compensation) = &task_spec.compensate {
            check_compensation(task, compensation, findings);
        }
    }
    findings.turn_to_end();
    // A rescue would take over what a compensation has undone.
    let undone = spec.tasks.iter().find(|(_, task)| task.compensate.is_some());
    if let Some((task, _)) = undone.filter(|_| !spec.keep_staged.is_zero()) {
        findings.add("keep_staged", Problem::KeptButUndone { task: task.clone() });
    }
    let count = spec.effects.len();
    if count > EFFECTS_MAX {
        findings.add("effects", Problem::TooManyEffects { count, limit: EFFECTS_MAX });
        return;
    }
    for (name, effect) in &spec.effects {
        if spec.tasks.contains_key(name) {
            let problem = Problem::DuplicateName { name: name.to_string() };
            findings.add(format!("effects.{name}"), problem);
        }
        check_effect(name, effect, findings);
        check_order(spec, name, effect, findings);
    }
    if let Some(cycle) = cycle(&spec.effects) {
        let field = format!("effects.{}.needs", cycle[0]);
        findings.add(field, Problem::DependencyCycle { cycle });
    }
}

fn too_early(spec: &JobSpec, effect: &TaskId, task: &TaskId, kind: Kind) -> Problem {
    let path = path_to(spec, effect, task);
    Problem::EffectBeforeTask { effect: effect.clone(), task: task.clone(), kind, path }
}

/// Returns the chain of effects that leads to one, and the task that waits for it.
fn path_to(spec: &JobSpec, effect: &TaskId, task: &TaskId) -> Vec<TaskId> {
    let mut path = vec![task.clone(), effect.clone()];
    let mut last = effect;
    while let Some(before) = spec.effects.get(last).and_then(|effect| effect.needs.first())
        && spec.effects.contains_key(before)
        && !path.contains(before)
    {
        path.push(before.clone());
        last = before;
    }
    path.reverse();
    path
}

fn check_order(spec: &JobSpec, name: &TaskId, effect: &EffectSpec, findings: &mut Findings) {
    let field = || format!("effects.{name}.needs");
    for needed in &effect.needs {
        let Some(other) = spec.effects.get(needed) else {
            let problem = if spec.tasks.contains_key(needed) {
                Problem::EffectNeedsTask { task: needed.clone() }
            } else {
                let meant = closest(needed.as_str(), spec.effects.keys().map(TaskId::as_str));
                let suggestion = meant.and_then(|meant| TaskId::new(meant).ok());
                Problem::UnknownEffect { effect: needed.clone(), suggestion }
            };
            findings.add(field(), problem);
            continue;
        };
        let fits = match (other.after, effect.after) {
            (Trigger::Commit, Trigger::Abort) | (Trigger::Abort, Trigger::Commit) => false,
            // Those at the end come after all others.
            (Trigger::End, Trigger::Commit | Trigger::Abort) => false,
            (Trigger::Commit, Trigger::Commit | Trigger::End)
            | (Trigger::Abort, Trigger::Abort | Trigger::End)
            | (Trigger::End, Trigger::End) => true,
        };
        if !fits {
            findings.add(field(), Problem::NeverBefore { effect: needed.clone() });
        }
    }
}

/// Returns effects that wait for each other, each before the one that waits for it.
fn cycle(effects: &BTreeMap<TaskId, EffectSpec>) -> Option<Vec<TaskId>> {
    let mut open: BTreeMap<&TaskId, Vec<&TaskId>> = effects
        .iter()
        .map(|(name, effect)| {
            (name, effect.needs.iter().filter(|name| effects.contains_key(*name)).collect())
        })
        .collect();
    loop {
        let free: Vec<&TaskId> = open
            .iter()
            .filter(|(_, needs)| needs.iter().all(|needed| !open.contains_key(*needed)))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            open.remove(name);
        }
    }
    // Everything that is left waits for something that is left: going back never ends.
    let mut walked: Vec<TaskId> = vec![(*open.keys().next()?).clone()];
    loop {
        let last = walked.last().expect("it began with one");
        let before = open[last].iter().find(|needed| open.contains_key(**needed))?;
        if let Some(at) = walked.iter().position(|name| name == *before) {
            let mut ring = walked.split_off(at);
            ring.reverse();
            return Some(ring);
        }
        walked.push((*before).clone());
    }
}

fn check_compensation(task: &TaskId, compensation: &Compensation, findings: &mut Findings) {
    let place = format!("tasks.{task}.compensate");
    check_hook_program(&compensation.program, &place, findings);
    check_pace(compensation.timeout, &compensation.retry, &place, findings);
}

fn check_effect(name: &TaskId, effect: &EffectSpec, findings: &mut Findings) {
    let place = format!("effects.{name}");
    check_pace(effect.timeout, &effect.retry, &place, findings);
    match &effect.work {
        EffectWork::Program { placement: _, program, env } => {
            check_hook_program(program, &place, findings);
            check_env(&format!("{place}.env"), env, findings);
        }
        EffectWork::Webhook { url, headers } => {
            findings.add_if(|| format!("{place}.webhook.url"), check_url(url));
            let count = headers.len();
            if count > HEADERS_MAX {
                let problem = Problem::TooManyHeaders { count, limit: HEADERS_MAX };
                findings.add(format!("{place}.webhook.headers"), problem);
            }
            for (header, value) in headers {
                let shown: String = header.chars().take(80).collect();
                let field = || format!("{place}.webhook.headers.{shown}");
                findings.add_if(field, check_header(header, value));
            }
        }
    }
}

fn check_hook_program(program: &Program, place: &str, findings: &mut Findings) {
    match program {
        // The other has no form in which it could be asked for here.
        Program::Steps(_) | Program::PutBack(_) => findings.add(place, Problem::HookWithSteps),
        Program::Command(_) | Program::Script { .. } => check_program(program, place, findings),
    }
}

fn check_pace(
    timeout: std::time::Duration,
    retry: &RetryPolicy,
    place: &str,
    findings: &mut Findings,
) {
    findings.add_if(|| format!("{place}.timeout"), check_duration(timeout));
    check_retry(retry, |rest| format!("{place}.{rest}"), findings);
}

fn check_url(url: &str) -> Result<(), Problem> {
    let refuse = |rule| {
        let url = url.chars().take(80).collect();
        Err(Problem::Url { url, rule })
    };
    if url.len() > URL_BYTES_MAX {
        return refuse("it is longer than 2048 characters");
    }
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return refuse("it must start with http:// or https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return refuse("it names no host");
    }
    if host.contains('@') {
        return refuse("a user or password may not stand in it");
    }
    if !url.chars().all(|c| c.is_ascii_graphic()) {
        return refuse("only printable ASCII without blanks may stand in it");
    }
    Ok(())
}

fn check_header(name: &str, value: &str) -> Result<(), Problem> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let refuse = |rule| {
        let name = name.chars().take(80).collect();
        Err(Problem::Header { name, rule })
    };
    if name.is_empty() || !name.chars().all(token) {
        return refuse("it is not the name of a header");
    }
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return refuse("it is set by Votum");
    }
    if value.len() > HEADER_BYTES_MAX || !value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return refuse("its value must be printable ASCII of at most 1024 characters");
    }
    check_no_nul(value)
}

/// Largest number of effects in a job.
pub const EFFECTS_MAX: usize = 100;
/// Largest number of headers of one webhook.
pub const HEADERS_MAX: usize = 32;
/// Longest URL.
const URL_BYTES_MAX: usize = 2048;
/// Longest value of a header.
const HEADER_BYTES_MAX: usize = 1024;
/// Headers that a job cannot set, in lower case.
const RESERVED_HEADERS: [&str; 5] =
    ["content-type", "content-length", "host", "idempotency-key", "transfer-encoding"];

#[cfg(test)]
mod tests;
