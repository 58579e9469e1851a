//! What people start from: templates, examples and clients in other languages, on a real cluster.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;
#[allow(dead_code, reason = "the example has a `main` of its own")]
#[path = "../../crates/client/examples/run_job.rs"]
mod run_job;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use self::cluster::{Cluster, code, text, votum};

const TEMPLATES: [(&str, &str, &str); 3] = [
    ("single", "single/greeting.txt", "Hello, world!\n"),
    ("pipeline", "pipeline/report/index.txt", "total 7\n"),
    ("fanout", "fanout/total.txt", "total 45150\n"),
];

#[test]
fn every_template_validates_plans_and_commits_as_written() {
    let cluster = Cluster::start();
    for (template, target, content) in TEMPLATES {
        let file = cluster.folder.path().join(format!("{template}.yaml"));
        let file = file.to_str().unwrap();
        for arguments in [
            &["init", "--template", template, file][..],
            &["validate", file],
            &["plan", file],
            &["run", file],
        ] {
            let output = cluster.run(arguments);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(code(&output), Some(0), "{arguments:?}: {told}");
        }
        assert_eq!(visible(&cluster, target), [content], "{template}");
    }
    assert_eq!(cluster.stop(), Some(0));
}

#[test]
fn a_template_never_replaces_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let init = || votum().arg("init").current_dir(folder.path()).output().unwrap();
    assert_eq!(text(&init()), "wrote job.yaml\n");
    let written = fs::read_to_string(folder.path().join("job.yaml")).unwrap();
    assert!(written.contains("votum run job.yaml"), "{written}");
    fs::write(folder.path().join("job.yaml"), "mine").unwrap();
    let again = init();
    assert_eq!(code(&again), Some(2));
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(told.starts_with("error: job.yaml exists already"), "{told}");
    assert_eq!(fs::read_to_string(folder.path().join("job.yaml")).unwrap(), "mine");
}

#[test]
fn a_template_can_be_piped_on() {
    for (template, ..) in TEMPLATES {
        let output = votum().args(["init", "--template", template, "-"]).output().unwrap();
        assert_eq!(code(&output), Some(0));
        assert!(text(&output).contains(&format!("name: {template}\n")), "{}", text(&output));
    }
}

#[test]
fn the_printed_schema_is_the_published_one() {
    let output = votum().args(["schema", "job"]).output().unwrap();
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/votum-job.schema.json");
    assert_eq!(text(&output), fs::read_to_string(published).unwrap());
}

#[test]
fn the_example_of_the_rust_client_commits() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(run_job::run(cluster.address())).unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].contains("rust/total.txt  3 bytes  "), "{told:?}");
    assert_eq!(told[2], "55");
    assert_eq!(visible(&cluster, "rust/total.txt"), ["55\n"]);
    assert_eq!(cluster.stop(), Some(0));
}

