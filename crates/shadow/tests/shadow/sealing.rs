//! Sealing fixes what was declared, and only that.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

use votum_ids::Digest;
use votum_shadow::{Content, Declared, Presence, SealError, StageError, TreePath};

use crate::field::{Field, attempt, declared, file_at, picture, set_mode, write};

#[test]
fn only_the_declared_outputs_stay() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    write(&staging.work_dir().join("scratch"), "x");
    write(&staging.inputs_dir().join("orders/o"), "x");
    for path in ["a/b/rows", "a/b/other", "a/stray/x", "noise", "site/i"] {
        write(&staging.output_dir().join(path), path);
    }
    let attempt_dir = staging.output_dir().parent().unwrap().to_owned();
    staging.seal(&[declared("rows", "a/b/rows"), declared("site", "site/")]).unwrap();
    let seen: Vec<_> = picture(&attempt_dir).into_keys().collect();
    assert_eq!(
        seen,
        ["out", "out/a", "out/a/b", "out/a/b/rows", "out/site", "out/site/i", "sealed.json"]
    );
}

#[test]
fn what_is_sealed_is_read_only_and_named() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    let out = staging.output_dir();
    write(&out.join("site/run"), "#!");
    set_mode(&out.join("site/run"), 0o775);
    write(&out.join("site/d/x"), "x");
    set_mode(&out.join("site/d"), 0o777);
    symlink("d/x", out.join("site/l")).unwrap();
    let sealed = staging.seal(&[declared("site", "site/")]).unwrap();
    let site = &sealed.outputs[0];
    assert_eq!((site.files, site.bytes, site.identities.len()), (2, 3, 2));
    assert_eq!(site.digest, site.manifest.digest());
    let file = site.manifest.entry(&TreePath::new("d/x").unwrap()).unwrap();
    let digest = Digest(*blake3::hash(b"x").as_bytes());
    assert_eq!(file.content, Content::File { size: 1, digest });
    assert_eq!(fs::metadata(out.join("site/run")).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(fs::metadata(out.join("site/d")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn sealing_again_gives_the_same_digest() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let first = field.seal_site(&alice, &[("a", "1"), ("d/b", "2")]);
    let again = field.shadow.reopen(&alice).unwrap().seal(&[declared("site", "site/")]).unwrap();
    assert_eq!(first, again);
    assert_eq!(field.shadow.sealed(&alice).unwrap(), Some(again));
}

#[test]
fn an_unsealed_attempt_has_nothing_sealed() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    assert_eq!(field.shadow.sealed(&alice).unwrap(), None);
    field.stage(&alice);
    assert_eq!(field.shadow.sealed(&alice).unwrap(), None);
}

#[test]
fn staging_twice_is_harmless_until_something_is_there() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    field.stage(&alice);
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("x"), "x");
    let third = field.shadow.stage(&alice);
    assert!(matches!(third, Err(StageError::NotEmpty { .. })), "{third:?}");
    let bob = field.shadow.reopen(&attempt("sales", 2));
    assert!(matches!(bob, Err(StageError::Unknown { .. })), "{bob:?}");
}

#[test]
fn parents_are_made_and_outputs_are_not() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    let both = [declared("rows", "a/b/rows"), declared("site", "a/site/")];
    staging.make_parents(&both).unwrap();
    let seen: Vec<_> = picture(&staging.output_dir()).into_keys().collect();
    assert_eq!(seen, ["a", "a/b"]);
}

#[test]
fn a_missing_output_fails_unless_optional() {
    let field = Field::new();
    let rows = declared("rows", "sub/rows");
    let failed = field.stage(&attempt("sales", 1)).seal(std::slice::from_ref(&rows));
    assert!(matches!(failed, Err(SealError::Missing { .. })), "{failed:?}");
    let optional = Declared { presence: Presence::Optional, ..rows };
    let sealed = field.stage(&attempt("sales", 2)).seal(&[optional]).unwrap();
    assert_eq!(sealed.outputs, []);
}

#[test]
fn a_program_may_not_take_its_output_directory_away() {
    let field = Field::new();
    let rows = declared("rows", "rows");
    let staging = field.stage(&attempt("sales", 1));
    fs::remove_dir_all(staging.output_dir()).unwrap();
    let removed = staging.seal(std::slice::from_ref(&rows));
    assert!(matches!(removed, Err(SealError::NoDirectory)), "{removed:?}");
    let staging = field.stage(&attempt("sales", 2));
    fs::remove_dir_all(staging.output_dir()).unwrap();
    write(&field.outside().join("rows"), "x");
    symlink(field.outside(), staging.output_dir()).unwrap();
    let replaced = staging.seal(&[rows]);
    assert!(matches!(replaced, Err(SealError::NoDirectory)), "{replaced:?}");
}

#[test]
fn a_too_large_output_is_refused_before_it_is_read() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    // A terabyte that takes no space: reading it would take minutes.
    let sparse = fs::File::create(staging.output_dir().join("rows")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let limited = Declared { max_bytes: Some(1 << 30), ..declared("rows", "rows") };
    let failed = staging.seal(&[limited]);
    assert!(matches!(failed, Err(SealError::TooLarge { found, .. }) if found == 1 << 40));
}

#[test]
fn a_sparse_file_is_sealed_like_any_other() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    let sparse = fs::File::create(staging.output_dir().join("rows")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    let sealed = staging.seal(&[declared("rows", "rows")]).unwrap();
    assert_eq!(sealed.outputs[0].bytes, 1 << 20);
}

#[test]
fn outputs_within_one_another_are_refused() {
    let field = Field::new();
    for (counter, [a, b]) in [["site/", "site/x"], ["x", "x"]].into_iter().enumerate() {
        let staging = field.stage(&attempt("sales", counter as u64 + 1));
        let failed = staging.seal(&[declared("one", a), declared("two", b)]);
        assert!(matches!(failed, Err(SealError::Overlap { .. })), "{failed:?}");
    }
    let wrong = Declared { publishes: Some(file_at("x")), ..declared("site", "site/") };
    let failed = field.stage(&attempt("sales", 9)).seal(&[wrong]);
    assert!(matches!(failed, Err(SealError::TargetForm { .. })), "{failed:?}");
}
