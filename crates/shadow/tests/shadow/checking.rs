//! The check before a vote holds what was sealed against what is there.

use std::{
    fs::{self, FileTimes},
    os::unix::fs::symlink,
    path::Path,
};

use votum_ids::Digest;
use votum_shadow::{
    CheckError, Depth, Existing, Pledge, PublishError, SealedOutput, Target, TargetError,
    TargetPath,
};

use crate::field::{Field, attempt, file_at, name, picture, pledge, set_mode, tree_at, write};

#[test]
fn what_was_sealed_passes_and_nothing_changes() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1"), ("d/b", "2")]);
    let pledges = [pledge(&alice, &sealed.outputs[0], tree_at("not/there/yet"))];
    let before = picture(field.base.path());
    for depth in [Depth::Quick, Depth::Full] {
        field.shadow.check(std::slice::from_ref(&sealed), &pledges, depth).unwrap();
    }
    assert_eq!(picture(field.base.path()), before);
}

#[test]
fn what_is_not_here_is_not_held() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let good = pledge(&alice, &sealed.outputs[0], tree_at("site"));
    let other_attempt = Pledge { attempt: attempt("sales", 2), ..good.clone() };
    let other_output = Pledge { output: name("rows"), ..good.clone() };
    let held = std::slice::from_ref(&sealed);
    for pledge in [other_attempt, other_output] {
        let failed = field.shadow.check(held, &[pledge], Depth::Quick);
        assert!(matches!(failed, Err(CheckError::NotHeld { .. })), "{failed:?}");
    }
    let other_digest = Pledge { digest: Digest([7; 32]), ..good.clone() };
    let failed = field.shadow.check(held, &[other_digest], Depth::Quick);
    assert!(matches!(failed, Err(CheckError::OtherDigest { .. })), "{failed:?}");
    field.shadow.discard_attempt(&alice).unwrap();
    let failed = field.shadow.check(held, &[good], Depth::Quick);
    assert!(matches!(failed, Err(CheckError::NotHeld { .. })), "{failed:?}");
}

#[test]
fn a_change_is_found_though_its_times_are_forged() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let path = site_dir(&field).join("a");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    set_mode(&path, 0o644);
    fs::write(&path, "2").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    set_mode(&path, 0o444);
    assert_changed(&field, &sealed.outputs[0], Depth::Quick, "site/a");
}

#[test]
fn additions_removals_and_modes_are_changes() {
    let alice = attempt("sales", 1);
    type Alter = fn(&Path);
    let alter: [(&str, Alter); 4] = [
        ("site/extra", |site| fs::write(site.join("extra"), "x").unwrap()),
        ("site/b", |site| fs::remove_file(site.join("b")).unwrap()),
        ("site/a", |site| set_mode(&site.join("a"), 0o644)),
        ("site/b", |site| {
            fs::remove_file(site.join("b")).unwrap();
            symlink("a", site.join("b")).unwrap();
        }),
    ];
    for (path, alter) in alter {
        let field = Field::new();
        let sealed = field.seal_site(&alice, &[("a", "1"), ("b", "2")]);
        alter(&site_dir(&field));
        assert_changed(&field, &sealed.outputs[0], Depth::Quick, path);
    }
}

#[test]
fn a_touch_that_changes_no_byte_is_no_change() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let path = site_dir(&field).join("a");
    set_mode(&path, 0o644);
    fs::write(&path, "1").unwrap();
    set_mode(&path, 0o444);
    let pledges = [pledge(&alice, &sealed.outputs[0], tree_at("site"))];
    field.shadow.check(&[sealed], &pledges, Depth::Quick).unwrap();
}

#[test]
fn rot_below_an_intact_identity_needs_the_full_check() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let mut sealed = field.seal_site(&alice, &[("a", "1")]);
    let path = site_dir(&field).join("a");
    set_mode(&path, 0o644);
    fs::write(&path, "2").unwrap();
    set_mode(&path, 0o444);
    // What rot looks like: other bytes, and an inode that says nothing of it.
    let resealed = field.shadow.reopen(&alice).unwrap();
    let rotten = resealed.seal(&[crate::field::declared("site", "site/")]).unwrap();
    sealed.outputs[0].identities = rotten.outputs[0].identities.clone();
    let pledges = [pledge(&alice, &sealed.outputs[0], tree_at("site"))];
    let held = std::slice::from_ref(&sealed);
    assert!(field.shadow.check(held, &pledges, Depth::Quick).is_ok());
    assert_changed(&field, &sealed.outputs[0], Depth::Full, "site/a");
}

#[test]
fn a_target_must_lie_below_a_root() {
    let field = Field::new();
    symlink(field.outside(), field.root().join("out")).unwrap();
    symlink("../outside", field.root().join("climb")).unwrap();
    symlink("nowhere", field.root().join("dangling")).unwrap();
    write(&field.root().join("file"), "x");
    let elsewhere = field.outside().join("x").display().to_string();
    assert!(matches!(target_error(&field, &elsewhere), TargetError::OutsideRoots { .. }));
    let root = field.root().display().to_string();
    assert!(matches!(target_error(&field, &root), TargetError::OutsideRoots { .. }));
    for path in ["out/x", "out/deeper/x", "climb/x"] {
        let error = target_error(&field, path);
        assert!(matches!(error, TargetError::Escapes { .. }), "{path}: {error:?}");
    }
    for path in ["dangling/x", "file/x"] {
        let error = target_error(&field, path);
        assert!(matches!(error, TargetError::Blocked { .. }), "{path}: {error:?}");
    }
    assert_eq!(picture(&field.outside()).len(), 1);
}

