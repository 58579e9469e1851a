//! Replicas: what a worker has promised appears although the worker and its disk are gone.

use std::{fs, path::PathBuf, time::Duration};

use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::JobState;

use crate::{hasty, open_gate, patient, wait_for_file};

#[test]
fn a_job_is_not_voted_on_before_its_replicas_are_durable() {
    let mut cluster = patient();
    for name in ["s2", "s3"] {
        cluster.worker(name).kill();
    }
    let draft = JobDraft::new("kept").task(published(&cluster, "t1", "s1"));
    let job = cluster.submit(&draft.spec());
    let view = cluster.wait_for("it waits for a second holder", &job, |view| {
        view.state_message.contains("lie on 1 of 2 workers")
    });
    assert_eq!(view.state, JobState::Running, "{view:#?}");

    cluster.worker("s3").start();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(replicas(&cluster, &job, "t1"), ["s3"]);
    assert_eq!(cluster.runs_of(&job, "t1"), 1);
    assert!(cluster.root("s1").join("t1.txt").exists(), "its maker publishes it");
    assert!(!cluster.root("s3").join("t1.txt").exists(), "its replica does not");
    cluster.worker("s2").start();
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_worker_lost_in_the_vote_is_replaced_and_no_task_runs_twice() {
    let mut cluster = hasty();
    let gate = wait_for_file(&cluster, "gate");
    let job = cluster.submit(&gated(&cluster, "lost", &gate));
    let held = replicated(&cluster, &job, "t1");
    let content = staged_content(&cluster, &held, &job, "t1");
    // It hears the question, and nothing is heard of it any more.
    cluster.worker("s1").freeze();
    open_gate(&cluster, "gate");
    cluster.wait_for("the vote has begun", &job, |view| view.state == JobState::Preparing);
    take_away(&mut cluster, "s1");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(fs::read_to_string(cluster.root(&held).join("t1.txt")).unwrap(), content);
    assert!(cluster.root("s2").join("t2.txt").exists());
    for task in ["t1", "t2"] {
        assert_eq!(cluster.runs_of(&job, task), 1, "{task}");
    }

    // It comes back as it was: nobody wants what it has.
    bring_back(&mut cluster, "s1");
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    assert!(!cluster.root("s1").join("t1.txt").exists());
}

/// Writes a task of a worker that publishes a file of its name, which lies on two workers.
fn published(cluster: &Cluster, task: &str, worker: &str) -> TaskDraft {
    let target = format!("{task}.txt");
    let draft = TaskDraft::new(task).on(worker).counted(&cluster.runs());
    draft.writes("rows", &target).publishes(&target).replicated(2)
}

/// Writes a job of two such tasks; the second waits for a gate after the first is staged.
fn gated(cluster: &Cluster, name: &str, gate: &str) -> JobSpec {
    let first = published(cluster, "t1", "s1");
    let second = TaskDraft::new("t2").on("s2").needs("t1").counted(&cluster.runs()).runs(gate);
    let second = second.writes("rows", "t2.txt").publishes("t2.txt").replicated(2);
    JobDraft::new(name).task(first).task(second).spec()
}

/// Waits until another worker holds what a task has sealed; returns which.
#[track_caller]
fn replicated(cluster: &Cluster, job: &JobId, task: &str) -> String {
    eventually("a replica is recorded", LIMIT, || replicas(cluster, job, task).pop())
}

/// Returns the workers of which the coordinator has recorded that they hold a replica.
fn replicas(cluster: &Cluster, job: &JobId, task: &str) -> Vec<String> {
    let records = cluster.records_of("coordinator", job);
    let of_task = records.iter().filter_map(|one| {
        let replicated = one.part(&["job", "schedule", "replicated"])?;
        let found = replicated.get("attempt")?.get("task")?.as_str()?;
        (found == task).then(|| replicated.get("worker")?.as_str().map(str::to_owned))?
    });
    of_task.collect()
}

/// Reads what a worker has staged of a task.
fn staged_content(cluster: &Cluster, worker: &str, job: &JobId, task: &str) -> String {
    let folder = cluster.staging(worker).join(job.as_str());
    let attempts = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = format!("{task}.");
    let of_task = |path: &PathBuf| {
        path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(&name))
    };
    let attempt = attempts.into_iter().find(of_task).unwrap();
    fs::read_to_string(attempt.join("out").join(format!("{task}.txt"))).unwrap()
}

/// Takes a machine away: its daemon is killed, and its data directory is not there any more.
fn take_away(cluster: &mut Cluster, worker: &str) {
    cluster.worker(worker).kill();
    let data = cluster.data_dir(worker);
    fs::rename(&data, data.with_extension("away")).unwrap();
}

/// Brings it back as it was.
fn bring_back(cluster: &mut Cluster, worker: &str) {
    let data = cluster.data_dir(worker);
    fs::rename(data.with_extension("away"), &data).unwrap();
    cluster.worker(worker).start();
}

const LIMIT: Duration = Duration::from_mins(1);
