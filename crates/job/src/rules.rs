//! The rules for a job and for each of its tasks, beyond the shape of the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use votum_ids::{JobId, OutputName, Target, TargetKind, TaskId, WorkerId};

use crate::{
    EffectSpec, EffectWork, GENERATIONS_KEPT_MAX, HealthCheck, JobSpec, OnUnreachable, Problem,
    Program, REPLICAS_MAX, RetryPolicy, Size, Step, TaskSpec,
    graph::{Findings, OUTPUTS_MAX, TASKS_MAX},
    paths::{ancestors, check_output_path, check_target_path, trimmed},
};

/// Checks what belongs to the job itself.
pub(crate) fn check_job(spec: &JobSpec, findings: &mut Findings) {
    findings.turn_to_job();
    findings.add_if(|| "display_name".into(), check_display_name(&spec.display_name));
    check_params(spec, findings);
    check_env("env", &spec.env, findings);
    for (field, duration) in [
        ("timeout", spec.timeout),
        ("retention", spec.retention),
        ("prepare_timeout", spec.prepare_timeout),
    ] {
        findings.add_if(|| field.into(), check_duration(duration));
    }
    for (field, duration) in [("approval", spec.approval), ("dry_vote", spec.dry_vote)] {
        if let Some(duration) = duration {
            findings.add_if(|| format!("commit.{field}"), check_duration(duration));
        }
    }
    // Zero is the wish to keep nothing.
    if !spec.keep_staged.is_zero() {
        findings.add_if(|| "keep_staged".into(), check_duration(spec.keep_staged));
    }
    if spec.tasks.is_empty() {
        findings.add("tasks", Problem::NoTasks);
    }
    let count = spec.tasks.len();
    if count > TASKS_MAX {
        findings.add("tasks", Problem::TooManyTasks { count, limit: TASKS_MAX });
    }
    let count = spec.tasks.values().map(|task| task.outputs.len()).sum();
    if count > OUTPUTS_MAX {
        findings.add("tasks", Problem::TooManyOutputs { count, limit: OUTPUTS_MAX });
    }
    let bytes = text_bytes(spec);
    if bytes > SPEC_BYTES_MAX {
        findings.add("tasks", Problem::SpecTooLarge { bytes, bytes_max: SPEC_BYTES_MAX });
    }
}

/// Checks what belongs to one task alone.
pub(crate) fn check_task(task: &TaskId, spec: &TaskSpec, job: &JobSpec, findings: &mut Findings) {
    let field = |rest: &str| format!("tasks.{task}.{rest}");
    check_program(&spec.program, &format!("tasks.{task}"), findings);
    check_conduct(spec, field, findings);
    check_resources(spec, field, findings);
    check_env(&field("env"), &spec.env, findings);
    let count = spec.env.keys().chain(job.env.keys()).collect::<BTreeSet<_>>().len();
    if count > VARIABLES_MAX && spec.env.len() <= VARIABLES_MAX && job.env.len() <= VARIABLES_MAX {
        findings.add(field("env"), Problem::TooManyVariables { count, limit: VARIABLES_MAX });
    }
    check_variables(spec.inputs.keys().map(OutputName::as_str), &field("inputs"), findings);
    check_variables(spec.outputs.keys().map(OutputName::as_str), &field("outputs"), findings);
    check_outputs(task, spec, findings);
    findings.add_if(|| field("timeout"), check_duration(spec.timeout));
    findings.add_if(|| field("grace_period"), check_duration(spec.grace_period));
    check_retry(&spec.retry, field, findings);
}

/// Checks when a failed try is followed by another.
pub(crate) fn check_retry(
    retry: &RetryPolicy,
    field: impl Fn(&str) -> String,
    findings: &mut Findings,
) {
    let given = retry.attempts;
    if !(1..=ATTEMPTS_MAX).contains(&given) {
        findings.add(field("retry.attempts"), Problem::Attempts { given, limit: ATTEMPTS_MAX });
    }
    for (rest, wait) in [("retry.backoff", retry.backoff), ("retry.backoff_max", retry.backoff_max)]
    {
        // To try again at once is a legal wish, unlike a timeout of zero.
        if !wait.is_zero() {
            findings.add_if(|| field(rest), check_duration(wait));
        }
    }
}

