//! Real partitions: every daemon has a network namespace of its own, and frames get lost.

use std::time::Duration;

use votum_ids::JobId;
use votum_tests::{
    Cluster, Content, JobDraft, TaskDraft, Timing, Visible, content_of, eventually, let_pass,
};
use votum_wire::{JobState, JobView, ParticipantView, WorkerState, view::Outcome};

use crate::{apart, open_gate, wait_for_file};

#[test]
fn an_attempt_sealed_behind_a_partition_publishes_nothing() {
    let Some(cluster) = apart(Timing::HASTY) else { return };
    let task = published("t1", &cluster).runs(&wait_for_file(&cluster, "gate"));
    let job = cluster.submit(&JobDraft::new("sealed").task(task).spec());
    let first = worker_of_first(&cluster, &job);

    cluster.network().isolate(&first);
    eventually("t1 runs elsewhere", LIMIT, || (cluster.runs_of(&job, "t1") == 2).then_some(()));
    open_gate(&cluster, "gate");
    eventually("both are sealed", LIMIT, || (cluster.sealings(&job, "t1") == 2).then_some(()));
    let view = cluster.ended(&job);
    cluster.network().heal();

    was_done_elsewhere(cluster, &job, &view, &first, "with sealed outputs");
}

#[test]
fn an_attempt_that_runs_behind_a_partition_ends_at_its_return() {
    let Some(cluster) = apart(Timing::HASTY) else { return };
    let task = published("t1", &cluster).runs(&only_first_waits(&cluster));
    let job = cluster.submit(&JobDraft::new("running").task(task).spec());
    let first = worker_of_first(&cluster, &job);

    cluster.network().isolate(&first);
    let view = cluster.ended(&job);
    // What is merely staged is not stopped by the loss of the session (R3).
    assert!(!cluster.processes_of(&job).is_empty(), "it goes on while nobody can tell it");
    cluster.network().heal();

    was_done_elsewhere(cluster, &job, &view, &first, "while it still ran");
}

#[test]
fn a_worker_that_cannot_be_heard_is_replaced() {
    replaced_after_cutting("unheard", |cluster, worker| {
        cluster.network().cut(worker, "coordinator");
    });
}

#[test]
fn a_worker_that_cannot_hear_is_replaced() {
    replaced_after_cutting("deaf", |cluster, worker| cluster.network().cut("coordinator", worker));
}

#[test]
fn a_partition_shorter_than_the_lease_restarts_nothing() {
    // Long enough for whatever a loaded machine needs to notice the cut, and to connect again.
    let Some(mut cluster) = apart(Timing::PATIENT) else { return };
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("brief", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));

    cluster.network().isolate("s3");
    // Silence makes it suspect, the end of its session absent, whichever comes first.
    eventually("s3 is missed", LIMIT, || {
        let missed = [WorkerState::Suspect, WorkerState::Absent];
        missed.contains(&state_of(&cluster, "s3")).then_some(())
    });
    cluster.network().heal();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");

    was_committed_at_once(&cluster, &job);
}

#[test]
fn a_partition_before_the_vote_delays_the_decision() {
    let Some(cluster) = apart(Timing::PATIENT) else { return };
    let gate = wait_for_file(&cluster, "gate");
    let draft = JobDraft::trio_with("voting", "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.votes_within(Duration::from_secs(2)).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));

    cluster.network().isolate("s1");
    open_gate(&cluster, "gate");
    cluster.wait_for("its votes are awaited", &job, |view| view.state == JobState::Preparing);
    // More than one round ends without the vote of s1.
    let_pass(Duration::from_secs(5));
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);
    assert_eq!(cluster.job(&job).decision, None);
    cluster.network().heal();

    was_committed_at_once(&cluster, &job);
}

