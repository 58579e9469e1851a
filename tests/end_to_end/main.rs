//! Whole jobs on real processes: what a user is promised, tried with real kills.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod aborting;
mod approving;
mod asking;
mod attending;
mod committing;
mod containing;
mod counting;
mod crossing;
mod crowding;
mod doubting;
mod exclusive;
mod fencing;
mod flooding;
mod following;
mod forcing;
mod guarding;
mod impersonating;
mod listing;
mod losing;
mod measuring;
mod operating;
mod partitions;
mod pausing;
mod posting;
mod quarantining;
mod queueing;
mod reading;
mod readopting;
mod receiver;
mod refusing;
mod releasing;
mod reloading;
mod repeating;
mod replicating;
mod requesting;
mod rescuing;
mod restarting;
mod restoring;
mod resuming;
mod retiring;
mod reverting;
mod serving;
mod settling;
mod stopping;
mod strangers;
mod submitting;
mod syncing;
mod telling;
mod tracing;
mod trusting;
mod undoing;
mod upgrading;

use votum_tests::{Cluster, Timing, programs};

/// Starts a cluster that gives nobody up.
fn patient() -> Cluster {
    Cluster::started(&programs!(), Timing::PATIENT)
}

/// Starts a cluster that gives a silent worker up within seconds.
fn hasty() -> Cluster {
    Cluster::started(&programs!(), Timing::HASTY)
}

/// Starts a cluster whose network can be cut, where the machine allows it.
fn apart(timing: Timing) -> Option<Cluster> {
    match Cluster::started_apart(&programs!(), timing) {
        Ok(cluster) => Some(cluster),
        Err(reason) => {
            not_run(&reason);
            None
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever counts the tests wants to know")]
fn not_run(reason: &str) {
    println!("NOT RUN: {reason}");
}

/// A line of shell that waits until a file is there.
fn wait_for_file(cluster: &Cluster, name: &str) -> String {
    let file = cluster.home().join(name);
    format!("while [ ! -e {} ]; do sleep 0.02; done", file.display())
}

/// Makes the file that a task waits for.
fn open_gate(cluster: &Cluster, name: &str) {
    std::fs::write(cluster.home().join(name), "").unwrap();
}
