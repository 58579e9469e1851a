//! A person is asked before the vote, and everybody can be asked what would stand in its way.

use std::{fs, path::Path, process::Command, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_job::{BASE_CHANGED, JobSpec, NOT_REACHABLE};
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, eventually};
use votum_wire::{
    DryVoteView, JobState, JobView, Reason, Verdict, approval::ApproveJob, view::CANCELLED,
};

use crate::{hasty, not_run, open_gate, patient, wait_for_file};

#[test]
fn nobody_has_promised_anything_before_the_approval() {
    let mut cluster = patient();
    let job = cluster.submit(&asked(JobDraft::trio("asked", "asked", &cluster.runs()), LONG));
    let view = awaited(&cluster, &job);
    assert!(view.dry_vote.is_some_and(|last| last.is_clean() && last.complete));
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let view = awaited(&cluster, &job);
    for worker in ["s1", "s2", "s3"] {
        assert_eq!(prepared(&cluster, worker, &job), 0, "{worker} is in doubt");
    }
    assert_eq!(cluster.visible(&job, "asked"), Visible::Nothing);

    let etag = view.approval.map(|asked| asked.etag);
    answer(&cluster, &job, Verdict::Approve, etag).unwrap();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(cluster.visible(&job, "asked"), Visible::Everything);
    let given = view.approval.and_then(|asked| asked.given).unwrap();
    assert_eq!(given.reason, "looked at it");
    assert_eq!(["t1", "t2", "t3"].map(|task| cluster.runs_of(&job, task)), [1, 1, 1]);
}

#[test]
fn a_rejected_job_aborts_and_says_why() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let task = TaskDraft::new("t1").on("s1").runs(&gate).writes("rows", "a").publishes("a");
    let job = cluster.submit(&asked(JobDraft::new("rejected").task(task), LONG));
    let early = answer(&cluster, &job, Verdict::Approve, None);
    assert!(refused(early, &Reason::NotAwaitingApproval));
    open_gate(&cluster, "gate");
    awaited(&cluster, &job);
    let stale = answer(&cluster, &job, Verdict::Approve, Some("another".to_owned()));
    assert!(refused(stale, &Reason::StaleEtag));
    assert_eq!(cluster.job(&job).state, JobState::AwaitingApproval);

    answer(&cluster, &job, Verdict::Reject, None).unwrap();
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted);
    let cause = view.cause.unwrap();
    assert_eq!(cause.reason, votum_wire::REJECTED);
    assert!(cause.message.contains("looked at it") && !cause.by.is_empty(), "{cause:?}");
    assert_eq!(cluster.visible(&job, "a"), Visible::Nothing);
    let late = answer(&cluster, &job, Verdict::Approve, None);
    assert!(refused(late, &Reason::NotAwaitingApproval));
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_job_that_nobody_approves_in_time_aborts() {
    let cluster = patient();
    let task = TaskDraft::new("t1").on("s1").writes("rows", "a").publishes("a");
    let limit = Duration::from_secs(2);
    let job = cluster.submit(&asked(JobDraft::new("forgotten").task(task), limit));
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted);
    assert_eq!(view.cause.unwrap().reason, "APPROVAL_EXPIRED");
    assert_eq!(prepared(&cluster, "s1", &job), 0);
}

#[test]
fn a_worker_that_dies_takes_the_question_back() {
    let mut cluster = hasty();
    let task = TaskDraft::new("t1").counted(&cluster.runs()).writes("rows", "a").publishes("a");
    let job = cluster.submit(&asked(JobDraft::new("moved").task(task), LONG));
    let view = awaited(&cluster, &job);
    let holder = view.tasks[0].worker.clone().unwrap();
    cluster.worker(holder.as_str()).kill();
    let moved = |view: &JobView| view.tasks[0].worker.as_ref().is_some_and(|now| *now != holder);
    let again = |view: &JobView| moved(view) && view.state == JobState::AwaitingApproval;
    let view = cluster.wait_for("it asks again", &job, again);
    assert_eq!(cluster.runs_of(&job, "t1"), 2);
    assert!(view.approval.is_some_and(|asked| asked.given.is_none()));

    cluster.block_on(cluster.client().cancel(&job, "enough")).unwrap();
    let view = cluster.ended(&job);
    assert_eq!((view.state, view.cause.unwrap().reason.as_str()), (JobState::Aborted, CANCELLED));
}

