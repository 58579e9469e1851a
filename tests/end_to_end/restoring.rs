//! The coordinator's disk is lost, and its store comes back from a backup taken under load: what
//! had committed stays committed, and nothing is decided that the copy cannot know (C6).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use votum_client::{BackupEnd, BackupPart, ClientError};
use votum_coordinator::RestoreArgs;
use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Visible, eventually, let_pass, request};
use votum_wire::{JobState, Reason};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_restored_log_takes_back_nothing_that_had_committed() {
    let mut cluster = patient();
    let early = cluster.submit(&JobDraft::trio("early", "early.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&early).state, JobState::Committed);
    let across = gated(&cluster, "across", "gate");
    let open = gated(&cluster, "open", "never");
    let loads: Vec<JobId> = (0..4).map(|number| load(&cluster, number)).collect();
    let backup = cluster.home().join("votum.backup");
    let end = backed_up(&cluster, &backup).unwrap();
    assert!(end.last_record > 10 && end.bytes == fs::metadata(&backup).unwrap().len());
    open_gate(&cluster, "gate");
    let late = cluster.submit(&JobDraft::trio("late", "late.txt", &cluster.runs()).spec());
    for job in loads.iter().chain([&across, &late]) {
        assert_eq!(cluster.ended(job).state, JobState::Committed);
    }

    lose_disk(&mut cluster);
    let restored = restore(&cluster, &backup).unwrap();
    assert!(restored.contains(&format!("up to record {}", end.last_record)), "{restored}");
    cluster.coordinator().start();
    cluster.wait_until_ready();
    let_pass(Duration::from_secs(3));

    assert!(cluster.counters().log_stale);
    for (job, target) in [(&early, "early.txt"), (&across, "across.txt"), (&late, "late.txt")] {
        assert_eq!(cluster.visible(job, target), Visible::Everything, "{job}");
    }
    assert_eq!(cluster.job(&early).state, JobState::Committed);
    for job in loads.iter().chain([&across, &open]) {
        let view = cluster.job(job);
        let is_open = !view.state.is_final();
        assert!(is_open || view.state == JobState::Committed, "{view:#?}");
        assert!(!is_open || view.state_message.contains("the log may lack"), "{view:#?}");
    }
    // What ran is neither run again nor thrown away.
    assert_eq!((cluster.runs_of(&open, "t1"), cluster.runs_of(&across, "t3")), (1, 1));
    assert!(cluster.staging("s1").join(open.as_str()).exists());
    assert_eq!(aborts_recorded(&cluster), 0);
    let draft = JobDraft::trio("more", "more.txt", &cluster.runs()).spec();
    assert!(is_refused(cluster.try_submit(&draft, request()), &Reason::LogStale));
    let cancelled = cluster.block_on(cluster.client().cancel(&open, "not wanted"));
    assert!(is_refused(cancelled, &Reason::LogStale));
}

#[test]
fn a_backup_that_breaks_off_is_none_and_harms_nobody() {
    let mut cluster = patient();
    let job = gated(&cluster, "held", "gate");
    let begun = cluster.block_on(async {
        let mut backup = cluster.client().backup().await.unwrap();
        let BackupPart::Data(data) = backup.next().await.unwrap() else { panic!("no data") };
        (backup, data)
    });
    cluster.coordinator().kill();
    let (_broken, data) = begun;
    let part = cluster.home().join("votum.part");
    fs::write(&part, data).unwrap();
    cluster.start_all();
    let whole = cluster.home().join("votum.backup");
    backed_up(&cluster, &whole).unwrap();
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    lose_disk(&mut cluster);
    let refused = restore(&cluster, &part).unwrap_err();
    assert!(refused.contains("cut off"), "{refused}");
    let mut damaged = fs::read(&whole).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&part, damaged).unwrap();
    let refused = restore(&cluster, &part).unwrap_err();
    assert!(refused.contains("damaged"), "{refused}");
    // What a restore has left that was broken off is no journal.
    let data_dir = data_dir(&cluster);
    fs::create_dir_all(data_dir.join("journal.restoring")).unwrap();
    cluster.coordinator().start();
    assert!(!cluster.coordinator().wait_for_exit(LIMIT).success());
    assert!(cluster.coordinator().log().contains("broken off"));
    restore(&cluster, &whole).unwrap();
    let refused = restore(&cluster, &whole).unwrap_err();
    assert!(refused.contains("is not empty"), "{refused}");
    cluster.coordinator().start();
    cluster.wait_until_ready();
    assert!(cluster.counters().epoch.0 > 1_000);
}

/// Hands in a job whose last task waits for a gate, and waits until it does.
pub(crate) fn gated(cluster: &Cluster, name: &str, gate: &str) -> JobId {
    let wait = wait_for_file(cluster, gate);
    let draft = JobDraft::trio_with(name, &format!("{name}.txt"), &cluster.runs(), &wait);
    let job = cluster.submit(&draft.spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    job
}

/// Hands in one of several jobs that are under way while the backup is taken.
fn load(cluster: &Cluster, number: usize) -> JobId {
    let name = format!("load-{number}");
    let draft = JobDraft::trio(&name, &format!("{name}.txt"), &cluster.runs());
    cluster.submit(&draft.spec())
}

pub(crate) fn backed_up(cluster: &Cluster, file: &Path) -> Result<BackupEnd, ClientError> {
    let (bytes, end) = cluster.block_on(async {
        let mut backup = cluster.client().backup().await?;
        let mut bytes = Vec::new();
        loop {
            match backup.next().await? {
                BackupPart::Data(data) => bytes.extend(data),
                BackupPart::End(end) => return Ok::<_, ClientError>((bytes, end)),
            }
        }
    })?;
    fs::write(file, bytes).unwrap();
    Ok(end)
}

pub(crate) fn lose_disk(cluster: &mut Cluster) {
    cluster.coordinator().kill();
    fs::remove_dir_all(data_dir(cluster)).unwrap();
}

pub(crate) fn restore(cluster: &Cluster, file: &Path) -> Result<String, String> {
    let restored = RestoreArgs::new(file.to_owned(), data_dir(cluster)).restore();
    restored.map(|done| done.sentences()).map_err(|error| format!("{error:#}"))
}

fn data_dir(cluster: &Cluster) -> PathBuf {
    cluster.home().join("coordinator")
}

/// Counts the aborts that the restored coordinator has recorded.
fn aborts_recorded(cluster: &Cluster) -> usize {
    let records = votum_tests::written(&cluster.journal("coordinator"));
    records.iter().filter(|one| one.part(&["job", "commit", "aborting"]).is_some()).count()
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>, reason: &Reason) -> bool {
    match outcome {
        Err(ClientError::Refused(problem)) => problem.reason == *reason,
        other => panic!("not refused: {other:?}"),
    }
}

const LIMIT: Duration = Duration::from_mins(1);
