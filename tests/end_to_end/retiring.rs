//! Earlier generations of a target: how many stay, and which stay whatever is said.

use std::{fs, time::Duration};

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, content_of, eventually};
use votum_wire::{JobState, Reason, output::OutputId};

use crate::{hasty, patient};

#[test]
fn a_target_keeps_as_many_earlier_generations_as_declared() {
    let mut cluster = patient();
    let mut jobs = Vec::new();
    for number in 0..3 {
        jobs.push(committed(&cluster, &format!("nightly-{number}"), 1));
    }
    eventually("the first generation is gone", PATIENCE, || {
        (generations(&cluster, "s1") == jobs[1..]).then_some(())
    });
    // What is left of a removal that was cut off goes with a later job.
    let armed = [("VOTUM_CRASH_AT", "shadow.retire.after_rename")];
    cluster.worker("s1").kill();
    cluster.worker("s1").start_with(&armed);
    cluster.wait_until_ready();
    jobs.push(committed(&cluster, "nightly-3", 1));
    cluster.worker("s1").wait_for_exit(PATIENCE);
    cluster.worker("s1").start();
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    jobs.push(committed(&cluster, "nightly-4", 1));
    eventually("two generations are there", PATIENCE, || {
        (generations(&cluster, "s1") == jobs[3..]).then_some(())
    });
    let left = fs::read_dir(cluster.root("s1").join(".votum")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.starts_with("retired")).collect();
    assert!(left.is_empty(), "{left:?}");
    let content = content_of(&cluster.root("s1").join("rows.txt")).unwrap();
    assert_eq!(content.job(), Some(jobs[4].as_str()));
    // Its history stays, and its bytes are gone.
    assert_eq!(cluster.job(&jobs[0]).state, JobState::Committed);
    let files = |job| cluster.block_on(cluster.client().output_files(&rows(job), false));
    assert_eq!(files(&jobs[3]).unwrap().entries.len(), 1);
    let gone = files(&jobs[0]).unwrap_err();
    assert_eq!(gone.problem().unwrap().reason, Reason::OutputNotFound, "{gone:?}");
}

#[test]
fn a_job_that_is_held_back_keeps_its_generation_everywhere() {
    let mut cluster = hasty();
    cluster.worker("s3").kill();
    cluster.worker("s3").start_with(&[("VOTUM_CRASH_AT", "shadow.publish.after_generation_dir")]);
    cluster.wait_until_ready();
    let draft = JobDraft::trio("held", "rows.txt", &cluster.runs());
    let held = cluster.submit(&draft.spec());
    cluster.worker("s3").wait_for_exit(PATIENCE);
    cluster.wait_for("the others have published", &held, |view| {
        view.participants.iter().filter(|one| one.acknowledged).count() == 2
    });
    let later: Vec<JobId> =
        (0..3).map(|number| committed(&cluster, &format!("later-{number}"), 1)).collect();
    eventually("the first of the later ones is gone", PATIENCE, || {
        let there = generations(&cluster, "s1");
        (there.contains(&held) && !there.contains(&later[0])).then_some(())
    });

    cluster.worker("s3").start();
    assert_eq!(cluster.ended(&held).state, JobState::Committed);
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    let last = committed(&cluster, "last", 1);
    eventually("it goes like any other once it is over", PATIENCE, || {
        (generations(&cluster, "s1") == [later[2].clone(), last.clone()]).then_some(())
    });
    assert!(matches!(cluster.visible(&held, "rows.txt"), Visible::Mixed(_)), "s1 shows the last");
    assert_eq!(generations(&cluster, "s3"), [held]);
}

/// Lets a job that publishes `rows.txt` on s1 commit.
fn committed(cluster: &Cluster, name: &str, kept: u32) -> JobId {
    let task = TaskDraft::new("t").on("s1").writes("rows", "rows.txt").publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new(name).task(task.keeping(kept)).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    job
}

fn rows(job: &JobId) -> OutputId {
    OutputId { job: job.clone(), task: "t".parse().unwrap(), output: "rows".parse().unwrap() }
}

/// Names the jobs of which a worker has a generation, in their order.
fn generations(cluster: &Cluster, worker: &str) -> Vec<JobId> {
    let folder = cluster.root(worker).join(".votum/gen");
    let mut jobs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let inner = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            let mut names = inner.map(|file| file.file_name().to_string_lossy().into_owned());
            names.any(|name| name.ends_with(".rows"))
        })
        .map(|entry| JobId::new(entry.file_name().into_string().unwrap()).unwrap())
        .collect();
    jobs.sort_by_key(|job| cluster.job(job).created);
    jobs
}

const PATIENCE: Duration = Duration::from_secs(60);
