//! What the coordinator cannot know: a job whose records cannot be read, and a log that is stale.

use std::{path::Path, process::Command};

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, spoil};
use votum_wire::JobState;

use crate::{address, gated, open_gate, stage};

#[test]
fn a_job_whose_records_cannot_be_read_is_explained_and_ended() {
    let Some((mut cluster, mut browser)) = stage() else { return };
    let job = held(&cluster, "damaged");
    cluster.coordinator().kill();
    let records = cluster.records_of("coordinator", &job).len();
    spoil(&cluster.journal("coordinator"), &format!("job/{job}"), records);
    cluster.coordinator().start();
    cluster.wait_until_ready();
    browser.open(&address(&cluster, "/"));
    browser.until_it_says("quarantined");
    browser.draw("damaged-jobs");
    browser.open(&address(&cluster, &format!("/jobs/{job}?tab=events")));
    browser.until_it_says("cannot be read");
    browser.draw("damaged-job");
    browser.eval("document.querySelector('.jobhead a[href^=\"/cases\"]').click()");
    browser.until_it_says("records that cannot be read");
    browser.until_it_says("every worker has told what it has");
    browser.draw("damaged-case");
    browser.press("Abort…");
    browser.draw("damaged-dialog");
    browser.fill("dialog input[name=reason]", "the disk was bad");
    browser.fill("dialog input[name=typed]", job.as_str());
    browser.press("Abort");
    browser.until_it_says("No case is open");
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    browser.open(&address(&cluster, &format!("/jobs/{job}?event={records}")));
    browser.until_it_says("this record cannot be read");
    browser.draw("damaged-past");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_stale_log_is_settled_job_by_job_and_trusted() {
    let Some((mut cluster, mut browser)) = stage() else { return };
    let job = held(&cluster, "behind");
    let (store, copy) = (cluster.home().join("coordinator"), cluster.home().join("copy"));
    cluster.coordinator().kill();
    copied(&store, &copy);
    cluster.coordinator().start();
    cluster.wait_until_ready();
    open_gate(&cluster);
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let later = cluster.submit(&JobDraft::trio("later", "later", &cluster.runs()).spec());
    cluster.ended(&later);
    cluster.coordinator().kill();
    std::fs::remove_dir_all(&store).unwrap();
    copied(&copy, &store);
    cluster.coordinator().start();
    cluster.wait_until_ready();
    browser.open(&address(&cluster, "/"));
    browser.until_it_says("older than what a worker has seen");
    browser.draw("stale-jobs");
    browser.open(&address(&cluster, &format!("/jobs/{job}")));
    browser.until_it_says("the log may lack");
    browser.draw("stale-job");
    browser.open(&address(&cluster, "/cases"));
    let ruled = "[...document.querySelectorAll('.case')].find(one => one.innerText.includes('no worker has anything of it'))";
    browser.until("every worker has told what it has", &format!("Boolean({ruled})"));
    browser.until_it_says("Nothing can be decided here yet");
    browser.draw("stale-cases");
    browser.press("It has committed…");
    browser.fill("dialog input[name=reason]", "the target is there");
    browser.fill("dialog input[name=typed]", job.as_str());
    browser.press("It has committed");
    browser.press("Trust the log…");
    browser.draw("stale-dialog");
    browser.fill("dialog input[name=reason]", "the disk came back");
    browser.fill("dialog input[name=typed]", "log:stale");
    browser.press("Trust the log");
    // The coordinator starts again from it, and the page finds it again.
    browser.until_it_says("No case is open");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    browser.eval("document.querySelector('nav a[href=\"/\"]').click()");
    browser
        .until("nothing needs a person", "document.querySelector('.attention').innerText === ''");
    browser.until_it_says("live");
}

/// Hands in a job that waits at the gate, and waits until it does.
fn held(cluster: &Cluster, name: &str) -> JobId {
    let job = cluster.submit(&gated(cluster, name));
    cluster.wait_for("t1 runs", &job, |view| view.state == JobState::Running);
    job
}

fn copied(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}
