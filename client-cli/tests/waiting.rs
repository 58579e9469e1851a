//! What a job that gets on no further says of itself.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::io::{BufRead as _, BufReader};

use self::cluster::{Cluster, code, ended, text};

#[test]
fn a_job_without_a_place_says_why_and_what_to_do() {
    let cluster = Cluster::start();
    let drained = cluster.run(&["worker", "drain", "s1", "--reason", "another disk"]);
    assert_eq!(code(&drained), Some(0), "{}", String::from_utf8_lossy(&drained.stderr));
    let file = cluster.job_file(
        "version: 1\nname: held\ntasks:\n  load: { worker: s1, run: 'true' }\n  \
         web: { labels: { role: web }, run: 'true' }\n",
    );
    // It ends by itself at last, and with it what it says.
    let mut running = cluster.begin(&["run", &file, "--timeout", "2m"]);
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    let load = "waits load: it is pinned to worker s1, which is drained";
    let web = "waits web: no worker has the label role=web";
    let mut missing = vec![load, web];
    let mut told = Vec::new();
    while !missing.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("it never said {missing:?}: {told:#?}"));
        missing.retain(|words| !line.contains(words));
        told.push(line);
    }
    let explained = text(&cluster.run(&["explain", "held"]));
    assert!(explained.contains("load: it is pinned to worker s1, which is drained"), "{explained}");
    assert!(explained.contains("web: no worker has the label role=web."), "{explained}");
    assert!(explained.contains("another disk"), "{explained}");
    assert!(explained.contains("votum worker resume s1"), "{explained}");

    assert_eq!(code(&cluster.run(&["cancel", "held", "--reason", "no web"])), Some(0));
    told.extend(lines);
    assert_eq!(code(&ended(running)), Some(8), "{told:#?}");
    for words in [load, web] {
        assert_eq!(told.iter().filter(|line| line.contains(words)).count(), 1, "{told:#?}");
    }

    let listed = |state: &str| text(&cluster.run(&["list", "--state", state, "-o", "name"]));
    assert!(listed("cancelled").starts_with("held-"), "{}", listed("cancelled"));
    assert_eq!(listed("cancelled,running").lines().count(), 1);
    assert_eq!(listed("committed"), "");
    cluster.stop();
}

#[test]
fn everything_that_a_cluster_refuses_is_told_at_once() {
    let cluster = Cluster::start();
    let file = cluster.job_file(
        "version: 1\nname: misplaced\ntasks:\n  a: { worker: s8, run: 'true' }\n  \
         b: { worker: s9, run: 'true' }\n  c: { worker: s1, run: 'true', \
         outputs: { o: { path: o, publish: { file: /nowhere/o } } } }\n",
    );
    let refused = cluster.run(&["submit", &file]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(code(&refused), Some(6), "{told}");
    for wrong in ["task a: no worker named s8", "also: task b: no worker named s9", "also: c.o: "] {
        assert!(told.contains(wrong), "{told}");
    }
    cluster.stop();
}
