//! What people force when a worker is lost with its promise: a case, an end without it, and a return.

use std::time::Duration;

use votum_client::Until;
use votum_ids::{JobId, WorkerId};
use votum_tests::{Cluster, JobDraft, Visible};
use votum_wire::{
    CaseAction, CaseName, JobState, JobView, Reason, case::GetCase, forced::ForceParticipant,
    operation::DeleteWorker, txn::TxnStage,
};

use crate::hasty;

#[test]
fn a_lost_publisher_is_a_case_given_up_and_heals_at_its_return() {
    let mut cluster = hasty();
    let job = held_back_by_s3(&mut cluster, "lost");
    let case = cluster.block_on(cluster.client().case(&case_of(&job, "s3"))).unwrap();
    assert_eq!(
        (case.reason.as_str(), case.actions.as_slice()),
        ("LOST_PARTICIPANT", &[CaseAction::GiveUp][..])
    );
    assert!(case.message.contains("t3.rows at s3:rows.txt"), "{}", case.message);
    for known in ["s3 voted YES", "COMMIT is durable", "missing: t3.rows", "published: t1.rows"] {
        assert!(case.evidence.iter().any(|one| one.text.contains(known)), "{known}: {case:#?}");
    }
    // Whoever waits is told that a person decides, and not before.
    let waiting = cluster.client().wait(&job, Until::EndedOrHeldBack, Some(LIMIT));
    let view = cluster.block_on(waiting).unwrap();
    assert_eq!((view.state, view.held_back.len()), (JobState::Committing, 1));

    // The case is derived: another start of the coordinator comes to the same.
    cluster.coordinator().kill();
    cluster.coordinator().start();
    held_back(&cluster, &job);
    let published = forced(&cluster, &job, "s1").unwrap_err();
    assert_eq!(published, Reason::NothingOwed);
    let view = forced(&cluster, &job, "s3").unwrap();
    assert!(view.is_mixed() && view.held_back.is_empty(), "{view:#?}");
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let view = cluster.ended(&job);
    assert_eq!((view.state, view.word()), (JobState::Committed, "COMMITTED, MIXED"));
    assert_eq!((view.forced[0].worker.as_str(), view.forced[0].reason.as_str()), ("s3", WHY));
    assert!(matches!(cluster.visible(&job, "rows.txt"), Visible::Mixed(_)));
    assert_eq!(cluster.counters().mixed, 1);
    let owing = cluster.block_on(cluster.client().txn(&job)).unwrap();
    assert_eq!(owing.stage, TxnStage::Owing);

    // It comes back with its data after all, is told, and publishes (C14).
    cluster.worker("s3").start();
    let view = cluster.wait_for("s3 has caught up", &job, |view| !view.is_mixed());
    assert_eq!((view.state, view.word()), (JobState::Committed, "COMMITTED"));
    assert!(view.forced[0].healed.is_some(), "{:#?}", view.forced);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_worker_that_never_comes_back_leaves_its_job_mixed() {
    let mut cluster = hasty();
    let job = held_back_by_s3(&mut cluster, "gone");
    let refused = cluster.block_on(cluster.client().delete_worker(&deletion())).unwrap_err();
    assert_eq!(refused.problem().unwrap().reason, Reason::WorkerInDoubt);
    forced(&cluster, &job, "s3").unwrap();
    cluster.ended(&job);
    cluster.block_on(cluster.client().delete_worker(&deletion())).unwrap();
    let view = cluster.wait_for("nothing is owed", &job, |view| view.forced[0].removed.is_some());
    assert!(view.is_mixed(), "{view:#?}");
    assert_eq!(view.forced[0].healed, None);
    assert_eq!(cluster.block_on(cluster.client().txns(false)).unwrap(), []);
    cluster.coordinator().kill();
    cluster.coordinator().start();
    assert!(cluster.ended(&job).is_mixed(), "its history says so for ever");
}

#[test]
fn nobody_is_given_up_against_a_logged_abort_or_before_a_decision() {
    let mut cluster = hasty();
    let draft = JobDraft::trio_with("undecided", "rows.txt", &cluster.runs(), "sleep 60");
    let job = cluster.submit(&draft.spec());
    assert_eq!(forced(&cluster, &job, "s3").unwrap_err(), Reason::NotDecided);
    cluster.block_on(cluster.client().cancel(&job, "")).unwrap();
    assert_eq!(forced(&cluster, &job, "s3").unwrap_err(), Reason::AlreadyDecided);
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    assert_eq!(forced(&cluster, &job, "s3").unwrap_err(), Reason::AlreadyDecided);
    assert!(cluster.ended(&job).forced.is_empty());
    cluster.coordinator().kill();
}

/// Brings a job so far that everybody but s3, which is lost, has published.
fn held_back_by_s3(cluster: &mut Cluster, name: &str) -> JobId {
    cluster.worker("s3").kill();
    cluster.worker("s3").start_with(&[("VOTUM_CRASH_AT", "shadow.publish.after_generation_dir")]);
    cluster.wait_until_ready();
    let job = cluster.submit(&JobDraft::trio(name, "rows.txt", &cluster.runs()).spec());
    cluster.worker("s3").wait_for_exit(LIMIT);
    held_back(cluster, &job);
    job
}

fn held_back(cluster: &Cluster, job: &JobId) {
    cluster.wait_for("s3 alone holds it back, lost", job, |view| {
        let acknowledged = view.participants.iter().filter(|one| one.acknowledged).count();
        acknowledged == 2 && view.held_back == [worker("s3")]
    });
}

fn forced(cluster: &Cluster, job: &JobId, name: &str) -> Result<JobView, Reason> {
    let wish = ForceParticipant { job: job.clone(), worker: worker(name), reason: WHY.to_owned() };
    let forced = cluster.block_on(cluster.client().force(&wish));
    forced.map_err(|error| error.problem().unwrap_or_else(|| panic!("{error}")).reason.clone())
}

fn case_of(job: &JobId, name: &str) -> GetCase {
    GetCase { name: CaseName::worker(job.clone(), worker(name)) }
}

fn deletion() -> DeleteWorker {
    DeleteWorker { worker: worker("s3"), reason: WHY.to_owned() }
}

fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

const WHY: &str = "its disk is gone";
const LIMIT: Duration = Duration::from_mins(1);
