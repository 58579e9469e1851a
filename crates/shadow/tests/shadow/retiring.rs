//! Earlier generations go when their target keeps no more of them, and nothing else goes.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::ExitStatusExt,
    },
    process::Command,
};

use votum_ids::AttemptId;
use votum_shadow::{Declared, Existing, Standing, Target, TargetPath};

use crate::{
    crashing::example,
    field::{Field, attempt, declared, picture, write},
};

#[test]
fn no_more_earlier_generations_stay_than_the_target_keeps() {
    let field = Field::new();
    for (n, job) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        publish(&field, job, Some(2));
        let retired = over(&field, job);
        assert_eq!(retired.len(), usize::from(n >= 3), "{job}: {retired:?}");
        assert_eq!(visible(&field), job);
    }
    assert_eq!(generations(&field), ["c", "d", "e"]);
    assert!(!field.root().join(".votum/gen/a").exists(), "its folder goes with it");
    let noted = picture(&field.root().join(".votum/targets"));
    let places = noted.iter().filter(|(path, _)| path.ends_with(|c: char| c.is_ascii_digit()));
    assert_eq!(places.filter(|(_, shown)| shown.starts_with("120777")).count(), 3, "{noted:#?}");
    assert!(noted.values().any(|shown| shown.ends_with("-> site")), "{noted:#?}");
}

#[test]
fn a_target_that_says_nothing_keeps_all_generations() {
    let field = Field::new();
    for job in ["a", "b", "c", "d"] {
        publish(&field, job, None);
        assert!(over(&field, job).is_empty());
    }
    assert_eq!(generations(&field), ["a", "b", "c", "d"]);
    // The first that says how many finds the others, although they said nothing.
    publish(&field, "e", Some(1));
    assert_eq!(over(&field, "e").len(), 3);
    assert_eq!(generations(&field), ["d", "e"]);
}

#[test]
fn what_a_job_that_is_not_over_has_published_stays() {
    let field = Field::new();
    publish(&field, "a", Some(1));
    for job in ["b", "c", "d"] {
        publish(&field, job, Some(1));
        over(&field, job);
    }
    assert_eq!(generations(&field), ["a", "c", "d"], "a may still be taken back or read");
    assert!(over(&field, "a").is_empty(), "whoever is visible says how many stay");
    publish(&field, "e", Some(1));
    assert_eq!(over(&field, "e").len(), 2);
    assert_eq!(generations(&field), ["d", "e"]);
}

#[test]
fn what_the_target_leads_to_stays_whoever_has_set_it() {
    let field = Field::new();
    for job in ["a", "b"] {
        publish(&field, job, Some(1));
        over(&field, job);
    }
    publish(&field, "c", Some(1));
    // Somebody has put an earlier one back by hand.
    fs::remove_file(field.root().join("site")).unwrap();
    symlink(".votum/gen/a/report.site", field.root().join("site")).unwrap();
    assert!(over(&field, "c").is_empty());
    assert_eq!((visible(&field).as_str(), generations(&field).len()), ("a", 3));
}

#[test]
fn what_stands_at_a_target_is_told_at_any_time() {
    let field = Field::new();
    publish(&field, "a", None);
    let own = attempt("a", 1);
    let output = field.shadow.sealed(&own).unwrap().unwrap().outputs.remove(0);
    let told = || field.shadow.standing(&own, &output).unwrap().unwrap();
    assert_eq!(told(), Standing::InPlace);
    publish(&field, "b", None);
    assert_eq!(told(), Standing::Replaced { by: attempt("b", 1).job });
    let site = field.root().join("site");
    fs::remove_file(&site).unwrap();
    assert_eq!(told(), Standing::Gone);
    write(&site.join("a"), "mine");
    assert_eq!(told(), Standing::Foreign);
    let before = picture(&field.root());
    told();
    assert_eq!(picture(&field.root()), before, "looking changes nothing");
}

#[test]
fn what_was_not_published_by_votum_is_never_removed() {
    let field = Field::new();
    write(&field.root().join("site/a"), "mine");
    for job in ["a", "b", "c"] {
        publish(&field, job, Some(1));
        over(&field, job);
    }
    assert_eq!(generations(&field), ["b", "c"]);
    let kept = field.root().join(".votum/gen/a/report.site.before/a");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
}

