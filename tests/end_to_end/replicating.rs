//! Replicas: what a worker has promised appears although the worker and its disk are gone.

use std::{fs, path::PathBuf, time::Duration};

use votum_commit::Vote;
use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, eventually, programs};
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
    let mut cluster = Cluster::started(&programs!(), FIRM);
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

#[test]
fn a_worker_lost_with_the_decision_unheard_is_replaced() {
    let mut cluster = Cluster::started(&programs!(), FIRM);
    let gate = wait_for_file(&cluster, "gate");
    let third = TaskDraft::new("t3").on("s3").needs("t1").needs("t2").runs(&gate);
    let third = third.writes("rows", "t3.txt").publishes("t3.txt");
    let draft = JobDraft::new("unheard")
        .task(published(&cluster, "t1", "s1"))
        .task(published(&cluster, "t2", "s2"))
        .task(third);
    let job = cluster.submit(&draft.spec());
    let held = replicated(&cluster, &job, "t1");
    replicated(&cluster, &job, "t2");
    let content = staged_content(&cluster, &held, &job, "t1");
    // s1 votes Yes while s2 is silent, and is silent when s2 has voted.
    cluster.worker("s2").freeze();
    open_gate(&cluster, "gate");
    cluster.wait_for("s1 has voted Yes", &job, |view| {
        view.participants
            .iter()
            .any(|one| one.worker.as_str() == "s1" && one.vote == Some(Vote::Yes))
    });
    cluster.worker("s1").freeze();
    cluster.worker("s2").thaw();
    cluster.wait_for("commit is decided", &job, |view| view.state == JobState::Committing);
    take_away(&mut cluster, "s1");

    // The coordinator dies as soon as somebody else is to publish, and begins again.
    recorded(&cluster, &job, "replaced");
    cluster.coordinator().kill();
    cluster.coordinator().start();
    is_committed_elsewhere(&cluster, &job, &held, &content);
    assert!(cluster.root("s2").join("t2.txt").exists());
    assert!(!cluster.root("s1").join("t1.txt").exists());

    bring_back(&mut cluster, "s1");
    is_clean_after_the_return(&mut cluster, &job);
    assert!(!cluster.root("s1").join("t1.txt").exists());
}

#[test]
fn a_publisher_lost_before_it_has_published_is_replaced() {
    is_replaced_when_lost_at("shadow.publish.after_generation_dir", "early");
}

#[test]
fn a_publisher_lost_before_it_has_acknowledged_takes_back_what_it_showed() {
    is_replaced_when_lost_at("worker.publish.after_target", "late");
}

/// Loses s1 with its disk at a point of its publication, and later brings it back.
fn is_replaced_when_lost_at(point: &str, name: &str) {
    let mut cluster = hasty();
    let before = cluster.root("s1").join("t1.txt");
    fs::write(&before, "what stood there before").unwrap();
    cluster.worker("s1").kill();
    cluster.worker("s1").start_with(&[("VOTUM_CRASH_AT", point)]);
    cluster.wait_until_ready();
    let gate = wait_for_file(&cluster, "gate");
    let job = cluster.submit(&gated(&cluster, name, &gate));
    let held = replicated(&cluster, &job, "t1");
    let content = staged_content(&cluster, &held, &job, "t1");
    open_gate(&cluster, "gate");
    cluster.worker("s1").wait_for_exit(LIMIT);
    promised(&cluster, "s1", &job, "committed");
    take_away(&mut cluster, "s1");

    is_committed_elsewhere(&cluster, &job, &held, &content);
    assert!(cluster.root("s2").join("t2.txt").exists());

    bring_back(&mut cluster, "s1");
    is_clean_after_the_return(&mut cluster, &job);
    assert_eq!(fs::read_to_string(&before).unwrap(), "what stood there before");
    assert!(!before.is_symlink(), "nothing of the job is at its target");
}

/// Judges that a job has committed, and that its lost worker's output is at the replica's root.
#[track_caller]
fn is_committed_elsewhere(cluster: &Cluster, job: &JobId, held: &str, content: &str) {
    let view = cluster.ended(job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(fs::read_to_string(cluster.root(held).join("t1.txt")).unwrap(), content);
    let publishers: Vec<&str> = view.participants.iter().map(|one| one.worker.as_str()).collect();
    assert!(publishers.contains(&held) && !publishers.contains(&"s1"), "{publishers:?}");
    let shown = view.tasks.iter().find(|task| task.task.as_str() == "t1").unwrap();
    assert_eq!(shown.worker.as_ref().unwrap().as_str(), held);
    for task in ["t1", "t2"] {
        assert_eq!(cluster.runs_of(job, task), 1, "{task}");
    }
    recorded(cluster, job, "ended");
}

/// Judges that the lost worker, back as it was, has heard that it was replaced, and is clean.
#[track_caller]
fn is_clean_after_the_return(cluster: &mut Cluster, job: &JobId) {
    cluster.wait_until_ready();
    promised(cluster, "s1", job, "stood_down");
    recorded(cluster, job, "caught_up");
    cluster.wait_until_staging_is_empty();
    let shown = cluster.shown("s1").unwrap();
    assert!(shown.running.is_empty() && shown.holds.is_empty(), "{shown:#?}");
}

/// Waits until a worker has recorded something of the commit protocol about a job.
#[track_caller]
fn promised(cluster: &Cluster, name: &str, job: &JobId, kind: &str) {
    let is_it = |one: &votum_tests::Written| one.part(&["participant", kind]).is_some();
    eventually(&format!("{name} has recorded {kind}"), LIMIT, || {
        cluster.records_of(name, job).iter().any(is_it).then_some(())
    });
}

/// Waits until the coordinator has recorded something of the commit protocol about a job.
#[track_caller]
fn recorded(cluster: &Cluster, job: &JobId, kind: &str) {
    let is_it = |one: &votum_tests::Written| one.part(&["job", "commit", kind]).is_some();
    eventually(&format!("{kind} is recorded"), LIMIT, || {
        cluster.records_of("coordinator", job).iter().any(is_it).then_some(())
    });
}

/// Writes a task of a worker that publishes a file of its name, which lies on two workers.
fn published(cluster: &Cluster, task: &str, worker: &str) -> TaskDraft {
    let target = format!("{task}.txt");
    let draft = TaskDraft::new(task).on(worker).counted(&cluster.runs());
    draft.writes("rows", &target).publishes(&target).replicated(2)
}

/// Writes a job of such a task and of one without replicas, which waits for a gate after it.
fn gated(cluster: &Cluster, name: &str, gate: &str) -> JobSpec {
    let first = published(cluster, "t1", "s1");
    let second = TaskDraft::new("t2").on("s2").needs("t1").counted(&cluster.runs()).runs(gate);
    let second = second.writes("rows", "t2.txt").publishes("t2.txt");
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

/// Gives a silent worker up, but not one that a busy machine keeps waiting.
const FIRM: Timing = Timing {
    lease: Duration::from_secs(10),
    stop_grace: Duration::from_millis(500),
    lost_after: Duration::from_secs(30),
    heartbeat: Duration::from_millis(500),
};
const LIMIT: Duration = Duration::from_mins(1);
