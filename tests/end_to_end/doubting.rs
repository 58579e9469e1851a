//! In doubt without a coordinator: what a peer knows is enough, and what nobody knows is waited for.

use std::{collections::BTreeSet, time::Duration};

use votum_commit::Vote;
use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Stopwatch, Timing, Visible, eventually, let_pass};
use votum_wire::{JobState, Reason, txn::TxnStage};

use crate::{apart, open_gate, patient, wait_for_file};

#[test]
fn one_worker_that_knows_the_commit_tells_the_others() {
    let Some(mut cluster) = apart(Timing::PATIENT) else { return };
    let job = voted_by_two(&mut cluster, "told");
    // Commit reaches s1 alone: the others do not run when it is sent, and it gets lost.
    for name in ["s2", "s3"] {
        cluster.worker(name).freeze();
        cluster.network().cut("coordinator", name);
    }
    cluster.worker("s1").thaw();
    recorded(&cluster, "s1", &job, "committed");
    cluster.coordinator().kill();
    for name in ["s2", "s3"] {
        assert_eq!(count(&cluster, name, &job, "committed"), 0, "{name} knows nothing");
        cluster.worker(name).thaw();
    }

    finish_without_coordinator(&mut cluster, &job);
    cluster.network().heal();
    cluster.coordinator().start();
    is_committed_and_clean(&mut cluster, &job);
}

#[test]
fn workers_that_restart_in_doubt_are_told_by_a_peer() {
    let mut cluster = patient();
    let job = voted_by_two(&mut cluster, "restarted");
    for name in ["s2", "s3"] {
        cluster.worker(name).kill();
    }
    cluster.worker("s1").thaw();
    recorded(&cluster, "s1", &job, "committed");
    cluster.coordinator().kill();
    for name in ["s2", "s3"] {
        cluster.worker(name).start();
    }

    finish_without_coordinator(&mut cluster, &job);
    cluster.coordinator().start();
    is_committed_and_clean(&mut cluster, &job);
}

#[test]
fn a_decision_that_nobody_knows_is_waited_for() {
    let Some(mut cluster) = apart(Timing::PATIENT) else { return };
    let job = voted_by_two(&mut cluster, "unknown");
    // The third vote never arrives, so nothing is decided.
    for name in ["s2", "s3"] {
        cluster.worker(name).freeze();
    }
    cluster.network().cut("s1", "coordinator");
    cluster.worker("s1").thaw();
    recorded(&cluster, "s1", &job, "prepared");
    cluster.coordinator().kill();
    for name in ["s2", "s3"] {
        cluster.worker(name).thaw();
    }

    for name in WORKERS {
        says(&mut cluster, name, &["in doubt", "gives no answer", "peers=2"]);
    }
    let_pass(Duration::from_secs(3));
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);
    for name in WORKERS {
        for ended in ["committed", "aborted", "round_ended", "refused"] {
            assert_eq!(count(&cluster, name, &job, ended), 0, "{name}: {ended}");
        }
        assert!(cluster.staging(name).join(job.as_str()).exists(), "{name} has discarded");
    }

    cluster.network().heal();
    cluster.coordinator().start();
    is_committed_and_clean(&mut cluster, &job);
    // No vote carries over: another round has asked again (C2, C10).
    let rounds: BTreeSet<String> = rounds_of(&cluster, "s2", &job);
    assert_eq!(rounds.len(), 2, "{rounds:?}");
}

#[test]
fn a_peer_without_a_vote_ends_the_round_and_not_the_job() {
    let mut cluster = patient();
    let job = voted_by_two(&mut cluster, "refused");
    cluster.worker("s1").kill();
    cluster.coordinator().kill();
    cluster.worker("s1").start();

    for name in ["s2", "s3"] {
        says(&mut cluster, name, &["left doubt", "ended without commit", "from=\"peer\""]);
        assert!(cluster.staging(name).join(job.as_str()).exists(), "{name} has discarded (C9)");
    }
    assert_eq!(count(&cluster, "s1", &job, "refused"), 1, "durable before it is said (C7)");
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);

    cluster.coordinator().start();
    is_committed_and_clean(&mut cluster, &job);
}

