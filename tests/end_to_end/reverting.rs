//! What stood at the targets of a job before stands there again: on all workers, or on none.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::{JobId, RequestId};
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, content_of, eventually};
use votum_wire::{
    JobState, Problem, Reason, TaskState,
    output::{OutputId, TargetStanding},
    revert::{Earlier, RevertJob, Reverted},
};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn what_stood_before_stands_again_and_comes_forward_again() {
    let mut cluster = patient();
    let (first, second) = twice(&cluster);
    let plan = revert(&cluster, &second, true).unwrap();
    assert_eq!(plan.job, None);
    let then: Vec<_> = plan.targets.into_iter().map(|target| target.then).collect();
    let earlier = || Earlier::Of(first.clone());
    assert_eq!(then, [earlier(), earlier(), earlier(), Earlier::Nothing], "the last was new");
    assert_eq!(shown(&cluster), everywhere(&second));

    let back = reverted(&cluster, &second);
    assert_eq!(shown(&cluster), [Some(first.clone()), Some(first.clone()), Some(first), None]);
    let view = cluster.job(&back);
    assert_eq!(view.spec.as_ref().unwrap().reverts(), Some(&second));
    assert!(view.spec.as_ref().unwrap().description.ends_with(": broken links"), "{view:#?}");
    assert_eq!(cluster.staged(), Vec::<std::path::PathBuf>::new(), "nothing is left of it");
    assert_eq!(cluster.job(&second).state, JobState::Committed, "its history stays");
    for (task, output, entries) in [("t1", "rows", 1), ("t4", "fresh", 0)] {
        let (task, output) = (task.parse().unwrap(), output.parse().unwrap());
        let id = OutputId { job: back.clone(), task, output };
        let files = cluster.block_on(cluster.client().output_files(&id, false)).unwrap();
        assert_eq!((files.entries.len(), files.target), (entries, Some(TargetStanding::InPlace)));
    }

    // Every start reads its records again.
    for daemon in ["coordinator", "s1", "s2", "s3"] {
        cluster.daemon(daemon).kill();
    }
    cluster.start_all();
    cluster.wait_until_ready();
    let forward = reverted(&cluster, &back);
    assert_eq!(shown(&cluster), everywhere(&second));
    reverted(&cluster, &forward);
    assert_eq!(shown(&cluster)[3], None, "and back once more");
}

#[test]
fn a_repeated_request_is_one_revert() {
    let cluster = patient();
    let (first, second) = twice(&cluster);
    let wish = RevertJob {
        job: second.clone(),
        request: Some(RequestId(uuid::Uuid::from_u128(7))),
        validate_only: false,
        reason: String::new(),
    };
    let ask = |wish: &RevertJob| cluster.block_on(cluster.client().revert(wish));
    let once = ask(&wish).unwrap().job.unwrap().job;
    assert_eq!(cluster.ended(&once).state, JobState::Committed);
    let again = ask(&wish).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.job.unwrap().job, once);
    let reused = refusal(ask(&RevertJob { job: first, ..wish }));
    assert_eq!(reused.reason, Reason::RequestIdReused);
    let spec = cluster.job(&once).spec.unwrap();
    let error = cluster.try_submit(&spec, RequestId(uuid::Uuid::from_u128(8))).unwrap_err();
    assert_eq!(error.problem().unwrap().reason, Reason::InvalidSpec, "{error:?}");
}

#[test]
fn a_crash_of_a_worker_and_the_coordinator_ends_like_none() {
    let mut cluster = patient();
    let (first, second) = twice(&cluster);
    let mut shows = second.clone();
    let mut last = second.clone();
    for (worker, point) in CRASHES {
        cluster.worker(worker).kill();
        cluster.worker(worker).start_with(&[("VOTUM_CRASH_AT", point)]);
        cluster.wait_until_ready();
        // Its old connection may be all that is known of the worker for a moment.
        let asked = eventually("the worker is reached", PATIENCE, || {
            match revert(&cluster, &last, false) {
                Err(ClientError::Refused(problem))
                    if problem.reason == Reason::WorkerUnreachable =>
                {
                    None
                }
                asked => Some(asked.unwrap()),
            }
        });
        let back = asked.job.unwrap().job;
        cluster.worker(worker).wait_for_exit(PATIENCE);
        cluster.coordinator().kill();
        cluster.coordinator().start();
        cluster.worker(worker).start();
        assert_eq!(cluster.ended(&back).state, JobState::Committed, "{point}");
        cluster.wait_until_ready();
        cluster.wait_until_staging_is_empty();
        shows = if shows == second { first.clone() } else { second.clone() };
        let seen = shown(&cluster);
        let rows = [Some(&shows), Some(&shows), Some(&shows)];
        assert_eq!(seen.iter().take(3).map(Option::as_ref).collect::<Vec<_>>(), rows, "{point}");
        assert_eq!(seen[3].is_some(), shows == second, "{point}");
        last = back;
    }
}

