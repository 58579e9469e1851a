//! Discarding and sweeping remove what is unwanted and nothing else.

use std::{
    cell::RefCell,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use votum_shadow::Verdict;

use crate::field::{Field, attempt, picture, set_mode, tree_at, write};

#[test]
fn an_attempt_is_discarded_from_every_state() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    field.shadow.discard_attempt(&alice).unwrap();
    field.stage(&alice);
    field.shadow.discard_attempt(&alice).unwrap();
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    field.shadow.discard_attempt(&alice).unwrap();
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
    assert_eq!(field.seal_site(&alice, &[("a", "1")]).outputs[0].digest, sealed.outputs[0].digest);
}

#[test]
fn a_discard_never_touches_what_is_published() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
    let published = picture(&field.root());
    field.shadow.discard_attempt(&alice).unwrap();
    field.shadow.discard_job(&alice.job).unwrap();
    assert_eq!(picture(&field.root()), published);
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
}

#[test]
fn a_discarded_attempt_leaves_its_siblings() {
    let field = Field::new();
    let (alice, bob) = (attempt("sales", 1), attempt("sales", 2));
    field.seal_site(&alice, &[("a", "1")]);
    let sealed = field.seal_site(&bob, &[("a", "2")]);
    field.shadow.discard_attempt(&alice).unwrap();
    assert_eq!(field.shadow.sealed(&bob).unwrap(), Some(sealed));
    field.shadow.discard_job(&bob.job).unwrap();
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
}

#[test]
fn two_removals_of_one_tree_may_meet() {
    let field = Field::new();
    let (alice, bob) = (attempt("sales", 1), attempt("sales", 2));
    let files: Vec<String> = (0..20).map(|n| format!("{n}/{n}/{n}")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), "x")).collect();
    for _ in 0..5 {
        field.seal_site(&alice, &files);
        field.seal_site(&bob, &files);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| field.shadow.discard_job(&alice.job).unwrap());
                scope.spawn(|| field.shadow.discard_attempt(&bob).unwrap());
            }
        });
        assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
    }
}

#[test]
fn no_tree_is_too_nasty_to_remove() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    let out = staging.output_dir();
    write(&out.join("locked/inner/x"), "x");
    set_mode(&out.join("locked/inner"), 0o000);
    set_mode(&out.join("locked"), 0o500);
    symlink(field.outside(), out.join("link")).unwrap();
    fs::create_dir(out.join("deep.1")).unwrap();
    fs::write(out.join(OsStr::from_bytes(b"\xff\n-")), "x").unwrap();
    dig(&out, 3000);
    let outside = picture(&field.outside());
    field.shadow.discard_attempt(&alice).unwrap();
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
    assert_eq!(picture(&field.outside()), outside);
}

#[test]
fn a_sweep_keeps_what_nobody_calls_unwanted() {
    let field = Field::new();
    let (alice, bob, carol) = (attempt("sales", 1), attempt("sales", 2), attempt("other", 1));
    for attempt in [&alice, &bob, &carol] {
        field.seal_site(attempt, &[("a", "1")]);
    }
    let staging = field.shadow.staging_dir();
    write(&staging.join("lost+found/x"), "x");
    write(&staging.join("sales/notes"), "x");
    let asked = RefCell::new(Vec::new());
    let judge = |asked_about: &votum_ids::AttemptId| {
        asked.borrow_mut().push(asked_about.clone());
        if *asked_about == alice { Verdict::Remove } else { Verdict::Keep }
    };
    let swept = field.shadow.sweep(&judge).unwrap();
    assert_eq!(asked.into_inner(), [carol.clone(), alice.clone(), bob.clone()]);
    assert_eq!((swept.removed, swept.kept), (vec![alice.clone()], vec![carol, bob]));
    assert_eq!(swept.foreign, [Path::new("lost+found"), Path::new("sales/notes")]);
    assert!(swept.failed.is_empty());
    assert!(field.shadow.reopen(&alice).is_err());
    let again = field.shadow.sweep(&|_| Verdict::Keep).unwrap();
    assert_eq!((again.removed.len(), again.kept.len()), (0, 2));
}

#[test]
fn a_sweep_takes_the_empty_folder_of_a_job() {
    let field = Field::new();
    // A crash between the last attempt of a job and its folder leaves this.
    fs::create_dir(field.shadow.staging_dir().join("sales")).unwrap();
    let swept = field.shadow.sweep(&|_| Verdict::Keep).unwrap();
    assert!(swept.foreign.is_empty() && swept.kept.is_empty(), "{swept:?}");
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
}

/// Makes directories deeper than any path can name.
fn dig(top: &Path, depth: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut dir = openat(CWD, top, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&dir, "down", Mode::RWXU).unwrap();
        dir = openat(&dir, "down", flags, Mode::empty()).unwrap();
    }
}
