//! What is done with job files alone, as people see it: every bad one, and the very words about it.
//!
//! With `VOTUM_REWRITE=1` the expected texts are written anew.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/job_files")
}

fn votum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_votum"))
        .args(arguments)
        .current_dir(files())
        .env_remove("VOTUM_OUTPUT")
        .output()
        .unwrap()
}

fn piped(input: &[u8]) -> (Option<i32>, String) {
    piped_to(&["validate", "-"], input)
}

fn piped_to(arguments: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_votum"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A file that is too large is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn assert_told(file: &str, code: i32) {
    assert_output(&["validate", file], file, "txt", code);
}

fn assert_planned(file: &str) {
    assert_output(&["plan", file], file, "plan.txt", 0);
}

fn assert_output(arguments: &[&str], file: &str, extension: &str, code: i32) {
    let output = votum(arguments);
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    let expected = match file.strip_suffix(".yaml") {
        Some(stem) => files().join(format!("{stem}.{extension}")),
        // Beside the same job in YAML.
        None => files().join(format!("{file}.{extension}")),
    };
    if std::env::var_os("VOTUM_REWRITE").is_some() {
        fs::write(&expected, &told).unwrap();
    }
    assert_eq!(told, fs::read_to_string(&expected).unwrap_or_default(), "{file}");
    assert_eq!(output.status.code(), Some(code), "{file}");
}

#[test]
fn everything_about_the_conduct_of_a_task_is_read() {
    assert_told("conduct.yaml", 0);
}

#[test]
fn everything_wrong_with_the_conduct_of_a_task_is_told() {
    assert_told("conduct-broken.yaml", 2);
}

#[test]
fn effects_and_compensations_are_read_whole() {
    assert_told("hooks.yaml", 0);
}

#[test]
fn everything_wrong_with_effects_is_told_at_once() {
    assert_told("hooks-broken.yaml", 2);
}

#[test]
fn the_rules_of_effects_point_into_the_file() {
    assert_told("hooks-rules.yaml", 2);
}

#[test]
fn what_cannot_be_undone_is_refused_with_its_path() {
    assert_told("not-undoable.yaml", 2);
    assert_told("kept-but-undone.yaml", 2);
}

#[test]
fn a_shorthand_that_there_is_not_is_spelt_out() {
    assert_told("hints.yaml", 2);
}

#[test]
fn a_parameter_beside_the_file_points_into_no_file() {
    let told = |arguments: &[&str]| {
        let output = votum(&[&["validate", "-"], arguments].concat());
        String::from_utf8(output.stderr).unwrap()
    };
    let given = |file: &str, pair: &str| {
        let (code, told) = piped_to(&["validate", "-", "-p", pair], file.as_bytes());
        assert_eq!(code, Some(2));
        told
    };
    assert!(told(&["-p", "novalue"]).contains("NAME=VALUE"));
    let file = "version: 1\nname: a\nparams: { date: 1, region: eu }\ntasks: { t: { run: x } }\n";
    let far = given(file, "foo=2");
    let expected =
        "error: `-p foo=…` names no parameter of this job\n  = it declares: date, region\n";
    assert!(far.contains(expected) && !far.contains("-->"), "{far}");
    assert!(given(file, "regoin=2").contains("  = did you mean `region`?"));
    let none = "version: 1\nname: a\ntasks: { t: { run: x } }\n";
    assert!(given(none, "foo=2").contains("  = the job declares no `params`"));
}

#[test]
fn replicas_are_counted_from_one_to_five() {
    assert_told("replicas-broken.yaml", 2);
}