#[test]
fn a_partition_after_the_decision_leaves_nobody_behind() {
    let Some(mut cluster) = apart(Timing::PATIENT) else { return };
    let gate = wait_for_file(&cluster, "gate");
    let draft = JobDraft::trio_with("decided", "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.votes_within(Duration::from_secs(60)).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));

    // The vote of s2 is held back until s1 has promised and cannot be told.
    cluster.worker("s2").freeze();
    open_gate(&cluster, "gate");
    eventually("s1 has promised", LIMIT, || {
        let records = cluster.records_of("s1", &job);
        records.iter().any(|one| one.part(&["participant", "prepared"]).is_some()).then_some(())
    });
    // Its vote is behind its promise; cut off in between, it would cost the round.
    cluster.wait_for("s1 has voted", &job, |view| {
        let voted = |one: &ParticipantView| one.worker.as_str() == "s1" && one.vote.is_some();
        view.participants.iter().any(voted)
    });
    cluster.network().isolate("s1");
    cluster.worker("s2").thaw();
    cluster.wait_for("the commit is decided", &job, |view| view.state == JobState::Committing);
    eventually("s2 and s3 have published", LIMIT, || {
        let shown = ["s2", "s3"].map(|worker| content_of(&cluster.root(worker).join("rows.txt")));
        shown.iter().all(Option::is_some).then_some(())
    });
    let_pass(Duration::from_secs(2));
    assert_eq!(content_of(&cluster.root("s1").join("rows.txt")), None, "in doubt, it waits (C5)");
    cluster.network().heal();

    was_committed_at_once(&cluster, &job);
    cluster.wait_until_ready();
}

/// Cuts something between the coordinator and the worker that runs the first attempt.
fn replaced_after_cutting(name: &str, cut: impl Fn(&Cluster, &str)) {
    let Some(cluster) = apart(Timing::HASTY) else { return };
    let task = published("t1", &cluster).runs(&only_first_waits(&cluster));
    let job = cluster.submit(&JobDraft::new(name).task(task).spec());
    let first = worker_of_first(&cluster, &job);

    cut(&cluster, &first);
    let view = cluster.ended(&job);
    cluster.network().heal();

    was_done_elsewhere(cluster, &job, &view, &first, "while it still ran");
}

/// Judges that the second attempt, on another worker, is all that is left of a job, and that its
/// history tells how the first one returned.
fn was_done_elsewhere(
    mut cluster: Cluster,
    job: &JobId,
    view: &JobView,
    first: &str,
    returned: &str,
) {
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(view.tasks[0].attempts.len(), 2, "{view:#?}");
    let second = view.tasks[0].worker.clone().unwrap();
    assert_ne!(second.as_str(), first);
    cluster.wait_until_ready();
    cluster.wait_until_nothing_runs(job);
    cluster.wait_until_staging_is_empty();
    let published = content_of(&cluster.root(second.as_str()).join("rows.txt")).unwrap();
    let token = view.tasks[0].attempts[1].token.to_string();
    assert_eq!(published.token(), Some(token.as_str()), "{published:?}");
    let fenced = content_of(&cluster.root(first).join("rows.txt"));
    assert_eq!(fenced.as_ref().and_then(Content::job), None);
    let view =
        cluster.wait_for("its history tells of the first attempt", job, |view| {
            match &view.tasks[0].attempts[0].outcome {
                Some(Outcome::Failed(failure)) => failure.message.contains(returned),
                Some(Outcome::Succeeded) | None => false,
            }
        });
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
}

/// Judges that a trio was committed and that nothing of it ran twice.
fn was_committed_at_once(cluster: &Cluster, job: &JobId) {
    let view = cluster.ended(job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(cluster.visible(job, "rows.txt"), Visible::Everything);
    for task in &view.tasks {
        assert_eq!(task.attempts.len(), 1, "{task:#?}");
        assert_eq!(cluster.runs_of(job, task.task.as_str()), 1);
    }
    cluster.wait_until_staging_is_empty();
}

/// A task that may run anywhere and publishes `rows.txt` there.
fn published(name: &str, cluster: &Cluster) -> TaskDraft {
    TaskDraft::new(name).counted(&cluster.runs()).writes("rows", "rows.txt").publishes("rows.txt")
}

/// Lets the first attempt of a task wait for ever.
fn only_first_waits(cluster: &Cluster) -> String {
    format!("[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {}; }}", wait_for_file(cluster, "never"))
}

/// Waits until the first attempt of the only task runs; returns where.
fn worker_of_first(cluster: &Cluster, job: &JobId) -> String {
    eventually("t1 runs", LIMIT, || (cluster.runs_of(job, "t1") == 1).then_some(()));
    cluster.job(job).tasks[0].worker.clone().unwrap().to_string()
}

fn state_of(cluster: &Cluster, name: &str) -> WorkerState {
    let workers = cluster.block_on(cluster.client().workers()).unwrap();
    workers.iter().find(|worker| worker.worker.as_str() == name).unwrap().state
}

const LIMIT: Duration = Duration::from_mins(1);
