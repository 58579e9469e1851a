//! What a power cut must not lose is synced, and in the right order.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::crashing::example;

#[test]
fn everything_is_synced_before_it_is_relied_upon() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let Some(calls) = trace(&base) else {
        println!("NOT RUN: strace is missing or may not trace");
        return;
    };
    let at = |found: &dyn Fn(&str) -> bool| calls.iter().position(|call| found(call));
    let synced = |path: &str, from: usize| {
        let suffix = format!("<{}>", base.join(path).display());
        let is_sync = |call: &String| call.contains("fsync(") && call.contains(&suffix);
        calls[from..].iter().position(is_sync).map(|found| found + from)
    };
    let sealed = at(&|call| call.contains("\"sealed\\n\"")).expect("it says that it sealed");
    let attempt = "staging/sales/report.1.1";
    let files = ["sub/summary.json", "site/a", "site/inner/b", "site/inner/deep/c"];
    let directories = ["site/inner/deep", "site/inner", "site", "sub", ""];
    for name in files.into_iter().chain(directories) {
        let path = format!("{attempt}/out/{name}");
        let when = synced(path.trim_end_matches('/'), 0);
        assert!(when.is_some_and(|when| when < sealed), "{path} is synced before it is sealed");
    }
    let draft = synced(&format!("{attempt}/sealed.json.new"), 0).expect("the list is synced");
    for path in [attempt, "staging/sales", "staging"] {
        let when = synced(path, draft).expect("the way to the list is synced");
        assert!(when < sealed, "{path}");
    }

    for (output, parent) in [("report.summary", "root/reports/daily"), ("report.site", "root")] {
        let quoted = format!("\"{output}\"");
        let moved = at(&|call| call.contains("renameat2(") && call.contains(&quoted));
        let moved = moved.expect("the staged bytes are renamed");
        let shelved = synced("root/.votum/gen/sales", moved).expect("the generation is synced");
        let flip = format!("\"link.sales.{output}\"");
        let flipped = at(&|call| call.contains("renameat2(") && call.contains(&flip));
        let flipped = flipped.expect("the link takes the target's name");
        assert!(shelved < flipped, "{output} is durable before a link leads to it");
        let published =
            at(&|call| call.contains("write(1") && call.contains(&published_at(parent)));
        let durable = synced(parent, flipped).expect("the flip is synced");
        assert!(
            durable < published.expect("it says so"),
            "{output} is durable before anyone hears"
        );
    }
}

fn published_at(parent: &str) -> String {
    match parent {
        "root" => "root/site".to_owned(),
        parent => format!("{parent}/latest.json"),
    }
}

/// Runs the example and returns its calls in order; `None` if that cannot be watched.
fn trace(base: &Path) -> Option<Vec<String>> {
    let log = base.join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "500", "-e", "trace=fsync,renameat2,renameat,write", "-o"])
        .arg(&log)
        .arg(example("publishing"))
        .args([base.as_os_str(), "sales".as_ref()])
        .output()
        .ok()?
        .status;
    let text = fs::read_to_string(&log).ok()?;
    if !status.success() || !text.contains("fsync(") {
        return None;
    }
    // A call during which another thread calls is written in two parts; it
    // counts where it ended.
    let mut begun = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (thread, call) = line.split_once(' ')?;
        if call.contains("<unfinished") {
            begun.insert(thread, call);
        } else if call.contains(" resumed>") {
            calls.extend(begun.remove(thread).map(str::to_owned));
        } else {
            calls.push(call.to_owned());
        }
    }
    Some(calls)
}