/// Checks that no two published outputs meet at one place of one worker.
pub(crate) fn check_targets(job: &JobSpec, findings: &mut Findings) {
    let mut published: BTreeMap<&str, Vec<Published<'_>>> = BTreeMap::new();
    let mut seats: BTreeMap<(Seat<'_>, &str), Published<'_>> = BTreeMap::new();
    for (position, (task, spec)) in job.tasks.iter().enumerate() {
        for (output, target) in published_outputs(spec) {
            let seat = spec.placement.worker.as_ref().map_or(Seat::Floating(task), Seat::Pinned);
            let entry = Published { position, task, output, seat, path: trimmed(&target.path) };
            let earlier = published.entry(entry.path).or_default();
            if let Some(other) = earlier.iter().find(|other| other.may_meet(&entry)) {
                findings.turn_to(position);
                findings.add(entry.field(), entry.conflict(other));
            }
            earlier.push(entry);
            seats.insert((seat, entry.path), entry);
        }
    }
    for entry in published.values().flatten() {
        let above = ancestors(entry.path).find_map(|path| seats.get(&(entry.seat, path)));
        if let Some(above) = above {
            findings.turn_to(entry.position);
            findings.add(entry.field(), entry.conflict(above));
        }
    }
}

/// An output that becomes visible somewhere.
#[derive(Debug, Clone, Copy)]
struct Published<'a> {
    position: usize,
    task: &'a TaskId,
    output: &'a OutputName,
    seat: Seat<'a>,
    path: &'a str,
}

/// Where a task runs, as far as the spec tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seat<'a> {
    Pinned(&'a WorkerId),
    /// Anywhere; only the task itself is known to run where it runs.
    Floating(&'a TaskId),
}

impl Published<'_> {
    /// Says whether both may end up on one worker.
    fn may_meet(&self, other: &Self) -> bool {
        match (self.seat, other.seat) {
            (Seat::Pinned(one), Seat::Pinned(two)) => one == two,
            (Seat::Floating(_), Seat::Pinned(_) | Seat::Floating(_))
            | (Seat::Pinned(_), Seat::Floating(_)) => true,
        }
    }

    fn field(&self) -> String {
        format!("tasks.{}.outputs.{}.publish", self.task, self.output)
    }

    fn conflict(&self, other: &Self) -> Problem {
        let worker = match (self.seat, other.seat) {
            (Seat::Pinned(one), Seat::Pinned(_)) => Some(one.clone()),
            (Seat::Floating(_), Seat::Pinned(_) | Seat::Floating(_))
            | (Seat::Pinned(_), Seat::Floating(_)) => None,
        };
        Problem::PublishConflict {
            path: self.path.to_owned(),
            other_task: other.task.clone(),
            other_output: other.output.clone(),
            worker,
        }
    }
}

fn published_outputs(spec: &TaskSpec) -> impl Iterator<Item = (&OutputName, &Target)> {
    spec.outputs.iter().filter_map(|(name, output)| Some((name, output.publish.as_ref()?)))
}

fn check_display_name(name: &str) -> Result<(), Problem> {
    if name.len() > DISPLAY_NAME_BYTES_MAX {
        return Err(Problem::NameTooLong { bytes: name.len(), bytes_max: DISPLAY_NAME_BYTES_MAX });
    }
    JobId::new(name)?;
    Ok(())
}

fn check_params(spec: &JobSpec, findings: &mut Findings) {
    for (name, value) in &spec.params {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > VARIABLE_BYTES_MAX || !name.chars().all(legal) {
            let name: String = name.chars().take(80).collect();
            findings.add(format!("params.{name}"), Problem::ParameterName { name });
        }
        findings.add_if(|| format!("params.{name}"), check_no_nul(value));
    }
    check_variables(spec.params.keys().map(String::as_str), "params", findings);
}