#[test]
fn somebody_elses_work_is_not_undone() {
    let cluster = patient();
    let (_, second) = twice(&cluster);
    let rows = TaskDraft::new("t").on("s2").writes("rows", "rows.txt").publishes("rows.txt");
    let other = committed(&cluster, JobDraft::new("other").task(rows));
    let before = shown(&cluster);
    let problem = refusal(revert(&cluster, &second, false));
    assert_eq!(problem.reason, Reason::NotRevertible);
    assert_eq!(problem.metadata["replaced_by"], other.as_str());
    assert_eq!(problem.metadata["worker"], "s2");
    assert_eq!(shown(&cluster), before);
    // What was done in between can be put back, and then the other as well.
    reverted(&cluster, &other);
    reverted(&cluster, &second);
    assert_eq!(shown(&cluster)[3], None);
}

#[test]
fn a_worker_that_finds_a_replaced_target_votes_no_for_all() {
    let mut cluster = patient();
    let rows = |id: &str, worker: &str| {
        TaskDraft::new(id).on(worker).writes("rows", "rows.txt").publishes("rows.txt")
    };
    let pair = |name: &str| JobDraft::new(name).task(rows("t1", "s1")).task(rows("t2", "s2"));
    committed(&cluster, pair("first"));
    let second = committed(&cluster, pair("second"));
    // Another job over the target on s2 is voted on for as long as s3 is silent.
    let elsewhere =
        TaskDraft::new("t2").on("s3").writes("other", "other.txt").publishes("other.txt");
    let gate = TaskDraft::new("t3").on("s1").needs("t1").needs("t2");
    let gate = gate.runs(&wait_for_file(&cluster, "gate"));
    let other = JobDraft::new("other").task(rows("t1", "s2")).task(elsewhere).task(gate);
    let other = cluster.submit(&other.votes_within(Duration::from_mins(2)).spec());
    cluster.wait_for("it is at its gate", &other, |view| view.tasks[2].state == TaskState::Running);
    cluster.worker("s3").freeze();
    open_gate(&cluster, "gate");
    cluster.wait_for("it is voted on", &other, |view| view.state == JobState::Preparing);

    let back = revert(&cluster, &second, false).unwrap().job.unwrap().job;
    let words = format!("its vote waits for {other}");
    cluster.wait_for("it waits", &back, |view| view.state_message.starts_with(&words));
    cluster.worker("s3").thaw();
    assert_eq!(cluster.ended(&other).state, JobState::Committed);
    let view = cluster.ended(&back);
    assert_eq!(view.state, JobState::Aborted);
    let cause = view.cause.unwrap();
    assert!(cause.message.contains(&format!("was replaced by {other} since")), "{cause:?}");
    let [on_s1, on_s2, ..] = shown(&cluster);
    assert_eq!((on_s1, on_s2), (Some(second), Some(other)));
    cluster.wait_until_staging_is_empty();
}

#[test]
fn what_no_job_had_published_is_brought_back_as_it_was() {
    let cluster = patient();
    let target = cluster.root("s2").join("rows.txt");
    fs::write(&target, "mine").unwrap();
    let first = committed(&cluster, JobDraft::trio("first", "rows.txt", &cluster.runs()));
    let back = reverted(&cluster, &first);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert!(!target.is_symlink());
    let [on_s1, _, on_s3, _] = shown(&cluster);
    assert_eq!((on_s1, on_s3), (None, None));
    reverted(&cluster, &back);
    assert_eq!(cluster.visible(&first, "rows.txt"), Visible::Everything);
}

