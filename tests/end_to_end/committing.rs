//! A job over three machines becomes visible everywhere.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use votum_commit::Decision;
use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Seen, TaskDraft, Visible, eventually};
use votum_wire::{JobState, OutputState, TaskState, WorkerState};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_job_over_three_machines_becomes_visible_on_all() {
    let cluster = patient();
    let reader = cluster.reader("rows.txt");
    let job = cluster.submit(&JobDraft::trio("trio", "rows.txt", &cluster.runs()).spec());
    let view = cluster.ended(&job);

    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.decision, Some(Decision::Commit));
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    for task in &view.tasks {
        assert_eq!(task.state, TaskState::Committed);
        let [output] = task.outputs.as_slice() else { panic!("one output: {task:#?}") };
        assert_eq!(output.state, OutputState::Published);
        let published = cluster.root(output.worker.as_str()).join("rows.txt");
        assert_eq!(output.bytes, fs::metadata(published).unwrap().len());
        assert_eq!(cluster.runs_of(&job, task.task.as_str()), 1);
    }
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&job);
    let (_reads, seen) = reader.finish();
    assert!(seen.values().all(|seen| *seen == Seen::AfterDecision), "{seen:#?}");
}

#[test]
fn outputs_reach_the_next_task_unchanged() {
    let cluster = patient();
    let job = cluster.submit(&JobDraft::trio("feed", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    let [left, right, joined] = cluster.targets("rows.txt").try_into().unwrap();
    let both = [fs::read(left).unwrap(), fs::read(right).unwrap()].concat();
    let copy = cluster.home().join("both");
    fs::write(&copy, both).unwrap();
    let sum = Command::new("cksum").stdin(fs::File::open(copy).unwrap()).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(fs::read_to_string(joined).unwrap().ends_with(&format!("sum {sum}")));
}

#[test]
fn what_was_fetched_does_not_need_its_producer() {
    let cluster = patient();
    let consumer = TaskDraft::new("t2")
        .on("s2")
        .counted(&cluster.runs())
        .reads("rows", "t1", "rows")
        .writes("copy", "copy.txt")
        .runs(&wait_for_file(&cluster, "gate"))
        .runs("cat \"$VOTUM_INPUT_ROWS\" >> \"$VOTUM_OUTPUT_COPY\"")
        .publishes("copy.txt");
    let producer = TaskDraft::new("t1").on("s1").counted(&cluster.runs()).writes("rows", "rows");
    let job = cluster.submit(&JobDraft::new("moved").task(producer).task(consumer).spec());
    eventually("t2 runs", LIMIT, || (cluster.runs_of(&job, "t2") == 1).then_some(()));

    let staged = cluster.staging("s1").join(job.as_str());
    fs::rename(&staged, cluster.home().join("elsewhere")).unwrap();
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let copied = fs::read_to_string(cluster.root("s2").join("copy.txt")).unwrap();
    assert!(copied.contains("task=t1"), "{copied}");
    assert_eq!(cluster.runs_of(&job, "t1"), 1);
}

#[test]
fn publishing_moves_the_staged_file_itself() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("inode", "rows.txt", &cluster.runs(), &gate).spec());
    cluster.wait_for("t1 is staged", &job, |view| view.tasks[0].state == TaskState::Staged);
    let staged = staged_file(&cluster, &job, "s1", "rows.txt");
    let inode = fs::metadata(staged).unwrap().ino();
    open_gate(&cluster, "gate");

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let published = cluster.root("s1").join("rows.txt");
    assert_eq!(fs::metadata(published).unwrap().ino(), inode);
}

#[test]
fn a_later_job_replaces_what_an_earlier_one_published() {
    let cluster = patient();
    let spec = JobDraft::trio("again", "rows.txt", &cluster.runs()).spec();
    let first = cluster.submit(&spec);
    assert_eq!(cluster.ended(&first).state, JobState::Committed);
    let second = cluster.submit(&spec);
    assert_eq!(cluster.ended(&second).state, JobState::Committed);

    assert_ne!(first, second);
    assert_eq!(cluster.visible(&second, "rows.txt"), Visible::Everything);
    assert_eq!(cluster.visible(&first, "rows.txt"), Visible::Nothing);
}

#[test]
fn a_worker_that_vanished_after_its_yes_publishes_on_return() {
    let mut cluster = patient();
    // It dies with the vote on its way and before it hears of any decision.
    cluster.worker("s3").kill();
    cluster.worker("s3").start_with(&[("VOTUM_CRASH_AT", "shadow.publish.after_generation_dir")]);
    cluster.wait_until_ready();
    let job = cluster.submit(&JobDraft::trio("late", "rows.txt", &cluster.runs()).spec());
    cluster.worker("s3").wait_for_exit(LIMIT);

    let others = [cluster.root("s1").join("rows.txt"), cluster.root("s2").join("rows.txt")];
    let published = || others.iter().all(|target| target.exists()).then_some(());
    eventually("the others have published", LIMIT, published);
    let view = cluster.wait_for("only s3 is missing", &job, |view| {
        view.participants.iter().all(|one| one.acknowledged || one.worker.as_str() == "s3")
    });
    assert_eq!(view.state, JobState::Committing, "{view:#?}");
    assert!(view.state_message.contains("s3"), "{}", view.state_message);
    assert!(!view.state_message.contains("s1"), "{}", view.state_message);

    cluster.worker("s3").start();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(&job, task), 1, "{task}");
    }
    cluster.wait_until_staging_is_empty();
}

#[test]
fn workers_are_listed_with_what_they_offer() {
    let cluster = patient();
    let workers = cluster.block_on(cluster.client().workers()).unwrap();
    assert_eq!(workers.len(), 3);
    for worker in workers {
        assert_eq!(worker.state, WorkerState::Ready);
        let root = cluster.root(worker.worker.as_str());
        assert_eq!(worker.publish_roots, [root.to_string_lossy()]);
        assert_eq!(worker.slots, 4);
    }
}

/// Finds the staged file of an output.
fn staged_file(cluster: &Cluster, job: &JobId, worker: &str, path: &str) -> std::path::PathBuf {
    let attempts = fs::read_dir(cluster.staging(worker).join(job.as_str())).unwrap();
    let mut files = attempts.map(|attempt| attempt.unwrap().path().join("out").join(path));
    files.find(|file| file.exists()).unwrap()
}

const LIMIT: std::time::Duration = std::time::Duration::from_mins(1);
