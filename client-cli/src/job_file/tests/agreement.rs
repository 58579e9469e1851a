//! Reader and schema hold the same: what one refuses at a look, the other refuses, too.
//!
//! The schema is asked by a validator that is not ours.

use std::{collections::BTreeSet, fs, path::PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value as Json, json};

use super::{super::*, repository};
use crate::job_file::{
    shape::{Holds, Shape},
    shapes::{ALL, JOB},
};

/// The published schema in a foreign validator.
struct Schema {
    schemas: Schemas,
    job: SchemaIndex,
}

impl Schema {
    fn published() -> Self {
        let text = fs::read_to_string(repository("docs/votum-job.schema.json")).unwrap();
        let mut compiler = Compiler::new();
        compiler.add_resource("job.json", serde_json::from_str(&text).unwrap()).unwrap();
        let mut schemas = Schemas::new();
        let job = compiler.compile("job.json", &mut schemas).unwrap();
        Self { schemas, job }
    }

    fn refusal(&self, job: &Json) -> Option<String> {
        self.schemas.validate(job, self.job).err().map(|error| format!("{error:#}"))
    }
}

fn read_job(job: &Json) -> Result<JobSpec, Rejection> {
    let text = job.to_string();
    parse(
        "job",
        text.as_bytes(),
        Some(Syntax::Json),
        &GivenParams::default(),
        MissingParams::StoodIn,
    )
}

/// Reads a file as a foreign parser understands it.
fn foreign(path: &Path) -> Json {
    let text = fs::read_to_string(path).unwrap();
    match Syntax::of(path) {
        Syntax::Yaml => serde_saphyr::from_str(&text).unwrap(),
        Syntax::Json => serde_json::from_str(&text).unwrap(),
        Syntax::Toml => {
            let table: ::toml::Table = ::toml::from_str(&text).unwrap();
            dates_as_text(serde_json::to_value(table).unwrap())
        }
    }
}

/// A TOML date is, in JSON, an object of one field.
fn dates_as_text(value: Json) -> Json {
    if let Json::Object(fields) = value {
        return match fields.get("$__toml_private_datetime") {
            Some(date) => date.clone(),
            None => fields.into_iter().map(|(name, value)| (name, dates_as_text(value))).collect(),
        };
    }
    if let Json::Array(items) = value {
        return items.into_iter().map(dates_as_text).collect();
    }
    value
}

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(directory)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "toml" | "json"))
    });
    files.sort();
    files
}

#[test]
fn examples_and_templates_fit_the_published_schema() {
    let schema = Schema::published();
    let tests = [
        "every-field.yaml",
        "every-field.toml",
        "every-field.json",
        "good.yaml",
        "good.json",
        "conduct.yaml",
        "hooks.yaml",
        "plan.yaml",
    ];
    let tests = tests.map(|file| repository("client-cli/tests/job_files").join(file));
    let all =
        files("docs/examples").into_iter().chain(files("client-cli/src/templates")).chain(tests);
    let mut count = 0;
    for path in all {
        let refusal = schema.refusal(&foreign(&path));
        assert!(refusal.is_none(), "{}: {}", path.display(), refusal.unwrap());
        count += 1;
    }
    assert!(count > 14, "{count} files");
}

#[test]
fn wrong_files_do_not_fit_the_published_schema() {
    let schema = Schema::published();
    for file in [
        "unknown-field.yaml",
        "list-instead-of-map.yaml",
        "values.yaml",
        "conduct-broken.yaml",
        "hooks-broken.yaml",
        "replicas-broken.yaml",
        "wrong.toml",
        "wrong.json",
    ] {
        let path = repository("client-cli/tests/job_files").join(file);
        assert!(schema.refusal(&foreign(&path)).is_some(), "{file}");
    }
}

/// A place in a job: the names that lead there.
type Steps = Vec<String>;

/// Finds where a job has the fields of each shape.
fn walk(holds: Holds, value: &Json, steps: &Steps, found: &mut Vec<(&'static Shape, Steps)>) {
    match (holds, value) {
        (Holds::Fields(shape), Json::Object(fields)) => {
            found.push((shape, steps.clone()));
            for (name, value) in fields {
                let field = shape.field(name).unwrap_or_else(|| panic!("{name} in {steps:?}"));
                walk(field.holds, value, &below(steps, name), found);
            }
        }
        (Holds::Many(_, of, ..), Json::Object(entries)) => {
            for (name, value) in entries {
                walk(*of, value, &below(steps, name), found);
            }
        }
        (Holds::List(of), Json::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                walk(*of, item, &below(steps, &at.to_string()), found);
            }
        }
        (Holds::Either(_, of), value) => walk(*of, value, steps, found),
        _ => {}
    }
}

fn below(steps: &Steps, name: &str) -> Steps {
    steps.iter().cloned().chain([name.to_owned()]).collect()
}

fn at<'a>(job: &'a mut Json, steps: &[String]) -> &'a mut Json {
    steps.iter().fold(job, |value, step| match step.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[step.as_str()],
    })
}

