//! One task of a job file.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{OutputName, TaskId, WorkerId};
use votum_job::{
    FlatMap, GRACE_PERIOD_DEFAULT, InputSpec, Placement, RetryPolicy, TIMEOUT_DEFAULT, TaskSpec,
};

use super::{
    Problem, conduct,
    fields::{Fields, Reader, at_key},
    hook, output,
    params::KnownToWorker,
    program,
    shapes::{INPUT, RETRY, TASK},
    tree::{Key, Node, Value},
};

/// Reads a task as far as it can be read; `key` is its name.
pub(super) fn read(reader: &mut Reader<'_>, key: &Key, node: &Node) -> TaskSpec {
    let what = format!("task `{}`", key.text);
    let fields = reader.fields(node, &what, &TASK);
    let placement = placement(reader, &fields);
    let needs = fields.find("needs").map(|node| reader.set(node, str::parse::<TaskId>));
    let names = |field| fields.find(field).map(names).unwrap_or_default();
    reader.set_known(KnownToWorker { inputs: names("inputs"), outputs: names("outputs") });
    let program = program::read(reader, key, &fields);
    let env = fields.find("env").map(|node| reader.texts_for_worker(node));
    // Neither what undoes a task nor an effect has inputs or outputs.
    reader.set_known(KnownToWorker::default());
    let inputs = fields.find("inputs").map(|node| inputs(reader, node));
    let outputs = fields.find("outputs").map(|node| output::read_all(reader, node));
    let timeout = duration(reader, &fields, "timeout", TIMEOUT_DEFAULT);
    let grace_period = duration(reader, &fields, "grace_period", GRACE_PERIOD_DEFAULT);
    let retry = fields.find("retry").map(|node| retry(reader, node, RetryPolicy::default()));
    let compensate = conduct::if_any(&fields, "compensate", |node| {
        let named = fields.key("compensate").unwrap_or(key);
        hook::compensation(reader, named, &key.text, node)
    });
    let spec = conduct::read(reader, &fields, program);
    TaskSpec {
        placement,
        needs: needs.unwrap_or_default(),
        env: env.unwrap_or_default(),
        inputs: inputs.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        grace_period: grace_period.unwrap_or(GRACE_PERIOD_DEFAULT),
        retry: retry.unwrap_or_default(),
        compensate: compensate.flatten().map(Box::new),
        ..spec
    }
}

/// Returns the names that a mapping has.
fn names(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        Value::Null | Value::Scalar(_) | Value::Sequence(_) => Vec::new(),
    }
}

/// Reads which workers may run it.
pub(super) fn placement(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Placement {
    let worker = fields
        .find("worker")
        .and_then(|node| reader.parsed_substituted(node, str::parse::<WorkerId>));
    let labels = fields.find("labels").map(|node| reader.texts(node)).unwrap_or_default();
    Placement { worker, labels }
}

fn inputs(reader: &mut Reader<'_>, node: &Node) -> FlatMap<OutputName, InputSpec> {
    let mut inputs = BTreeMap::new();
    for (key, node) in reader.entries(node) {
        let name = reader.name(key, str::parse::<OutputName>);
        let input = input(reader, key, node);
        if let (Some(name), Some(input)) = (name, input) {
            inputs.insert(name, input);
        }
    }
    inputs.into()
}

fn input(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<InputSpec> {
    if !matches!(node.value, Value::Mapping(_)) {
        return reader.parsed(node, task_output);
    }
    let fields = reader.fields(node, &format!("input `{}`", key.text), &INPUT);
    match (fields.find("from"), fields.find("worker_path")) {
        (Some(from), None) => reader.parsed(from, task_output),
        (None, Some(path)) => reader.substituted(path).map(InputSpec::WorkerPath),
        (Some(_), Some(_)) | (None, None) => {
            reader.report(
                at_key(key, format!("input `{}` needs one of `from` and `worker_path`", key.text))
                    .help("`from: task.output` is fetched, `worker_path` lies on the worker"),
            );
            None
        }
    }
}

fn task_output(text: &str) -> Result<InputSpec, String> {
    let (task, output) =
        text.split_once('.').ok_or_else(|| format!("`{text}` is not of the form `task.output`"))?;
    Ok(InputSpec::TaskOutput {
        task: TaskId::new(task).map_err(|error| error.to_string())?,
        output: OutputName::new(output).map_err(|error| error.to_string())?,
    })
}

/// Reads when a failed try is followed by another; what is left out is as in `default`.
pub(super) fn retry(reader: &mut Reader<'_>, node: &Node, default: RetryPolicy) -> RetryPolicy {
    if let Value::Scalar(text) = &node.value {
        let width = text.lines().next().unwrap_or_default().chars().count();
        let found = reader.kind(node);
        let problem =
            Problem::new(node.at, format!("`retry` has fields of its own; found {found}"));
        let attempts = if text.parse::<u32>().is_ok() { text } else { "3" };
        reader.report(problem.width(width).help(format!(
            "write `retry: {{ attempts: {attempts} }}`; the first attempt counts as one"
        )));
        return default;
    }
    let fields = reader.fields(node, "`retry`", &RETRY);
    let attempts = fields.find("attempts").and_then(|node| {
        reader.parsed(node, |text| {
            text.parse().map_err(|_| "`attempts` is a number, the first attempt included")
        })
    });
    let never_on = fields.find("never_on").map(|node| {
        reader.set(node, |text| match text.parse() {
            Ok(code @ 1..=255) => Ok(code),
            Ok(_) | Err(_) => Err("an exit code is a number from 1 to 255"),
        })
    });
    RetryPolicy {
        attempts: attempts.unwrap_or(default.attempts),
        backoff: duration(reader, &fields, "backoff", default.backoff).unwrap_or_default(),
        backoff_max: duration(reader, &fields, "max_backoff", default.backoff_max)
            .unwrap_or_default(),
        never_on: never_on.unwrap_or_default(),
    }
}

/// Reads a duration that may be left out.
pub(super) fn duration(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    default: Duration,
) -> Option<Duration> {
    fields.find(name).map_or(Some(default), |node| reader.duration(node))
}
