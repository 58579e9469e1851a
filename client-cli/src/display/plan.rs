//! What a job would do: its tasks level by level, and what either decision means.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use votum_ids::{TargetKind, TaskId};
use votum_job::{
    EffectSpec, EffectWork, Graph, InputSpec, JobSpec, Kind, OnUnknown, Placement, TaskSpec,
    Trigger,
};

use super::{
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns the levels of a job, and its work by how it is undone.
pub(crate) fn screen(spec: &JobSpec, graph: &Graph, paint: Paint) -> String {
    let mut out = levels(spec, graph).text(paint);
    let mut section = |title: &str, rest: &str, table: &Table| {
        out.push_str(&format!("\n{}: {rest}\n", paint.text(Tone::Strong, title)));
        out.push_str(&table.text(paint));
    };
    let staged = of_kind(spec, graph, Kind::Staged);
    if !staged.is_empty() {
        section("STAGED", "becomes visible with the commit; an abort discards it", &names(&staged));
    }
    let compensated = undo_order(spec, graph);
    if !compensated.is_empty() {
        let rest = "staged as well; what they did outside is undone after an abort, in this order";
        section("COMPENSATED", rest, &compensations(spec, &compensated));
    }
    if !spec.effects.is_empty() {
        let rest = "runs only once the decision is durable, at least once under one key";
        section("EFFECTS", rest, &effects(spec));
    }
    out
}

/// Returns the same for programs.
pub(crate) fn json(spec: &JobSpec, graph: &Graph) -> String {
    let task = |level: usize, position: usize| {
        let name = graph.name(position);
        let task = &spec.tasks[name];
        json!({
            "task": name.as_str(),
            "level": level,
            "worker": task.placement.worker.as_ref().map(|worker| worker.as_str()),
            "labels": task.placement.labels,
            "kind": task.kind().word(),
            "inputs": inputs(task),
            "publishes": publishes(task),
        })
    };
    let levels = graph.levels().iter().enumerate();
    let tasks: Vec<Value> = levels
        .flat_map(|(level, tasks)| tasks.iter().map(move |position| task(level, *position)))
        .collect();
    let effect = |(name, step): (&TaskId, usize)| {
        json!({
            "effect": name.as_str(),
            "after": trigger_word(spec.effects[name].after),
            "step": step,
            "does": work_words(&spec.effects[name].work),
        })
    };
    let effects: Vec<Value> = effect_order(spec).into_iter().map(effect).collect();
    let undone: Vec<Value> = undo_order(spec, graph)
        .into_iter()
        .map(|(name, step)| json!({ "task": name.as_str(), "step": step }))
        .collect();
    let plan = json!({
        "displayName": spec.display_name,
        "tasks": tasks,
        "compensations": undone,
        "effects": effects,
    });
    serde_json::to_string_pretty(&plan).expect("texts and numbers become JSON")
}

fn levels(spec: &JobSpec, graph: &Graph) -> Table {
    let mut table = Table::new(["LEVEL", "TASK", "WORKER", "INPUTS", "PUBLISHES"]);
    for (level, tasks) in graph.levels().iter().enumerate() {
        for position in tasks {
            let name = graph.name(*position);
            let task = &spec.tasks[name];
            let inputs = inputs(task);
            let inputs = if inputs.is_empty() { "-".to_owned() } else { inputs.join(", ") };
            let mut publishes = publishes(task).into_iter();
            table.row([
                cell(level.to_string()),
                cell(name.as_str()),
                cell(place(&task.placement)),
                cell(inputs),
                cell(publishes.next().unwrap_or_else(|| "-".to_owned())),
            ]);
            for further in publishes {
                table.row([cell(""), cell(""), cell(""), cell(""), cell(further)]);
            }
        }
    }
    table
}

fn place(placement: &Placement) -> String {
    let labels = placement.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let worker = placement.worker.iter().map(ToString::to_string);
    let words: Vec<String> = worker.chain(labels).collect();
    if words.is_empty() { "any".to_owned() } else { words.join(" ") }
}

fn inputs(task: &TaskSpec) -> Vec<String> {
    let words = task.inputs.values().map(|input| match input {
        InputSpec::TaskOutput { task, output } => format!("{task}.{output}"),
        InputSpec::WorkerPath(path) => path.clone(),
    });
    words.collect()
}

fn publishes(task: &TaskSpec) -> Vec<String> {
    let worker = task.placement.worker.as_ref().map_or("?", |worker| worker.as_str());
    let targets = task.outputs.values().filter_map(|output| output.publish.as_ref());
    let words = targets.map(|target| {
        let kind = match target.kind {
            TargetKind::File => "file",
            TargetKind::Tree => "tree",
        };
        format!("{kind} {worker}:{}", target.path)
    });
    words.collect()
}

/// Returns the tasks of a kind in the order in which they run.
fn of_kind<'s>(spec: &'s JobSpec, graph: &'s Graph, kind: Kind) -> Vec<&'s TaskId> {
    let order = graph.order().iter().map(|position| graph.name(*position));
    order.filter(|name| spec.tasks[*name].kind() == kind).collect()
}

fn names(tasks: &[&TaskId]) -> Table {
    let mut table = Table::bare().indented(2);
    for line in tasks.chunks(NAMES_A_LINE) {
        let line: Vec<&str> = line.iter().map(|name| name.as_str()).collect();
        table.row([cell(line.join("  "))]);
    }
    table
}

/// Returns the compensated tasks in the order in which an abort undoes them, each with its step:
/// those of one step may be undone at once.
fn undo_order<'s>(spec: &'s JobSpec, graph: &'s Graph) -> Vec<(&'s TaskId, usize)> {
    // The step of a task is behind those of all that follow it, compensated or not.
    let mut steps: BTreeMap<usize, usize> = BTreeMap::new();
    for position in graph.order().iter().rev() {
        let compensated = |at: usize| spec.tasks[graph.name(at)].kind() == Kind::Compensatable;
        let behind = graph
            .successors(*position)
            .iter()
            .map(|next| steps.get(next).copied().unwrap_or(0) + usize::from(compensated(*next)));
        let step = behind.max().unwrap_or(0);
        steps.insert(*position, step);
    }
    let mut order: Vec<(&TaskId, usize)> = steps
        .into_iter()
        .map(|(position, step)| (graph.name(position), step + 1))
        .filter(|(name, _)| spec.tasks[*name].kind() == Kind::Compensatable)
        .collect();
    order.sort_by_key(|(name, step)| (*step, *name));
    order
}