fn every_field() -> (Json, Vec<(&'static Shape, Steps)>) {
    let job = foreign(&repository("client-cli/tests/job_files/every-field.json"));
    let mut found = Vec::new();
    walk(Holds::Fields(&JOB), &job, &Vec::new(), &mut found);
    (job, found)
}

#[test]
fn the_test_job_has_every_field_of_every_shape() {
    let (mut job, found) = every_field();
    let mut had: BTreeSet<(&str, String)> = BTreeSet::new();
    for (shape, steps) in &found {
        let fields = at(&mut job, steps).as_object().unwrap();
        had.extend(fields.keys().map(|name| (shape.name, name.clone())));
    }
    for shape in ALL {
        for name in shape.names() {
            assert!(had.contains(&(shape.name, name.to_owned())), "{}.{name}", shape.name);
        }
    }
}

#[test]
fn every_field_of_a_shape_is_read_and_checked() {
    let schema = Schema::published();
    let (job, found) = every_field();
    assert!(read_job(&job).is_ok() && schema.refusal(&job).is_none());
    for (shape, steps) in found {
        for name in shape.names() {
            let mut wrong = job.clone();
            let fields = at(&mut wrong, &steps);
            if fields.get(name).is_none() {
                continue;
            }
            fields[name] = json!({ "?": [[]] });
            assert!(read_job(&wrong).is_err(), "{steps:?}.{name} is not read");
            assert!(schema.refusal(&wrong).is_some(), "{steps:?}.{name} is not in the schema");
        }
        let mut unknown = job.clone();
        at(&mut unknown, &steps)["unheard-of"] = json!("x");
        assert!(read_job(&unknown).is_err(), "{steps:?} takes any field");
        assert!(schema.refusal(&unknown).is_some(), "{steps:?} has any field in the schema");
    }
}

#[test]
fn every_word_of_a_choice_is_accepted_by_both() {
    let schema = Schema::published();
    let (job, found) = every_field();
    for (shape, steps) in found {
        for field in shape.fields {
            let Holds::Choice(words) = field.holds else { continue };
            for word in words {
                let mut other = job.clone();
                let fields = at(&mut other, &steps);
                if fields.get(field.name).is_none() {
                    continue;
                }
                fields[field.name] = json!(word);
                let told = read_job(&other).err().map(|told| told.to_string());
                // A rule of the whole job may object, but the word is known.
                assert!(!told.as_deref().unwrap_or_default().contains("write `"), "{told:?}");
                assert!(schema.refusal(&other).is_none(), "{steps:?}.{} = {word}", field.name);
            }
        }
    }
}

#[test]
fn reader_and_schema_draw_the_same_bounds() {
    let schema = Schema::published();
    let cases = [
        (vec!["name"], json!("a"), true),
        (vec!["name"], json!("a".repeat(54)), true),
        (vec!["name"], json!("a".repeat(55)), false),
        (vec!["name"], json!("a_b"), false),
        (vec!["name"], json!("a-"), false),
        (vec!["version"], json!(2), false),
        (vec!["timeout"], json!("1h 30m"), true),
        (vec!["timeout"], json!("250ms"), true),
        (vec!["timeout"], json!("90"), false),
        (vec!["timeout"], json!(90), false),
        (vec!["timeout"], json!("soon"), false),
        (vec!["concurrency"], json!("sales/${{ params.region }}"), true),
        (vec!["concurrency"], json!(null), false),
        (vec!["concurrency", "policy"], json!("wait"), false),
        (vec!["commit", "approval"], json!(true), true),
        (vec!["commit", "approval"], json!("maybe"), false),
        (vec!["commit", "replicas"], json!(5), true),
        (vec!["commit", "replicas"], json!(6), false),
        (vec!["tasks", "extract", "retry", "attempts"], json!(100), true),
        (vec!["tasks", "extract", "retry", "attempts"], json!(101), false),
        (vec!["tasks", "extract", "retry", "attempts"], json!(0), false),
        (vec!["tasks", "extract", "retry", "never_on"], json!([1, 255]), true),
        (vec!["tasks", "extract", "retry", "never_on"], json!([256]), false),
        (vec!["tasks", "extract", "health", "failures"], json!(0), false),
        (vec!["tasks", "extract", "resources", "cpu"], json!(0.5), true),
        (vec!["tasks", "extract", "resources", "cpu"], json!("2"), true),
        (vec!["tasks", "extract", "resources", "cpu"], json!(0), false),
        (vec!["tasks", "extract", "resources", "memory"], json!("20 kB"), true),
        (vec!["tasks", "extract", "resources", "memory"], json!("4gb"), false),
        (vec!["tasks", "extract", "resources", "processes"], json!(4_194_305), false),
        (vec!["tasks", "extract", "checkpoint"], json!({ "signal": "USR1" }), false),
        (vec!["tasks", "report", "outputs", "summary", "publish", "mode"], json!("0755"), true),
        (vec!["tasks", "report", "outputs", "summary", "publish", "mode"], json!("0o755"), true),
        (vec!["tasks", "report", "outputs", "summary", "publish", "mode"], json!("0855"), false),
        (vec!["tasks", "report", "inputs", "orders"], json!("orders"), false),
        (vec!["tasks", "report", "needs"], json!(null), true),
        (vec!["tasks"], json!({}), false),
        (vec!["env"], json!({ "A": 1, "B": true, "C": null }), true),
    ];
    let (job, _) = every_field();
    for (steps, value, good) in cases {
        let steps: Steps = steps.into_iter().map(str::to_owned).collect();
        let mut other = job.clone();
        *at(&mut other, &steps) = value.clone();
        let read = read_job(&other).map(|_| ()).map_err(|told| told.to_string());
        assert_eq!(read.is_ok(), good, "{steps:?} = {value}: {read:?}");
        let refusal = schema.refusal(&other);
        assert_eq!(refusal.is_none(), good, "{steps:?} = {value}: {refusal:?}");
    }
}