#[test]
fn the_example_in_python_submits_polls_and_reads() {
    let folder = tempfile::tempdir().unwrap();
    let python = match python_with_grpc(folder.path()) {
        Ok(python) => python,
        Err(reason) => {
            println!("NOT RUN: {reason}");
            return;
        }
    };
    let cluster = Cluster::start();
    let output = Command::new(python)
        .arg(repository("docs/examples/python/run_job.py"))
        .arg(cluster.address())
        .env("PYTHONPATH", folder.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = text(&output);
    assert!(told.contains(":python/total.txt  3 bytes  "), "{told}");
    assert!(told.ends_with("\n55\n"), "{told}");
    assert_eq!(visible(&cluster, "python/total.txt"), ["55\n"]);
    assert_eq!(cluster.stop(), Some(0));
}

#[test]
fn a_command_is_told_where_its_inputs_and_outputs_lie() {
    let cluster = Cluster::start();
    let told = cluster.folder.path().join("told");
    let file = cluster.job_file(&EXPRESSIONS.replace("TOLD", told.to_str().unwrap()));
    let ran = cluster.run(&["run", &file, "-p", "odd=${{ job.id }}"]);
    assert_eq!(code(&ran), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let id = cluster.json(&["show", "@last"])["name"].as_str().unwrap().replace("jobs/", "");
    let copied = format!("2 of {id}\n${{{{ job.id }}}} ${{{{ job.id }}}}\n");
    assert_eq!(visible(&cluster, "expressions/rows.txt"), [copied]);
    // The effect comes after the decision, on which the command has waited.
    let mut tries = 0;
    while fs::read_to_string(&told).ok().as_deref() != Some(&format!("{id}\n")) {
        assert!(tries < 600, "the effect has not told {id}");
        tries += 1;
        #[expect(clippy::disallowed_methods, reason = "it waits for another process")]
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(cluster.stop(), Some(0));
}

#[test]
fn a_worker_that_nobody_knows_suggests_the_known_one() {
    let cluster = Cluster::start();
    let task = "version: 1\nname: a\ntasks: { t: { run: 'true', worker: ss1 } }\n";
    let ran = cluster.run(&["run", &cluster.job_file(task)]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(told.contains("no worker named ss1 was ever seen"), "{told}");
    assert!(told.contains("did you mean `s1`?"), "{told}");
    assert_eq!(cluster.stop(), Some(0));
}

const EXPRESSIONS: &str = r#"
version: 1
name: expressions
params: { odd: }
tasks:
  make:
    command: [sh, -euc, 'seq 1 2 > "$1"', make, "${{ outputs.rows }}"]
    outputs: { rows: rows.txt }
  copy:
    inputs: { rows: make.rows }
    env: { OF: "of ${{ job.id }}", LITERAL: "$${{ job.id }}" }
    steps:
      - name: copy
        command: [sh, -euc, 'echo "$(tail -n 1 "$1") $OF" > "$2"; echo "$3 $LITERAL" >> "$2"', copy,
                  "${{ inputs.rows }}", "${{ outputs.copied }}", "${{ params.odd }}"]
    outputs:
      copied: { path: rows.txt, publish: { file: expressions/rows.txt } }
effects:
  tell:
    command: [sh, -euc, 'echo "$1" > TOLD', tell, "${{ job.id }}"]
"#;

/// Returns what is visible under a target on the workers that have it.
fn visible(cluster: &Cluster, target: &str) -> Vec<String> {
    let paths = ["s1", "s2", "s3"].map(|worker| cluster.published(worker, target));
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Makes a Python with gRPC, which is kept for the next run, and the modules of Votum's messages in
/// `folder`, as the example's head says.
fn python_with_grpc(folder: &Path) -> Result<PathBuf, String> {
    let python = python_with(&repository("docs/examples/python/requirements.txt"))?;
    let protos = fs::read_dir(repository("proto/votum/v1")).unwrap();
    let generated = Command::new(&python)
        .args(["-m", "grpc_tools.protoc", "-I"])
        .arg(repository("proto"))
        .arg(format!("--python_out={}", folder.display()))
        .arg(format!("--grpc_python_out={}", folder.display()))
        .args(protos.map(|entry| entry.unwrap().path()))
        .output()
        .unwrap();
    // Nothing of this depends on the network: what fails is a fault of ours.
    let told = String::from_utf8_lossy(&generated.stderr);
    assert_eq!(code(&generated), Some(0), "{told}");
    Ok(python)
}

/// Makes a Python with these packages, unless an earlier run has.
fn python_with(requirements: &Path) -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.txt"));
    let wanted = fs::read_to_string(requirements).unwrap();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv).output();
    done("python3 -m venv", made)?;
    let install = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements)
        .output();
    done("pip install", install)?;
    fs::write(&stamp, wanted).unwrap();
    Ok(python)
}

fn done(what: &str, output: std::io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.trim().lines().next_back().unwrap_or_default();
    if code(&output) == Some(0) { Ok(()) } else { Err(format!("{what}: {last}")) }
}
