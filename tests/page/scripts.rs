//! The pure parts of the page, tested by node where it is installed.

use std::{fs, path::Path, process::Command};

#[test]
fn the_layouts_and_words_hold_in_node() {
    let node = Command::new("node").arg("--version").output();
    if node.is_err() {
        println!("NOT RUN: the layouts of the page need node");
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let assets = here.join("../coordinator/src/web/assets");
    for name in ["fold.js", "graph.js", "grid.js", "timeline.js", "words.js"] {
        fs::copy(assets.join(name), folder.path().join(name)).unwrap();
    }
    fs::copy(here.join("page/layout.test.mjs"), folder.path().join("layout.test.mjs")).unwrap();
    // Older versions of node take a file for a module only if they are told.
    fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    let run =
        Command::new("node").args(["--test", "layout.test.mjs"]).current_dir(&folder).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
