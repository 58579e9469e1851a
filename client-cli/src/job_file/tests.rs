//! The same job in three syntaxes, and what is said of a text that nobody meant.

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
