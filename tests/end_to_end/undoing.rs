//! The undoing of what was done on a machine that never returns.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::{JobId, TaskId, WorkerId};
use votum_job::JobSpec;
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{
    CaseAction, CaseName, HookState, JobState, JobView, TaskState, WorkerState,
    case::{GetCase, ResolveCase},
    operation::DeleteWorker,
};

use crate::{hasty, open_gate, wait_for_file};

#[test]
fn what_a_lost_worker_did_is_undone_on_another() {
    let mut cluster = hasty();
    let mut spec = booking(&cluster, TaskDraft::new("book"));
    let book = spec.tasks.get_mut(&task("book")).unwrap();
    book.compensate.as_mut().unwrap().elsewhere = true;
    let job = cluster.submit(&spec);
    let lost = booked(&cluster, &job);
    cluster.worker(lost.as_str()).kill();
    open_gate(&cluster, "gate");

    let view = cluster.wait_for("it is undone", &job, is_over);
    assert_eq!(view.state, JobState::Aborted);
    assert_eq!(view.hooks[0].state, HookState::Done, "{view:#?}");
    assert_eq!(told(&cluster), format!("book\nundo {job}/book\n"));
    // The machine comes back with what it knows: nothing happens once more.
    cluster.worker(lost.as_str()).start();
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    assert_eq!(told(&cluster), format!("book\nundo {job}/book\n"));
}

#[test]
fn a_removed_worker_leaves_its_undoing_to_a_person() {
    let mut cluster = hasty();
    let job = cluster.submit(&booking(&cluster, TaskDraft::new("book").on("s1")));
    booked(&cluster, &job);
    cluster.worker("s1").kill();
    open_gate(&cluster, "gate");
    let waits = |view: &JobView| view.hooks.iter().any(|hook| hook.state == HookState::Due);
    cluster.wait_for("the undoing waits for its worker", &job, |view| waits(view));
    eventually("s1 is lost", LIMIT, || {
        let shown = cluster.shown("s1")?;
        (shown.state == WorkerState::Lost).then_some(())
    });
    delete(&cluster, "s1").unwrap();

    let parked = |view: &JobView| view.hooks.iter().any(|hook| hook.state == HookState::Parked);
    cluster.wait_for("it is a case", &job, |view| parked(view));
    let asked = GetCase { name: CaseName::hook(job.clone(), task("book")) };
    let client = cluster.client().clone();
    let case = cluster.block_on(client.case(&asked)).unwrap();
    assert_eq!(case.reason, "NO_WORKER", "{case:#?}");
    let reason = "gave it back by telephone".to_owned();
    let GetCase { name } = asked;
    let wish = ResolveCase { name, action: CaseAction::Done, reason };
    cluster.block_on(client.resolve_case(&wish)).unwrap();
    let view = cluster.wait_for("it is over", &job, is_over);
    assert_eq!(view.hooks[0].state, HookState::Closed);
    assert_eq!(told(&cluster), "book\n");
}

/// A job that books something outside and then fails, once the gate is open.
fn booking(cluster: &Cluster, book: TaskDraft) -> JobSpec {
    let told = cluster.home().join("told");
    let book = book
        .runs(&format!("echo book >> {}", told.display()))
        .compensated(&format!("echo \"undo $VOTUM_TASK_KEY\" >> {}", told.display()));
    let fails = TaskDraft::new("fails").needs("book").attempts(1);
    let fails = fails.runs(&format!("{}; exit 7", wait_for_file(cluster, "gate")));
    JobDraft::new("books").task(book).task(fails).spec()
}

/// Waits until it is booked; returns where.
fn booked(cluster: &Cluster, job: &JobId) -> WorkerId {
    let view = cluster.wait_for("the other task runs", job, |view| {
        view.tasks.iter().any(|one| one.task == task("fails") && one.state == TaskState::Running)
    });
    let book = view.tasks.iter().find(|one| one.task == task("book")).unwrap();
    book.worker.clone().unwrap()
}

fn is_over(view: &JobView) -> bool {
    let over = |state: HookState| matches!(state, HookState::Done | HookState::Closed);
    view.state.is_final() && view.hooks.iter().all(|hook| over(hook.state))
}

fn told(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.home().join("told")).unwrap()
}

fn delete(cluster: &Cluster, worker: &str) -> Result<(), ClientError> {
    let worker = WorkerId::new(worker).unwrap();
    let order = DeleteWorker { worker, reason: "the machine is scrap".to_owned() };
    cluster.block_on(cluster.client().delete_worker(&order)).map(drop)
}

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

const LIMIT: Duration = Duration::from_mins(1);
