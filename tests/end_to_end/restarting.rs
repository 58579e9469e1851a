//! A daemon that goes and comes back loses nothing and repeats nothing.

use std::{fs, path::Path, process::Command, time::Duration};

use votum_tests::{JobDraft, Visible, eventually};
use votum_wire::{IndexState, JobState};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_coordinator_that_restarts_meanwhile_runs_nothing_twice() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("during", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    assert!(!cluster.processes_of(&job).is_empty(), "the task goes on meanwhile");
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for task in &view.tasks {
        assert_eq!(task.attempts.len(), 1, "{task:#?}");
        assert_eq!(cluster.runs_of(&job, task.task.as_str()), 1);
    }
}

#[test]
fn a_task_that_ended_while_the_coordinator_was_away_counts() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("away", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.coordinator().kill();
    open_gate(&cluster, "gate");
    eventually("t3 is sealed", LIMIT, || (cluster.sealings(&job, "t3") == 1).then_some(()));
    cluster.coordinator().start();

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.runs_of(&job, "t3"), 1);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn everything_is_there_after_an_orderly_restart() {
    let mut cluster = patient();
    let committed = cluster.submit(&JobDraft::trio("kept", "rows.txt", &cluster.runs()).spec());
    cluster.ended(&committed);
    for daemon in ["s1", "s2", "s3", "coordinator"] {
        let status = cluster.daemon(daemon).terminate(LIMIT);
        assert!(status.success(), "{daemon}: {status}");
    }
    cluster.start_all();

    assert_eq!(cluster.job(&committed).state, JobState::Committed);
    assert_eq!(cluster.visible(&committed, "rows.txt"), Visible::Everything);
    let next = cluster.submit(&JobDraft::trio("next", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&next).state, JobState::Committed);
}

#[test]
fn an_index_that_is_gone_is_rebuilt() {
    survives_damage_to_the_index(|index| fs::remove_dir_all(index).unwrap());
}

#[test]
fn an_index_that_is_damaged_is_rebuilt() {
    survives_damage_to_the_index(|index| {
        for entry in fs::read_dir(index).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::write(path, b"this is no index at all".repeat(64)).unwrap();
            }
        }
    });
}

#[test]
fn a_second_daemon_on_one_data_directory_says_so() {
    let mut cluster = patient();
    for name in ["coordinator", "s1"] {
        let log = cluster.home().join(format!("{name}-twin.log"));
        let mut twin = cluster.daemon(name).twin(&log);
        twin.start();
        let status = twin.wait_for_exit(LIMIT);
        assert!(!status.success(), "{status}");
        let journal = cluster.journal(name);
        let said = format!("{} is in use by another process", journal.display());
        assert!(twin.log().contains(&said), "{}", twin.log());
    }
    // The first ones have not noticed anything.
    let job = cluster.submit(&JobDraft::trio("alone", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
}

#[test]
fn a_worker_set_back_into_doubt_keeps_what_committed() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let draft = JobDraft::trio_with("back", "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.votes_within(Duration::from_mins(1)).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    // The vote of s2 is held back until the disk of s1 was copied with its promise on it.
    cluster.worker("s2").freeze();
    open_gate(&cluster, "gate");
    eventually("s1 has promised", LIMIT, || {
        let records = cluster.records_of("s1", &job);
        records.iter().any(|one| one.part(&["participant", "prepared"]).is_some()).then_some(())
    });
    cluster.worker("s1").kill();
    let (data, copy) = (cluster.data_dir("s1"), cluster.home().join("copy"));
    copy_folder(&data, &copy);
    cluster.worker("s1").start();
    cluster.worker("s2").thaw();
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    cluster.worker("s1").kill();
    fs::remove_dir_all(&data).unwrap();
    copy_folder(&copy, &data);
    cluster.worker("s1").start();
    eventually("its inquiry was answered", LIMIT, || {
        cluster.coordinator().log().contains("its disk was set back").then_some(())
    });
    cluster.wait_until_ready();
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    let records = cluster.records_of("s1", &job);
    assert!(records.iter().any(|one| one.part(&["participant", "prepared"]).is_some()));
    assert!(records.iter().all(|one| one.part(&["participant", "aborted"]).is_none()));
    assert!(cluster.staging("s1").join(job.as_str()).exists());
}

/// Copies a folder as it is, times and links included.
fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Ends one job, leaves another open, damages the index of the stopped coordinator.
fn survives_damage_to_the_index(damage: impl Fn(&Path)) {
    let mut cluster = patient();
    let ended = cluster.submit(&JobDraft::trio("ended", "rows.txt", &cluster.runs()).spec());
    cluster.ended(&ended);
    let gate = wait_for_file(&cluster, "gate");
    let open =
        cluster.submit(&JobDraft::trio_with("open", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&open, "t3") == 1).then_some(()));
    cluster.coordinator().kill();
    let index = cluster.journal("coordinator").join("index");
    damage(&index);
    cluster.coordinator().start();
    cluster.wait_until_ready();

    assert_eq!(cluster.counters().index, IndexState::Rebuilt);
    assert_eq!(cluster.job(&ended).state, JobState::Committed);
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&open).state, JobState::Committed);
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(&open, task), 1);
    }
    assert_eq!(cluster.visible(&open, "rows.txt"), Visible::Everything);
}

const LIMIT: Duration = Duration::from_mins(1);
