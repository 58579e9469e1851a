//! How a task of a job file is watched, kept, limited and stopped while it runs.

use std::time::Duration;

use votum_ids::SecretName;
use votum_job::{
    CheckpointPolicy, HEALTH_FAILURES_DEFAULT, HEALTH_INTERVAL_DEFAULT, HEALTH_TIMEOUT_DEFAULT,
    HealthCheck, OnUnreachable, Program, Resources, TaskSignal, TaskSpec,
};

use super::{
    Problem,
    fields::{Fields, Reader},
    program::words,
    quantity,
    shapes::{CHECKPOINT, HEALTH, RESOURCES},
    tree::Node,
};

/// Makes a task of what it runs and of what its fields say about its conduct.
///
/// What means nothing has left a problem; the rest is made, so that it can be looked at, too.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    program: Option<Program>,
) -> TaskSpec {
    let start_timeout = if_any(fields, "start_timeout", |node| reader.duration(node));
    let progress_timeout = if_any(fields, "progress_timeout", |node| reader.duration(node));
    let health = if_any(fields, "health", |node| health(reader, node));
    let stop_signal = if_any(fields, "stop_signal", |node| signal(reader, node));
    let checkpoint = if_any(fields, "checkpoint", |node| checkpoint(reader, node));
    let resources = if_any(fields, "resources", |node| resources(reader, node));
    let exclusive = if_any(fields, "exclusive", |node| reader.flag(node));
    let on_unreachable = if_any(fields, "on_unreachable", |node| {
        reader.parsed(node, |text| match text {
            "wait" => Ok(OnUnreachable::Wait),
            "proceed" => Ok(OnUnreachable::Proceed),
            _ => Err("write `wait` or `proceed`"),
        })
    });
    let secrets =
        if_any(fields, "secrets", |node| Some(reader.set(node, str::parse::<SecretName>)));
    TaskSpec {
        secrets: secrets.flatten().unwrap_or_default(),
        start_timeout: start_timeout.flatten(),
        progress_timeout: progress_timeout.flatten(),
        health: health.flatten(),
        stop_signal: stop_signal.flatten().unwrap_or_default(),
        checkpoint: checkpoint.flatten(),
        resources: resources.flatten().unwrap_or_default(),
        exclusive: exclusive.flatten().unwrap_or_default(),
        on_unreachable: on_unreachable.flatten().unwrap_or_default(),
        ..TaskSpec::of(program.unwrap_or_else(|| Program::Command(vec![STAND_IN.to_owned()])))
    }
}

fn health(reader: &mut Reader<'_>, node: &Node) -> Option<HealthCheck> {
    let fields = reader.fields(node, "`health`", &HEALTH);
    let Some(command) = fields.find("command") else {
        reader.report(
            Problem::new(fields.at(), "`health` has no `command`".to_owned())
                .help("a program without a shell; exit 0 means that the task is well"),
        );
        return None;
    };
    let command = words(reader, command);
    let mut duration = |name, default: Duration| {
        fields.find(name).map_or(Some(default), |node| reader.duration(node))
    };
    let interval = duration("interval", HEALTH_INTERVAL_DEFAULT);
    let timeout = duration("timeout", HEALTH_TIMEOUT_DEFAULT);
    let failures = if_any(&fields, "failures", |node| whole(reader, node));
    Some(HealthCheck {
        command: command?,
        interval: interval?,
        timeout: timeout?,
        failures: failures?.unwrap_or(HEALTH_FAILURES_DEFAULT),
    })
}

fn checkpoint(reader: &mut Reader<'_>, node: &Node) -> Option<CheckpointPolicy> {
    let fields = reader.fields(node, "`checkpoint`", &CHECKPOINT);
    let every = if_any(&fields, "every", |node| reader.duration(node));
    let signal = if_any(&fields, "signal", |node| signal(reader, node));
    let replicate = if_any(&fields, "replicate", |node| reader.flag(node));
    let bytes_max = if_any(&fields, "max_bytes", |node| reader.parsed(node, quantity::size));
    Some(CheckpointPolicy {
        every: every?,
        signal: signal?,
        replicate: replicate?.unwrap_or_default(),
        bytes_max: bytes_max?,
    })
}

fn resources(reader: &mut Reader<'_>, node: &Node) -> Option<Resources> {
    let fields = reader.fields(node, "`resources`", &RESOURCES);
    let cpu = if_any(&fields, "cpu", |node| reader.parsed(node, quantity::cores));
    let memory = if_any(&fields, "memory", |node| reader.parsed(node, quantity::size));
    let processes = if_any(&fields, "processes", |node| whole(reader, node));
    let disk = if_any(&fields, "disk", |node| reader.parsed(node, quantity::size));
    Some(Resources {
        cpu_millis: cpu?,
        memory_bytes: memory?,
        processes: processes?,
        disk_bytes: disk?,
    })
}

fn signal(reader: &mut Reader<'_>, node: &Node) -> Option<TaskSignal> {
    reader.parsed(node, str::parse::<TaskSignal>)
}

fn whole(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    reader.parsed(node, |text| text.parse::<u32>().map_err(|_| "write a whole number"))
}

/// Reads a field that may be absent; `None` if it is there and means nothing.
pub(super) fn if_any<'n, T>(
    fields: &Fields<'n>,
    name: &str,
    read: impl FnOnce(&'n Node) -> Option<T>,
) -> Option<Option<T>> {
    fields.find(name).map_or(Some(None), |node| read(node).map(Some))
}

/// Runs nowhere: a file without a program is refused.
const STAND_IN: &str = "true";