#[test]
fn a_root_that_was_moved_away_takes_nothing() {
    for again in [false, true] {
        let field = Field::new();
        let alice = attempt("sales", 1);
        let sealed = field.seal_site(&alice, &[("a", "1")]);
        fs::rename(field.root(), field.outside().join("aside")).unwrap();
        if again {
            fs::create_dir(field.root()).unwrap();
        }
        let error = target_error(&field, "x");
        assert!(matches!(error, TargetError::RootGone { .. }), "{error:?}");
        let published = field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site"));
        let error = published.unwrap_err();
        assert!(matches!(error, PublishError::Target(TargetError::RootGone { .. })), "{error:?}");
    }
}

#[test]
fn a_target_inside_a_published_tree_is_refused() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("d/a", "1")]);
    field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
    for path in ["site/new", "site/d/new", "site/d/e/new"] {
        let error = target_error(&field, path);
        assert!(matches!(error, TargetError::InsideGeneration { .. }), "{path}: {error:?}");
    }
}

#[test]
fn targets_of_one_job_may_not_overlap() {
    let field = Field::new();
    fs::create_dir(field.root().join("real")).unwrap();
    symlink("real", field.root().join("alias")).unwrap();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    for output in ["one", "two", "far"] {
        write(&staging.output_dir().join(output).join("x"), "x");
    }
    let outputs =
        ["one", "two", "far"].map(|output| crate::field::declared(output, &format!("{output}/")));
    let sealed = staging.seal(&outputs).unwrap();
    let check = |first: &str, second: &str| {
        let pledges = [
            pledge(&alice, &sealed.outputs[0], tree_at(first)),
            pledge(&alice, &sealed.outputs[2], tree_at("real/a-b")),
            pledge(&alice, &sealed.outputs[1], tree_at(second)),
        ];
        field.shadow.check(std::slice::from_ref(&sealed), &pledges, Depth::Quick)
    };
    for (first, second) in [
        ("x", "x"),
        ("x", "x/y/z"),
        ("real/a/b", "real/a"),
        ("real/a", "alias/a"),
        ("alias", "alias/a"),
    ] {
        let failed = check(first, second);
        let overlap = matches!(failed, Err(CheckError::Target(TargetError::Overlap { .. })));
        assert!(overlap, "{first} {second}: {failed:?}");
    }
    check("real/a", "real/ab").unwrap();
    // Alone, a link of others may be replaced as anything else.
    check("alias", "real/b").unwrap();
}

#[test]
fn a_target_that_cannot_be_written_is_refused() {
    if rustix::process::geteuid().is_root() {
        println!("NOT RUN: root may write anywhere");
        return;
    }
    let field = Field::new();
    fs::create_dir_all(field.root().join("theirs/dir")).unwrap();
    set_mode(&field.root().join("theirs/dir"), 0o555);
    for path in ["theirs/dir", "theirs/dir/x", "theirs/dir/deeper/x"] {
        let error = target_error(&field, path);
        assert!(matches!(error, TargetError::NotWritable { .. }), "{path}: {error:?}");
    }
}

#[test]
fn an_occupied_target_fails_if_the_job_says_so() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let empty_only = Target::Tree {
        path: TargetPath::new("site").unwrap(),
        existing: Existing::Fail,
        kept: None,
    };
    let pledges = [pledge(&alice, &sealed.outputs[0], empty_only)];
    let check = || field.shadow.check(std::slice::from_ref(&sealed), &pledges, Depth::Quick);
    check().unwrap();
    // Even a link that leads nowhere stands there.
    symlink("nowhere", field.root().join("site")).unwrap();
    let failed = check();
    assert!(matches!(failed, Err(CheckError::Target(TargetError::Occupied { .. }))), "{failed:?}");
}

#[test]
fn a_target_of_the_wrong_form_is_refused() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let pledges = [pledge(&alice, &sealed.outputs[0], file_at("site"))];
    let failed = field.shadow.check(&[sealed], &pledges, Depth::Quick);
    assert!(matches!(failed, Err(CheckError::Target(TargetError::Form { .. }))), "{failed:?}");
}

fn site_dir(field: &Field) -> std::path::PathBuf {
    field.shadow.staging_dir().join("sales/report.1.1/out/site")
}

fn assert_changed(field: &Field, output: &SealedOutput, depth: Depth, at: &str) {
    let alice = attempt("sales", 1);
    let held = votum_shadow::Sealed { attempt: alice.clone(), outputs: vec![output.clone()] };
    let failed = field.shadow.check(&[held], &[pledge(&alice, output, tree_at("x"))], depth);
    let Err(CheckError::Changed { path, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(path.to_str().unwrap(), at);
}

/// Checks one fresh tree for a target.
fn target_error(field: &Field, path: &str) -> TargetError {
    let bob = attempt("other", 1);
    let sealed = match field.shadow.sealed(&bob).unwrap() {
        Some(sealed) => sealed,
        None => field.seal_site(&bob, &[("a", "1")]),
    };
    let pledges = [pledge(&bob, &sealed.outputs[0], tree_at(path))];
    match field.shadow.check(&[sealed], &pledges, Depth::Quick) {
        Err(CheckError::Target(error)) => error,
        other => panic!("{path}: {other:?}"),
    }
}
