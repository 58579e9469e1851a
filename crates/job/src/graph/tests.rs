//! Claims about graphs and about every rule that a spec can break.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use votum_ids::{Existing, OutputName, StepName, Target, TargetKind, TaskId, WorkerId};

use super::*;
use crate::{
    CheckpointPolicy, HEALTH_FAILURES_MAX, HealthCheck, OnExhausted, OnUnreachable, OutputSpec,
    Program, Resources, STEPS_MAX, Step, TaskSignal, TaskSpec,
};

#[test]
fn every_task_comes_after_its_predecessors() {
    let graph = Graph::check(&job(&[
        ("load", "clean audit"),
        ("clean", "get"),
        ("audit", "get"),
        ("get", ""),
    ]));
    let graph = graph.unwrap();
    let order: Vec<&str> = graph.order().iter().map(|&at| graph.name(at).as_str()).collect();
    assert_eq!(order, ["get", "audit", "clean", "load"]);
    assert_eq!(graph.levels().len(), 3);
    let get = graph.position(&task("get")).unwrap();
    assert_eq!(graph.frontier(&BTreeSet::new()), [get]);
    assert_eq!(graph.frontier(&BTreeSet::from([get])).len(), 2);
}

#[test]
fn a_chain_of_ten_thousand_tasks_is_fine() {
    let name = |at: usize| format!("t{at}");
    let spec = job_of((0..TASKS_MAX).map(|at| (name(at), at.checked_sub(1).map(name))));
    let graph = Graph::check(&spec).unwrap();
    assert_eq!(graph.levels().len(), TASKS_MAX);
    assert_eq!(graph.name(graph.order()[9_999]).as_str(), "t9999");
}

#[test]
fn a_cycle_of_ten_thousand_tasks_is_named_whole() {
    let name = |at: usize| format!("t{at}");
    let spec = job_of((0..TASKS_MAX).map(|at| (name(at), Some(name((at + 1) % TASKS_MAX)))));
    let problems = Graph::check(&spec).unwrap_err();
    let Problem::DependencyCycle { cycle } = &problems[0].problem else { panic!("{problems:?}") };
    assert_eq!(cycle.len(), TASKS_MAX);
}

#[test]
fn a_cycle_is_named_in_the_order_of_its_edges() {
    let spec = job(&[("a", "c"), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "")]);
    let problem = only(&spec, "tasks.a.needs");
    let message = "these tasks wait for each other, each for the one before it: a -> b -> c -> a";
    assert_eq!((problem.to_string().as_str(), problem.reason()), (message, "DEPENDENCY_CYCLE"));
    assert_eq!(only(&job(&[("a", "a")]), "tasks.a.needs").reason(), "DEPENDENCY_CYCLE");
}

#[test]
fn an_unknown_task_comes_with_a_suggestion() {
    let mut spec = job(&[("extract", ""), ("load", "extrat")]);
    let problem = only(&spec, "tasks.load.needs");
    assert_eq!(problem.to_string(), "there is no task extrat; did you mean extract?");
    assert_eq!(problem.reason(), "UNKNOWN_TASK");
    spec = job(&[("load", "somebody")]);
    assert_eq!(only(&spec, "tasks.load.needs").to_string(), "there is no task somebody");
}

#[test]
fn an_unknown_output_comes_with_a_suggestion() {
    let mut spec = job(&[("extract", ""), ("load", "")]);
    edit(&mut spec, "extract").outputs.insert(output("rows"), output_spec("rows.csv", None));
    let input = InputSpec::TaskOutput { task: task("extract"), output: output("row") };
    edit(&mut spec, "load").inputs.insert(output("rows"), input);
    let problem = only(&spec, "tasks.load.inputs.rows");
    let message = "task extract has no output row; did you mean rows?";
    assert_eq!((problem.to_string().as_str(), problem.reason()), (message, "UNKNOWN_OUTPUT"));
}

