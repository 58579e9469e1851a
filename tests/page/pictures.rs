//! Pictures of every view, wide and narrow, light and dark, to be looked at by people.

use std::{fs, path::PathBuf};

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft};
use votum_wire::{JobState, TaskState};

use crate::{address, approved, browser::Scheme, cased, gated, open_gate, stage, views};

/// Writes them below `VOTUM_PICTURES`; without it, the views of one width are drawn and dropped.
#[test]
fn every_view_can_be_drawn() {
    let Some((mut cluster, mut browser)) = stage() else { return };
    let kept = std::env::var_os("VOTUM_PICTURES").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.clone().unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&folder).unwrap();
    let done = cluster.submit(&JobDraft::trio("nightly-sales", "sales", &cluster.runs()).spec());
    cluster.ended(&done);
    cluster.submit(&approved("model-release"));
    cluster.submit(&cased("ledger"));
    let running = cluster.submit(&gated(&cluster, "backfill"));
    let widths: &[u32] = if kept.is_some() { &[1280, 390] } else { &[390] };
    for width in widths {
        for (scheme, word) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            browser.looks(*width, scheme);
            let further = [format!("/jobs/{running}")];
            for path in views(&done).iter().chain(&further) {
                browser.open(&address(&cluster, path));
                browser.until("it is filled", FILLED);
                let name: String = path
                    .chars()
                    .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
                    .collect();
                let name = name
                    .trim_matches('-')
                    .replace(done.as_str(), "done")
                    .replace(running.as_str(), "running");
                let name = if name.is_empty() { "jobs".to_owned() } else { name };
                let file = folder.join(format!("{name}-{width}-{word}.png"));
                browser.picture(&file);
                assert!(fs::metadata(&file).unwrap().len() > 1000, "{}", file.display());
            }
            browser.open(&address(&cluster, "/cases"));
            browser.press("It is done…");
            browser.picture(&folder.join(format!("dialog-{width}-{word}.png")));
        }
    }
    open_gate(&cluster);
    cluster.ended(&running);
    let doubtful = in_doubt(&mut cluster);
    for (name, path) in
        [("txns-open", "/txns".to_owned()), ("preparing", format!("/jobs/{doubtful}"))]
    {
        browser.open(&address(&cluster, &path));
        browser.until_it_says("in doubt");
        browser.draw(name);
    }
    cluster.worker("s1").thaw();
    assert_eq!(cluster.ended(&doubtful).state, JobState::Committed);
    assert_eq!(browser.complaints(), [""; 0]);
    if kept.is_some() {
        println!("the pictures are in {}", folder.display());
    }
}

/// Brings a job so far that two of its workers have voted and the third does not answer.
fn in_doubt(cluster: &mut Cluster) -> JobId {
    let gate = cluster.home().join("second");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let draft = JobDraft::trio_with("doubtful", "doubtful", &cluster.runs(), &wait);
    let job = cluster.submit(&draft.spec());
    // Its inputs, one of them of the first worker, are there.
    cluster.wait_for("its last task runs", &job, |view| {
        view.tasks.iter().any(|task| task.task.as_str() == "t3" && task.state == TaskState::Running)
    });
    cluster.worker("s1").freeze();
    fs::write(gate, "").unwrap();
    cluster.wait_for("the others have voted", &job, |view| {
        view.participants.iter().filter(|one| one.vote.is_some()).count() == 2
    });
    job
}

/// Whether a view has what it asked the coordinator for.
const FILLED: &str = "document.querySelector('main [data-row], main .node, main .empty') !== null";