#[test]
fn only_what_committed_and_can_be_put_back_is_reverted() {
    let cluster = patient();
    let (first, second) = twice(&cluster);
    let running = TaskDraft::new("t").on("s1").runs(&wait_for_file(&cluster, "gate"));
    let running = cluster.submit(&JobDraft::new("running").task(running).spec());
    assert_eq!(refusal(revert(&cluster, &running, false)).reason, Reason::JobNotEnded);
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&running).state, JobState::Committed);
    let problem = refusal(revert(&cluster, &running, false));
    assert_eq!(problem.reason, Reason::NotRevertible, "it has published nothing");
    let failed = TaskDraft::new("t").on("s1").runs("false").attempts(1);
    let failed = cluster.submit(&JobDraft::new("failed").task(failed).spec());
    assert_eq!(cluster.ended(&failed).state, JobState::Aborted);
    assert_eq!(refusal(revert(&cluster, &failed, false)).reason, Reason::NotRevertible);

    let generation = cluster.root("s2").join(".votum/gen").join(first.as_str()).join("t2.rows");
    fs::remove_file(generation).unwrap();
    let problem = refusal(revert(&cluster, &second, false));
    assert_eq!(problem.reason, Reason::RetiredVersionsGone);
    assert_eq!(problem.metadata["worker"], "s2");
    assert_eq!(problem.metadata["path"], "rows.txt");
    assert_eq!(problem.metadata["earlier"], first.as_str());
    assert_eq!(shown(&cluster), everywhere(&second), "nobody has changed anything");
}

#[test]
fn a_worker_that_is_away_is_told_before_anything_begins() {
    let mut cluster = patient();
    let (_, second) = twice(&cluster);
    cluster.worker("s3").kill();
    let wish = RevertJob {
        job: second.clone(),
        request: None,
        validate_only: false,
        reason: String::new(),
    };
    let problem = refusal(cluster.block_on(cluster.client().revert(&wish)));
    assert_eq!(problem.reason, Reason::WorkerUnreachable);
    cluster.worker("s3").start();
    cluster.wait_until_ready();
    assert_eq!(shown(&cluster), everywhere(&second));
}

/// Lets two jobs publish `rows.txt` on all workers one after the other, and the second one
/// `fresh.txt` on s3 as well.
fn twice(cluster: &Cluster) -> (JobId, JobId) {
    let first = committed(cluster, JobDraft::trio("first", "rows.txt", &cluster.runs()));
    let fresh = TaskDraft::new("t4").on("s3").writes("fresh", "fresh.txt").publishes("fresh.txt");
    let second = JobDraft::trio("second", "rows.txt", &cluster.runs()).task(fresh);
    let second = committed(cluster, second);
    assert_eq!(shown(cluster), everywhere(&second));
    (first, second)
}

fn committed(cluster: &Cluster, draft: JobDraft) -> JobId {
    let job = cluster.submit(&draft.spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    // From here on every worker knows that it is over.
    cluster.wait_until_staging_is_empty();
    job
}

fn revert(cluster: &Cluster, job: &JobId, validate_only: bool) -> Result<Reverted, ClientError> {
    let reason = "broken links".to_owned();
    let wish = RevertJob { job: job.clone(), request: None, validate_only, reason };
    cluster.block_on(cluster.client().revert(&wish))
}

/// Reverts a job, which commits.
fn reverted(cluster: &Cluster, job: &JobId) -> JobId {
    let back = revert(cluster, job, false).unwrap().job.unwrap().job;
    let view = cluster.ended(&back);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    cluster.wait_until_staging_is_empty();
    back
}

fn refusal(answer: Result<Reverted, ClientError>) -> Problem {
    let ClientError::Refused(problem) = answer.unwrap_err() else { panic!("it was not refused") };
    *problem
}

/// Names whose `rows.txt` each worker shows, and whose `fresh.txt` s3 does.
fn shown(cluster: &Cluster) -> [Option<JobId>; 4] {
    [("s1", "rows.txt"), ("s2", "rows.txt"), ("s3", "rows.txt"), ("s3", "fresh.txt")].map(
        |(worker, target)| {
            let content = content_of(&cluster.root(worker).join(target))?;
            Some(JobId::new(content.job()?).unwrap())
        },
    )
}

fn everywhere(job: &JobId) -> [Option<JobId>; 4] {
    std::array::from_fn(|_| Some(job.clone()))
}

/// Before a worker has voted, before it has published, and in between.
const CRASHES: [(&str, &str); 5] = [
    ("s2", "shadow.seal.after_sync"),
    ("s2", "shadow.publish.after_note"),
    ("s3", "shadow.publish.after_clearing"),
    ("s2", "shadow.publish.after_exchange"),
    ("s2", "worker.publish.after_target"),
];
const PATIENCE: Duration = Duration::from_secs(60);
