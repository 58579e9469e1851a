//! `votum approve` while something is known that would make the vote fail.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::fs;

use self::cluster::{Cluster, code, text};

#[test]
fn findings_of_a_dry_vote_hold_an_approval_back() {
    let cluster = Cluster::start();
    let file = cluster.job_file(
        "version: 1\nname: asks\ncommit: { approval: 1h }\ntasks:\n  \
         t: { worker: s2, run: 'echo 7 > $VOTUM_OUTPUT_ROWS', \
         outputs: { rows: { path: rows, publish: { file: etl/rows } } } }\n",
    );
    assert_eq!(code(&cluster.run(&["submit", &file, "-o", "name"])), Some(0));
    let waited =
        cluster.run(&["wait", "asks", "--for", "state=AWAITING_APPROVAL", "--timeout", "1m"]);
    assert_eq!(code(&waited), Some(0), "{}", String::from_utf8_lossy(&waited.stderr));
    // A folder that Votum did not make stands where the file is to appear.
    let target = cluster.published("s2", "etl/rows");
    fs::create_dir_all(target.join("mine")).unwrap();
    assert_eq!(code(&cluster.run(&["dryvote", "asks"])), Some(1));

    let refused = cluster.run(&["approve", "asks"]);
    assert_eq!(code(&refused), Some(6), "{}", text(&refused));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("has found 1 thing") && told.contains("--despite-findings"), "{told}");
    assert_eq!(cluster.json(&["show", "asks"])["state"], "JOB_STATE_AWAITING_APPROVAL");

    fs::remove_dir_all(&target).unwrap();
    assert_eq!(code(&cluster.run(&["dryvote", "asks"])), Some(0));
    assert_eq!(code(&cluster.run(&["approve", "asks"])), Some(0));
    assert_eq!(code(&cluster.run(&["wait", "asks", "--timeout", "1m"])), Some(0));
    assert_eq!(fs::read_to_string(target).unwrap(), "7\n");
}
