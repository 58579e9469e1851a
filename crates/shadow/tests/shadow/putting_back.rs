//! What stood at a target before stands there again, or nobody has touched anything.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Command,
};

use votum_ids::AttemptId;
use votum_shadow::{
    CheckError, Declared, Depth, PublishError, PutBackError, SealError, Sealed, Standing, Stood,
    Target,
};

use crate::{
    crashing::example,
    field::{Field, attempt, declared, file_at, picture, pledge, tree_at, write},
};

#[test]
fn an_earlier_generation_stands_again_and_goes_again() {
    let field = Field::new();
    let first = publish(&field, "a");
    publish(&field, "b");
    let back = put_back(&field, "r", "b");
    assert_eq!(read(&field), "a");
    let site = &back.outputs[0];
    assert_eq!((site.digest, site.bytes), (first.outputs[0].digest, first.outputs[0].bytes));
    let standing = |by, sealed: &Sealed| field.shadow.standing(&attempt(by, 1), &sealed.outputs[0]);
    assert_eq!(standing("r", &back).unwrap(), Some(Standing::InPlace));
    assert_eq!(standing("a", &first).unwrap(), Some(Standing::InPlace));
    over(&field, "r");

    let forward = put_back(&field, "rr", "r");
    assert_eq!(read(&field), "b");
    let by = attempt("b", 1).job;
    assert_eq!(standing("r", &back).unwrap(), Some(Standing::Replaced { by }));
    assert_eq!(standing("rr", &forward).unwrap(), Some(Standing::InPlace));
    over(&field, "rr");
    let kept = field.shadow.published(&attempt("rr", 1), &site.name).unwrap().unwrap();
    let path = kept.outputs[0].manifest.files().next().unwrap().path.clone();
    field.shadow.open_sealed(&attempt("rr", 1), &kept.outputs[0], &path).unwrap();
}

#[test]
fn a_target_that_was_new_is_gone_again() {
    let field = Field::new();
    publish(&field, "a");
    let back = put_back(&field, "r", "a");
    let site = field.root().join("site");
    assert!(fs::symlink_metadata(&site).is_err());
    let standing = || field.shadow.standing(&attempt("r", 1), &back.outputs[0]).unwrap();
    assert_eq!(standing(), Some(Standing::InPlace), "nothing is what it put there");
    write(&site.join("a"), "mine");
    assert_eq!(standing(), Some(Standing::Foreign));
    fs::remove_dir_all(&site).unwrap();
    over(&field, "r");
    put_back(&field, "rr", "r");
    assert_eq!(read(&field), "a");
}

#[test]
fn publishing_it_again_changes_nothing() {
    let field = Field::new();
    publish(&field, "a");
    publish(&field, "b");
    for (by, of) in [("r", "b"), ("rr", "r"), ("b2", "rr"), ("a2", "a")] {
        let back = put_back(&field, by, of);
        let once = picture(&field.root());
        let target = back.outputs[0].publishes.clone().unwrap();
        field.shadow.publish(&attempt(by, 1), &back.outputs[0], &target).unwrap();
        assert_eq!(picture(&field.root()), once);
        over(&field, by);
    }
    assert!(fs::symlink_metadata(field.root().join("site")).is_err(), "a was the first");
}

#[test]
fn somebody_elses_work_is_not_undone() {
    let field = Field::new();
    publish(&field, "a");
    publish(&field, "b");
    publish(&field, "c");
    let site = field.root().join("site");
    let refused = |why: &dyn Fn(&PutBackError) -> bool| {
        let before = picture(&field.root());
        let error = stage(&field, "r", "b", &tree_at("site")).unwrap_err();
        let SealError::PutBack(error) = error else { panic!("{error:?}") };
        assert!(why(&error), "{error:?}");
        assert_eq!(picture(&field.root()), before);
        field.shadow.discard_attempt(&attempt("r", 1)).unwrap();
    };
    let c = attempt("c", 1).job;
    refused(&|error| matches!(error, PutBackError::Replaced { by, .. } if *by == c));
    fs::remove_file(&site).unwrap();
    refused(&|error| matches!(error, PutBackError::Changed { .. }));
    write(&site.join("a"), "mine");
    refused(&|error| matches!(error, PutBackError::Changed { .. }));
}

