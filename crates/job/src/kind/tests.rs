//! A job that an abort could not undo is refused, and the error names the path.

use std::time::Duration;

use votum_ids::OutputName;

use super::*;
use crate::{
    Graph, HOOK_TIMEOUT_DEFAULT, InvalidJob, OnExhausted, OnUnknown, Placement, hook_retry_default,
};

#[test]
fn a_task_that_waits_for_an_effect_is_refused_with_the_path() {
    let mut spec = job(&["load"]);
    spec.effects.insert(name("prepare"), effect(Trigger::Commit, &[]));
    spec.effects.insert(name("announce"), effect(Trigger::Commit, &["prepare"]));
    spec.tasks.get_mut(&name("load")).unwrap().needs = [name("announce")].into();
    let InvalidJob { field, problem } = only(&spec);
    assert_eq!(field, "tasks.load.needs");
    assert_eq!(
        problem.to_string(),
        "announce is an effect: it cannot be undone, so it runs only after the decision and no \
         staged task can wait for it (prepare -> announce -> load)"
    );
}

#[test]
fn a_compensatable_task_after_an_effect_is_refused() {
    let mut spec = job(&["book"]);
    spec.effects.insert(name("announce"), effect(Trigger::Commit, &[]));
    let task = spec.tasks.get_mut(&name("book")).unwrap();
    task.needs = [name("announce")].into();
    task.compensate = Some(Box::new(compensation()));
    let problem = only(&spec).problem;
    assert!(
        matches!(problem, Problem::EffectBeforeTask { kind: Kind::Compensatable, .. }),
        "{problem}"
    );
    assert_eq!(problem.reason(), "NOT_UNDOABLE");
}

#[test]
fn the_output_of_an_effect_cannot_be_read() {
    let mut spec = job(&["load"]);
    spec.effects.insert(name("announce"), effect(Trigger::Commit, &[]));
    let input = InputSpec::TaskOutput {
        task: name("announce"),
        output: OutputName::new("receipt").unwrap(),
    };
    let task = spec.tasks.get_mut(&name("load")).unwrap();
    task.inputs.insert(OutputName::new("receipt").unwrap(), input);
    let InvalidJob { field, problem } = only(&spec);
    assert_eq!(field, "tasks.load.inputs.receipt");
    assert!(matches!(problem, Problem::OutputOfEffect { .. }), "{problem}");
}

#[test]
fn effects_order_only_among_effects_of_one_decision() {
    for (needs, after, wanted) in [
        ("load", Trigger::Commit, "load is a task"),
        ("anounce", Trigger::Commit, "did you mean announce?"),
        ("announce", Trigger::Abort, "they belong to different decisions"),
    ] {
        let mut spec = job(&["load"]);
        spec.effects.insert(name("announce"), effect(Trigger::Commit, &[]));
        spec.effects.insert(name("other"), effect(after, &[needs]));
        let InvalidJob { field, problem } = only(&spec);
        assert_eq!(field, "effects.other.needs");
        assert!(problem.to_string().contains(wanted), "{problem}");
    }
}

#[test]
fn effects_that_wait_for_each_other_are_named_in_a_ring() {
    let mut spec = job(&["load"]);
    spec.effects.insert(name("a"), effect(Trigger::End, &["b"]));
    spec.effects.insert(name("b"), effect(Trigger::End, &["c"]));
    spec.effects.insert(name("c"), effect(Trigger::End, &["a"]));
    spec.effects.insert(name("d"), effect(Trigger::End, &["a"]));
    let Problem::DependencyCycle { cycle } = only(&spec).problem else { panic!("no cycle") };
    assert_eq!(cycle.len(), 3);
    for (at, before) in cycle.iter().enumerate() {
        let after = &cycle[(at + 1) % cycle.len()];
        assert!(spec.effects[after].needs.contains(before), "{before} before {after}");
    }
}

#[test]
fn what_is_undone_cannot_be_kept_for_a_rescue() {
    let mut spec = job(&["book"]);
    spec.keep_staged = Duration::from_secs(60);
    spec.tasks.get_mut(&name("book")).unwrap().compensate = Some(Box::new(compensation()));
    let InvalidJob { field, problem } = only(&spec);
    assert_eq!(field, "keep_staged");
    assert!(matches!(problem, Problem::KeptButUndone { .. }), "{problem}");
}

#[test]
fn an_effect_cannot_bear_the_name_of_a_task() {
    let mut spec = job(&["load"]);
    spec.effects.insert(name("load"), effect(Trigger::Commit, &[]));
    let InvalidJob { field, problem } = only(&spec);
    assert_eq!(field, "effects.load");
    assert!(matches!(problem, Problem::DuplicateName { .. }), "{problem}");
}

#[test]
fn a_webhook_needs_a_url_that_can_be_asked() {
    for (url, fits) in [
        ("http://127.0.0.1:8080/hook?x=1", true),
        ("https://chat.example.com/hooks/sales", true),
        ("ftp://example.com/", false),
        ("http:///path", false),
        ("http://:80/", false),
        ("http://user:secret@example.com/", false),
        ("http://example.com/a b", false),
        ("", false),
    ] {
        let mut spec = job(&["load"]);
        let mut hook = effect(Trigger::Commit, &[]);
        hook.work = EffectWork::Webhook { url: url.into(), headers: BTreeMap::new() };
        spec.effects.insert(name("announce"), hook);
        assert_eq!(Graph::check(&spec).is_ok(), fits, "{url:?}");
    }
}

#[test]
fn a_webhook_cannot_set_the_headers_that_votum_sets() {
    let mut spec = job(&["load"]);
    let mut hook = effect(Trigger::Commit, &[]);
    let headers = BTreeMap::from([("Idempotency-Key".to_owned(), "mine".to_owned())]);
    hook.work = EffectWork::Webhook { url: "http://example.com".into(), headers };
    spec.effects.insert(name("announce"), hook);
    let InvalidJob { field, problem } = only(&spec);
    assert_eq!(field, "effects.announce.webhook.headers.Idempotency-Key");
    assert!(problem.to_string().contains("set by Votum"), "{problem}");
}

fn only(spec: &JobSpec) -> InvalidJob {
    let mut problems = Graph::check(spec).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn effect(after: Trigger, needs: &[&str]) -> EffectSpec {
    EffectSpec {
        after,
        needs: needs.iter().map(|needed| name(needed)).collect(),
        work: EffectWork::Program {
            placement: Placement::default(),
            program: Program::Command(vec!["true".into()]),
            env: BTreeMap::new(),
        },
        timeout: HOOK_TIMEOUT_DEFAULT,
        retry: hook_retry_default(),
        on_unknown: OnUnknown::Repeat,
    }
}

fn compensation() -> Compensation {
    Compensation {
        program: Program::Command(vec!["true".into()]),
        timeout: HOOK_TIMEOUT_DEFAULT,
        retry: hook_retry_default(),
        elsewhere: false,
    }
}

fn job(tasks: &[&str]) -> JobSpec {
    let task = |task: &&str| (name(task), TaskSpec::of(Program::Command(vec!["true".into()])));
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
        tasks: tasks.iter().map(task).collect(),
        effects: BTreeMap::new(),
    }
}

fn name(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}
