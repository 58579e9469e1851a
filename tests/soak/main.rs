//! Jobs without end against a cluster of real processes: whatever a job costs must come back.
//!
//! Several lanes hand in one job after the other; most commit, some fail, some are cancelled. What
//! is kept of a job is kept for seconds, so that a run soon holds what any longer one holds: from
//! then on memory, descriptors, threads, disk and latency must stay where they are. The first
//! third of the samples is compared with the last one. By itself the run is too short for that and
//! shows that all is collected in the end; `VOTUM_SOAK_SECONDS` lets it run longer, `VOTUM_SEED`
//! decides the jobs, and `VOTUM_SOAK_OUT` names a folder for the report.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod load;
mod report;
mod sample;

use std::{fs, path::Path, time::Duration};

use load::Load;
use report::Report;
use sample::Sampler;
use votum_tests::{Cluster, Stopwatch, Timing, eventually, let_pass, programs};

#[test]
fn jobs_without_end_leave_everything_as_large_as_it_was() {
    let seed = number_from("VOTUM_SEED").unwrap_or(1);
    let length = Duration::from_secs(number_from("VOTUM_SOAK_SECONDS").unwrap_or(SHORT_SECONDS));
    println!("seed {seed}, jobs for {length:?}");
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    forget_soon(&mut cluster);
    cluster.start_all();
    let sampler = Sampler::of(&mut cluster);

    let load = Load::begin(&cluster, seed);
    let watch = Stopwatch::start();
    let mut samples = Vec::new();
    // A busy machine needs longer for jobs of every kind.
    let is_short = || !load.tally().is_of_every_kind() && watch.elapsed() < length + LIMIT;
    while watch.elapsed() < length || is_short() {
        let_pass(BETWEEN_SAMPLES);
        samples.push(sampler.take(watch.elapsed(), load.latencies_since_last()));
        if samples.len() % SAMPLES_A_LINE == 0 {
            println!("{:4.0?}: {}", watch.elapsed(), load.tally());
        }
    }
    let tally = load.end(&cluster);
    let took = watch.elapsed();

    println!("{tally}");
    assert!(tally.is_of_every_kind(), "{tally}");
    nothing_is_left(&cluster);
    let report = Report::of(seed, took, &tally, &samples);
    println!("{}", report.table());
    if let Some(folder) = std::env::var_os("VOTUM_SOAK_OUT") {
        report.write(Path::new(&folder));
    }
    if length >= COMPARED_FROM {
        let grown = report.grown();
        assert!(grown.is_empty(), "grown beyond their bounds: {grown:#?}");
    }
}

/// Lets nobody keep anything of a job for long after its end.
fn forget_soon(cluster: &mut Cluster) {
    let milliseconds = KEPT.as_millis();
    cluster.coordinator().add_argument(&format!("--tombstones-kept-ms={milliseconds}"));
    let settings = cluster.home().join("forgetful.toml");
    fs::write(&settings, format!("[tasks]\nlog_retention = \"{milliseconds}ms\"\n")).unwrap();
    for worker in WORKERS {
        cluster.worker(worker).add_argument(&format!("--config={}", settings.display()));
    }
}

/// Of jobs that are over and whose time is up, nobody has anything.
fn nothing_is_left(cluster: &Cluster) {
    eventually("every job is forgotten", LIMIT, || cluster.jobs().is_empty().then_some(()));
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_no_task_runs();
    for worker in WORKERS {
        let generations = cluster.root(worker).join(".votum/gen");
        let jobs = fs::read_dir(&generations).unwrap().count();
        let most = load::LANES * (load::GENERATIONS_KEPT + 1) as usize;
        assert!(jobs <= most, "{jobs} generations on {worker}, at most {most} are kept");
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Enough for jobs of every kind, and for some of them to be forgotten.
const SHORT_SECONDS: u64 = 15;
/// A shorter run has not come to rest.
const COMPARED_FROM: Duration = Duration::from_mins(5);
/// How long a job, its tombstone and the logs of its attempts are kept.
const KEPT: Duration = Duration::from_secs(5);
const BETWEEN_SAMPLES: Duration = Duration::from_secs(3);
/// So many samples pass between two lines about the jobs.
const SAMPLES_A_LINE: usize = 10;
/// Every worker of the cluster.
const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(4);