#[test]
fn a_job_needs_a_task_and_not_too_many() {
    assert_eq!(only(&job(&[]), "tasks"), Problem::NoTasks);
    let many = job_of((0..=TASKS_MAX).map(|at| (format!("t{at}"), None)));
    let problem = only(&many, "tasks");
    assert_eq!(problem.reason(), "SPEC_TOO_LARGE");
    assert_eq!(problem, Problem::TooManyTasks { count: 10_001, limit: TASKS_MAX });
}

#[test]
fn too_many_outputs_are_refused() {
    let mut spec = job_of(std::iter::once(("t".to_owned(), None)));
    let outputs = (0..=OUTPUTS_MAX)
        .map(|at| (output(&format!("o{at}")), output_spec(&format!("{at}.csv"), None)));
    edit(&mut spec, "t").outputs = outputs.collect();
    let problem = only(&spec, "tasks");
    assert_eq!(problem, Problem::TooManyOutputs { count: 10_001, limit: OUTPUTS_MAX });
}

#[test]
fn too_many_dependencies_are_refused() {
    let mut spec = job_of((0..450).map(|at| (format!("t{at}"), None)));
    let names: Vec<TaskId> = spec.tasks.keys().cloned().collect();
    for (at, name) in names.iter().enumerate() {
        spec.tasks.get_mut(name).unwrap().needs = names[..at].iter().cloned().collect();
    }
    let problem = only(&spec, "tasks");
    assert_eq!(problem, Problem::TooManyEdges { count: 450 * 449 / 2, limit: EDGES_MAX });
}

#[test]
fn a_display_name_must_be_the_stem_of_an_id() {
    for name in ["", "Sales", "a/b", "..", "a\0", "a\n", "1a"] {
        let problem = only_after(|spec| spec.display_name = name.into(), "display_name");
        assert_eq!(problem.reason(), "INVALID_SPEC", "{name:?}");
    }
    let problem = only_after(|spec| spec.display_name = "a".repeat(55), "display_name");
    assert_eq!(problem, Problem::NameTooLong { bytes: 55, bytes_max: 54 });
}

#[test]
fn an_argument_vector_names_a_program() {
    let command = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        move |spec: &mut JobSpec| edit(spec, "load").program = Program::Command(arguments)
    };
    assert_eq!(only_after(command(&[]), "tasks.load.command"), Problem::NothingToRun);
    assert_eq!(only_after(command(&[""]), "tasks.load.command"), Problem::NothingToRun);
    let problem = only_after(command(&["cp", "a\0b"]), "tasks.load.command[1]");
    assert_eq!(problem, Problem::ContainsNul);
}

#[test]
fn a_script_has_text_and_not_too_much() {
    let script = |text: String| {
        move |spec: &mut JobSpec| {
            let interpreter = vec!["sh".into()];
            edit(spec, "load").program = Program::Script { text, interpreter };
        }
    };
    assert_eq!(only_after(script(" \n".into()), "tasks.load.run"), Problem::NothingToRun);
    let problem = only_after(script("x".repeat(SCRIPT_LIMIT + 1)), "tasks.load.run");
    assert_eq!(problem.reason(), "SPEC_TOO_LARGE");
}

#[test]
fn a_spec_may_not_grow_without_bound() {
    let problem = only_after(|spec| spec.description = "x".repeat((1 << 20) + 1), "tasks");
    assert_eq!(problem.reason(), "SPEC_TOO_LARGE");
}

#[test]
fn variables_have_names_that_votum_does_not_use() {
    for name in ["", "A=B", "A\0", "1A", "A-B"] {
        let set = |spec: &mut JobSpec| {
            edit(spec, "load").env.insert(name.into(), "x".into());
        };
        let problem = only_after(set, &format!("tasks.load.env.{name}"));
        assert!(matches!(problem, Problem::VariableName { .. }), "{name:?}");
    }
    let set = |spec: &mut JobSpec| {
        spec.env.insert("VOTUM_JOB_ID".into(), "x".into());
    };
    let problem = only_after(set, "env.VOTUM_JOB_ID");
    assert!(matches!(problem, Problem::ProtectedVariable { .. }));
}

