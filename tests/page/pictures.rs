//! Pictures of every view, wide and narrow, light and dark, to be looked at by people.

use std::{fs, path::PathBuf};

use votum_tests::JobDraft;

use crate::{address, approved, browser::Scheme, cased, gated, open_gate, stage, views};

/// Writes them below `VOTUM_PICTURES`; without it, the views of one width are drawn and dropped.
#[test]
fn every_view_can_be_drawn() {
    let Some((cluster, mut browser)) = stage() else { return };
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
    assert_eq!(browser.complaints(), [""; 0]);
    if kept.is_some() {
        println!("the pictures are in {}", folder.display());
    }
}

/// Whether a view has what it asked the coordinator for.
const FILLED: &str = "document.querySelector('main [data-row], main .node, main .empty') !== null";
