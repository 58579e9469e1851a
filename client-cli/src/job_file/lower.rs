//! A job file's tree as a job: the fields of the job itself; tasks are read by their own file.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{JobId, TaskId};
use votum_job::{
    APPROVAL_DEFAULT, FlatMap, JobSpec, OnExhausted, PREPARE_TIMEOUT_DEFAULT, RETENTION_DEFAULT,
    TASKS_MAX, TIMEOUT_DEFAULT, TaskSpec,
};

use super::{
    GivenParams, MissingParams, Problem, concurrency,
    conduct::if_any,
    fields::{Fields, Reader, at_key},
    hook,
    output::replicas,
    params, quantity,
    shapes::{COMMIT, JOB},
    task,
    tree::Node,
};

/// Makes a job of a tree as far as it can be read; problems are left with the reader.
pub(super) fn job(
    reader: &mut Reader<'_>,
    root: &Node,
    given: &GivenParams,
    missing: MissingParams,
) -> JobSpec {
    let fields = reader.fields(root, "the job", &JOB);
    version(reader, &fields);
    let params = params::settle(reader, fields.find("params"), given, missing);
    reader.set_params(params.clone());
    let name = name(reader, &fields);
    let description = fields.find("description").and_then(|node| reader.text(node));
    let labels = fields.find("labels").map(|node| reader.texts(node)).unwrap_or_default();
    let env = fields.find("env").map(|node| reader.texts(node)).unwrap_or_default();
    let mut duration =
        |name, default| fields.find(name).map_or(Some(default), |node| reader.duration(node));
    let timeout = duration("timeout", TIMEOUT_DEFAULT);
    let retention = duration("retention", RETENTION_DEFAULT);
    let keep_staged = duration("keep_staged", Duration::ZERO);
    let on_exhausted = fields.find("on_exhausted").map_or(Some(OnExhausted::Abort), |node| {
        reader.parsed(node, |text| match text {
            "abort" => Ok(OnExhausted::Abort),
            "pause" => Ok(OnExhausted::Pause),
            _ => Err("write `abort` or `pause`"),
        })
    });
    let concurrency = concurrency::read(reader, &fields);
    let commit = commit(reader, &fields);
    let tasks = tasks(reader, &fields);
    let effects = hook::effects(reader, &fields);
    JobSpec {
        display_name: name.unwrap_or_else(|| STAND_IN.to_owned()),
        description: description.unwrap_or_default().trim().to_owned(),
        labels,
        params,
        env,
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        prepare_timeout: commit.prepare_timeout.unwrap_or(PREPARE_TIMEOUT_DEFAULT),
        approval: commit.approval.flatten(),
        dry_vote: commit.dry_vote.flatten(),
        on_exhausted: on_exhausted.unwrap_or(OnExhausted::Abort),
        keep_staged: keep_staged.unwrap_or_default(),
        concurrency,
        tasks,
        effects,
    }
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    match fields.find("version") {
        None => reader.report(
            Problem::new(fields.at(), "the job file does not say its version".to_owned())
                .help("begin it with `version: 1`"),
        ),
        Some(node) => {
            reader.parsed(node, |text| match text {
                "1" => Ok(()),
                _ => Err(format!("version `{text}` is not known; this votum reads version 1")),
            });
        }
    }
}

fn name(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<String> {
    let Some(node) = fields.find("name") else {
        reader.report(
            Problem::new(fields.at(), "the job has no name".to_owned())
                .help("its id becomes the name and eight more characters: `name: nightly-sales`"),
        );
        return None;
    };
    reader.parsed(node, str::parse::<JobId>).map(String::from)
}

/// What a job file says of its commit; nothing where it says something meaningless.
struct Commit {
    prepare_timeout: Option<Duration>,
    approval: Option<Option<Duration>>,
    dry_vote: Option<Option<Duration>>,
}

/// Reads how the job commits; what it says of outputs holds for those that are read after it.
fn commit(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Commit {
    let (default, nothing) = (Some(PREPARE_TIMEOUT_DEFAULT), Some(None));
    let Some(node) = fields.find("commit") else {
        return Commit { prepare_timeout: default, approval: nothing, dry_vote: nothing };
    };
    let fields = reader.fields(node, "`commit`", &COMMIT);
    if let Some(replicas) = fields.find("replicas").and_then(|node| replicas(reader, node)) {
        reader.set_replicas(replicas);
    }
    let prepare_timeout = fields.find("prepare_timeout");
    let prepare_timeout = prepare_timeout.map_or(default, |node| reader.duration(node));
    let approval = fields.find("approval").map_or(nothing, |node| {
        reader.parsed(node, |text| match text {
            "true" => Ok(Some(APPROVAL_DEFAULT)),
            "false" => Ok(None),
            text => quantity::duration(text).map(Some),
        })
    });
    let dry_vote = if_any(&fields, "dry_vote", |node| reader.duration(node));
    Commit { prepare_timeout, approval, dry_vote }
}

fn tasks(reader: &mut Reader<'_>, fields: &Fields<'_>) -> FlatMap<TaskId, TaskSpec> {
    let mut tasks = BTreeMap::new();
    let (Some(key), Some(node)) = (fields.key("tasks"), fields.find("tasks")) else {
        reader.report(Problem::new(fields.at(), "the job has no `tasks`".to_owned()));
        return FlatMap::new();
    };
    let entries = reader.entries(node);
    if entries.len() > TASKS_MAX {
        let message = format!("{} tasks; a job has at most {TASKS_MAX}", entries.len());
        reader.report(at_key(key, message).help("split it, or let one task do more"));
        return FlatMap::new();
    }
    for (key, node) in entries {
        let id = reader.name(key, str::parse::<TaskId>);
        let spec = task::read(reader, key, node);
        if let Some(id) = id {
            tasks.insert(id, spec);
        }
    }
    tasks.into()
}

/// Names a job that has no name, for as long as it takes to refuse it.
const STAND_IN: &str = "job";