/// Checks how a task is watched, kept and stopped while it runs.
fn check_conduct(spec: &TaskSpec, field: impl Fn(&str) -> String, findings: &mut Findings) {
    let checkpoint = spec.checkpoint.as_ref();
    for (rest, duration) in [
        ("start_timeout", spec.start_timeout),
        ("progress_timeout", spec.progress_timeout),
        ("checkpoint.every", checkpoint.and_then(|policy| policy.every)),
        ("health.interval", spec.health.as_ref().map(|health| health.interval)),
        ("health.timeout", spec.health.as_ref().map(|health| health.timeout)),
    ] {
        findings.add_if(|| field(rest), duration.map_or(Ok(()), check_duration));
    }
    if checkpoint.is_some_and(|policy| policy.signal.is_some() && policy.every.is_none()) {
        findings.add(field("checkpoint.signal"), Problem::Alone { needed: "every" });
    }
    if checkpoint.is_some_and(|policy| policy.bytes_max == Some(0)) {
        findings.add(field("checkpoint.bytes_max"), Problem::Zero);
    }
    if spec.on_unreachable == OnUnreachable::Proceed && !spec.acts_outside() {
        findings.add(field("on_unreachable"), Problem::Alone { needed: "exclusive" });
    }
    if let Some(HealthCheck { command, failures: given, .. }) = &spec.health {
        check_arguments(command, &field("health.command"), findings);
        if !(1..=HEALTH_FAILURES_MAX).contains(given) {
            let problem = Problem::Failures { given: *given, limit: HEALTH_FAILURES_MAX };
            findings.add(field("health.failures"), problem);
        }
    }
}

/// Checks that every limit allows something, and no more than a machine can have.
fn check_resources(spec: &TaskSpec, field: impl Fn(&str) -> String, findings: &mut Findings) {
    let resources = spec.resources;
    let size: fn(u64) -> String = |bytes| Size(bytes).to_string();
    let cores: fn(u64) -> String = |millis| format!("{} cores", millis / 1000);
    let number: fn(u64) -> String = |count| count.to_string();
    for (rest, given, most, words) in [
        ("resources.cpu", resources.cpu_millis.map(u64::from), CPU_MILLIS_MAX, cores),
        ("resources.memory", resources.memory_bytes, MEMORY_BYTES_MAX, size),
        ("resources.processes", resources.processes.map(u64::from), PROCESSES_MAX, number),
        ("resources.disk", resources.disk_bytes, DISK_BYTES_MAX, size),
    ] {
        let Some(given) = given else { continue };
        if given == 0 {
            findings.add(field(rest), Problem::Zero);
        } else if given > most {
            findings.add(field(rest), Problem::TooMuch { most: words(most) });
        }
    }
}

fn check_steps(steps: &[Step], place: &str, findings: &mut Findings) {
    let count = steps.len();
    if count > STEPS_MAX {
        let problem = Problem::TooManySteps { count, limit: STEPS_MAX };
        return findings.add(format!("{place}.steps"), problem);
    }
    if steps.is_empty() {
        findings.add(format!("{place}.steps"), Problem::NothingToRun);
    }
    let mut names = BTreeSet::new();
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{place}.steps[{at}]");
        if !names.insert(&step.name) {
            let problem = Problem::DuplicateName { name: step.name.to_string() };
            findings.add(format!("{place}.name"), problem);
        }
        match &step.program {
            // The other has no form in which it could be asked for here.
            Program::Steps(_) | Program::PutBack(_) => findings.add(place, Problem::NestedSteps),
            program @ (Program::Command(_) | Program::Script { .. }) => {
                check_program(program, &place, findings);
            }
        }
    }
}

