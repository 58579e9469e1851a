//! The same job in three syntaxes, and what is said of a text that nobody meant.

mod agreement;
mod mutation;

use std::fs;

use votum_job::JobSpec;

use super::*;

/// Reads one of the test's job files as `votum submit` would.
fn job(file: &str) -> JobSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/job_files").join(file);
    let bytes = fs::read(&path).unwrap();
    let syntax = Some(Syntax::of(&path));
    parse(file, &bytes, syntax, &GivenParams::default(), MissingParams::Refused)
        .unwrap_or_else(|rejection| panic!("{rejection}"))
}

#[test]
fn one_job_has_one_value_in_three_syntaxes() {
    let yaml = job("every-field.yaml");
    assert_eq!(yaml, job("every-field.toml"));
    assert_eq!(yaml, job("every-field.json"));
}

#[test]
fn a_piped_text_is_read_in_the_syntax_it_shows() {
    let yaml = job("every-field.yaml");
    for file in ["every-field.yaml", "every-field.toml", "every-field.json"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/job_files").join(file);
        let bytes = fs::read(path).unwrap();
        let read = parse("-", &bytes, None, &GivenParams::default(), MissingParams::Refused);
        assert_eq!(read.unwrap(), yaml, "{file}");
    }
}

#[test]
fn a_key_alone_is_one_to_wait_for_and_its_parameters_are_put_in() {
    let read = |key: &str| {
        let text = format!(
            "version: 1\nname: sales\nparams: {{ region: eu }}\nconcurrency: {key}\ntasks: {{ a: {{ run: ./a }} }}\n"
        );
        let (yaml, refused) = (Some(Syntax::Yaml), MissingParams::Refused);
        parse("job.yaml", text.as_bytes(), yaml, &GivenParams::default(), refused)
    };
    let concurrency = read("\"sales/${{ params.region }}\"").unwrap().concurrency.unwrap();
    assert_eq!(concurrency.key.as_str(), "sales/eu");
    assert_eq!(concurrency.policy, votum_job::ConcurrencyPolicy::Queue);
    for (wrong, why) in [
        ("a b", "only letters, digits"),
        ("\"\"", "it is empty"),
        ("{ policy: queue }", "`concurrency` has no `key`"),
        ("{ key: a, policy: wait }", "write `queue`, `reject` or `replace`"),
        ("{ key: \"${{ params.day }}\" }", "unknown parameter `day`"),
    ] {
        let told = read(wrong).unwrap_err().to_string();
        assert!(told.contains(why) && told.contains("job.yaml:4"), "{wrong}: {told}");
    }
}

/// Returns a file of the repository.
fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Compares a file of the repository with what it should hold, or writes it anew.
fn assert_current(path: &str, wanted: &str) {
    let file = repository(path);
    if std::env::var_os("VOTUM_REWRITE").is_some() {
        fs::write(&file, wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{path} is not current: run the test with VOTUM_REWRITE=1");
}

#[test]
fn the_published_schema_is_current() {
    assert_current("docs/votum-job.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_tables_of_the_reference_are_current() {
    let text = fs::read_to_string(repository("docs/jobs.md")).unwrap();
    assert_current("docs/jobs.md", &reference::rewritten(&text).unwrap());
    let told = reference::told_in(&text);
    for shape in shapes::ALL {
        assert!(told.contains(&shape.name), "docs/jobs.md has no table of `{}`", shape.name);
    }
}