#[test]
fn a_task_has_at_most_256_variables() {
    let fill =
        |from: u32, to: u32| (from..to).map(|at| (format!("V{at}"), String::new())).collect();
    let set = |spec: &mut JobSpec| edit(spec, "load").env = fill(0, 257);
    let problem = only_after(set, "tasks.load.env");
    assert_eq!(problem, Problem::TooManyVariables { count: 257, limit: 256 });
    // The job's and the task's together count as well.
    let set = |spec: &mut JobSpec| {
        spec.env = fill(0, 200);
        edit(spec, "load").env = fill(150, 300);
    };
    let problem = only_after(set, "tasks.load.env");
    assert_eq!(problem, Problem::TooManyVariables { count: 300, limit: 256 });
}

#[test]
fn names_that_become_one_variable_collide() {
    let set = |spec: &mut JobSpec| {
        edit(spec, "load").outputs.insert(output("a-b"), output_spec("one", None));
        edit(spec, "load").outputs.insert(output("a_b"), output_spec("two", None));
    };
    let problem = only_after(set, "tasks.load.outputs.a_b");
    assert_eq!(problem.to_string(), "\"a-b\" and \"a_b\" both become the variable A_B");
    assert_eq!(problem.reason(), "DUPLICATE_NAME");
    let set = |spec: &mut JobSpec| {
        spec.params =
            BTreeMap::from([("a.b".into(), String::new()), ("A-b".into(), String::new())]);
    };
    assert_eq!(only_after(set, "params.a.b").reason(), "DUPLICATE_NAME");
}

#[test]
fn an_output_lies_on_one_to_five_workers() {
    for given in [0, 6] {
        let set = |spec: &mut JobSpec| {
            let rows = OutputSpec { replicas: given, ..output_spec("rows", None) };
            edit(spec, "load").outputs.insert(output("one"), rows);
        };
        let problem = only_after(set, "tasks.load.outputs.one.replicas");
        assert_eq!(problem, Problem::Replicas { given, limit: 5 });
    }
}

#[test]
fn outputs_of_a_task_may_not_overlap() {
    for (path, nested) in
        [("rows/", "rows/a"), ("rows", "rows"), ("rows", "rows/"), ("a/b", "a/b/c")]
    {
        let set = |spec: &mut JobSpec| {
            edit(spec, "load").outputs.insert(output("one"), output_spec(path, None));
            edit(spec, "load").outputs.insert(output("two"), output_spec(nested, None));
        };
        let problem = only_after(set, "tasks.load.outputs.two.path");
        let other = output("one");
        assert_eq!(problem, Problem::OverlappingOutputs { path: nested.into(), other }, "{path}");
    }
}

#[test]
fn a_tree_is_published_from_a_directory() {
    for (path, kind, tree) in [("rows", TargetKind::Tree, true), ("rows/", TargetKind::File, false)]
    {
        let set = |spec: &mut JobSpec| publish(spec, "load", path, "/srv/rows", kind);
        let problem = only_after(set, "tasks.load.outputs.rows.path");
        assert_eq!(problem, Problem::KindMismatch { path: path.into(), tree });
    }
}

#[test]
fn targets_of_one_worker_may_not_meet() {
    for (one, two, conflict) in [
        ("/srv/a", "/srv/a", true),
        ("/srv/a", "/srv/a/b", true),
        ("/srv/a/b", "/srv/a", true),
        ("/srv/a", "/srv/ab", false),
        ("a", "/srv/a", false),
    ] {
        let mut spec = job(&[("left", ""), ("right", "")]);
        for (name, path) in [("left", one), ("right", two)] {
            publish(&mut spec, name, "rows", path, TargetKind::File);
            edit(&mut spec, name).placement.worker = Some(WorkerId::new("s1").unwrap());
        }
        let problems = Graph::check(&spec).err().unwrap_or_default();
        let reasons: Vec<&str> = problems.iter().map(|invalid| invalid.problem.reason()).collect();
        let expected: &[&str] = if conflict { &["PUBLISH_CONFLICT"] } else { &[] };
        assert_eq!(reasons, expected, "{one} and {two}");
    }
}