#[test]
fn what_is_not_kept_or_not_over_is_not_put_back() {
    let field = Field::new();
    publish(&field, "a");
    publish_only(&field, "b");
    publish(&field, "c");
    let why = |of: &str| {
        let error = stage(&field, "r", of, &tree_at("site")).unwrap_err();
        let SealError::PutBack(error) = error else { panic!("{error:?}") };
        field.shadow.discard_attempt(&attempt("r", 1)).unwrap();
        error
    };
    let b = attempt("b", 1).job;
    assert!(matches!(why("c"), PutBackError::NotOver { job, .. } if job == b));
    over(&field, "b");
    fs::remove_dir_all(field.root().join(".votum/gen/b/report.site")).unwrap();
    assert!(matches!(why("c"), PutBackError::Gone { job, .. } if job == b));
    fs::remove_file(field.root().join(".votum/gen/c/report.site.earlier")).unwrap();
    assert!(matches!(why("c"), PutBackError::Unknown { .. }));
    assert!(matches!(why("nobody"), PutBackError::NotPublished { .. }));
}

#[test]
fn what_no_job_had_published_is_brought_back_as_it_was() {
    let field = Field::new();
    let site = field.root().join("site");
    write(&site.join("a"), "mine");
    fs::set_permissions(site.join("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = picture(&site);
    publish(&field, "a");
    for (by, of) in [("r", "a"), ("rr", "r"), ("rrr", "rr"), ("rrrr", "rrr")] {
        let sealed = put_back(&field, by, of);
        let stands = fs::symlink_metadata(&site).unwrap();
        if by.len() % 2 == 1 {
            assert!(stands.is_dir());
            assert_eq!(picture(&site), before, "{by}");
        } else {
            assert_eq!(read(&field), "a", "{by}");
        }
        let standing = field.shadow.standing(&attempt(by, 1), &sealed.outputs[0]).unwrap();
        assert_eq!(standing, Some(Standing::InPlace), "{by}");
        over(&field, by);
    }
    put_back(&field, "last", "rrrr");
    fs::remove_dir_all(&site).unwrap();
    write(&site.join("a"), "mine as well");
    let error = stage(&field, "late", "last", &tree_at("site")).unwrap_err();
    assert!(matches!(error, SealError::PutBack(PutBackError::Changed { .. })), "{error:?}");
}

#[test]
fn the_vote_looks_at_the_target_once_more() {
    let field = Field::new();
    publish(&field, "a");
    publish(&field, "b");
    let target = tree_at("site");
    let sealed = stage(&field, "r", "b", &target).unwrap();
    let by = attempt("r", 1);
    let pledges = [pledge(&by, &sealed.outputs[0], target)];
    let check = || field.shadow.check(std::slice::from_ref(&sealed), &pledges, Depth::Quick);
    check().unwrap();
    let earlier = field.root().join(".votum/gen/a/report.site");
    fs::rename(&earlier, earlier.with_extension("away")).unwrap();
    let error = check().unwrap_err();
    assert!(matches!(error, CheckError::PutBack(PutBackError::Gone { .. })), "{error:?}");
    let target = pledges[0].target.as_ref().unwrap();
    let error = field.shadow.publish(&by, &sealed.outputs[0], target).unwrap_err();
    assert!(matches!(error, PublishError::Lost { .. }), "no link dangles: {error:?}");
    assert_eq!(read(&field), "b");
    fs::rename(earlier.with_extension("away"), &earlier).unwrap();
    publish(&field, "c");
    let error = check().unwrap_err();
    assert!(matches!(error, CheckError::PutBack(PutBackError::Replaced { .. })), "{error:?}");
}

#[test]
fn what_the_visible_one_has_replaced_is_not_retired_however_old() {
    let field = Field::new();
    publish(&field, "a");
    publish(&field, "b");
    put_back(&field, "r", "b");
    assert!(over(&field, "r").is_empty(), "what a revert takes away stays");
    let target = Target::Tree {
        path: votum_shadow::TargetPath::new("site").unwrap(),
        existing: votum_shadow::Existing::Replace,
        kept: Some(1),
    };
    publish_at(&field, "c", &target);
    let retired = over(&field, "c");
    assert!(retired.len() == 1 && retired[0].ends_with("gen/b/report.site"), "{retired:?}");
    put_back(&field, "rc", "c");
    assert_eq!(read(&field), "a");
}

#[test]
fn what_stood_before_is_told_without_a_change() {
    let field = Field::new();
    let first = publish(&field, "a");
    let second = publish(&field, "b");
    let before = picture(&field.root());
    let told = |by, sealed: &Sealed| field.shadow.before(&attempt(by, 1), &sealed.outputs[0]);
    assert_eq!(told("a", &first).unwrap(), Stood::Nothing);
    let Stood::Generation(earlier) = told("b", &second).unwrap() else { panic!("it was new") };
    assert_eq!(earlier.job, attempt("a", 1).job);
    assert_eq!(picture(&field.root()), before);
}

#[test]
fn a_file_may_have_been_a_directory_before() {
    let field = Field::new();
    publish(&field, "a");
    let by = attempt("b", 1);
    let staging = field.stage(&by);
    write(&staging.output_dir().join("site"), "b");
    let target = file_at("site");
    let output = Declared { publishes: Some(target.clone()), ..declared("site", "site") };
    let sealed = staging.seal(&[output]).unwrap();
    field.shadow.publish(&by, &sealed.outputs[0], &target).unwrap();
    over(&field, "b");
    let staging = field.stage(&attempt("r", 1));
    let output = Declared { publishes: Some(target.clone()), ..declared("site", "site") };
    let back = staging.seal_put_back(&[output], &by).unwrap();
    field.shadow.publish(&attempt("r", 1), &back.outputs[0], &target).unwrap();
    assert_eq!(read(&field), "a");
}

#[test]
fn a_crash_while_putting_back_ends_like_no_crash() {
    let run = |base: &Path, crash_at: Option<String>| {
        let mut command = Command::new(example("putting_back"));
        command.arg(base).env_remove("VOTUM_CRASH_AT");
        command.envs(crash_at.map(|at| ("VOTUM_CRASH_AT", at)));
        let output = command.output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.status
    };
    let laid_out = || {
        let world = tempfile::tempdir().unwrap();
        write(&world.path().join("root/mine/a"), "mine");
        world
    };
    let undisturbed = laid_out();
    assert!(run(undisturbed.path(), None).success());
    let end = lasting(undisturbed.path());
    let source = include_str!("../../src/publish.rs");
    let points = source.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut hit = 0;
    for point in points {
        // Ten publications: four of the jobs, six of what is put back. The first visit counts for
        // points that few of them pass.
        for visit in [1, 5, 6, 7, 9] {
            let world = laid_out();
            let status = run(world.path(), Some(format!("{point}:{visit}")));
            if status.success() {
                continue;
            }
            assert_eq!(status.signal(), Some(9), "{point}:{visit}");
            let seen = fs::read_to_string(world.path().join("root/site/a")).ok();
            let whole = seen.as_deref().is_none_or(|seen| ["job-1", "job-2"].contains(&seen));
            assert!(whole, "{point}:{visit}: {seen:?}");
            assert!(run(world.path(), None).success(), "{point}:{visit}");
            assert_eq!(lasting(world.path()), end, "{point}:{visit}");
            hit += 1;
        }
    }
    assert!(hit >= 30, "{hit} crashes");
}

/// What lies in the root, but for lists with the numbers of inodes in them.
fn lasting(base: &Path) -> std::collections::BTreeMap<String, String> {
    let mut seen = picture(&base.join("root"));
    seen.retain(|path, _| !path.ends_with(".manifest.json"));
    seen
}

fn publish(field: &Field, job: &str) -> Sealed {
    let sealed = publish_only(field, job);
    over(field, job);
    sealed
}

fn publish_only(field: &Field, job: &str) -> Sealed {
    publish_at(field, job, &tree_at("site"))
}

/// Lets a job publish a tree whose file `a` has its name.
fn publish_at(field: &Field, job: &str, target: &Target) -> Sealed {
    let by = attempt(job, 1);
    let staging = field.stage(&by);
    write(&staging.output_dir().join("site/a"), job);
    let output = Declared { publishes: Some(target.clone()), ..declared("site", "site/") };
    let sealed = staging.seal(&[output]).unwrap();
    field.shadow.publish(&by, &sealed.outputs[0], target).unwrap();
    sealed
}

/// Seals as `by` what stood at the target before `of` published there.
fn stage(field: &Field, by: &str, of: &str, target: &Target) -> Result<Sealed, SealError> {
    let output = Declared { publishes: Some(target.clone()), ..declared("site", "site/") };
    field.stage(&attempt(by, 1)).seal_put_back(&[output], &attempt(of, 1))
}

/// The same, published.
fn put_back(field: &Field, by: &str, of: &str) -> Sealed {
    let target = tree_at("site");
    let sealed = stage(field, by, of, &target).unwrap();
    field.shadow.publish(&attempt(by, 1), &sealed.outputs[0], &target).unwrap();
    sealed
}

/// Does what a worker does once a job is over everywhere.
fn over(field: &Field, job: &str) -> Vec<std::path::PathBuf> {
    let job: AttemptId = attempt(job, 1);
    field.shadow.keep_manifests(&job.job).unwrap();
    let retired = field.shadow.retire_job(&job.job).unwrap();
    field.shadow.discard_job(&job.job).unwrap();
    retired
}

fn read(field: &Field) -> String {
    fs::read_to_string(field.root().join("site/a")).unwrap()
}
