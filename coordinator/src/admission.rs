//! What only the cluster can say about a spec: its workers and their publish roots.

use votum_ids::{OutputName, TaskId, WorkerId};
use votum_job::{JobSpec, TaskSpec};
use votum_schedule::Scheduler;

use crate::action::Refusal;

/// Checks the tasks that are pinned to a worker; others are placed when they can be.
///
/// # Errors
/// Everything that is wrong, of at most [`MISPLACED_MAX`] tasks and outputs.
pub(crate) fn check(spec: &JobSpec, scheduler: &Scheduler) -> Result<(), Refusal> {
    let of_task = |(task, spec): (&TaskId, &TaskSpec)| misplaced(task, spec, scheduler);
    let mut all: Vec<Refusal> = spec.tasks.iter().flat_map(of_task).take(MISPLACED_MAX).collect();
    if all.is_empty() {
        return Ok(());
    }
    let first = all.remove(0);
    if all.is_empty() {
        return Err(first);
    }
    Err(Refusal::Misplaced { first: Box::new(first), others: all })
}

fn misplaced(task: &TaskId, spec: &TaskSpec, scheduler: &Scheduler) -> Vec<Refusal> {
    let Some(worker) = &spec.placement.worker else { return Vec::new() };
    let Some(known) = scheduler.worker(worker) else {
        let (task, worker) = (task.clone(), worker.clone());
        return vec![if scheduler.is_removed_worker(&worker) {
            Refusal::WorkerDeleted { task, worker }
        } else {
            Refusal::NoSuchWorker { task, worker }
        }];
    };
    let roots = known.registration.publish_roots;
    let mut outside = Vec::new();
    for (output, output_spec) in &spec.outputs {
        if let Some(target) = &output_spec.publish {
            let below = |root: &String| lies_below(&target.path, root);
            if roots.is_empty() || target.path.starts_with('/') && !roots.iter().any(below) {
                outside.push(outside_roots(task, output, &target.path, worker));
            }
        }
    }
    outside
}

/// Compares whole components of texts; what links do is the worker's check before its vote.
fn lies_below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    path.strip_prefix(root).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

fn outside_roots(task: &TaskId, output: &OutputName, path: &str, worker: &WorkerId) -> Refusal {
    Refusal::OutsideRoots {
        task: task.clone(),
        output: output.clone(),
        path: path.to_owned(),
        worker: worker.clone(),
    }
}

/// So much is told at a time.
const MISPLACED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_covers_what_lies_below_it_only() {
        assert!(lies_below("/srv/www/a", "/srv/www"));
        assert!(lies_below("/srv/www/a", "/srv/www/"));
        assert!(lies_below("/a", "/"));
        assert!(!lies_below("/srv/www", "/srv/www"));
        assert!(!lies_below("/srv/www2/a", "/srv/www"));
    }
}