#[test]
fn tasks_without_a_pin_may_not_share_a_target() {
    let mut spec = job(&[("left", ""), ("right", "")]);
    publish(&mut spec, "left", "rows", "/srv/rows", TargetKind::File);
    publish(&mut spec, "right", "rows", "/srv/rows", TargetKind::File);
    let problem = only(&spec, "tasks.right.outputs.rows.publish");
    assert_eq!(problem.to_string(), "\"/srv/rows\" is also published by left.rows");
    edit(&mut spec, "left").placement.worker = Some(WorkerId::new("s1").unwrap());
    assert_eq!(only(&spec, "tasks.right.outputs.rows.publish").reason(), "PUBLISH_CONFLICT");
    // Pinned apart they never meet.
    edit(&mut spec, "right").placement.worker = Some(WorkerId::new("s2").unwrap());
    assert!(Graph::check(&spec).is_ok());
}

#[test]
fn durations_are_more_than_zero_and_less_than_a_year() {
    let year = Duration::from_hours(365 * 24);
    for given in [Duration::ZERO, year + Duration::from_secs(1), Duration::MAX] {
        let problem = only_after(|spec| spec.timeout = given, "timeout");
        assert_eq!(problem, Problem::Duration { given, max: year });
        let problem = only_after(|spec| edit(spec, "load").timeout = given, "tasks.load.timeout");
        assert_eq!(problem, Problem::Duration { given, max: year });
    }
}

#[test]
fn a_task_is_tried_once_to_a_hundred_times() {
    for given in [0, 101] {
        let set = |spec: &mut JobSpec| edit(spec, "load").retry.attempts = given;
        let problem = only_after(set, "tasks.load.retry.attempts");
        assert_eq!(problem, Problem::Attempts { given, limit: 100 });
    }
}

#[test]
fn all_problems_are_reported_in_field_order() {
    let mut spec = job(&[("a", "nowhere"), ("b", "c"), ("c", "b")]);
    spec.timeout = Duration::ZERO;
    edit(&mut spec, "a").timeout = Duration::ZERO;
    edit(&mut spec, "c").retry.attempts = 0;
    let fields: Vec<String> =
        Graph::check(&spec).unwrap_err().into_iter().map(|invalid| invalid.field).collect();
    let expected =
        ["timeout", "tasks.a.timeout", "tasks.a.needs", "tasks.b.needs", "tasks.c.retry.attempts"];
    assert_eq!(fields, expected);
}

#[test]
fn at_most_fifty_problems_are_reported() {
    let spec = job_of((0..200).map(|at| (format!("t{at}"), Some("nowhere".to_owned()))));
    assert_eq!(Graph::check(&spec).unwrap_err().len(), PROBLEMS_MAX);
}

/// Random graphs; one constant decides all of them.
#[test]
fn the_order_of_any_graph_respects_its_edges() {
    let mut random = Random(2_463_534_242);
    let mut cyclic = 0;
    for _ in 0..2_000 {
        let tasks = 1 + random.below(12);
        let mut spec = job_of((0..tasks).map(|at| (format!("t{at:02}"), None)));
        let names: Vec<TaskId> = spec.tasks.keys().cloned().collect();
        for _ in 0..random.below(2 * tasks) {
            let (from, to) = (random.below(tasks), random.below(tasks));
            spec.tasks.get_mut(&names[to]).unwrap().needs.insert(names[from].clone());
        }
        match Graph::check(&spec) {
            Ok(graph) => assert_ordered(&graph, &spec),
            Err(problems) => {
                cyclic += 1;
                assert_real_cycle(&problems, &spec);
            }
        }
    }
    assert!((200..1_800).contains(&cyclic), "{cyclic} of 2000 graphs have a cycle");
}

