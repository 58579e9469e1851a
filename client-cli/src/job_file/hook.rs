//! What a job file says about the time around the decision: effects, and how a task is undone.

use std::collections::BTreeMap;

use votum_ids::TaskId;
use votum_job::{
    Compensation, EffectSpec, EffectWork, HOOK_TIMEOUT_DEFAULT, OnUnknown, RetryPolicy, Trigger,
    hook_retry_default,
};

use super::{
    Problem,
    conduct::if_any,
    fields::{Fields, Reader, at_key},
    program,
    shapes::{COMPENSATION, EFFECT, WEBHOOK},
    task,
    tree::{Key, Node, Value},
};

/// Reads the effects of the job, if it has any.
pub(super) fn effects(reader: &mut Reader<'_>, job: &Fields<'_>) -> BTreeMap<TaskId, EffectSpec> {
    let mut effects = BTreeMap::new();
    let Some(node) = job.find("effects") else { return effects };
    for (key, node) in reader.entries(node) {
        let name = reader.name(key, str::parse::<TaskId>);
        let effect = effect(reader, key, node);
        if let (Some(name), Some(effect)) = (name, effect) {
            effects.insert(name, effect);
        }
    }
    effects
}

fn effect(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<EffectSpec> {
    let what = format!("effect `{}`", key.text);
    let fields = reader.fields(node, &what, &EFFECT);
    if !holds_fields(node) {
        return None;
    }
    let after = if_any(&fields, "after", |node| {
        reader.parsed(node, |text| match text {
            "commit" => Ok(Trigger::Commit),
            "abort" => Ok(Trigger::Abort),
            "end" => Ok(Trigger::End),
            _ => Err("write `commit`, `abort` or `end`"),
        })
    });
    let needs = fields.find("needs").map(|node| reader.set(node, str::parse::<TaskId>));
    let work = work(reader, key, &what, &fields);
    let timeout = task::duration(reader, &fields, "timeout", HOOK_TIMEOUT_DEFAULT);
    let retry = retry(reader, &fields);
    let on_unknown = if_any(&fields, "on_unknown", |node| {
        reader.parsed(node, |text| match text {
            "repeat" => Ok(OnUnknown::Repeat),
            "park" => Ok(OnUnknown::Park),
            _ => Err("write `repeat` or `park`"),
        })
    });
    Some(EffectSpec {
        after: after?.unwrap_or(Trigger::Commit),
        needs: needs.unwrap_or_default(),
        work: work?,
        timeout: timeout?,
        retry,
        on_unknown: on_unknown?.unwrap_or_default(),
    })
}

/// Reads what an effect does: a program on a worker, or a webhook of the coordinator.
fn work(reader: &mut Reader<'_>, key: &Key, what: &str, fields: &Fields<'_>) -> Option<EffectWork> {
    let Some(node) = fields.find("webhook") else {
        if fields.find("run").is_none() && fields.find("command").is_none() {
            let message = format!("{what} has none of `run`, `command` and `webhook`");
            reader.report(at_key(key, message).help(
                "`run` is a script, `command` one program without a shell, `webhook` an HTTP POST",
            ));
            return None;
        }
        let placement = task::placement(reader, fields);
        let program = program::one(reader, key, what, fields, program::Steps::Nowhere);
        let env = fields.find("env").map(|node| reader.texts_for_worker(node)).unwrap_or_default();
        return Some(EffectWork::Program { placement, program: program?, env });
    };
    for other in ["run", "command", "interpreter"] {
        if let Some(other) = fields.key(other) {
            let message = format!("{what} has both `webhook` and `{}`", other.text);
            reader.report(at_key(other, message).help("make two effects of it"));
        }
    }
    for other in ["worker", "labels", "env"] {
        if let Some(other) = fields.key(other) {
            let message = format!("`{}` means nothing beside `webhook`", other.text);
            reader.report(at_key(other, message).help("the coordinator sends a webhook itself"));
        }
    }
    webhook(reader, node)
}

fn webhook(reader: &mut Reader<'_>, node: &Node) -> Option<EffectWork> {
    if !matches!(node.value, Value::Mapping(_)) {
        let url = reader.substituted(node)?;
        return Some(EffectWork::Webhook { url, headers: BTreeMap::new() });
    }
    let fields = reader.fields(node, "`webhook`", &WEBHOOK);
    let Some(url) = fields.find("url") else {
        reader.report(
            Problem::new(fields.at(), "`webhook` has no `url`".to_owned())
                .help("where the POST goes to, as `url: https://chat.example.com/hooks/sales`"),
        );
        return None;
    };
    let url = reader.substituted(url);
    let headers = fields.find("headers").map(|node| reader.texts(node)).unwrap_or_default();
    Some(EffectWork::Webhook { url: url?, headers })
}

/// Reads what undoes a task; `key` names the field.
pub(super) fn compensation(
    reader: &mut Reader<'_>,
    key: &Key,
    task: &str,
    node: &Node,
) -> Option<Compensation> {
    let what = format!("`compensate` of task `{task}`");
    let fields = reader.fields(node, &what, &COMPENSATION);
    if !holds_fields(node) {
        return None;
    }
    let program = program::one(reader, key, &what, &fields, program::Steps::Nowhere);
    let timeout = task::duration(reader, &fields, "timeout", HOOK_TIMEOUT_DEFAULT);
    let retry = retry(reader, &fields);
    let elsewhere = if_any(&fields, "elsewhere", |node| reader.flag(node));
    Some(Compensation {
        program: program?,
        timeout: timeout?,
        retry,
        elsewhere: elsewhere?.unwrap_or_default(),
    })
}

fn retry(reader: &mut Reader<'_>, fields: &Fields<'_>) -> RetryPolicy {
    let default = hook_retry_default();
    match fields.find("retry") {
        None => default,
        Some(node) => task::retry(reader, node, default),
    }
}

/// Says whether fields can stand in it; that they cannot was reported where they were looked for.
fn holds_fields(node: &Node) -> bool {
    match node.value {
        Value::Mapping(_) | Value::Null => true,
        Value::Scalar(_) | Value::Sequence(_) => false,
    }
}