#[test]
fn open_transactions_say_who_is_in_doubt() {
    let mut cluster = patient();
    cluster.worker("s3").kill();
    cluster.worker("s3").start_with(&[("VOTUM_CRASH_AT", "shadow.publish.after_generation_dir")]);
    cluster.wait_until_ready();
    let job = voted_by_two(&mut cluster, "listed");

    let voting = cluster.block_on(cluster.client().txn(&job)).unwrap();
    assert_eq!(voting.stage, TxnStage::Preparing, "{voting:#?}");
    let doubting = voting.participants.iter().map(|one| one.in_doubt);
    assert_eq!(doubting.collect::<Vec<_>>(), [false, true, true]);
    assert!(voting.participants.iter().all(|one| one.in_doubt == one.voted.is_some()));

    cluster.worker("s1").thaw();
    cluster.worker("s3").wait_for_exit(LIMIT);
    let in_doubt = eventually("s3 alone is in doubt", LIMIT, || {
        let listed = cluster.block_on(cluster.client().txns(true)).unwrap();
        let txn = listed.into_iter().find(|txn| txn.job == job)?;
        (txn.participants.iter().filter(|one| one.in_doubt).count() == 1).then_some(txn)
    });
    assert_eq!((in_doubt.stage, in_doubt.txn), (TxnStage::Committing, voting.txn));
    let [s1, _, s3] = in_doubt.participants.as_slice() else { panic!("three participants") };
    assert!(s1.acknowledged.is_some() && s1.commits_sent >= 1, "{s1:#?}");
    assert!(s3.in_doubt && s3.voted.is_some() && s3.commits_sent >= 1, "{s3:#?}");

    cluster.worker("s3").start();
    is_committed_and_clean(&mut cluster, &job);
    assert_eq!(cluster.block_on(cluster.client().txns(false)).unwrap(), []);
    let refused = cluster.block_on(cluster.client().txn(&job)).unwrap_err();
    assert_eq!(refused.problem().unwrap().reason, Reason::NoOpenTxn);
    // The window of doubt is measured for a job that has ended as well.
    let view = cluster.job(&job);
    assert!(view.prepared.unwrap() <= view.decided.unwrap(), "{view:#?}");
}

/// Brings a trio so far that s2 and s3 have voted Yes, and s1, frozen, has not heard the question.
pub(crate) fn voted_by_two(cluster: &mut Cluster, name: &str) -> JobId {
    let gate = wait_for_file(cluster, "gate");
    let draft = JobDraft::trio_with(name, "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.votes_within(Duration::from_mins(2)).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s1").freeze();
    open_gate(cluster, "gate");
    cluster.wait_for("s2 and s3 have voted", &job, |view| {
        let voted = view.participants.iter().filter(|one| one.vote == Some(Vote::Yes));
        view.state == JobState::Preparing && voted.count() == 2
    });
    job
}

/// Judges that every output appears and that s2 and s3 say how long they were in doubt.
fn finish_without_coordinator(cluster: &mut Cluster, job: &JobId) {
    let watch = Stopwatch::start();
    eventually("everything is visible", LIMIT, || {
        (cluster.visible(job, "rows.txt") == Visible::Everything).then_some(())
    });
    let elapsed = watch.elapsed();
    assert!(elapsed < SECONDS, "it took {elapsed:?}");
    for name in ["s2", "s3"] {
        says(cluster, name, &["left doubt", "age=", "learned=\"COMMIT\"", "from=\"peer\""]);
    }
}

fn is_committed_and_clean(cluster: &mut Cluster, job: &JobId) {
    let view = cluster.ended(job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(cluster.visible(job, "rows.txt"), Visible::Everything);
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(job, task), 1, "{task}");
    }
    cluster.wait_until_ready();
    cluster.wait_until_staging_is_empty();
}

/// Waits until a line of a worker's log holds all of these words.
#[track_caller]
fn says(cluster: &mut Cluster, name: &str, words: &[&str]) {
    let daemon = cluster.worker(name);
    eventually(&format!("{name} says {words:?}"), LIMIT, || {
        let log = daemon.log();
        log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    });
}

/// Waits until a worker has recorded something of the commit protocol about a job.
#[track_caller]
pub(crate) fn recorded(cluster: &Cluster, name: &str, job: &JobId, kind: &str) {
    let found = || (count(cluster, name, job, kind) > 0).then_some(());
    eventually(&format!("{name} has recorded {kind}"), LIMIT, found);
}

fn count(cluster: &Cluster, name: &str, job: &JobId, kind: &str) -> usize {
    let records = cluster.records_of(name, job);
    records.iter().filter(|one| one.part(&["participant", kind]).is_some()).count()
}

fn rounds_of(cluster: &Cluster, name: &str, job: &JobId) -> BTreeSet<String> {
    let records = cluster.records_of(name, job);
    let rounds = records.iter().filter_map(|one| one.part(&["participant", "prepared", "txn"]));
    rounds.map(ToString::to_string).collect()
}

const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
const LIMIT: Duration = Duration::from_mins(1);
/// The first question goes to the coordinator after two seconds, the second to the peers after
/// four, the next after eight; a busy machine takes its time.
const SECONDS: Duration = Duration::from_secs(30);
