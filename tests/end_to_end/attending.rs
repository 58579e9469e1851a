//! Tasks that say how they get on, and those that get stuck or ill.

use std::time::Duration;

use votum_job::{Amount, FailureKind, HealthCheck, JobSpec, TaskSpec};
use votum_tests::{JobDraft, TaskDraft, eventually};
use votum_wire::{JobState, JobView, Outcome, view::ReportView};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn what_a_task_says_is_shown_and_costs_no_forced_write() {
    let mut cluster = patient();
    // It leaves its directory, and says things that a shell would like to interpret.
    let talking = TaskDraft::new("talks")
        .on("s1")
        .runs("cd /")
        .runs("votum-report progress 10/100 rows 'a \"word\"; `id` $(id)\nand more'")
        .runs("votum-report warning 'page 7 is slow'; echo bogus >> \"$VOTUM_REPORT\"")
        .runs(&wait_for_file(&cluster, "first"))
        .runs("i=10; while [ $i -lt 60 ]; do i=$((i+1)); votum-report progress $i/100 rows; ")
        .runs("sleep 0.1; done")
        .runs(&wait_for_file(&cluster, "last"));
    let job = cluster.submit(&JobDraft::new("talk").task(talking).spec());

    let view = cluster.wait_for("its first report is shown", &job, |view| done(view) == Some(10));
    let first = told(&view).unwrap();
    assert_eq!((first.report.warnings, first.report.malformed, first.rate), (1, 1, None));
    assert_eq!(first.report.progress.as_ref().unwrap().message, "a \"word\"; `id` $(id) and more");
    let forced = cluster.counters().journal.forced_records;
    open_gate(&cluster, "first");
    let view = cluster.wait_for("its last report is shown", &job, |view| done(view) == Some(60));
    assert_eq!(cluster.counters().journal.forced_records, forced);
    assert!(told(&view).unwrap().rate.is_some_and(|rate| rate > 0), "{view:#?}");

    // A restarted daemon of either kind shows it again, although it is recorded nowhere.
    cluster.worker("s1").kill();
    cluster.coordinator().kill();
    cluster.start_all();
    cluster.wait_for("it is shown again", &job, |view| {
        done(view) == Some(60) && told(view).is_some_and(|told| told.report.warnings == 1)
    });
    open_gate(&cluster, "last");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
}

#[test]
fn last_words_are_shown_when_the_job_is_over() {
    let mut cluster = patient();
    // It is over before anybody asks how it gets on.
    let brief = TaskDraft::new("brief")
        .on("s1")
        .runs("votum-report progress 10/100 rows; votum-report warning 'page 7 is empty'; exit 3");
    let job = cluster.submit(&JobDraft::new("brief").task(brief.attempts(1)).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    cluster.coordinator().kill();
    cluster.start_all();

    let view = cluster.job(&job);

    assert_eq!(done(&view), Some(10), "{view:#?}");
    assert_eq!(told(&view).unwrap().report.last_warning, "page 7 is empty");
}

#[test]
fn a_silent_task_is_stuck_and_a_talking_one_is_not() {
    let cluster = patient();
    let hanging = TaskDraft::new("hangs")
        .on("s1")
        .runs("votum-report heartbeat")
        .runs(&format!("if [ $VOTUM_ATTEMPT = 1 ]; then {}; fi", wait_for_file(&cluster, "never")))
        .runs("for i in 1 2 3 4 5 6 7 8; do votum-report heartbeat; sleep 0.5; done");
    let spec = with(JobDraft::new("hang").task(hanging).spec(), |task| {
        task.progress_timeout = Some(Duration::from_secs(3));
    });
    let job = cluster.submit(&spec);

    let view = cluster.ended(&job);

    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let attempts = &view.tasks[0].attempts;
    assert_eq!(attempts.len(), 2, "{view:#?}");
    let Some(Outcome::Failed(failure)) = &attempts[0].outcome else { panic!("{view:#?}") };
    assert_eq!(failure.kind, FailureKind::Stuck);
    assert_eq!(failure.message, "it reported nothing within 3 s");
}

#[test]
fn a_task_that_its_own_command_finds_ill_is_ended() {
    let mut cluster = patient();
    let ill = TaskDraft::new("ill")
        .on("s1")
        .counted(&cluster.runs())
        .runs("echo well > health")
        .runs(&wait_for_file(&cluster, "never"));
    // It runs where the task runs, and leaves a process behind each time.
    let command = "sleep 300 & grep -q well health || { echo 'no answer' >&2; exit 3; }";
    let health = HealthCheck {
        command: ["sh", "-c", command].map(str::to_owned).to_vec(),
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(20),
        failures: 2,
    };
    let spec = with(JobDraft::new("sick").task(ill.attempts(1)).spec(), |task| {
        task.health = Some(health.clone());
    });
    let job = cluster.submit(&spec);
    eventually("it runs", LIMIT, || (cluster.runs_of(&job, "ill") == 1).then_some(()));
    // A restart of the daemon goes on checking, and leaves no check behind.
    cluster.worker("s1").kill();
    cluster.start_all();
    assert_eq!(cluster.job(&job).state, JobState::Running);
    let work = cluster.staging("s1");
    let found = std::process::Command::new("find").arg(work).args(["-name", "health"]).output();
    let file = String::from_utf8(found.unwrap().stdout).unwrap();
    std::fs::write(file.trim(), "ill\n").unwrap();

    let view = cluster.ended(&job);

    let Some(Outcome::Failed(failure)) = &view.tasks[0].attempts[0].outcome else {
        panic!("{view:#?}")
    };
    assert_eq!(failure.kind, FailureKind::Unhealthy, "{failure:?}");
    let words = "its health command failed 2 times in a row: exit code 3: no answer";
    assert_eq!(failure.message, words);
    assert_eq!(view.cause.unwrap().reason, "UNHEALTHY");
    cluster.wait_until_nothing_runs(&job);
}

fn with(mut spec: JobSpec, change: impl Fn(&mut TaskSpec)) -> JobSpec {
    spec.tasks.values_mut().for_each(change);
    spec
}

fn told(view: &JobView) -> Option<&ReportView> {
    view.tasks[0].report.as_ref()
}

/// Returns how many rows the only task has reported.
fn done(view: &JobView) -> Option<u64> {
    match &told(view)?.report.progress.as_ref()?.amount {
        Amount::Counted { done, total: 100, unit } if unit == "rows" => Some(*done),
        Amount::Counted { .. } | Amount::Share { .. } => None,
    }
}

const LIMIT: Duration = Duration::from_mins(1);
