//! After the decision: effects, compensations and cases, with real programs and kills.

use std::{collections::BTreeMap, fs, time::Duration};

use votum_ids::{JobId, TaskId};
use votum_job::{EffectWork, OnUnknown, Placement, Program, Trigger};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, programs};
use votum_wire::{
    CaseAction, CaseName, HookState, HookView, JobState, JobView,
    case::{GetCase, ResolveCase},
};

#[test]
fn an_effect_follows_only_its_own_decision() {
    let cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let told = cluster.home().join("told");
    let note =
        format!("echo \"$VOTUM_TASK_ID $VOTUM_DECISION\" >> {}.$VOTUM_JOB_NAME", told.display());
    for (name, fails) in [("commits", "true"), ("aborts", "exit 7")] {
        let task = TaskDraft::new("t1").attempts(1).runs(fails).writes("rows", "rows.txt");
        let spec = JobDraft::new(name)
            .task(task.publishes("rows.txt"))
            .effect("announce", Trigger::Commit, &note)
            .effect("page", Trigger::Abort, &note)
            .effect("sweep", Trigger::End, &note)
            .spec();
        let job = cluster.submit(&spec);
        settled(&cluster, &job);
    }
    let lines = |name: &str| fs::read_to_string(told.with_extension(name)).unwrap();
    assert_eq!(lines("commits"), "announce commit\nsweep commit\n");
    assert_eq!(lines("aborts"), "page abort\nsweep abort\n");
}

#[test]
fn what_acted_outside_is_undone_in_reverse_order() {
    let cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let told = cluster.home().join("told");
    let acts = |id: &str| {
        TaskDraft::new(id).runs(&format!("echo \"do {id}\" >> {}", told.display())).compensated(
            &format!("echo \"undo $VOTUM_TASK_KEY $VOTUM_DECISION\" >> {}", told.display()),
        )
    };
    let spec = JobDraft::new("saga")
        .task(acts("t1").writes("rows", "rows.txt"))
        .task(acts("t2").reads("rows", "t1", "rows").writes("rows", "rows.txt"))
        .task(acts("t3").reads("rows", "t2", "rows").attempts(1).runs("exit 7"))
        .task(acts("t4").reads("rows", "t2", "rows").needs("t3"))
        .spec();
    let job = cluster.submit(&spec);
    let view = settled(&cluster, &job);
    assert_eq!(view.state, JobState::Aborted);
    // What never started is not undone; what failed may have acted.
    let undo = |id: &str| format!("undo {job}/{id} abort\n");
    let wanted = format!("do t1\ndo t2\ndo t3\n{}{}{}", undo("t3"), undo("t2"), undo("t1"));
    assert_eq!(fs::read_to_string(&told).unwrap(), wanted);
}

#[test]
fn an_exhausted_effect_is_a_case_that_a_person_decides() {
    let mut cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let mended = cluster.home().join("mended");
    let script = format!("test -e {} || {{ echo 'no receiver' >&2; exit 9; }}", mended.display());
    let work = |script: &str| EffectWork::Program {
        placement: Placement::default(),
        program: Program::Command(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]),
        env: BTreeMap::new(),
    };
    let spec = JobDraft::new("parks")
        .task(TaskDraft::new("t1").writes("rows", "rows.txt").publishes("rows.txt"))
        .effect_of("announce", Trigger::Commit, work(&script), 2)
        .effect_of("kept", Trigger::Commit, work("kill -9 $$"), 5)
        .alter_effect("kept", |effect| effect.on_unknown = OnUnknown::Park)
        .spec();
    let job = cluster.submit(&spec);
    let parked = |view: &JobView| view.hooks.iter().all(|hook| hook.state == HookState::Parked);
    cluster.wait_for("both are cases", &job, |view| !view.hooks.is_empty() && parked(view));

    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    let client = cluster.client().clone();
    let decide = |name: &str, action, reason: &str| {
        let GetCase { name } = asked(&job, name);
        let wish = ResolveCase { name, action, reason: reason.to_owned() };
        cluster.block_on(client.resolve_case(&wish))
    };
    let case = cluster.block_on(client.case(&asked(&job, "announce"))).unwrap();
    assert_eq!(case.reason, "RETRIES_EXHAUSTED");
    assert!(case.message.contains("no receiver"), "{}", case.message);
    let legal = [CaseAction::Retry, CaseAction::Done, CaseAction::GiveUp];
    assert_eq!(case.actions, legal);
    assert!(case.evidence.iter().any(|one| one.text.contains("try 2")), "{case:#?}");
    let case = cluster.block_on(client.case(&asked(&job, "kept"))).unwrap();
    assert_eq!(case.reason, "OUTCOME_UNKNOWN");

    fs::write(&mended, "").unwrap();
    decide("announce", CaseAction::Retry, "the receiver is back").unwrap();
    decide("kept", CaseAction::Done, "seen at the receiver").unwrap();
    let view = settled(&cluster, &job);
    assert_eq!(hook(&view, "announce").tries, 3);
    assert_eq!(hook(&view, "kept").tries, 1, "a closed case is never tried again");
    let resolution = hook(&view, "kept").resolution.clone().unwrap();
    assert_eq!(
        (resolution.action, resolution.reason.as_str()),
        (CaseAction::Done, "seen at the receiver")
    );
    let refused = decide("kept", CaseAction::Retry, "once more").unwrap_err();
    assert!(refused.to_string().contains("no open case"), "{refused}");
}

#[test]
fn a_try_survives_the_kill_of_its_workers_daemon() {
    let mut cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let (begun, go) = (cluster.home().join("begun"), cluster.home().join("go"));
    let script = format!(
        "echo $$ >> {}; while ! test -e {}; do sleep 0.05; done",
        begun.display(),
        go.display()
    );
    let spec = JobDraft::new("lasting")
        .task(TaskDraft::new("t1").on("s1").writes("rows", "rows.txt").publishes("rows.txt"))
        .effect("announce", Trigger::Commit, &script)
        .alter_effect("announce", |effect| {
            if let EffectWork::Program { placement, .. } = &mut effect.work {
                placement.worker = Some("s1".parse().unwrap());
            }
        })
        .spec();
    let job = cluster.submit(&spec);
    votum_tests::eventually("it has begun", LIMIT, || begun.exists().then_some(()));
    cluster.worker("s1").kill();
    cluster.worker("s1").start();
    fs::write(&go, "").unwrap();
    let view = settled(&cluster, &job);
    assert_eq!(hook(&view, "announce").tries, 1, "{view:#?}");
    assert_eq!(fs::read_to_string(&begun).unwrap().lines().count(), 1);
}

pub(crate) fn settled(cluster: &Cluster, job: &JobId) -> JobView {
    let over = |hook: &HookView| matches!(hook.state, HookState::Done | HookState::Closed);
    let view = cluster.wait_for("it is settled", job, |view| {
        view.state.is_final() && !view.hooks.is_empty() && view.hooks.iter().all(over)
    });
    cluster.wait_until_nothing_runs(job);
    view
}

pub(crate) fn hook<'a>(view: &'a JobView, name: &str) -> &'a HookView {
    view.hooks.iter().find(|hook| hook.hook.as_str() == name).unwrap()
}

pub(crate) fn asked(job: &JobId, name: &str) -> GetCase {
    GetCase { name: CaseName::hook(job.clone(), TaskId::new(name).unwrap()) }
}

const LIMIT: Duration = Duration::from_mins(1);