fn assert_ordered(graph: &Graph, spec: &JobSpec) {
    let place: BTreeMap<&TaskId, usize> =
        graph.order().iter().enumerate().map(|(place, &at)| (graph.name(at), place)).collect();
    assert_eq!(place.len(), spec.tasks.len());
    for (name, task) in &spec.tasks {
        assert!(task.needs.iter().all(|before| place[before] < place[name]));
    }
}

fn assert_real_cycle(problems: &[InvalidJob], spec: &JobSpec) {
    let Problem::DependencyCycle { cycle } = &problems[0].problem else { panic!("{problems:?}") };
    let distinct: BTreeSet<&TaskId> = cycle.iter().collect();
    assert_eq!(distinct.len(), cycle.len());
    for (at, name) in cycle.iter().enumerate() {
        let next = &cycle[(at + 1) % cycle.len()];
        assert!(spec.tasks[next].needs.contains(name), "{next} does not wait for {name}");
    }
}

/// Marsaglia's xorshift: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }
}

fn only(spec: &JobSpec, field: &str) -> Problem {
    let mut problems = Graph::check(spec).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let InvalidJob { field: found, problem } = problems.remove(0);
    assert_eq!(found, field);
    problem
}

/// Breaks one rule of a good job and returns what is found.
#[test]
fn steps_have_names_of_their_own_and_no_steps() {
    let steps = |names: &[&str]| {
        let step = |name: &&str| Step {
            name: StepName::new(name).unwrap(),
            program: Program::Command(vec!["true".into()]),
        };
        let steps: Vec<Step> = names.iter().map(step).collect();
        move |spec: &mut JobSpec| edit(spec, "load").program = Program::Steps(steps)
    };
    let problem = only_after(steps(&["fetch", "sort", "fetch"]), "tasks.load.steps[2].name");
    assert_eq!(problem, Problem::DuplicateName { name: "fetch".into() });
    assert_eq!(only_after(steps(&[]), "tasks.load.steps"), Problem::NothingToRun);
    let problem = only_after(steps(&["again"; STEPS_MAX + 1]), "tasks.load.steps");
    assert_eq!(problem, Problem::TooManySteps { count: STEPS_MAX + 1, limit: STEPS_MAX });
    let nested = |spec: &mut JobSpec| {
        let program = Program::Steps(vec![]);
        let step = Step { name: StepName::new("inner").unwrap(), program };
        edit(spec, "load").program = Program::Steps(vec![step]);
    };
    assert_eq!(only_after(nested, "tasks.load.steps[0]"), Problem::NestedSteps);
}

#[test]
fn what_means_nothing_alone_is_refused() {
    let signal = |spec: &mut JobSpec| {
        let policy = CheckpointPolicy { signal: Some(TaskSignal::Usr1), ..Default::default() };
        edit(spec, "load").checkpoint = Some(policy);
    };
    let problem = only_after(signal, "tasks.load.checkpoint.signal");
    assert_eq!(problem, Problem::Alone { needed: "every" });
    let proceed = |spec: &mut JobSpec| edit(spec, "load").on_unreachable = OnUnreachable::Proceed;
    let problem = only_after(proceed, "tasks.load.on_unreachable");
    assert_eq!(problem, Problem::Alone { needed: "exclusive" });
}

#[test]
fn a_limit_of_zero_is_refused() {
    for (field, resources) in [
        ("cpu", Resources { cpu_millis: Some(0), ..Resources::default() }),
        ("memory", Resources { memory_bytes: Some(0), ..Resources::default() }),
        ("processes", Resources { processes: Some(0), ..Resources::default() }),
        ("disk", Resources { disk_bytes: Some(0), ..Resources::default() }),
    ] {
        let limited = |spec: &mut JobSpec| edit(spec, "load").resources = resources;
        assert_eq!(only_after(limited, &format!("tasks.load.resources.{field}")), Problem::Zero);
    }
}