#[test]
fn the_example_of_replicas_is_a_valid_job() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/replicated.yaml");
    let output = votum(&["validate", example.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_plan_shows_levels_and_what_each_decision_means() {
    assert_planned("hooks.yaml");
    assert_planned("plan.yaml");
}

#[test]
fn a_plan_for_programs_has_the_same_facts() {
    let output = votum(&["--json", "plan", "plan.yaml"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let undone: Vec<&str> = plan["compensations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|undone| undone["task"].as_str().unwrap())
        .collect();
    assert_eq!(undone, ["pay", "book", "reserve"]);
    assert_eq!(plan["tasks"][0]["level"], 0);
    assert_eq!(plan["effects"][0]["after"], "commit");
}

#[test]
fn a_case_is_resolved_only_with_a_reason() {
    for arguments in [
        &["case", "resolve", "a-1/load", "retry"][..],
        &["case", "resolve", "a-1/load", "retry", "--reason", " "],
        &["case", "show", "a-1"],
    ] {
        assert_eq!(votum(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let output = votum(&["case", "resolve", "a-1/load", "retry"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("--reason <TEXT>"), "{told}");
}

#[test]
fn a_cycle_is_named_as_a_whole() {
    assert_told("cycle.yaml", 2);
}

#[test]
fn an_unknown_dependency_suggests_the_known_one() {
    assert_told("unknown-dependency.yaml", 2);
}

#[test]
fn a_name_given_twice_points_at_both_places() {
    assert_told("duplicate-name.yaml", 2);
}

#[test]
fn no_path_leads_out_of_its_directory() {
    assert_told("paths.yaml", 2);
}

#[test]
fn an_unknown_field_suggests_the_known_one() {
    assert_told("unknown-field.yaml", 2);
}

#[test]
fn expressions_that_nobody_can_replace_are_told() {
    assert_told("expressions.yaml", 2);
}

#[test]
fn every_wrong_value_is_told_at_once() {
    assert_told("values.yaml", 2);
}

#[test]
fn what_cannot_be_read_and_what_breaks_a_rule_are_told_at_once() {
    assert_told("everything_at_once.yaml", 2);
}

#[test]
fn the_rules_of_a_job_point_into_its_file() {
    assert_told("rules.yaml", 2);
}

#[test]
fn what_is_not_yaml_is_told_with_its_place() {
    for file in ["broken.yaml", "list-instead-of-map.yaml", "tagged.yaml"] {
        assert_told(file, 2);
    }
}

#[test]
fn a_good_file_is_told_in_one_line() {
    assert_told("good.yaml", 0);
    let output = votum(&["validate", "good.json"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "good.json: ok: good, 1 task, 0 outputs published\n"
    );
}

#[test]
fn everything_wrong_is_told_alike_in_toml_and_json() {
    assert_told("wrong.toml", 2);
    assert_told("wrong.json", 2);
}

#[test]
fn what_is_neither_toml_nor_json_is_told_with_its_place() {
    for file in ["not-toml.toml", "twice.toml", "not-json.json", "twice.json"] {
        assert_told(file, 2);
    }
}

#[test]
fn a_job_of_every_field_is_read_in_every_syntax() {
    for file in ["every-field.yaml", "every-field.toml", "every-field.json"] {
        let output = votum(&["validate", file]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_format_of_a_piped_job_can_be_given() {
    let job = b"{\"version\": 1, \"name\": \"a\", \"tasks\": {\"t\": {\"run\": \"true\"}},}";
    // A comma at the end is good YAML, and no JSON.
    assert_eq!(piped_to(&["validate", "--format", "yaml", "-"], job).0, Some(0));
    let (code, told) = piped_to(&["validate", "--format", "json", "-"], job);
    assert_eq!(code, Some(2));
    assert!(told.contains("--> <stdin>:1:61"), "{told}");
}

#[test]
fn missing_parameters_are_named_and_files_give_them() {
    let job = b"version: 1\nname: a\nparams: { date: , region: }\ntasks: { t: { run: x } }\n";
    let (code, told) = piped_to(&["submit", "-", "-p", "region=eu"], job);
    assert_eq!(code, Some(2));
    assert!(told.contains("parameter `date` has no value"), "{told}");
    assert!(told.contains("--> <stdin>:3:11"), "{told}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("params.toml");
    fs::write(&file, "date = 2026-11-21\nregio = 'eu'\n").unwrap();
    let (code, told) = piped_to(&["validate", "-", "--param-file", file.to_str().unwrap()], job);
    assert_eq!(code, Some(2));
    assert!(told.contains("did you mean `region`?"), "{told}");
    fs::write(&file, "date = 2026-11-21\nregion = 'eu'\n").unwrap();
    let (code, told) = piped_to(&["validate", "-", "--param-file", file.to_str().unwrap()], job);
    assert_eq!((code, told.as_str()), (Some(0), ""));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let (code, told) = piped(b"version: 1\nname: caf\xe9\n");
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: the job file is not UTF-8: byte 20"), "{told}");
    assert!(told.contains("--> <stdin>:2:10"), "{told}");
}

#[test]
fn a_nul_is_refused_where_it_stands() {
    let (code, told) = piped(b"version: 1\nname: a\x00b\n");
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: the job file contains a NUL"), "{told}");
    assert!(told.contains("--> <stdin>:2:8"), "{told}");
}

#[test]
fn an_expression_in_a_script_is_refused_with_its_variable() {
    let text = "version: 1\nname: a\nparams: { load-date: today }\ntasks:\n  t:\n    run: ./load ${{ params.load-date }}\n";
    let (code, told) = piped(text.as_bytes());
    assert_eq!(code, Some(2));
    assert!(told.contains("`${{ params.load-date }}` is not replaced in a script"), "{told}");
    assert!(told.contains("\"$VOTUM_PARAM_LOAD_DATE\""), "{told}");
    assert!(told.contains("--> <stdin>:6:"), "{told}");
    // What another program means by it is none of Votum's business.
    let other = text.replace("params.load-date }}", "secrets.TOKEN }}");
    assert_eq!(piped(other.as_bytes()).0, Some(0));
}

#[test]
fn deep_nesting_is_refused_in_every_syntax() {
    let deep = "[".repeat(50_000);
    for (format, begin) in [("yaml", "labels: "), ("toml", "labels = "), ("json", "{\"labels\": ")]
    {
        let (code, told) =
            piped_to(&["validate", "--format", format, "-"], format!("{begin}{deep}").as_bytes());
        assert_eq!(code, Some(2), "{format}: {told}");
        assert!(told.contains("--> <stdin>:1:"), "{format}: {told}");
    }
}

#[test]
fn ten_thousand_and_one_tasks_are_refused_with_the_limit() {
    let mut text = "version: 1\nname: many\ntasks:\n".to_owned();
    for number in 0..10_001 {
        text.push_str(&format!("  t{number}: {{ run: x }}\n"));
    }
    let (code, told) = piped(text.as_bytes());
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: 10001 tasks; a job has at most 10000"), "{told}");
    assert!(told.contains("--> <stdin>:3:1"), "{told}");
}

#[test]
fn two_megabytes_are_refused_with_the_limit_and_code() {
    let mut text = b"version: 1\nname: large\ndescription: ".to_vec();
    text.resize(2_000_000, b'x');
    let (code, told) = piped_to(&["--json", "validate", "-"], &text);
    assert_eq!(code, Some(2));
    let error: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_ARGUMENT");
    let problem = error["error"]["metadata"]["problem_1"].as_str().unwrap();
    assert_eq!(problem, "<stdin>:1:1: the job file is larger than 1 MiB");
}

#[test]
fn ten_megabytes_are_refused_unread() {
    let mut text = b"version: 1\nname: large\ndescription: ".to_vec();
    text.resize(10_000_000, b'x');
    let (code, told) = piped(&text);
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: the job file is larger than 1 MiB"), "{told}");
}

#[test]
fn a_hundred_thousand_tasks_are_refused() {
    let mut text = "version: 1\nname: many\ntasks:\n a: &t {run: x}\n".to_owned();
    for number in 0..100_000 {
        text.push_str(&format!(" {}: *t\n", short_name(number)));
    }
    assert!(text.len() < 1 << 20, "{} bytes are too many to reach the tasks", text.len());
    let (code, told) = piped(text.as_bytes());
    assert_eq!(code, Some(2));
    assert!(told.contains("100001 tasks; a job has at most 10000"), "{told}");
}

/// Returns a different short name for each number.
fn short_name(number: u32) -> String {
    let digit = |n: u32| char::from_digit(n % 36, 36).unwrap();
    let [a, b, c] = [digit(number), digit(number / 36), digit(number / 1296)];
    format!("{}{a}{b}{c}", ['b', 'c', 'd'][(number / 46_656) as usize])
}

#[test]
fn an_alias_bomb_does_not_unfold() {
    let mut text = "version: 1\nname: bomb\nl0: &l0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let inner = format!("*l{}", level - 1);
        text.push_str(&format!("l{level}: &l{level} [{}]\n", vec![inner; 10].join(",")));
    }
    let (code, told) = piped(text.as_bytes());
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: the job file unfolds to more than"), "{told}");
}

#[test]
fn errors_for_programs_are_one_json_object() {
    let output = votum(&["--json", "validate", "cycle.yaml"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_ARGUMENT");
    assert_eq!(error["error"]["reason"], "INVALID_SPEC");
    let problem = error["error"]["metadata"]["problem_1"].as_str().unwrap();
    assert!(problem.starts_with("cycle.yaml:"), "{problem}");
}

#[test]
fn the_examples_of_the_documentation_are_good_and_planned() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let mut count = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        for command in ["validate", "plan"] {
            let output = votum(&[command, path.to_str().unwrap()]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{command}: {told}");
            assert_eq!(told, "", "{command}");
        }
        count += 1;
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn the_nightly_example_plans_alike_in_yaml_and_toml() {
    let plan = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(file);
        let output = votum(&["--json", "plan", path.to_str().unwrap(), "-p", "date=2026-11-21"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(plan("nightly.yaml"), plan("nightly.toml"));
}

#[test]
fn a_plan_of_a_saga_undoes_in_reverse_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/saga.yaml");
    let output = votum(&["--json", "plan", path.to_str().unwrap()]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let undone = plan["compensations"].as_array().unwrap().iter();
    let undone: Vec<&str> = undone.map(|undone| undone["task"].as_str().unwrap()).collect();
    assert_eq!(undone, ["hotel", "flight"]);
}
