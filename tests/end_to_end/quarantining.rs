//! One damaged record stops one job: it is listed and explained, and the others go on.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Visible, eventually, spoil};
use votum_wire::{JobState, Reason};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn one_damaged_job_is_explained_while_the_others_commit() {
    let mut cluster = patient();
    let ended = cluster.submit(&JobDraft::trio("ended", "rows.txt", &cluster.runs()).spec());
    cluster.ended(&ended);
    let (damaged, open) = (held(&cluster, "damaged"), held(&cluster, "open"));
    cluster.coordinator().kill();
    let records = cluster.records_of("coordinator", &damaged).len();
    spoil(&cluster.journal("coordinator"), &format!("job/{damaged}"), records);
    cluster.coordinator().start();
    cluster.wait_until_ready();
    open_gate(&cluster, "gate");

    assert_eq!(cluster.ended(&open).state, JobState::Committed);
    assert_eq!(cluster.job(&ended).state, JobState::Committed);
    let view = cluster.wait_for("its workers have listed it", &damaged, |view| {
        let holders = view.quarantine.iter().flat_map(|found| &found.holders);
        holders.filter(|holder| holder.holding.starts_with("lists")).count() >= 2
    });
    assert_eq!((view.state, view.decision), (JobState::Quarantined, None));
    let found = view.quarantine.as_ref().unwrap();
    assert_eq!(found.damages[0].number, records as u64);
    assert_eq!(found.last_state, Some(JobState::Running));
    assert!(view.state_message.contains("nothing of it is run, decided or discarded"));
    let counters = cluster.counters();
    assert_eq!(counters.jobs[&JobState::Quarantined], 1);
    assert_eq!(counters.quarantined[0].stream, format!("job/{damaged}"));

    let refused = cluster.block_on(cluster.client().cancel(&damaged, "")).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::JobQuarantined);
    assert_eq!(cluster.visible(&damaged, "rows.txt"), Visible::Nothing);
    for (worker, task) in [("s1", "t1"), ("s2", "t2")] {
        assert!(is_staged(&cluster, worker, &damaged), "{task} stays staged on {worker}");
    }
}

#[test]
fn a_worker_that_cannot_read_its_records_of_a_job_says_so() {
    let mut cluster = patient();
    let job = held(&cluster, "half");
    cluster.worker("s1").kill();
    spoil(&cluster.journal("s1"), &format!("job/{job}"), 1);
    cluster.worker("s1").start();

    let view = cluster
        .wait_for("s1 says what it cannot read", &job, |view| !view.worker_damages.is_empty());
    assert_eq!(view.worker_damages[0].worker.as_str(), "s1");
    assert!(view.worker_damages[0].problem.starts_with("record 1 of "), "{view:#?}");
    let shown = cluster.shown("s1").unwrap();
    assert_eq!(shown.damages[0].job, job);
    assert!(is_staged(&cluster, "s1", &job), "it keeps what it has");
    let next = cluster.submit(&JobDraft::trio("next", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&next).state, JobState::Committed);
}

/// Submits a job whose last task waits for the gate, and waits until the others are staged.
fn held(cluster: &Cluster, name: &str) -> JobId {
    let gate = wait_for_file(cluster, "gate");
    let draft = JobDraft::trio_with(name, "rows.txt", &cluster.runs(), &gate);
    let job = cluster.submit(&draft.spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    job
}

/// Says whether anything of the job lies in the worker's staging.
fn is_staged(cluster: &Cluster, worker: &str, job: &JobId) -> bool {
    let mut folders = vec![cluster.staging(worker)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains(job.as_str())) {
                return fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
            }
            folders.push(path);
        }
    }
    false
}

const LIMIT: Duration = Duration::from_mins(1);
