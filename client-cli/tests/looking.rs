//! The commands that look back on jobs, and those that need no cluster at all.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::{fs, process::Command};

use self::cluster::{Cluster, code, text};

#[test]
fn a_program_is_run_as_a_job_and_found_by_its_labels() {
    let cluster = Cluster::start();
    let ran = cluster.run(&[
        "run",
        "-l",
        "team=sales",
        "--worker",
        "s2",
        "--",
        "printf",
        "%s and ${{ %s }}",
        "one",
        "two",
    ]);
    assert_eq!(code(&ran), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(text(&ran).contains("\none and ${{ two }}"), "{}", text(&ran));
    let failed = cluster.run(&["run", "--", "/bin/sh", "-c", "echo why >&2; exit 7"]);
    assert_eq!(code(&failed), Some(3), "its exit code is told, not handed on");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("why"), "{failed:?}");
    let machine = text(&cluster.run(&["run", "--json", "--", "echo", "said"]));
    assert!(serde_json::from_str::<serde_json::Value>(&machine).is_ok(), "{machine}");
    let found = |filter: &str| text(&cluster.run(&["list", "--filter", filter, "-o", "name"]));
    assert!(found("labels.team = sales AND state = COMMITTED").starts_with("printf-"));
    assert!(found("NOT labels:team AND state = ABORTED").starts_with("sh-"));
    assert_eq!(found("labels.team = ops"), "");
    let wrong = cluster.run(&["list", "--filter", "by = ana AND stat = RUNNING"]);
    assert_eq!(code(&wrong), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(told.contains("did you mean `state`?"), "{told}");
    assert!(told.contains("\n  by = ana AND stat = RUNNING\n               ^"), "{told}");
    cluster.stop();
}

#[test]
fn a_job_is_looked_at_from_every_side_and_then_forgotten() {
    let cluster = Cluster::start();
    let file = cluster.job_file(
        "version: 1\nname: etl\nlabels: { team: sales }\ntasks:\n  \
         extract: { worker: s1, run: 'echo 7 > $VOTUM_OUTPUT_ROWS', \
         outputs: { rows: { path: rows.txt, publish: { file: etl/rows.txt } } } }\n  \
         load: { worker: s2, needs: [extract], run: 'mkdir -p $VOTUM_OUTPUT_SITE/d; \
         echo x > $VOTUM_OUTPUT_SITE/d/x', \
         outputs: { site: { path: site/, publish: { tree: etl/site } } } }\n",
    );
    let ran = cluster.run(&["run", &file]);
    assert_eq!(code(&ran), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let told = |arguments: &[&str]| {
        let output = cluster.run(arguments);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), Some(0), "{arguments:?}: {err}");
        text(&output)
    };

    let events = told(&["events", "@last"]);
    assert!(events.contains("commit_decided") && events.contains("forced"), "{events}");
    assert!(told(&["events", "@last", "-o", "jsonl"]).lines().count() > 8);
    assert!(told(&["explain", "@last"]).contains("Committed etl-"));
    assert!(told(&["graph", "@last"]).contains("COMMITTED"));
    assert!(told(&["graph", &file, "--format", "mermaid"]).contains("t0 --> t1"));
    let listed = told(&["list", "-l", "team=sales", "--since", "1h", "-o", "name"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert_eq!(told(&["list", "--name", "other", "-o", "name"]), "");
    assert!(told(&["show", "@last", "-o", "yaml"]).contains("state: JOB_STATE_COMMITTED"));
    assert!(told(&["doctor"]).contains("3 ready"));
    examined(&cluster);

    assert!(told(&["output", "list", "@last"]).contains("load.site"));
    assert_eq!(told(&["output", "get", "@last", "rows", "-"]), "7\n");
    let site = cluster.folder.path().join("site");
    told(&["output", "get", "@last", "load.site", site.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(site.join("d/x")).unwrap(), "x\n");
    let again = cluster.run(&["output", "get", "@last", "load.site", site.to_str().unwrap()]);
    assert_eq!(code(&again), Some(6), "nothing is replaced");
    assert_eq!(code(&cluster.run(&["output", "get", "@last", "nothing"])), Some(5));
    assert!(told(&["verify", "@last"]).contains("as voted on"));

    // A file that somebody changed behind Votum's back is found.
    let rows = cluster.published("s1", "etl/rows.txt");
    let content = fs::canonicalize(&rows).unwrap();
    fs::remove_file(&content).unwrap();
    fs::write(&content, "8\n").unwrap();
    let verified = cluster.run(&["verify", "@last"]);
    assert_eq!(code(&verified), Some(1), "{}", text(&verified));

    let first = listed.trim();
    assert_eq!(code(&cluster.run(&["cancel", first])), Some(6), "a commit cannot be cancelled");
    told(&["rerun", first, "--id", "etl-again"]);
    assert_eq!(code(&cluster.run(&["wait", "etl-again"])), Some(0));
    gone_back(&cluster, first);
    replaced(&cluster, first);
    told(&["delete", first]);
    let shown = cluster.run(&["show", first]);
    assert_eq!(code(&shown), Some(5), "its records are gone");
    assert!(text(&shown).contains("deleted by 127.0.0.1 at 20"), "{}", text(&shown));
    cluster.stop();
}

/// Goes back to what a later job has replaced, and forward again.
fn gone_back(cluster: &Cluster, earlier: &str) {
    let run = |arguments: &[&str]| {
        let output = cluster.run(arguments);
        (code(&output), text(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let hint = "votum revert etl-again";
    let (code, _, told) = run(&["cancel", "etl-again"]);
    assert!(code == Some(6) && told.contains(hint), "{told}");
    let (code, _, told) = run(&["revert", earlier]);
    assert!(code == Some(6) && told.contains(hint), "somebody else's work: {told}");

    let (code, told, _) = run(&["revert", "etl-again", "--dry-run"]);
    assert!(code == Some(0) && told.matches(earlier).count() == 2, "{told}");
    assert_eq!(run(&["verify", "etl-again"]).0, Some(0), "nothing has changed");
    let (code, told, said) = run(&["revert", "etl-again", "--reason", "too early", "--follow"]);
    assert_eq!(code, Some(0), "{told}{said}");
    let (code, told, _) = run(&["verify", "etl-again"]);
    assert!(code == Some(11) && told.contains(&format!("by {earlier}")), "{told}");
    let (_, told, _) = run(&["show", "@last"]);
    assert!(told.contains("Reverts") && told.contains("etl-again"), "{told}");
    let (code, told, said) = run(&["rerun", "@last"]);
    assert_eq!(code, Some(2), "only a revert looks first: {told}{said}");
    let (code, told, said) = run(&["revert", "@last", "-f"]);
    assert_eq!(code, Some(0), "{told}{said}");
}

/// Looks at targets that a later job has replaced, and at one that is gone.
fn replaced(cluster: &Cluster, earlier: &str) {
    let told = cluster.json(&["verify", earlier]);
    let site = told["outputs"].as_array().unwrap().iter().find(|one| one["output"] == "load.site");
    let site = site.unwrap();
    assert_eq!((&site["intact"], &site["inPlace"]), (&true.into(), &false.into()), "{told}");
    assert_eq!(site["replacedBy"], "etl-again", "{told}");

    let verified = cluster.run(&["verify", "etl-again"]);
    assert_eq!((code(&verified), text(&verified).matches("this output").count()), (Some(0), 2));
    fs::remove_file(cluster.published("s2", "etl/site")).unwrap();
    let verified = cluster.run(&["verify", "etl-again"]);
    assert_eq!(code(&verified), Some(11), "no byte is damaged");
    assert!(text(&verified).contains("nothing: it is gone"), "{}", text(&verified));
    // What a job has done is told as what it was.
    let explained = text(&cluster.run(&["explain", "etl-again"]));
    assert!(explained.contains("2 outputs became visible on s1, s2"), "{explained}");
    assert!(explained.contains("votum verify etl-again"), "{explained}");
}

#[test]
fn a_context_names_a_cluster_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_votum"))
            .args(arguments)
            .env_remove("VOTUM_ADDRESS")
            .env("VOTUM_CONFIG_DIR", folder.path())
            .output()
            .unwrap();
        (output.status.code(), text(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["config", "set", "prod", "address=http://127.0.0.1:1"]).0, Some(0));
    assert_eq!(run(&["config", "set", "dev", "address=http://127.0.0.1:2"]).0, Some(0));
    assert_eq!(run(&["config", "set", "dev", "adress=x"]).0, Some(2));
    assert_eq!(run(&["config", "list", "-o", "name"]).1, "dev\nprod\n");
    // The first is the current one until another is chosen.
    assert!(run(&["list"]).2.contains("127.0.0.1:1"));
    assert!(run(&["--context", "dev", "list"]).2.contains("127.0.0.1:2"));
    assert_eq!(run(&["config", "use", "dev"]).0, Some(0));
    assert!(run(&["list"]).2.contains("127.0.0.1:2"));
    assert!(run(&["--address", "127.0.0.1:3", "list"]).2.contains("127.0.0.1:3"));
    let (code, _, told) = run(&["--context", "nowhere", "list"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("votum config list"), "{told}");
}

#[test]
fn shells_and_the_manual_are_served_by_the_program_itself() {
    let folder = tempfile::tempdir().unwrap();
    let votum = || Command::new(env!("CARGO_BIN_EXE_votum"));
    for shell in ["bash", "zsh", "fish"] {
        let script = votum().args(["completions", shell]).output().unwrap();
        assert!(script.status.success() && text(&script).contains("rescue"), "{shell}");
    }
    let written = votum().args(["internal", "man"]).arg(folder.path()).status().unwrap();
    assert!(written.success());
    let page = fs::read_to_string(folder.path().join("votum-events.1")).unwrap();
    assert!(page.contains("durable history"), "{page}");
}

#[test]
fn the_program_names_the_revision_that_it_was_built_of() {
    let told = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_votum")).args(arguments).output().unwrap();
        text(&output).trim().to_owned()
    };
    let version = env!("CARGO_PKG_VERSION");
    let facts: serde_json::Value = serde_json::from_str(&told(&["version", "--json"])).unwrap();
    assert_eq!(facts["version"], version);
    let expected = match facts["revision"].as_str() {
        Some(revision) => format!("votum {version} ({revision})"),
        // Built outside of a checkout.
        None => format!("votum {version}"),
    };
    assert_eq!((told(&["--version"]), told(&["version"])), (expected.clone(), expected));
    assert_eq!(told(&["version", "-o", "name"]), version);
}

/// Looks at what `votum doctor` says of limits, clocks and a disk, and what to do about them.
fn examined(cluster: &Cluster) {
    let checks = |output: &std::process::Output| -> Vec<(String, String, String, String)> {
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |check: &serde_json::Value, field: &str| {
            check[field].as_str().unwrap_or_default().to_owned()
        };
        let all = document["checks"].as_array().unwrap().iter();
        all.map(|one| (of(one, "check"), of(one, "grade"), of(one, "found"), of(one, "do")))
            .collect()
    };
    // Workers tell their clocks and limits with their first heartbeat, which may be yet to come.
    let has_told = |all: &Vec<(String, String, String, String)>| {
        let of_all = |found: &str| found.contains("those of 3 workers are within");
        all.iter().any(|(what, _, found, _)| what == "clocks" && of_all(found))
    };
    let mut looks = (0..LOOKS_MAX).map(|_| checks(&cluster.run(&["doctor", "--json"])));
    let all = looks.find(has_told).expect("every worker beats");
    let found = |check: &str, words: &str| {
        all.iter().any(|(what, _, found, _)| what == check && found.contains(words))
    };
    for who in ["coordinator: ", "s1: ", "s2: ", "s3: "] {
        for limit in ["open files", "processes and threads", "left on its disk"] {
            let told = |(what, _, found, _): &(String, String, String, String)| {
                what == "limits" && found.starts_with(who) && found.contains(limit)
            };
            assert!(all.iter().any(told), "{who}{limit}: {all:#?}");
        }
    }
    assert!(found("limits", " of 100000 open jobs"), "{all:#?}");
    assert!(found("clocks", " ms "), "{all:#?}");
    assert!(found("connection", "within this machine"), "{all:#?}");
    let untold = |(_, grade, _, advice): &&(String, String, String, String)| {
        (grade != "ok") == advice.is_empty()
    };
    assert_eq!(all.iter().find(untold), None, "whatever is not ok says what to do");

    // A shell that may open few files starts daemons that may open few.
    let script = "ulimit -n 256; exec \"$0\" doctor --json --disk \"$1\"";
    let cramped = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_votum")])
        .arg(cluster.folder.path())
        .env("VOTUM_ADDRESS", format!("http://{}", cluster.address()))
        .output()
        .unwrap();
    let cramped = checks(&cramped);
    let told = |check: &str, words: &str| {
        cramped.iter().any(|(what, _, found, _)| what == check && found.contains(words))
    };
    assert!(told("disk", "a write and sync in") && told("disk", "left in"), "{cramped:#?}");
    let few = cramped.iter().find(|(_, _, found, _)| found.contains("may open 256 files")).unwrap();
    assert_eq!(
        (&*few.0, &*few.1, &*few.3),
        ("limits", "look", "raise it, as with `ulimit -n 65536`")
    );
}

#[test]
fn a_log_tells_when_its_lines_were_written() {
    let cluster = Cluster::start();
    let gate = cluster.folder.path().join("gate");
    let file = cluster.job_file(&format!(
        "version: 1\nname: talks\ntasks:\n  talk: {{ worker: s1, \
         run: 'echo one; until [ -e {} ]; do sleep 0.1; done; echo two' }}\n",
        gate.display()
    ));
    assert_eq!(code(&cluster.run(&["submit", &file, "-o", "name"])), Some(0));
    let logs = |more: &[&str]| text(&cluster.run(&[&["logs", "talks/talk"], more].concat()));
    assert!((0..2_000).any(|_| logs(&[]) == "one\n"), "it never said anything");
    let seen = jiff::Timestamp::now();
    let passed = || jiff::Timestamp::now().duration_since(seen).as_millis();
    assert!((0..20_000).any(|_| logs(&["--tail", "0"]).is_empty() && passed() > GAP_MS));
    fs::write(gate, "").unwrap();
    assert_eq!(code(&cluster.run(&["wait", "talks", "--timeout", "1m"])), Some(0));

    assert_eq!(logs(&["--since", "1h"]), "one\ntwo\n");
    // What was written in the second before is told as well.
    let since = format!("{}ms", passed() - 1_500);
    assert_eq!(logs(&["--since", &since]), "two\n");
    let timed = logs(&["--timestamps", "--prefix"]);
    let lines: Vec<(&str, &str)> = timed.lines().map(|line| line.split_at(20)).collect();
    assert_eq!(lines.len(), 2, "{timed}");
    assert_eq!((lines[0].1, lines[1].1), (" talk/1 | one", " talk/1 | two"));
    assert!(lines[0].0 < lines[1].0 && lines[0].0.ends_with('Z'), "{timed}");
    cluster.stop();
}

/// Between two lines, by far more than a command takes to begin.
const GAP_MS: i128 = 6_000;
/// Each look takes a program's start, and a worker beats every few seconds.
const LOOKS_MAX: u32 = 500;
