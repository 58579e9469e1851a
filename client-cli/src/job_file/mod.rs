//! The job file: from the text somebody wrote to a checked [`JobSpec`], or to every problem in it.
//!
//! The text becomes a tree that knows where each node stands; the tree is read
//! field by field, so that one look shows all problems and each points at its
//! line.

mod concurrency;
mod conduct;
mod diagnostics;
mod fields;
mod hook;
mod json;
mod limits;
mod locate;
mod lower;
mod output;
mod params;
mod program;
mod quantity;
#[cfg(test)]
mod reference;
mod schema;
mod shape;
mod shapes;
mod source;
mod syntax;
mod task;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod yaml;

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use votum_job::{Graph, InvalidJob, JobSpec};

use crate::display::amount;

use self::{
    diagnostics::Problem,
    fields::Reader,
    limits::FILE_BYTES_MAX,
    locate::{Half, Place, locate},
    tree::Node,
};
pub(crate) use self::{
    diagnostics::Rejection,
    params::{GivenParams, MissingParams, pair},
    quantity::duration,
    schema::job as schema,
    source::SourceArgs,
    syntax::Syntax,
};

/// Reads the bytes of a job file, at most one more than a job file may have; `-` is standard input.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Makes a checked job of a file's bytes, or says everything that is wrong with them.
///
/// Without a `syntax` the text itself shows which one it is.
pub(crate) fn parse(
    file_name: &str,
    bytes: &[u8],
    syntax: Option<Syntax>,
    given: &GivenParams,
    missing: MissingParams,
) -> Result<JobSpec, Rejection> {
    let reject = |source: &str, problems| Rejection::new(file_name, source, problems);
    let source = limits::text(bytes).map_err(|problem| {
        let legible = String::from_utf8_lossy(&bytes[..bytes.len().min(FILE_BYTES_MAX)]);
        reject(&legible, vec![problem])
    })?;
    let syntax = syntax.unwrap_or_else(|| Syntax::guess(source));
    let root = syntax.parse(source).map_err(|problem| reject(source, vec![problem]))?;
    let mut reader = Reader::new(source);
    let spec = lower::job(&mut reader, &root, given, missing);
    let mut problems = reader.into_problems();
    // What is wrong with the rest is told as well, as far as it does not follow from that.
    let unreadable = !problems.is_empty();
    let rules = check(&root, &spec, unreadable);
    let told = |problem: &Problem| problems.iter().any(|earlier| earlier.is_where(problem));
    let more: Vec<Problem> =
        rules.into_iter().filter(|problem| !unreadable || !told(problem)).collect();
    problems.extend(more);
    if problems.is_empty() { Ok(spec) } else { Err(reject(source, problems)) }
}

/// Asks the rules of a job, and finds for each complaint the line it is about; of a file that is
/// `unreadable` in part without those about what was left out.
fn check(root: &Node, spec: &JobSpec, unreadable: bool) -> Vec<Problem> {
    let invalid = Graph::check(spec).err().unwrap_or_default();
    let invalid =
        invalid.into_iter().filter(|invalid| !unreadable || !is_there(root, &invalid.problem));
    let problem = |InvalidJob { field, problem }| {
        let (field, half) = point_at(field, &problem);
        let Place { at, width } = locate(root, &field, half);
        Problem::new(at, words(&problem)).width(width)
    };
    invalid.map(problem).collect()
}

/// Says whether the file has what a rule misses: it is there, and could not be read.
fn is_there(root: &Node, problem: &votum_job::Problem) -> bool {
    use votum_job::Problem as Invalid;
    let below = |path: &[&str]| {
        path.iter().try_fold(root, |node, name| node.entry(name).map(|(_, value)| value))
    };
    if let Invalid::UnknownTask { task, .. } = problem {
        return below(&["tasks", task.as_str()]).is_some();
    }
    if let Invalid::UnknownOutput { task, output, .. } = problem {
        return below(&["tasks", task.as_str(), "outputs", output.as_str()]).is_some();
    }
    if let Invalid::UnknownEffect { effect, .. } = problem {
        return below(&["effects", effect.as_str()]).is_some();
    }
    // What it wants beside it, or any task, may be there; if not, that is told of the mended file.
    matches!(problem, Invalid::NoTasks | Invalid::Alone { .. })
}

/// Says what is wrong, with durations as a job file writes them.
fn words(problem: &votum_job::Problem) -> String {
    if let votum_job::Problem::Duration { given, max } = problem {
        let (given, days) = (amount::duration(*given), max.as_secs() / 86_400);
        return format!("{given} is not allowed: it must be more than zero and at most {days}d");
    }
    problem.to_string()
}

/// Returns the part of the file that a complaint is about.
fn point_at(field: String, problem: &votum_job::Problem) -> (String, Half) {
    use votum_job::Problem as Invalid;
    match problem {
        Invalid::UnknownTask { task, .. } | Invalid::EffectNeedsTask { task } => {
            (format!("{field}.{task}"), Half::Value)
        }
        Invalid::UnknownEffect { effect, .. }
        | Invalid::EffectBeforeTask { effect, .. }
        | Invalid::NeverBefore { effect } => (format!("{field}.{effect}"), Half::Value),
        Invalid::VariableName { .. }
        | Invalid::ProtectedVariable { .. }
        | Invalid::VariableCollision { .. }
        | Invalid::DuplicateName { .. }
        | Invalid::Alone { .. }
        | Invalid::TooManySteps { .. }
        | Invalid::TooManyVariables { .. }
        | Invalid::TooManyEffects { .. }
        | Invalid::TooManyHeaders { .. }
        | Invalid::Header { .. } => (field, Half::Name),
        Invalid::NoTasks
        | Invalid::TooManyTasks { .. }
        | Invalid::TooManyEdges { .. }
        | Invalid::TooManyOutputs { .. }
        | Invalid::SpecTooLarge { .. }
        | Invalid::Name(_)
        | Invalid::NameTooLong { .. }
        | Invalid::ParameterName { .. }
        | Invalid::UnknownOutput { .. }
        | Invalid::DependencyCycle { .. }
        | Invalid::PublishConflict { .. }
        | Invalid::NothingToRun
        | Invalid::ContainsNul
        | Invalid::ScriptTooLarge { .. }
        | Invalid::Path { .. }
        | Invalid::OverlappingOutputs { .. }
        | Invalid::KindMismatch { .. }
        | Invalid::Duration { .. }
        | Invalid::NestedSteps
        | Invalid::Zero
        | Invalid::Failures { .. }
        | Invalid::TooMuch { .. }
        | Invalid::Attempts { .. }
        | Invalid::Replicas { .. }
        | Invalid::GenerationsKept { .. }
        | Invalid::OutputOfEffect { .. }
        | Invalid::KeptButUndone { .. }
        | Invalid::HookWithSteps
        | Invalid::Url { .. } => (field, Half::Value),
    }
}
