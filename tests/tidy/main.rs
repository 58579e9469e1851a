//! The house rules of `docs/architecture.md` as tests: structure, not taste.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod floors;
mod metrics;
mod sources;

use sources::{Source, production_lines, sources};

#[test]
fn the_crate_graph_points_down_only() {
    let mut wrong = Vec::new();
    for package in floors::packages() {
        for dependency in &package.dependencies {
            if !floors::may_depend(&package.name, dependency) {
                wrong.push(format!("{} -> {dependency}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up or sideways: {wrong:#?}");
}

#[test]
fn pure_crates_depend_on_nothing_that_acts() {
    let mut wrong = Vec::new();
    for package in floors::packages() {
        if !PURE.contains(&package.name.as_str()) {
            continue;
        }
        let acts =
            |name: &&String| !PURE.contains(&name.as_str()) && !DATA.contains(&name.as_str());
        wrong.extend(
            package.libraries.iter().filter(acts).map(|name| format!("{} -> {name}", package.name)),
        );
    }
    assert!(wrong.is_empty(), "a pure crate may use serde, thiserror and uuid only: {wrong:#?}");
}

#[test]
fn pure_crates_do_not_name_the_outside() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !PURE.iter().any(|name| source.is_in(&format!("crates/{name}/src"))) {
            continue;
        }
        for (number, line) in source.code_lines() {
            if let Some(word) = OUTSIDE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "the outside in a pure crate: {wrong:#?}");
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    let silent = |source: &Source| !source.text.starts_with("//!");
    let wrong: Vec<_> = sources().into_iter().filter(silent).map(|source| source.path).collect();
    assert!(wrong.is_empty(), "files without a first `//!` line: {wrong:#?}");
}

#[test]
fn no_file_has_a_name_that_means_anything() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| path.split('/').any(|part| VAGUE.contains(&part.trim_end_matches(".rs"))))
        .collect();
    assert!(wrong.is_empty(), "vague names: {wrong:#?}");
}

#[test]
fn the_few_places_with_a_privilege_are_the_only_ones() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.code_lines() {
            for (word, home) in PRIVILEGES {
                if line.contains(word) && !source.path.ends_with(home) {
                    wrong.push(format!("{}:{number}: {word} belongs in {home}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_marker_of_unfinished_work_is_left() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if MARKERS.iter().any(|marker| line.contains(marker)) && !source.is_in("tests/tidy") {
                wrong.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Says where a second noun may hide; never fails.
#[test]
fn the_tests_of_bad_input_that_the_page_names_exist() {
    let page = std::fs::read_to_string(sources::root().join("docs/testing.md")).unwrap();
    let section = page.split("## Bad input").nth(1).unwrap().split("\n## ").next().unwrap();
    let is_name = |word: &&str| word.contains('_') && !word.contains(['.', '/', ' ', '|']);
    let named: Vec<&str> = section.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 30, "{named:?}");
    let sources = sources();
    let exists =
        |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}()")));
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "the page names tests that are not there: {missing:#?}");
}

#[test]
fn long_files_are_an_invitation_to_split() {
    for source in sources() {
        let lines = production_lines(&source.text);
        if lines > 400 {
            println!("{} has {lines} production lines", source.path);
        }
    }
}

/// Crates that decide and never act.
const PURE: [&str; 6] =
    ["votum-ids", "votum-machine", "votum-job", "votum-commit", "votum-schedule", "votum-settle"];
/// What pure crates may use besides each other.
const DATA: [&str; 3] = ["serde", "thiserror", "uuid"];
/// Words that reach outside of a pure crate.
const OUTSIDE: [&str; 11] = [
    "async fn",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::io",
    "tracing::",
    "tokio::",
    "println!",
    "static mut",
];
/// Names that say nothing.
const VAGUE: [&str; 11] = [
    "util", "utils", "common", "helper", "helpers", "shared", "misc", "base", "types", "manager",
    "handler",
];
/// What may be named in one place only.
const PRIVILEGES: [(&str, &str); 3] = [
    ("sled::", "journal/src/index.rs"),
    ("SystemTime::now", "driver/src/clock.rs"),
    ("Instant::now", "driver/src/clock.rs"),
];
/// Marks of work that was put off.
const MARKERS: [&str; 4] = ["TODO", "FIXME", "XXX", "todo!("];
