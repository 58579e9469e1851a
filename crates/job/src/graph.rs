//! A checked graph of tasks: no name unknown, no cycle, and an order that is always the same.
//!
//! Tasks are numbered by their position in the order of their names, so that
//! everything that walks the graph walks vectors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use votum_ids::{OutputName, TaskId};

use crate::{InputSpec, InvalidJob, JobSpec, Problem, kind, rules, suggestion::closest};

/// A checked directed acyclic graph of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    names: Vec<TaskId>,
    predecessors: Vec<Vec<usize>>,
    successors: Vec<Vec<usize>>,
    order: Vec<usize>,
    levels: Vec<Vec<usize>>,
}

impl Graph {
    /// Checks a spec as a whole and orders its tasks.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the fields, at most [`PROBLEMS_MAX`].
    pub fn check(spec: &JobSpec) -> Result<Self, Vec<InvalidJob>> {
        let mut findings = Findings::default();
        rules::check_job(spec, &mut findings);
        for (position, (task, task_spec)) in spec.tasks.iter().enumerate() {
            findings.turn_to(position);
            rules::check_task(task, task_spec, spec, &mut findings);
            check_references(spec, task, &mut findings);
        }
        rules::check_targets(spec, &mut findings);
        kind::check_kinds(spec, &mut findings);
        let mut graph = Self::unordered(spec);
        let edges = graph.predecessors.iter().map(Vec::len).sum();
        if edges > EDGES_MAX {
            findings.turn_to_job();
            let problem = Problem::TooManyEdges { count: edges, limit: EDGES_MAX };
            findings.add("tasks", problem);
        }
        if let Err(cycle) = graph.put_in_order() {
            findings.turn_to(cycle[0]);
            let cycle: Vec<TaskId> = cycle.iter().map(|&at| graph.names[at].clone()).collect();
            let field = format!("tasks.{}.needs", cycle[0]);
            findings.add(field, Problem::DependencyCycle { cycle });
        }
        findings.into_result().map(|()| graph)
    }

    /// Returns how many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Says whether there are no tasks; a checked graph has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the number of a task.
    #[must_use]
    pub fn position(&self, task: &TaskId) -> Option<usize> {
        self.names.binary_search(task).ok()
    }

    /// Returns the tasks by their numbers, which is by name.
    #[must_use]
    pub fn names(&self) -> &[TaskId] {
        &self.names
    }

    /// Returns the name of the task with this number.
    ///
    /// # Panics
    /// If no task has it.
    #[must_use]
    pub fn name(&self, position: usize) -> &TaskId {
        &self.names[position]
    }

    /// Returns the tasks that must be staged before this one starts.
    ///
    /// # Panics
    /// If no task has this number.
    #[must_use]
    pub fn predecessors(&self, position: usize) -> &[usize] {
        &self.predecessors[position]
    }

    /// Returns the tasks that wait for this one.
    ///
    /// # Panics
    /// If no task has this number.
    #[must_use]
    pub fn successors(&self, position: usize) -> &[usize] {
        &self.successors[position]
    }

    /// Returns every task after all of its predecessors; level by level, then by name.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Returns the tasks by the length of the longest chain that leads to them.
    #[must_use]
    pub fn levels(&self) -> &[Vec<usize>] {
        &self.levels
    }

    /// Returns the tasks that are not staged and whose predecessors all are.
    #[must_use]
    pub fn frontier(&self, staged: &BTreeSet<usize>) -> Vec<usize> {
        let open = |task: &usize| !staged.contains(task);
        let ready = |task: &usize| self.predecessors[*task].iter().all(|p| staged.contains(p));
        (0..self.len()).filter(open).filter(ready).collect()
    }

    /// Links the tasks by the references that can be followed.
    fn unordered(spec: &JobSpec) -> Self {
        let names: Vec<TaskId> = spec.tasks.keys().cloned().collect();
        let mut predecessors = vec![Vec::new(); names.len()];
        let mut successors = vec![Vec::new(); names.len()];
        for (position, task) in spec.tasks.values().enumerate() {
            for name in task.predecessors() {
                if let Ok(predecessor) = names.binary_search(name) {
                    predecessors[position].push(predecessor);
                    successors[predecessor].push(position);
                }
            }
        }
        Self { names, predecessors, successors, order: Vec::new(), levels: Vec::new() }
    }

    /// Orders by Kahn's algorithm, a level at a time; returns a cycle if one is left.
    fn put_in_order(&mut self) -> Result<(), Vec<usize>> {
        let mut awaited: Vec<usize> = self.predecessors.iter().map(Vec::len).collect();
        let mut level: Vec<usize> = (0..self.len()).filter(|&task| awaited[task] == 0).collect();
        while !level.is_empty() {
            let mut next = BTreeSet::new();
            for &task in &level {
                for &successor in &self.successors[task] {
                    awaited[successor] -= 1;
                    if awaited[successor] == 0 {
                        next.insert(successor);
                    }
                }
            }
            self.order.extend(&level);
            self.levels.push(std::mem::replace(&mut level, next.into_iter().collect()));
        }
        match (0..self.len()).find(|&task| awaited[task] > 0) {
            None => Ok(()),
            Some(stuck) => Err(self.cycle_before(stuck, &awaited)),
        }
    }

