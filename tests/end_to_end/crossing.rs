//! Jobs that publish at the same targets: one after the other, and the same one last everywhere.

use std::time::Duration;

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible};
use votum_wire::{JobState, TaskState};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_vote_waits_for_another_over_the_same_targets() {
    let mut cluster = patient();
    let (first, second) = (gated(&cluster, "first"), gated(&cluster, "second"));
    // The first is voted on for as long as s2 is silent.
    cluster.worker("s2").freeze();
    open_gate(&cluster, "first");
    cluster.wait_for("it is voted on", &first, |view| view.state == JobState::Preparing);
    open_gate(&cluster, "second");
    let view = cluster.wait_for("it waits for the first", &second, |view| {
        view.state_message.starts_with("its vote waits for")
    });
    assert_eq!(view.state, JobState::Running);
    let words = format!("{first}, which publishes at {}", cluster.root("s1").display());
    assert!(view.state_message.contains(&words), "{}", view.state_message);
    // Whoever publishes elsewhere waits for nobody.
    let other = TaskDraft::new("t").on("s1").writes("rows", "other.txt").publishes("other.txt");
    let other = cluster.submit(&JobDraft::new("other").task(other).spec());
    assert_eq!(cluster.ended(&other).state, JobState::Committed);

    cluster.worker("s2").thaw();
    for job in [&first, &second] {
        assert_eq!(cluster.ended(job).state, JobState::Committed);
    }
    let (first_over, second_over) = (cluster.job(&first), cluster.job(&second));
    assert!(first_over.decided < second_over.prepared, "{first_over:#?} {second_over:#?}");
    assert_eq!(visible(&cluster, &second), Visible::Everything);
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_cancelled_vote_lets_the_next_one_begin() {
    let mut cluster = patient();
    let (first, second) = (gated(&cluster, "first"), gated(&cluster, "second"));
    cluster.worker("s2").freeze();
    open_gate(&cluster, "first");
    cluster.wait_for("it is voted on", &first, |view| view.state == JobState::Preparing);
    open_gate(&cluster, "second");
    cluster
        .wait_for("it waits", &second, |view| view.state_message.starts_with("its vote waits for"));
    cluster.block_on(cluster.client().cancel(&first, "")).unwrap();
    cluster.wait_for("the other is voted on", &second, |view| view.state == JobState::Preparing);
    cluster.worker("s2").thaw();
    assert_eq!(cluster.ended(&first).state, JobState::Aborted);
    assert_eq!(cluster.ended(&second).state, JobState::Committed);
    assert_eq!(visible(&cluster, &second), Visible::Everything);
    // Another start of the coordinator has forgotten nothing that counts.
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let third = committed_after(&cluster);
    assert_eq!(visible(&cluster, &third), Visible::Everything);
}

#[test]
fn whoever_waits_and_is_cancelled_is_waited_for_no_longer() {
    let mut cluster = patient();
    let [first, second, third] =
        ["first", "second", "third"].map(|name| kept(&cluster, name, Duration::from_hours(1)));
    cluster.worker("s2").freeze();
    open_gate(&cluster, "first");
    cluster.wait_for("it is voted on", &first, |view| view.state == JobState::Preparing);
    for (job, ahead, name) in [(&second, &first, "second"), (&third, &second, "third")] {
        open_gate(&cluster, name);
        let words = format!("its vote waits for {ahead}");
        cluster.wait_for("it waits", job, |view| view.state_message.starts_with(&words));
    }
    // What it has staged is kept, so that it stays open; it publishes nothing any more.
    cluster.block_on(cluster.client().cancel(&second, "")).unwrap();
    let words = format!("its vote waits for {first}");
    cluster.wait_for("it waits for another", &third, |view| view.state_message.starts_with(&words));
    cluster.worker("s2").thaw();
    for (job, state) in
        [(&first, JobState::Committed), (&second, JobState::Aborted), (&third, JobState::Committed)]
    {
        assert_eq!(cluster.ended(job).state, state);
    }
    assert_eq!(visible(&cluster, &third), Visible::Everything);
}

/// Submits a job that publishes `rows.txt` on s1 and s2, and brings it so far that it waits at
/// its gate on s3 with all of that staged.
fn gated(cluster: &Cluster, name: &str) -> JobId {
    kept(cluster, name, Duration::ZERO)
}

/// Does so with a job that keeps what it has staged when it aborts.
fn kept(cluster: &Cluster, name: &str, staged_for: Duration) -> JobId {
    let publishes = |id: &str, worker: &str| {
        TaskDraft::new(id).on(worker).writes("rows", "rows.txt").publishes("rows.txt")
    };
    let gate = TaskDraft::new("t3").on("s3").needs("t1").needs("t2");
    let gate = gate.runs(&wait_for_file(cluster, name));
    let draft = JobDraft::new(name).task(publishes("t1", "s1")).task(publishes("t2", "s2"));
    let mut spec = draft.task(gate).votes_within(Duration::from_mins(2)).spec();
    spec.keep_staged = staged_for;
    let job = cluster.submit(&spec);
    cluster
        .wait_for("it waits at its gate", &job, |view| view.tasks[2].state == TaskState::Running);
    job
}

/// Lets a third job publish at the same targets.
fn committed_after(cluster: &Cluster) -> JobId {
    let job = gated(cluster, "third");
    open_gate(cluster, "third");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    job
}

/// Judges what s1 and s2 show.
fn visible(cluster: &Cluster, job: &JobId) -> Visible {
    let targets = ["s1", "s2"].map(|worker| cluster.root(worker).join("rows.txt"));
    Visible::of(job.as_str(), targets.iter().map(std::path::PathBuf::as_path))
}
