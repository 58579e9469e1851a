//! Which files and folders a worker syncs for a task: what something rests on, each once.

use std::{collections::BTreeMap, fs, process::Command};

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Timing, programs};

#[test]
fn a_task_syncs_what_something_rests_on() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("s1").display().to_string();
    let traced = Command::new("strace").args(["-o", &trace, "true"]).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        println!("NOT RUN: what is synced needs strace and the right to trace");
        return;
    }
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let calls = ["strace", "-f", "-y", "-e", "trace=fsync", "-e", "signal=none", "-o", &trace];
    cluster.daemon("s1").wrap(&calls);
    cluster.start_all();
    let job = cluster.submit(&JobDraft::trio("synced", "rows.txt", &cluster.runs()).spec());
    cluster.ended(&job);
    cluster.wait_until_staging_is_empty();

    let synced = synced(&fs::read_to_string(&trace).unwrap(), &job, &cluster);

    let expected = [
        // The plan of the attempt, by which a later boot is told from this one.
        "data/attempts/JOB/ATTEMPT/.launch.json",
        // What the task left, and the list of it.
        "data/staging/JOB/ATTEMPT/out",
        "data/staging/JOB/ATTEMPT/out/rows.txt",
        "data/staging/JOB/ATTEMPT/sealed.json.new",
        // The way to the list. Then Sealed is forced.
        "data/staging",
        "data/staging/JOB",
        "data/staging/JOB/ATTEMPT",
        // Its generation, before the link to it; and the link.
        "public",
        "public/.votum/gen",
        "public/.votum/gen/JOB",
        // When the job is released nobody waits: what the generation consists of.
        "public/.votum/gen/JOB",
        "public/.votum/gen/JOB/t1.rows.manifest.json.new",
    ];
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in expected {
        *counts.entry(path.to_owned()).or_default() += 1;
    }
    assert_eq!(synced, counts);
}

/// Counts the syncs by what they are of, from the first one that belongs to the job on.
fn synced(trace: &str, job: &JobId, cluster: &Cluster) -> BTreeMap<String, usize> {
    let home = cluster.root("s1").parent().unwrap().canonicalize().unwrap();
    let home = format!("{}/", home.display());
    let begun = trace.lines().filter_map(|line| line.split_once("fsync(")?.1.split_once('<'));
    let paths = begun.filter_map(|(_, rest)| Some(rest.split_once('>')?.0));
    let mut counts = BTreeMap::new();
    for path in paths.skip_while(|path| !path.contains(job.as_str())) {
        let Some(path) = path.strip_prefix(&home) else { continue };
        let parts = path.split('/').map(|part| match part {
            part if part == job.as_str() => "JOB",
            // With its token, or with the process that writes it.
            part if part.starts_with("t1.") && !part.ends_with(".new") => "ATTEMPT",
            part if part.starts_with(".launch.json") => ".launch.json",
            part => part,
        });
        *counts.entry(parts.collect::<Vec<_>>().join("/")).or_default() += 1;
    }
    counts
}