    /// Walks backwards from a task that never became ready until a task comes twice.
    ///
    /// Every such task has such a predecessor, so the walk ends in a cycle.
    fn cycle_before(&self, stuck: usize, awaited: &[usize]) -> Vec<usize> {
        let mut seen_at = BTreeMap::new();
        let mut walked = Vec::new();
        let mut task = stuck;
        while !seen_at.contains_key(&task) {
            seen_at.insert(task, walked.len());
            walked.push(task);
            let before = self.predecessors[task].iter().find(|&&before| awaited[before] > 0);
            task = *before.expect("a task that never became ready waits for such a task");
        }
        let mut cycle = walked.split_off(seen_at[&task]);
        cycle.reverse();
        let smallest = (0..cycle.len()).min_by_key(|&at| cycle[at]).unwrap_or(0);
        cycle.rotate_left(smallest);
        cycle
    }
}

/// What was found wrong, kept in the order of the fields.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// 0 for the job itself, then one for each task.
    section: usize,
    found: BTreeMap<usize, VecDeque<InvalidJob>>,
    count: usize,
}

impl Findings {
    pub(crate) fn turn_to_job(&mut self) {
        self.section = 0;
    }

    pub(crate) fn turn_to_end(&mut self) {
        self.section = usize::MAX;
    }

    pub(crate) fn turn_to(&mut self, task: usize) {
        self.section = task + 1;
    }

    pub(crate) fn add(&mut self, field: impl Into<String>, problem: Problem) {
        if self.count < PROBLEMS_MAX {
            self.count += 1;
            let invalid = InvalidJob { field: field.into(), problem };
            self.found.entry(self.section).or_default().push_back(invalid);
        }
    }

    pub(crate) fn add_if(&mut self, field: impl FnOnce() -> String, result: Result<(), Problem>) {
        if let Err(problem) = result {
            self.add(field(), problem);
        }
    }

    fn into_result(self) -> Result<(), Vec<InvalidJob>> {
        if self.count == 0 {
            return Ok(());
        }
        Err(self.found.into_values().flatten().collect())
    }
}

fn check_references(spec: &JobSpec, task: &TaskId, findings: &mut Findings) {
    let task_spec = &spec.tasks[task];
    for needed in &task_spec.needs {
        findings.add_if(|| format!("tasks.{task}.needs"), check_task_exists(spec, needed));
    }
    for (name, input) in &task_spec.inputs {
        let field = || format!("tasks.{task}.inputs.{name}");
        match input {
            InputSpec::WorkerPath(path) => {
                findings.add_if(field, crate::paths::check_worker_path(path));
            }
            InputSpec::TaskOutput { task: source, output } => {
                let known = check_task_exists(spec, source);
                findings
                    .add_if(field, known.and_then(|()| check_output_exists(spec, source, output)));
            }
        }
    }
}

fn check_task_exists(spec: &JobSpec, task: &TaskId) -> Result<(), Problem> {
    // That an effect is named instead is said where the kinds of work are checked.
    if spec.tasks.contains_key(task) || spec.effects.contains_key(task) {
        return Ok(());
    }
    let meant = closest(task.as_str(), spec.tasks.keys().map(TaskId::as_str));
    let suggestion = meant.and_then(|meant| TaskId::new(meant).ok());
    Err(Problem::UnknownTask { task: task.clone(), suggestion })
}

fn check_output_exists(spec: &JobSpec, task: &TaskId, output: &OutputName) -> Result<(), Problem> {
    let Some(outputs) = spec.tasks.get(task).map(|task| &task.outputs) else { return Ok(()) };
    if outputs.contains_key(output) {
        return Ok(());
    }
    let meant = closest(output.as_str(), outputs.keys().map(OutputName::as_str));
    let suggestion = meant.and_then(|meant| OutputName::new(meant).ok());
    Err(Problem::UnknownOutput { task: task.clone(), output: output.clone(), suggestion })
}

/// Largest number of tasks in a job.
pub const TASKS_MAX: usize = 10_000;
/// Largest number of dependencies in a job.
pub const EDGES_MAX: usize = 100_000;
/// Most outputs of a job: the record of its decision names every one of them.
pub const OUTPUTS_MAX: usize = 10_000;
/// Largest number of problems that are reported at a time.
pub const PROBLEMS_MAX: usize = 50;

#[cfg(test)]
mod tests;
