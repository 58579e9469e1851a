//! What people start from: templates, examples and clients in other languages, on a real cluster.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::fs;

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
        let found = ["s1", "s2", "s3"].map(|worker| cluster.published(worker, target));
        let found: Vec<_> = found.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        assert_eq!(found, [content], "{template}");
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
