//! An exclusive task: whatever happens to its worker, no two attempts of it run at once (R3).

use std::{fs, time::Duration};

use votum_ids::JobId;
use votum_job::OnUnreachable;
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, eventually, programs};
use votum_wire::{JobState, JobView, WorkerState};

use crate::{apart, wait_for_file};

#[test]
fn an_exclusive_attempt_ends_behind_a_partition() {
    let Some(cluster) = apart(LEASED) else { return };
    let job = submitted(&cluster, "waits", OnUnreachable::Wait);
    let first = worker_of_first(&cluster, &job);

    cluster.network().isolate(&first);
    // Nobody can tell it: it ends because its lease does.
    cluster.wait_until_nothing_runs(&job);
    let view = waits_for_its_worker(&cluster, &job, &first);
    assert_eq!(view.tasks[0].attempts.len(), 1, "{view:#?}");
    cluster.network().heal();

    was_run_twice(&cluster, &job);
}

#[test]
fn whoever_proceeds_meets_no_living_predecessor() {
    let Some(cluster) = apart(LEASED) else { return };
    let job = submitted(&cluster, "proceeds", OnUnreachable::Proceed);
    let first = worker_of_first(&cluster, &job);

    cluster.network().isolate(&first);
    let view = was_run_twice(&cluster, &job);
    assert_ne!(view.tasks[0].worker.as_ref().unwrap().as_str(), first);
}

#[test]
fn an_exclusive_attempt_ends_when_its_worker_is_deaf() {
    let Some(cluster) = apart(LEASED) else { return };
    let job = submitted(&cluster, "deaf", OnUnreachable::Wait);
    let first = worker_of_first(&cluster, &job);

    // What the worker says may arrive for a while; that it arrived it does not learn.
    cluster.network().cut("coordinator", &first);
    cluster.wait_until_nothing_runs(&job);
    cluster.network().heal();

    was_run_twice(&cluster, &job);
}

#[test]
fn an_exclusive_attempt_does_not_outlive_its_dead_daemon() {
    let mut cluster = Cluster::started(&programs!(), LEASED);
    let job = submitted(&cluster, "killed", OnUnreachable::Wait);
    let first = worker_of_first(&cluster, &job);

    cluster.worker(&first).kill();
    cluster.wait_until_nothing_runs(&job);
    waits_for_its_worker(&cluster, &job, &first);
    cluster.worker(&first).start();

    was_run_twice(&cluster, &job);
}

#[test]
fn an_exclusive_attempt_does_not_outlive_its_frozen_daemon() {
    let mut cluster = Cluster::started(&programs!(), LEASED);
    let job = submitted(&cluster, "frozen", OnUnreachable::Wait);
    let first = worker_of_first(&cluster, &job);

    cluster.worker(&first).freeze();
    eventually("its process is gone", LIMIT, || {
        // The supervisor itself stays a zombie until its daemon goes on.
        let alive = cluster.processes_of(&job);
        alive.iter().all(|one| one.command.is_empty()).then_some(())
    });
    waits_for_its_worker(&cluster, &job, &first);
    cluster.worker(&first).thaw();

    was_run_twice(&cluster, &job);
}

/// Submits a task whose first attempt never ends by itself and which notices any other.
fn submitted(cluster: &Cluster, name: &str, on_unreachable: OnUnreachable) -> JobId {
    let (lock, met) = (cluster.home().join("lock"), cluster.home().join("met"));
    let task = TaskDraft::new("t1")
        .exclusive(on_unreachable)
        // Held by every process of the attempt until the last one is gone.
        .runs(&format!("exec 9> {}", lock.display()))
        .runs(&format!("flock -n 9 || echo $VOTUM_ATTEMPT >> {}", met.display()))
        .counted(&cluster.runs())
        .runs("trap '' TERM")
        .runs(&format!("[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {}; }}", wait_for_file(cluster, "never")))
        .writes("rows", "rows.txt")
        .publishes("rows.txt");
    cluster.submit(&JobDraft::new(name).task(task).spec())
}

/// Waits until the first attempt runs; returns where.
fn worker_of_first(cluster: &Cluster, job: &JobId) -> String {
    eventually("t1 runs", LIMIT, || (cluster.runs_of(job, "t1") == 1).then_some(()));
    cluster.job(job).tasks[0].worker.clone().unwrap().to_string()
}

/// Waits until the worker is lost, and judges that the job says what it waits for.
fn waits_for_its_worker(cluster: &Cluster, job: &JobId, worker: &str) -> JobView {
    eventually("it is lost", LIMIT, || {
        let workers = cluster.block_on(cluster.client().workers()).unwrap();
        let known = workers.iter().find(|known| known.worker.as_str() == worker)?;
        (known.state == WorkerState::Lost).then_some(())
    });
    let view = cluster.job(job);
    let said = format!("worker {worker} is lost and may still run this exclusive task");
    assert!(view.state_message.contains(&said), "{}", view.state_message);
    assert_eq!(cluster.runs_of(job, "t1"), 1);
    view
}

/// Judges that the second attempt succeeded and met nobody.
fn was_run_twice(cluster: &Cluster, job: &JobId) -> JobView {
    let view = cluster.ended(job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.tasks[0].attempts.len(), 2, "{view:#?}");
    assert_eq!(cluster.runs_of(job, "t1"), 2);
    let met = fs::read_to_string(cluster.home().join("met")).unwrap_or_default();
    assert_eq!(met, "", "an attempt met its predecessor");
    view
}

/// Long enough that a busy machine does not end a lease by itself.
const LEASED: Timing = Timing {
    lease: Duration::from_secs(4),
    stop_grace: Duration::from_secs(2),
    lost_after: Duration::from_secs(60),
    heartbeat: Duration::from_millis(500),
};
const LIMIT: Duration = Duration::from_mins(1);
