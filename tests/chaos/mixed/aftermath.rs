//! What must hold when everything is over: nothing is left, and every journal opens again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use votum_ids::JobId;
use votum_tests::{Cluster, eventually, within};
use votum_wire::JobState;

use super::DAEMONS;

/// Nothing runs, nothing is staged or saved, and no worker is thought to have anything.
pub(crate) fn nothing_is_left(cluster: &Cluster) {
    eventually("nothing is kept for a rescue any more", KEPT_MAX, || {
        let jobs = cluster.jobs();
        jobs.iter().all(|view| view.kept_until.is_none()).then_some(())
    });
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_no_task_runs();
    eventually("nobody is thought to run or hold anything", LIMIT, || {
        let workers = cluster.block_on(cluster.client().workers()).ok()?;
        let idle = workers.iter().all(|view| view.running.is_empty() && view.holds.is_empty());
        idle.then_some(())
    });
    wait_until_gone("checkpoints", || {
        WORKERS.iter().flat_map(|worker| entries(&cluster.checkpoints(worker))).collect()
    });
    wait_until_gone("orders", || {
        let attempts = WORKERS.iter().flat_map(|worker| attempts(cluster, worker));
        let files = attempts.flat_map(|attempt| entries(&attempt));
        files.filter(|file| is_order(file)).collect()
    });
    wait_until_gone("control groups", || {
        groups(cluster).iter().flat_map(|dir| folders(dir)).collect()
    });
}

/// Whose logs nobody is to keep, nothing of an attempt is kept by a worker that starts.
pub(crate) fn no_attempt_leaves_anything(cluster: &mut Cluster) {
    let settings = cluster.home().join("forgetful.toml");
    fs::write(&settings, "[tasks]\nlog_retention = \"1s\"\n").expect("a folder for the run");
    let argument = format!("--config={}", settings.display());
    for worker in WORKERS {
        let status = cluster.daemon(worker).terminate(LIMIT);
        assert!(status.success(), "{worker} ends with {status}");
        cluster.worker(worker).add_argument(&argument);
    }
    cluster.start_all();
    wait_until_gone("attempts", || {
        WORKERS.iter().flat_map(|worker| attempts(cluster, worker)).collect()
    });
    let groups = groups(cluster);
    for daemon in DAEMONS {
        let status = cluster.daemon(daemon).terminate(LIMIT);
        assert!(status.success(), "{daemon} ends with {status}");
    }
    let left: Vec<&PathBuf> = groups.iter().filter(|group| group.exists()).collect();
    assert!(left.is_empty(), "control groups are left: {left:#?}");
}

/// Ends every daemon, and removes what the library of a faked clock keeps in memory for those of
/// the run that were killed.
pub(crate) fn forget_faked_clocks(cluster: &mut Cluster) {
    for name in DAEMONS {
        let daemon = cluster.daemon(name);
        daemon.kill();
        for pid in daemon.pids() {
            for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
                // Most were never made.
                let _ = fs::remove_file(Path::new(SHARED_MEMORY).join(name));
            }
        }
    }
}

/// Every daemon ends when asked, starts again from its journal, and knows what it knew.
pub(crate) fn journals_open_again(cluster: &mut Cluster, outcomes: &BTreeMap<JobId, JobState>) {
    for name in DAEMONS {
        let status = cluster.daemon(name).terminate(LIMIT);
        assert!(status.success(), "{name} ends with {status}");
        // From here on every clock is right.
        cluster.daemon(name).clear_variables();
    }
    cluster.start_all();
    let counters = cluster.counters();
    assert!(!counters.log_stale);
    assert_eq!(counters.quarantined, []);
    let listed: BTreeMap<JobId, JobState> =
        cluster.jobs().into_iter().map(|view| (view.job, view.state)).collect();
    assert_eq!(&listed, outcomes);
}

/// Lists what the attempts of a worker have left besides their outputs.
fn attempts(cluster: &Cluster, worker: &str) -> Vec<PathBuf> {
    let jobs = entries(&cluster.data_dir(worker).join("attempts"));
    jobs.iter().flat_map(|job| entries(job)).collect()
}

fn is_order(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().contains("order.json"))
}

/// Lists the control groups that hold those of the workers' attempts, in every hierarchy.
fn groups(cluster: &Cluster) -> Vec<PathBuf> {
    let workers = cluster.block_on(cluster.client().workers()).expect("the coordinator answers");
    let name = |uid: String| uid.get(..8).unwrap_or_default().to_owned();
    let names: BTreeSet<String> = workers
        .iter()
        .map(|view| format!("votum-{}-{}", view.worker, name(view.uid.to_string())))
        .collect();
    let mut found = Vec::new();
    let mut open = vec![(PathBuf::from(CONTROL_GROUPS), 0)];
    while let Some((dir, depth)) = open.pop() {
        for folder in folders(&dir) {
            if folder.file_name().is_some_and(|name| names.contains(&*name.to_string_lossy())) {
                found.push(folder);
            } else if depth < GROUPS_DEPTH_MAX {
                open.push((folder, depth + 1));
            }
        }
    }
    found
}

#[track_caller]
fn wait_until_gone(what: &str, mut list: impl FnMut() -> Vec<PathBuf>) {
    let mut left = Vec::new();
    let gone = within(LIMIT, || {
        left = list();
        left.is_empty().then_some(())
    });
    assert!(gone.is_some(), "{what} are left: {left:#?}");
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    entries(dir).into_iter().filter(|entry| entry.is_dir()).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
/// Below a mount lies the group of the test's own process, not deeper than this.
const GROUPS_DEPTH_MAX: usize = 4;
/// Where POSIX shared memory has its names.
const SHARED_MEMORY: &str = "/dev/shm";
/// Longer than an aborted job keeps anything.
const KEPT_MAX: Duration = Duration::from_secs(150);
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
