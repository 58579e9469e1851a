//! What operators do with workers: drain them, take them up again, remove them for good.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::{JobId, WorkerId};
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{
    JobState, Outcome, Reason, WorkerState, WorkerView,
    operation::{DeleteWorker, DrainWorker},
};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_drained_worker_finishes_what_it_runs() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let runs = cluster.runs();
    let first = TaskDraft::new("t1").counted(&runs).runs(&gate).writes("rows", "t1.txt");
    let second = TaskDraft::new("t2").counted(&runs).reads("rows", "t1", "rows");
    let second = second.writes("sum", "t2.txt").publishes("t2.txt");
    let job = cluster.submit(&JobDraft::new("drained").task(first).task(second).spec());
    let busy = eventually("t1 runs", LIMIT, || running_on(&cluster, &job));
    let left = drain(&cluster, &busy, None);
    assert_eq!(left.state, WorkerState::Draining);
    assert_eq!(left.running.len(), 1);
    cluster.coordinator().kill();
    cluster.coordinator().start();
    eventually("it is known to be drained", LIMIT, || {
        let shown = cluster.shown(&busy).filter(|view| view.state == WorkerState::Draining);
        shown?.drain.filter(|drain| drain.reason == "another disk")
    });
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(cluster.runs_of(&job, "t1"), 1);
    assert_eq!(view.tasks[0].worker.as_ref().map(WorkerId::as_str), Some(busy.as_str()));
    assert_ne!(view.tasks[1].worker.as_ref().map(WorkerId::as_str), Some(busy.as_str()));
    wait_for_state(&cluster, &busy, WorkerState::Drained);
    resume(&cluster, &busy);
    wait_for_state(&cluster, &busy, WorkerState::Ready);
}

#[test]
fn what_outlasts_a_drain_runs_elsewhere_for_nothing() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "never");
    let task = TaskDraft::new("t1")
        .counted(&cluster.runs())
        .attempts(1)
        .runs(&format!("[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {gate}; }}"))
        .writes("rows", "t1.txt")
        .publishes("t1.txt");
    let job = cluster.submit(&JobDraft::new("evicted").task(task).spec());
    let busy = eventually("t1 runs", LIMIT, || running_on(&cluster, &job));
    drain(&cluster, &busy, Some(Duration::from_millis(300)));

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let attempts = &view.tasks[0].attempts;
    assert_eq!(attempts.len(), 2, "{view:#?}");
    let Some(Outcome::Failed(failure)) = &attempts[0].outcome else { panic!("{view:#?}") };
    assert_eq!(failure.kind.reason(), "DRAINED");
    assert!(failure.message.contains("is drained: another disk"), "{}", failure.message);
    assert_ne!(attempts[1].worker.as_str(), busy);
}

#[test]
fn a_removed_worker_leaves_its_work_and_its_name() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "never");
    let task = TaskDraft::new("t1")
        .counted(&cluster.runs())
        .runs(&format!("[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {gate}; }}"))
        .writes("rows", "t1.txt")
        .publishes("t1.txt");
    let job = cluster.submit(&JobDraft::new("removed").task(task).spec());
    let busy = eventually("t1 runs", LIMIT, || running_on(&cluster, &job));
    assert_eq!(refusal(remove(&cluster, &busy)), Reason::WorkerConnected);
    cluster.worker(&busy).kill();
    let removed = eventually("it is removed", LIMIT, || remove(&cluster, &busy).ok());
    assert_eq!(removed.running.len(), 1);

    // Its lease is a minute: nothing waits for the end of that.
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.tasks[0].attempts.len(), 2);
    assert!(cluster.shown(&busy).is_none());

    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.worker(&busy).start();
    let told = cluster.worker(&busy).wait_for_exit(LIMIT);
    assert!(!told.success());
    let log = cluster.worker(&busy).log();
    assert!(log.contains("has removed this installation"), "{log}");
    assert!(log.contains("the machine is sold"), "{log}");
    cluster.wait_until_nothing_runs(&job);

    let aside = cluster.data_dir(&busy).with_extension("removed");
    fs::rename(cluster.data_dir(&busy), aside).unwrap();
    cluster.worker(&busy).start();
    wait_for_state(&cluster, &busy, WorkerState::Ready);
}

#[test]
fn another_installation_is_refused_the_name_of_an_absent_one() {
    let mut cluster = patient();
    let uid = cluster.shown("s1").unwrap().uid;
    cluster.worker("s1").kill();
    let aside = cluster.data_dir("s1").with_extension("first");
    fs::rename(cluster.data_dir("s1"), &aside).unwrap();
    cluster.worker("s1").start();
    eventually("the other one is told", LIMIT, || {
        let log = cluster.worker("s1").log();
        log.contains("belongs to another installation").then_some(())
    });
    assert!(cluster.worker("s1").log().contains("votum worker delete s1"));
    assert_eq!(cluster.shown("s1").unwrap().uid, uid);

    cluster.worker("s1").kill();
    fs::rename(cluster.data_dir("s1"), aside.with_extension("second")).unwrap();
    fs::rename(&aside, cluster.data_dir("s1")).unwrap();
    cluster.worker("s1").start();
    wait_for_state(&cluster, "s1", WorkerState::Ready);
}

/// Returns where the first task of a job runs, once it does.
fn running_on(cluster: &Cluster, job: &JobId) -> Option<String> {
    let runs = cluster.runs_of(job, "t1") == 1;
    let worker = cluster.job(job).tasks[0].worker.clone();
    worker.filter(|_| runs).map(|worker| worker.to_string())
}

fn drain(cluster: &Cluster, worker: &str, time_limit: Option<Duration>) -> WorkerView {
    let worker = WorkerId::new(worker).unwrap();
    let order = DrainWorker { worker, time_limit, reason: "another disk".to_owned() };
    cluster.block_on(cluster.client().drain_worker(&order)).unwrap()
}

fn resume(cluster: &Cluster, worker: &str) {
    let worker = WorkerId::new(worker).unwrap();
    cluster.block_on(cluster.client().resume_worker(&worker)).unwrap();
}

fn remove(cluster: &Cluster, worker: &str) -> Result<WorkerView, ClientError> {
    let worker = WorkerId::new(worker).unwrap();
    let order = DeleteWorker { worker, reason: "the machine is sold".to_owned() };
    cluster.block_on(cluster.client().delete_worker(&order))
}

fn refusal(answer: Result<WorkerView, ClientError>) -> Reason {
    match answer {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn wait_for_state(cluster: &Cluster, worker: &str, state: WorkerState) {
    let what = format!("{worker} is {}", state.word());
    eventually(&what, LIMIT, || {
        cluster.shown(worker).filter(|view| view.state == state).map(|_| ())
    });
}

/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
