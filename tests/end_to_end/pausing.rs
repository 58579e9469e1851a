//! A person holds a job, lets it go on, and has its tasks tried at once.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_job::OnExhausted;
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, eventually};
use votum_wire::{
    JobState, JobView, Outcome, PauseOrigin, Reason, TaskState,
    hold::{PauseJob, RetryJob},
};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_pause_survives_restarts_and_starts_nothing() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let first = TaskDraft::new("t1").on("s1").counted(&cluster.runs()).runs(&gate);
    let second = TaskDraft::new("t2").on("s2").counted(&cluster.runs()).needs("t1");
    let second = second.writes("rows", "rows.txt").publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("held").task(first).task(second).spec());
    eventually("t1 runs", LIMIT, || (cluster.runs_of(&job, "t1") == 1).then_some(()));
    let paused = pause(&cluster, &job, false);
    assert_eq!(paused.word(), "PAUSED");
    cluster.coordinator().kill();
    cluster.daemon("s2").kill();
    cluster.start_all();
    open_gate(&cluster, "gate");

    let held =
        cluster.wait_for("t1 is staged", &job, |view| state(view, "t1") == TaskState::Staged);
    assert_eq!(held.pause.unwrap().reason, "the source is being repaired");
    assert_eq!(state(&cluster.job(&job), "t2"), TaskState::Ready);
    assert_eq!(cluster.runs_of(&job, "t2"), 0);

    cluster.block_on(cluster.client().unpause(&job)).unwrap();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!((cluster.runs_of(&job, "t1"), cluster.runs_of(&job, "t2")), (1, 1));
}

#[test]
fn what_a_pause_stops_knows_why_and_is_not_charged() {
    let mut cluster = patient();
    let told = cluster.home().join("told");
    let task = TaskDraft::new("t1")
        .on("s1")
        .attempts(1)
        .runs(&format!("trap 'cat \"$VOTUM_CANCEL_FILE\" > {}; exit 9' TERM", told.display()))
        .counted(&cluster.runs())
        .runs(&wait_for_file(&cluster, "gate"))
        .writes("rows", "rows.txt")
        .publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("stopped").task(task).spec());
    eventually("t1 runs", LIMIT, || (cluster.runs_of(&job, "t1") == 1).then_some(()));
    pause(&cluster, &job, true);
    cluster.wait_until_nothing_runs(&job);
    let held = cluster.wait_for("it is held", &job, |view| state(view, "t1") == TaskState::Ready);
    assert_eq!(held.word(), "PAUSED");
    let reason = fs::read_to_string(&told).unwrap();
    assert!(reason.contains("paused") && reason.contains("repaired"), "{reason}");

    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");
    cluster.block_on(cluster.client().unpause(&job)).unwrap();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.tasks[0].attempts.len(), 2);
}

#[test]
fn a_retry_does_not_wait_for_the_end_of_the_backoff() {
    let cluster = patient();
    let gate = cluster.home().join("gate");
    let task = TaskDraft::new("t1")
        .counted(&cluster.runs())
        .runs(&format!("[ -e {} ]", gate.display()))
        .writes("rows", "rows.txt");
    let mut spec = JobDraft::new("again").task(task).spec();
    let retry = &mut spec.tasks.values_mut().next().unwrap().retry;
    (retry.attempts, retry.backoff, retry.backoff_max) = (2, HOUR, HOUR);
    let job = cluster.submit(&spec);
    cluster.wait_for("it waits", &job, |view| state(view, "t1") == TaskState::Retrying);
    open_gate(&cluster, "gate");
    let wish = RetryJob { job: job.clone(), task: None };
    cluster.block_on(cluster.client().retry(&wish)).unwrap();
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.runs_of(&job, "t1"), 2);
}

#[test]
fn a_job_with_exhausted_retries_waits_for_a_person_if_it_says_so() {
    let mut cluster = patient();
    let gate = cluster.home().join("gate");
    let check = format!("[ -e {} ]", gate.display());
    let runs = cluster.runs();
    let mut spec = JobDraft::trio_with("mended", "rows.txt", &runs, &check).spec();
    spec.on_exhausted = OnExhausted::Pause;
    spec.tasks.values_mut().next_back().unwrap().retry.attempts = 2;
    let job = cluster.submit(&spec);
    let held = cluster.wait_for("it is held", &job, |view| view.pause.is_some());
    assert_eq!(held.pause.as_ref().unwrap().origin, PauseOrigin::Exhausted);
    assert!(held.state_message.contains("t3"), "{}", held.state_message);
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    let held = cluster.job(&job);
    assert_eq!(held.word(), "PAUSED");
    // The log still has when, where and why each attempt ended.
    let [.., t3] = held.tasks.as_slice() else { panic!("{held:#?}") };
    assert_eq!(t3.attempts.len(), 2);
    for attempt in &t3.attempts {
        assert!(attempt.started <= attempt.ended && attempt.started.is_some(), "{attempt:#?}");
        let Some(Outcome::Failed(failure)) = &attempt.outcome else { panic!("{attempt:#?}") };
        assert!(failure.message.contains("exit code 1"), "{failure:#?}");
    }

    open_gate(&cluster, "gate");
    let wish = RetryJob { job: job.clone(), task: Some("t3".parse().unwrap()) };
    cluster.block_on(cluster.client().retry(&wish)).unwrap();
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.runs_of(&job, "t3"), 3);
    assert_eq!((cluster.runs_of(&job, "t1"), cluster.runs_of(&job, "t2")), (1, 1));
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn what_cannot_be_held_or_retried_is_refused_with_its_reason() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let runs = cluster.runs();
    let job = cluster.submit(&JobDraft::trio_with("refused", "rows.txt", &runs, &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    let retry = RetryJob { job: job.clone(), task: None };
    let unpaused = cluster.block_on(cluster.client().unpause(&job));
    assert_eq!(reason_of(unpaused), Reason::NotPaused);
    let retried = cluster.block_on(cluster.client().retry(&retry));
    assert_eq!(reason_of(retried), Reason::NothingToRetry);

    open_gate(&cluster, "gate");
    cluster.ended(&job);
    let paused = cluster.block_on(cluster.client().pause(&wish(&job, false)));
    assert_eq!(reason_of(paused), Reason::AlreadyDecided);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    let nobody = JobId::new("nobody").unwrap();
    let unknown = cluster.block_on(cluster.client().pause(&wish(&nobody, false)));
    assert_eq!(reason_of(unknown), Reason::JobNotFound);
}

fn pause(cluster: &Cluster, job: &JobId, stop_running: bool) -> JobView {
    cluster.block_on(cluster.client().pause(&wish(job, stop_running))).unwrap()
}

fn wish(job: &JobId, stop_running: bool) -> PauseJob {
    let reason = "the source is being repaired".to_owned();
    PauseJob { job: job.clone(), reason, stop_running }
}

fn state(view: &JobView, task: &str) -> TaskState {
    view.tasks.iter().find(|one| one.task.as_str() == task).unwrap().state
}

fn reason_of(answer: Result<JobView, ClientError>) -> Reason {
    let ClientError::Refused(problem) = answer.unwrap_err() else { panic!("it was not refused") };
    problem.reason
}

const LIMIT: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
