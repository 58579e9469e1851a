//! A shadow opens only where publishing can be a rename.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use votum_shadow::{OpenError, Shadow};

use crate::field::{Field, picture};

#[test]
fn a_root_on_another_filesystem_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let shm = Path::new("/dev/shm");
    let other_device = |dir: &Path| {
        fs::metadata(dir).ok().map(|it| it.dev())
            != fs::metadata(here.path()).ok().map(|it| it.dev())
    };
    if !shm.is_dir() || !other_device(shm) {
        println!("NOT RUN: /dev/shm is no second filesystem");
        return;
    }
    let there = tempfile::tempdir_in(shm).unwrap();
    let opened = Shadow::open(&here.path().join("staging"), &[there.path().to_owned()]);
    assert!(matches!(opened, Err(OpenError::CrossDevice { .. })), "{opened:?}");
    assert_eq!(picture(there.path()).len(), 0);
}

#[test]
fn undecided_bytes_never_lie_below_a_root() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    fs::create_dir(&root).unwrap();
    let inside = Shadow::open(&root.join("staging"), std::slice::from_ref(&root));
    assert!(matches!(inside, Err(OpenError::Nested { .. })), "{inside:?}");
    let around = Shadow::open(base.path(), std::slice::from_ref(&root));
    assert!(matches!(around, Err(OpenError::Nested { .. })), "{around:?}");
}

#[test]
fn a_missing_or_relative_root_is_named() {
    let base = tempfile::tempdir().unwrap();
    let staging = base.path().join("staging");
    let missing = Shadow::open(&staging, &[base.path().join("missing")]);
    assert!(matches!(missing, Err(OpenError::NoRoot { .. })), "{missing:?}");
    let relative = Shadow::open(&staging, &["root".into()]);
    assert!(matches!(relative, Err(OpenError::NotAbsolute { .. })), "{relative:?}");
}

#[test]
fn opening_leaves_nothing_but_its_folders() {
    let field = Field::new();
    let again = Shadow::open(field.shadow.staging_dir(), &[field.root()]);
    assert!(again.is_ok());
    let seen: Vec<_> = picture(&field.root()).into_iter().collect();
    let directory = |name: &str| (name.to_owned(), "40755 directory".to_owned());
    assert_eq!(seen, [directory(".votum"), directory(".votum/gen")]);
    assert_eq!(fs::metadata(field.shadow.staging_dir()).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
}
