//! Which hooks a decision leaves to do, and which of them come first.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::TaskId;
use votum_job::{JobSpec, Trigger};

use crate::{HookKind, Started, Verdict, hook::Hook};

/// Returns the hooks of a job after this decision, none begun.
pub(crate) fn hooks(
    spec: &JobSpec,
    verdict: Verdict,
    started: &[Started],
) -> BTreeMap<TaskId, Hook> {
    let compensated: BTreeSet<&TaskId> = match verdict {
        Verdict::Commit => BTreeSet::new(),
        Verdict::Abort => started.iter().map(|started| &started.task).collect(),
    };
    let mut hooks = compensations(spec, &compensated);
    let runs = |after: Trigger| match (after, verdict) {
        (Trigger::Commit, Verdict::Commit) | (Trigger::Abort, Verdict::Abort) => true,
        (Trigger::Commit, Verdict::Abort) | (Trigger::Abort, Verdict::Commit) => false,
        (Trigger::End, Verdict::Commit | Verdict::Abort) => true,
    };
    let due = |name: &&TaskId| runs(spec.effects[*name].after);
    let at_end = |name: &TaskId| spec.effects[name].after == Trigger::End;
    let names: Vec<&TaskId> = spec.effects.keys().filter(due).collect();
    let before_end: BTreeSet<TaskId> = names
        .iter()
        .filter(|name| !at_end(name))
        .map(|name| (*name).clone())
        .chain(compensated.into_iter().cloned())
        .collect();
    for name in &names {
        // What belongs to the other decision never runs, and holds nothing back.
        let needs = spec.effects[*name].needs.iter();
        let needs = needs.filter(|needed| runs(spec.effects[*needed].after)).cloned().collect();
        let follows = if at_end(name) { before_end.clone() } else { BTreeSet::new() };
        hooks.insert((*name).clone(), Hook::new(HookKind::Effect, needs, follows));
    }
    hooks
}

/// Returns a compensation for each of these tasks, in reverse topological order.
fn compensations(spec: &JobSpec, compensated: &BTreeSet<&TaskId>) -> BTreeMap<TaskId, Hook> {
    let mut followers: BTreeMap<&TaskId, BTreeSet<TaskId>> = BTreeMap::new();
    for task in compensated {
        // Everything that leads to this task is undone after it.
        let mut found: BTreeSet<&TaskId> = BTreeSet::new();
        let mut open = vec![*task];
        while let Some(next) = open.pop() {
            let Some(next) = spec.tasks.get(next) else { continue };
            for before in next.predecessors() {
                if found.insert(before) {
                    open.push(before);
                }
            }
        }
        for before in found.into_iter().filter(|before| compensated.contains(before)) {
            followers.entry(before).or_default().insert((*task).clone());
        }
    }
    let hook = |task: &&TaskId| {
        let follows = followers.remove(*task).unwrap_or_default();
        ((*task).clone(), Hook::new(HookKind::Compensation, BTreeSet::new(), follows))
    };
    compensated.iter().map(hook).collect()
}