pub(crate) fn check_program(program: &Program, place: &str, findings: &mut Findings) {
    let field = |rest: &str| format!("{place}.{rest}");
    let (name, arguments) = match program {
        Program::Steps(steps) => return check_steps(steps, place, findings),
        Program::PutBack(_) => return,
        Program::Command(arguments) => ("command", arguments),
        Program::Script { text, interpreter } => {
            let bytes = text.len();
            if bytes > SCRIPT_BYTES_MAX {
                let problem = Problem::ScriptTooLarge { bytes, bytes_max: SCRIPT_BYTES_MAX };
                findings.add(field("run"), problem);
            }
            if text.trim().is_empty() {
                findings.add(field("run"), Problem::NothingToRun);
            }
            findings.add_if(|| field("run"), check_no_nul(text));
            ("interpreter", interpreter)
        }
    };
    check_arguments(arguments, &field(name), findings);
}

fn check_arguments(arguments: &[String], field: &str, findings: &mut Findings) {
    if arguments.first().is_none_or(String::is_empty) {
        findings.add(field, Problem::NothingToRun);
    }
    for (at, argument) in arguments.iter().enumerate() {
        findings.add_if(|| format!("{field}[{at}]"), check_no_nul(argument));
    }
}

pub(crate) fn check_env(field: &str, env: &BTreeMap<String, String>, findings: &mut Findings) {
    if env.len() > VARIABLES_MAX {
        let problem = Problem::TooManyVariables { count: env.len(), limit: VARIABLES_MAX };
        findings.add(field, problem);
    }
    for (name, value) in env {
        let shown: String = name.chars().take(80).collect();
        let path = || format!("{field}.{shown}");
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.len() > VARIABLE_BYTES_MAX
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(legal)
        {
            findings.add(path(), Problem::VariableName { name: shown.clone() });
        } else if name.starts_with(PROTECTED_PREFIX) {
            findings.add(path(), Problem::ProtectedVariable { name: shown.clone() });
        }
        findings.add_if(path, check_no_nul(value));
    }
}

/// Checks that names stay distinct when they become environment variables.
fn check_variables<'a>(names: impl Iterator<Item = &'a str>, field: &str, findings: &mut Findings) {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let variable = mangled(name);
        match taken.get(&variable) {
            None => {
                taken.insert(variable, name);
            }
            Some(&first) => {
                let (first, second) = (first.to_owned(), name.to_owned());
                let problem = Problem::VariableCollision { variable, first, second };
                findings.add(format!("{field}.{name}"), problem);
            }
        }
    }
}

fn check_outputs(task: &TaskId, spec: &TaskSpec, findings: &mut Findings) {
    let paths: BTreeMap<&str, &OutputName> =
        spec.outputs.iter().rev().map(|(name, output)| (trimmed(&output.path), name)).collect();
    for (name, output) in &spec.outputs {
        let field = |rest: &str| format!("tasks.{task}.outputs.{name}.{rest}");
        let path = output.path.as_str();
        findings.add_if(|| field("path"), check_output_path(path));
        // Of several outputs with one path the first in name order is the one in the map.
        let same = paths.get(trimmed(path)).filter(|other| **other != name);
        let overlapped = same.or_else(|| ancestors(path).find_map(|above| paths.get(above)));
        if let Some(&other) = overlapped {
            let problem = Problem::OverlappingOutputs { path: path.into(), other: other.clone() };
            findings.add(field("path"), problem);
        }
        let given = output.replicas;
        if !(1..=REPLICAS_MAX).contains(&given) {
            findings.add(field("replicas"), Problem::Replicas { given, limit: REPLICAS_MAX });
        }
        if let Some(target) = &output.publish {
            findings.add_if(|| field("publish"), check_target_path(&target.path));
            if let Some(given) = target.generations_kept
                && !(1..=GENERATIONS_KEPT_MAX).contains(&given)
            {
                let problem = Problem::GenerationsKept { given, limit: GENERATIONS_KEPT_MAX };
                findings.add(field("publish"), problem);
            }
            let tree = target.kind == TargetKind::Tree;
            if tree != path.ends_with('/') {
                findings.add(field("path"), Problem::KindMismatch { path: path.into(), tree });
            }
        }
    }
}

pub(crate) fn check_duration(given: Duration) -> Result<(), Problem> {
    if given.is_zero() || given > DURATION_MAX {
        return Err(Problem::Duration { given, max: DURATION_MAX });
    }
    Ok(())
}