#[test]
fn a_limit_that_no_machine_reaches_is_refused() {
    for (field, most, resources) in [
        (
            "cpu",
            "100000 cores",
            Resources { cpu_millis: Some(100_000_001), ..Resources::default() },
        ),
        ("memory", "1.0 PiB", Resources { memory_bytes: Some(u64::MAX), ..Resources::default() }),
        ("processes", "4194304", Resources { processes: Some(u32::MAX), ..Resources::default() }),
        ("disk", "1024.0 PiB", Resources { disk_bytes: Some(u64::MAX), ..Resources::default() }),
    ] {
        let limited = |spec: &mut JobSpec| edit(spec, "load").resources = resources;
        let problem = only_after(limited, &format!("tasks.load.resources.{field}"));
        assert_eq!(problem, Problem::TooMuch { most: most.to_owned() });
    }
}

#[test]
fn a_health_check_runs_something_and_may_fail() {
    let health = |command: &[&str], failures| {
        let health = HealthCheck {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures,
        };
        move |spec: &mut JobSpec| edit(spec, "load").health = Some(health)
    };
    assert_eq!(only_after(health(&[], 1), "tasks.load.health.command"), Problem::NothingToRun);
    let problem = only_after(health(&["true"], 0), "tasks.load.health.failures");
    assert_eq!(problem, Problem::Failures { given: 0, limit: HEALTH_FAILURES_MAX });
}

fn only_after(edit: impl FnOnce(&mut JobSpec), field: &str) -> Problem {
    let mut spec = job(&[("load", "")]);
    assert_eq!(Graph::check(&spec).err(), None);
    edit(&mut spec);
    only(&spec, field)
}

fn job(tasks: &[(&str, &str)]) -> JobSpec {
    let mut spec = job_of(tasks.iter().map(|(name, _)| ((*name).to_owned(), None)));
    for (name, needs) in tasks {
        edit(&mut spec, name).needs = needs.split_whitespace().map(task).collect();
    }
    spec
}

fn job_of(tasks: impl Iterator<Item = (String, Option<String>)>) -> JobSpec {
    let spec = |needs: Option<String>| TaskSpec {
        needs: needs.iter().map(|name| task(name)).collect(),
        timeout: Duration::from_secs(60),
        grace_period: Duration::from_secs(10),
        ..TaskSpec::of(Program::Command(vec!["true".into()]))
    };
    JobSpec {
        display_name: "sales".into(),
        description: String::new(),
        labels: BTreeMap::new(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        timeout: Duration::from_secs(3600),
        retention: Duration::from_secs(3600),
        prepare_timeout: Duration::from_secs(60),
        approval: None,
        dry_vote: None,
        on_exhausted: OnExhausted::Abort,
        keep_staged: Duration::ZERO,
        concurrency: None,
        tasks: tasks.map(|(name, needs)| (task(&name), spec(needs))).collect(),
        effects: BTreeMap::new(),
    }
}

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

fn output(name: &str) -> OutputName {
    OutputName::new(name).unwrap()
}

fn edit<'a>(spec: &'a mut JobSpec, name: &str) -> &'a mut TaskSpec {
    spec.tasks.get_mut(&task(name)).unwrap()
}

fn publish(spec: &mut JobSpec, name: &str, path: &str, target: &str, kind: TargetKind) {
    let target = Target {
        path: target.into(),
        kind,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    edit(spec, name).outputs.insert(output("rows"), output_spec(path, Some(target)));
}

fn output_spec(path: &str, publish: Option<Target>) -> OutputSpec {
    OutputSpec { path: path.into(), optional: false, bytes_max: None, publish, replicas: 1 }
}

/// Of a script, repeated here so that changing it is a decision.
const SCRIPT_LIMIT: usize = 256 << 10;