fn compensations(spec: &JobSpec, order: &[(&TaskId, usize)]) -> Table {
    let mut table = Table::bare().indented(2);
    for (name, step) in order {
        let task = &spec.tasks[*name];
        let Some(undo) = &task.compensate else { continue };
        let place = if undo.elsewhere {
            format!("on {}", place(&task.placement))
        } else {
            "on the worker of its last attempt".to_owned()
        };
        table.row([
            cell(step.to_string()).tone(Tone::Soft),
            cell(name.as_str()),
            cell(place),
            cell(tries(undo.retry.attempts)),
        ]);
    }
    table
}

/// Returns the effects by decision, and within one in their order, each with its step: those of
/// one step may run at once.
fn effect_order(spec: &JobSpec) -> Vec<(&TaskId, usize)> {
    let mut steps: BTreeMap<&TaskId, usize> = BTreeMap::new();
    // A checked job has no cycle, so that each pass settles at least one more.
    for _ in 0..spec.effects.len() {
        for (name, effect) in &spec.effects {
            let step = |needed: &TaskId| {
                let known = spec.effects.get(needed).is_some_and(|n| n.after == effect.after);
                if known { steps.get(needed).map(|step| step + 1) } else { Some(1) }
            };
            let behind: Option<Vec<usize>> = effect.needs.iter().map(step).collect();
            if let Some(behind) = behind {
                steps.insert(name, behind.into_iter().max().unwrap_or(1));
            }
        }
    }
    let mut order: Vec<(&TaskId, usize)> = steps.into_iter().collect();
    let rank = |name: &TaskId| match spec.effects[name].after {
        Trigger::Commit => 0,
        Trigger::Abort => 1,
        Trigger::End => 2,
    };
    order.sort_by_key(|(name, step)| (rank(name), *step, *name));
    order
}

fn effects(spec: &JobSpec) -> Table {
    let mut table = Table::bare().indented(2);
    for (name, step) in effect_order(spec) {
        let EffectSpec { after, work, retry, on_unknown, .. } = &spec.effects[name];
        let unknown = match on_unknown {
            OnUnknown::Repeat => "",
            OnUnknown::Park => "; also if nobody knows how a try ended",
        };
        table.row([
            cell(after_words(*after)).tone(Tone::Soft),
            cell(step.to_string()).tone(Tone::Soft),
            cell(name.as_str()),
            cell(work_words(work)),
            cell(format!("{}{unknown}", tries(retry.attempts))),
        ]);
    }
    table
}

fn tries(attempts: u32) -> String {
    let tries = if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") };
    format!("{tries}, then a case")
}

fn work_words(work: &EffectWork) -> String {
    match work {
        EffectWork::Program { placement, .. } => format!("program on {}", place(placement)),
        EffectWork::Webhook { url, .. } => format!("webhook {url}"),
    }
}

fn trigger_word(after: Trigger) -> &'static str {
    match after {
        Trigger::Commit => "commit",
        Trigger::Abort => "abort",
        Trigger::End => "end",
    }
}

fn after_words(after: Trigger) -> &'static str {
    match after {
        Trigger::Commit => "after commit",
        Trigger::Abort => "after abort",
        Trigger::End => "at the end",
    }
}

/// So many fit into one line.
const NAMES_A_LINE: usize = 6;
