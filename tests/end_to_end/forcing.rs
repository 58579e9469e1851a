//! What people force: the end without a worker that is lost with its promise, and the outcome of
//! one that is in doubt.

use std::{
    process::{Command, Output},
    time::Duration,
};

use votum_client::Until;
use votum_ids::{JobId, WorkerId};
use votum_tests::{Cluster, Exposition, JobDraft, Visible, eventually};
use votum_wire::{
    CaseAction, CaseName, ForcedKind, JobState, JobView, Reason, case::GetCase,
    forced::ForceParticipant, operation::DeleteWorker, txn::TxnStage,
};

use crate::{
    doubting::{recorded, voted_by_two},
    hasty, patient,
};

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
    // It is closed, and counts for as long as its record is kept.
    let counted = |count: u64| {
        let scraped = Exposition::of(cluster.address()).ok()?.value("votum_jobs_mixed");
        (cluster.counters().mixed == count && scraped == count as f64).then_some(())
    };
    eventually("it counts as mixed", LIMIT, || counted(1));
    cluster.block_on(cluster.client().delete_job(&job)).unwrap();
    eventually("nothing counts as mixed", LIMIT, || counted(0));
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

#[test]
fn an_abort_that_is_forced_in_doubt_leaves_a_commit_mixed() {
    let mut cluster = patient();
    let job = doubted_by_s3(&mut cluster, "denied");
    let listed = told(&on_s3(&cluster, &["list"], &job));
    for words in ["IN DOUBT", "promised: t3.rows at rows.txt", "with: s1, s2"] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    told(&on_s3(&cluster, &["force", "--abort"], &job));
    // It is recorded: another start of the daemon has not forgotten it, and nobody does it twice.
    cluster.worker("s3").kill();
    cluster.worker("s3").start();
    let again = eventually("s3 answers", LIMIT, || {
        let again = on_s3(&cluster, &["force", "--commit"], &job);
        (again.status.code() == Some(REFUSED)).then_some(again)
    });
    let why = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(why.contains("has forced abort"), "{why}");

    cluster.coordinator().start();
    let view = cluster.wait_for("it is mixed", &job, JobView::is_mixed);
    assert_eq!(cluster.counters().mixed, 1);
    let [forced] = view.forced.as_slice() else { panic!("{:#?}", view.forced) };
    assert_eq!((forced.worker.as_str(), forced.kind), ("s3", ForcedKind::Aborted));
    assert_eq!(forced.reason, WHY);
    assert!(view.state_message.contains("without s3"), "{}", view.state_message);
    let full = cluster.job(&job);
    let evidence = full.forced.iter().flat_map(|forced| &forced.evidence);
    assert!(evidence.into_iter().any(|one| one.text.contains("s3 voted YES")), "{full:#?}");

    // The commit waits for s3 no longer, and the bytes go everywhere.
    cluster.start_missing();
    assert_eq!(cluster.ended(&job).word(), "COMMITTED, MIXED");
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    assert!(matches!(cluster.visible(&job, "rows.txt"), Visible::Mixed(_)));
    assert!(cluster.ended(&job).is_mixed(), "its history says so for ever");
    assert_eq!(cluster.counters().mixed, 1, "also after its end");
    let nothing = told(&on_s3(&cluster, &["list"], &job));
    assert!(nothing.contains("in doubt about nothing"), "{nothing}");
}

#[test]
fn a_commit_that_is_forced_in_doubt_may_agree_with_the_decision() {
    let mut cluster = patient();
    let job = doubted_by_s3(&mut cluster, "anticipated");
    told(&on_s3(&cluster, &["force", "--commit"], &job));
    eventually("it is published without anybody's word", LIMIT, || {
        (cluster.visible(&job, "rows.txt") == Visible::Everything).then_some(())
    });
    cluster.coordinator().start();
    cluster.start_missing();
    cluster.wait_for("it is noted", &job, |view| !view.forced.is_empty());
    let view = cluster.ended(&job);
    assert_eq!((view.state, view.word()), (JobState::Committed, "COMMITTED"));
    let [forced] = view.forced.as_slice() else { panic!("{:#?}", view.forced) };
    assert_eq!((forced.kind, forced.contradicts), (ForcedKind::Committed, false));
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    let refused = on_s3(&cluster, &["force", "--abort"], &job);
    assert_eq!(refused.status.code(), Some(REFUSED), "{refused:?}");
}

#[test]
fn a_commit_that_is_forced_stays_visible_when_the_job_aborts() {
    let mut cluster = patient();
    let job = voted_by_two(&mut cluster, "defied");
    cluster.coordinator().kill();
    for name in ["s1", "s2"] {
        cluster.worker(name).kill();
    }
    told(&on_s3(&cluster, &["force", "--commit"], &job));
    let file = cluster.root("s3").join("rows.txt");
    eventually("s3 has published", LIMIT, || file.exists().then_some(()));

    // Nobody else is there to vote, so the job can still be cancelled.
    cluster.coordinator().start();
    cluster.block_on(cluster.client().cancel(&job, "")).unwrap();
    let view = cluster.wait_for("it is noted", &job, |view| !view.forced.is_empty());
    assert_eq!(cluster.ended(&job).word(), "ABORTED, MIXED");
    assert_eq!((view.forced[0].worker.as_str(), view.forced[0].contradicts), ("s3", true));
    cluster.start_missing();
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
    assert!(file.exists(), "nobody takes it back");
    assert!(cluster.ended(&job).is_mixed(), "its history says so for ever");
    assert_eq!(cluster.counters().mixed, 1, "it was told after the end of the job");
}

/// Brings a trio so far that everybody but s3 has published, s3 is in doubt, and nobody else runs.
fn doubted_by_s3(cluster: &mut Cluster, name: &str) -> JobId {
    let job = voted_by_two(cluster, name);
    cluster.worker("s3").kill();
    cluster.worker("s1").thaw();
    for name in ["s1", "s2"] {
        recorded(cluster, name, &job, "committed");
    }
    cluster.wait_for("s3 alone is waited for", &job, |view| {
        view.participants.iter().filter(|one| one.acknowledged).count() == 2
    });
    cluster.coordinator().kill();
    for name in ["s1", "s2"] {
        cluster.worker(name).kill();
    }
    cluster.worker("s3").start();
    eventually("s3 answers", LIMIT, || {
        on_s3(cluster, &["list"], &job).status.success().then_some(())
    });
    job
}

/// Runs `votum-worker txn` on the machine of s3.
fn on_s3(cluster: &Cluster, words: &[&str], job: &JobId) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-worker"));
    command.args(["txn", words[0]]).arg("--data-dir").arg(cluster.data_dir("s3"));
    if let [_, outcome] = words {
        command.args([job.as_str(), outcome, "--reason", WHY, "--confirm", job.as_str()]);
    }
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
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

/// Exit code of what the log does not allow (H1).
const REFUSED: i32 = 6;
const WHY: &str = "its disk is gone";
const LIMIT: Duration = Duration::from_mins(1);