#[test]
fn a_dry_vote_finds_what_would_make_the_vote_fail() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let task = TaskDraft::new("t1").on("s1").runs(&gate).writes("rows", "a");
    let task = task.publishes("deep/a");
    let mut spec = JobDraft::new("looked-at").task(task).spec();
    spec.dry_vote = Some(Duration::from_secs(1));
    let job = cluster.submit(&spec);
    let (root, folder) = (cluster.root("s1"), cluster.root("s1").join("deep"));
    fs::create_dir(&folder).unwrap();
    assert_eq!(reasons(&dry_vote(&cluster, &job)), [""; 0]);
    cluster.wait_for("its own dry vote is told", &job, |view| view.dry_vote.is_some());

    if make_unwritable(&folder) {
        assert_eq!(reasons(&dry_vote(&cluster, &job)), ["TARGET_NOT_WRITABLE"]);
        let told = |view: &JobView| view.dry_vote.as_ref().is_some_and(|last| !last.is_clean());
        let view = cluster.wait_for("its own dry vote finds it", &job, told);
        assert_eq!(view.state, JobState::Running);
        assert!(view.state_message.contains("TARGET_NOT_WRITABLE on s1"), "{}", view.state_message);
        make_writable(&folder);
    } else {
        not_run("no directory can be made unwritable here");
    }
    fs::write(folder.join("a"), "theirs").unwrap();
    assert_eq!(reasons(&dry_vote(&cluster, &job)), [BASE_CHANGED]);
    fs::remove_file(folder.join("a")).unwrap();
    fs::rename(&root, root.with_extension("away")).unwrap();
    assert_eq!(reasons(&dry_vote(&cluster, &job)), ["PUBLISH_ROOT_GONE"]);
    fs::rename(root.with_extension("away"), &root).unwrap();

    cluster.worker("s1").freeze();
    assert_eq!(reasons(&dry_vote(&cluster, &job)), [NOT_REACHABLE]);
    cluster.worker("s1").thaw();
    eventually("it answers again", LIMIT, || dry_vote(&cluster, &job).is_clean().then_some(()));
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert!(cluster.block_on(cluster.client().dry_vote(&job)).is_err());
}

fn asked(draft: JobDraft, limit: Duration) -> JobSpec {
    JobSpec { approval: Some(limit), ..draft.spec() }
}

fn awaited(cluster: &Cluster, job: &JobId) -> JobView {
    let awaits = |view: &JobView| view.state == JobState::AwaitingApproval;
    cluster.wait_for("it waits for an approval", job, awaits)
}

fn answer(
    cluster: &Cluster,
    job: &JobId,
    verdict: Verdict,
    etag: Option<String>,
) -> Result<JobView, ClientError> {
    let reason = "looked at it".to_owned();
    let wish = ApproveJob { job: job.clone(), verdict, reason, etag };
    cluster.block_on(cluster.client().approve(&wish))
}

fn refused(answer: Result<JobView, ClientError>, reason: &Reason) -> bool {
    matches!(answer, Err(ClientError::Refused(problem)) if problem.reason == *reason)
}

fn dry_vote(cluster: &Cluster, job: &JobId) -> DryVoteView {
    cluster.block_on(cluster.client().dry_vote(job)).unwrap()
}

fn reasons(came_to: &DryVoteView) -> Vec<&str> {
    came_to.findings.iter().map(|found| found.reason.as_str()).collect()
}

/// Counts the promises that a worker has recorded about a job.
fn prepared(cluster: &Cluster, worker: &str, job: &JobId) -> usize {
    let records = cluster.records_of(worker, job);
    records.iter().filter(|found| found.part(&["participant", "prepared"]).is_some()).count()
}

/// Takes the right to write away from everybody; the superuser needs more than a mode for that.
fn make_unwritable(folder: &Path) -> bool {
    chattr("+i", folder)
}

fn make_writable(folder: &Path) {
    assert!(chattr("-i", folder));
}

fn chattr(flag: &str, folder: &Path) -> bool {
    Command::new("chattr").arg(flag).arg(folder).status().is_ok_and(|status| status.success())
}

/// No test takes this long.
const LONG: Duration = Duration::from_hours(1);
/// A slow machine must come to it in this time.
const LIMIT: Duration = Duration::from_secs(60);