pub(crate) fn check_no_nul(text: &str) -> Result<(), Problem> {
    if text.contains('\0') { Err(Problem::ContainsNul) } else { Ok(()) }
}

/// Turns a name into the end of an environment variable's name: `load-date` into `LOAD_DATE`.
#[must_use]
pub fn mangled(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// Adds up all texts of a spec; what it takes encoded is never less.
fn text_bytes(spec: &JobSpec) -> usize {
    let pairs = |map: &BTreeMap<String, String>| -> usize {
        map.iter().map(|(name, value)| name.len() + value.len()).sum()
    };
    let task = |task: &TaskSpec| {
        let health = task.health.as_ref().map_or(0, |health| texts(&health.command));
        let targets = published_outputs(task).map(|(_, target)| target.path.len()).sum::<usize>();
        let outputs = task.outputs.values().map(|output| output.path.len()).sum::<usize>();
        let compensation = task.compensate.as_ref().map_or(0, |undo| program_bytes(&undo.program));
        program_bytes(&task.program)
            + compensation
            + health
            + targets
            + outputs
            + pairs(&task.env)
            + pairs(&task.placement.labels)
    };
    let tasks: usize = spec.tasks.iter().map(|(name, spec)| name.as_str().len() + task(spec)).sum();
    let effect = |effect: &EffectSpec| {
        let work = match &effect.work {
            EffectWork::Program { program, placement, .. } => {
                program_bytes(program) + pairs(&placement.labels)
            }
            EffectWork::Webhook { url, .. } => url.len(),
        };
        let texts: usize = effect.texts().map(|(name, value)| name.len() + value.len()).sum();
        work + texts
    };
    let effects: usize = spec.effects.values().map(effect).sum();
    tasks
        + effects
        + pairs(&spec.params)
        + pairs(&spec.env)
        + pairs(&spec.labels)
        + spec.description.len()
}

fn program_bytes(program: &Program) -> usize {
    match program {
        Program::Command(arguments) => texts(arguments),
        Program::Script { text, interpreter } => text.len() + texts(interpreter),
        Program::Steps(steps) => {
            let step = |step: &Step| step.name.as_str().len() + program_bytes(&step.program);
            steps.iter().map(step).sum()
        }
        Program::PutBack(attempt) => attempt.job.as_str().len() + attempt.task.as_str().len(),
    }
}

fn texts(texts: &[String]) -> usize {
    texts.iter().map(String::len).sum()
}

/// Largest spec, encoded after its parameters were filled in.
pub const SPEC_BYTES_MAX: usize = 1 << 20;
/// Largest text of one script.
pub const SCRIPT_BYTES_MAX: usize = 256 << 10;
/// Longest display name: with `-` and 8 characters behind it, it must still be a job's id.
pub const DISPLAY_NAME_BYTES_MAX: usize = 54;
/// Largest number of environment variables that a job gives one task.
pub const VARIABLES_MAX: usize = 256;
/// Largest number of attempts that a retry policy may ask for.
pub const ATTEMPTS_MAX: u32 = 100;
/// Largest number of steps of one task.
pub const STEPS_MAX: usize = 256;
/// Largest number of failures in a row that a health check may ask for.
pub const HEALTH_FAILURES_MAX: u32 = 100;
/// Most processor time that a task may ask for, in thousandths of a core: 100 000 cores.
const CPU_MILLIS_MAX: u64 = 100_000_000;
/// Most memory that a task may ask for: 1 PiB.
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Most processes that a task may ask for: Linux numbers no more.
const PROCESSES_MAX: u64 = 4_194_304;
/// Most disk that a task may ask for: 1024 PiB.
const DISK_BYTES_MAX: u64 = 1 << 60;
/// Longest duration anywhere in a spec.
pub const DURATION_MAX: Duration = Duration::from_hours(365 * 24);
/// Longest name of a variable or a parameter.
const VARIABLE_BYTES_MAX: usize = 128;
/// Variables that only Votum sets.
const PROTECTED_PREFIX: &str = "VOTUM_";