#[test]
fn a_job_that_is_over_twice_is_as_if_it_were_once() {
    let field = Field::new();
    for job in ["a", "b", "c"] {
        publish(&field, job, Some(1));
        field.shadow.retire_job(&attempt(job, 1).job).unwrap();
        let once = picture(&field.root());
        assert!(field.shadow.retire_job(&attempt(job, 1).job).unwrap().is_empty());
        assert_eq!(picture(&field.root()), once);
        over(&field, job);
    }
    assert!(field.shadow.retire_job(&attempt("a", 1).job).unwrap().is_empty(), "nothing is staged");
    assert_eq!(generations(&field), ["b", "c"]);
}

#[test]
fn one_place_is_one_target_whatever_leads_there() {
    let field = Field::new();
    fs::create_dir(field.root().join("real")).unwrap();
    symlink("real", field.root().join("alias")).unwrap();
    for (job, path) in [("a", "real/site"), ("b", "alias/site"), ("c", "real/site")] {
        publish_at(&field, job, path, Some(1));
        over(&field, job);
    }
    assert_eq!(generations(&field), ["b", "c"]);
}

#[test]
fn a_crash_while_retiring_ends_like_no_crash() {
    let run = |base: &std::path::Path, crash_at: Option<String>| {
        let mut command = Command::new(example("retiring"));
        command.arg(base).env_remove("VOTUM_CRASH_AT");
        command.envs(crash_at.map(|at| ("VOTUM_CRASH_AT", at)));
        let output = command.output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.status
    };
    let undisturbed = tempfile::tempdir().unwrap();
    assert!(run(undisturbed.path(), None).success());
    let end = picture(&undisturbed.path().join("root"));
    let source = include_str!("../../src/retire.rs");
    let points = source.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut tried = 0;
    for point in points {
        for visit in 1..=2 {
            let world = tempfile::tempdir().unwrap();
            let status = run(world.path(), Some(format!("{point}:{visit}")));
            assert_eq!(status.signal(), Some(9), "{point}:{visit} was not reached");
            assert!(run(world.path(), None).success(), "{point}:{visit}");
            assert_eq!(picture(&world.path().join("root")), end, "{point}:{visit}");
            tried += 1;
        }
    }
    assert!(tried >= 6, "the source was not found");
}

fn publish(field: &Field, job: &str, kept: Option<u32>) -> AttemptId {
    publish_at(field, job, "site", kept)
}

/// Lets a job publish a tree whose file `a` has its name.
fn publish_at(field: &Field, job: &str, path: &str, kept: Option<u32>) -> AttemptId {
    let path = TargetPath::new(path).unwrap();
    let target = Target::Tree { path, existing: Existing::Replace, kept };
    let by = attempt(job, 1);
    wait_for_the_next_time(field);
    let staging = field.stage(&by);
    write(&staging.output_dir().join("site/a"), job);
    let output = Declared { publishes: Some(target.clone()), ..declared("site", "site/") };
    let sealed = staging.seal(&[output]).unwrap();
    field.shadow.publish(&by, &sealed.outputs[0], &target).unwrap();
    by
}

/// Two generations tell their age only if the filesystem gives them two times.
fn wait_for_the_next_time(field: &Field) {
    let now = || {
        let probe = field.base.path().join("probe");
        fs::write(&probe, "").unwrap();
        let metadata = fs::metadata(&probe).unwrap();
        (metadata.ctime(), metadata.ctime_nsec())
    };
    let before = now();
    assert!((0..1_000_000).any(|_| now() > before), "time stands still");
}

/// Does what a worker does once a job is over everywhere.
fn over(field: &Field, job: &str) -> Vec<std::path::PathBuf> {
    let job = attempt(job, 1).job;
    field.shadow.keep_manifests(&job).unwrap();
    let retired = field.shadow.retire_job(&job).unwrap();
    field.shadow.discard_job(&job).unwrap();
    retired
}

fn visible(field: &Field) -> String {
    fs::read_to_string(field.root().join("site/a")).unwrap()
}

/// Names the jobs whose generation is there, whole.
fn generations(field: &Field) -> Vec<String> {
    let jobs = fs::read_dir(field.root().join(".votum/gen")).unwrap();
    let jobs = jobs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let whole = |job: &String| {
        let file = field.root().join(format!(".votum/gen/{job}/report.site/a"));
        fs::read_to_string(file).is_ok_and(|text| text == *job)
    };
    let mut jobs: Vec<String> = jobs.filter(whole).collect();
    jobs.sort();
    jobs
}
