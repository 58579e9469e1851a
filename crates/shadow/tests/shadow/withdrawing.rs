//! What another publishes by now is taken back, and what stood there before stands there again.

use std::fs;

use votum_shadow::Shadow;

use crate::field::{Field, attempt, picture, tree_at, write};

#[test]
fn what_was_published_leaves_no_trace_when_it_is_taken_back() {
    let field = Field::new();
    let empty = picture(&field.root());
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1"), ("d/b", "2")]);
    let (site, target) = (&sealed.outputs[0], tree_at("site"));
    for _ in 0..2 {
        field.shadow.publish_revocably(&alice, site, &target, 0).unwrap();
    }
    assert!(field.root().join("site/d/b").exists());
    for _ in 0..2 {
        field.shadow.withdraw(&alice, site, &target, 0).unwrap();
        assert_eq!(picture(&field.root()), empty);
    }
}

#[test]
fn an_ordinary_thing_stands_there_again() {
    let field = Field::new();
    write(&field.root().join("site/old"), "before");
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let (site, target) = (&sealed.outputs[0], tree_at("site"));
    field.shadow.publish_revocably(&alice, site, &target, 0).unwrap();
    assert!(!field.root().join("site/old").exists());
    for _ in 0..2 {
        field.shadow.withdraw(&alice, site, &target, 0).unwrap();
        assert_eq!(fs::read_to_string(field.root().join("site/old")).unwrap(), "before");
        assert!(!field.root().join("site").is_symlink());
    }
}

#[test]
fn an_earlier_generation_is_visible_again() {
    let field = Field::new();
    let target = tree_at("site");
    let (early, late) = (attempt("early", 1), attempt("late", 2));
    let sealed = field.seal_site(&early, &[("a", "early")]);
    field.shadow.publish(&early, &sealed.outputs[0], &target).unwrap();
    let sealed = field.seal_site(&late, &[("a", "late")]);
    for _ in 0..2 {
        field.shadow.publish_revocably(&late, &sealed.outputs[0], &target, 0).unwrap();
    }
    assert_eq!(fs::read_to_string(field.root().join("site/a")).unwrap(), "late");
    for _ in 0..2 {
        field.shadow.withdraw(&late, &sealed.outputs[0], &target, 0).unwrap();
        assert_eq!(fs::read_to_string(field.root().join("site/a")).unwrap(), "early");
    }
}

#[test]
fn what_a_later_job_published_there_is_left_alone() {
    let field = Field::new();
    let target = tree_at("site");
    let (early, late) = (attempt("early", 1), attempt("late", 2));
    let first = field.seal_site(&early, &[("a", "early")]);
    field.shadow.publish_revocably(&early, &first.outputs[0], &target, 0).unwrap();
    let second = field.seal_site(&late, &[("a", "late")]);
    field.shadow.publish(&late, &second.outputs[0], &target).unwrap();
    field.shadow.withdraw(&early, &first.outputs[0], &target, 0).unwrap();
    assert_eq!(fs::read_to_string(field.root().join("site/a")).unwrap(), "late");
}

#[test]
fn a_later_publisher_in_a_shared_root_is_left_alone() {
    let field = Field::new();
    let root = field.root();
    let other =
        Shadow::open(&field.base.path().join("other"), std::slice::from_ref(&root)).unwrap();
    let alice = attempt("sales", 1);
    let target = tree_at("site");
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let staging = other.stage(&alice).unwrap();
    write(&staging.output_dir().join("site/a"), "1");
    let replica = staging.seal(&[crate::field::declared("site", "site/")]).unwrap();
    assert_eq!(replica.outputs[0].digest, sealed.outputs[0].digest);

    field.shadow.publish_revocably(&alice, &sealed.outputs[0], &target, 0).unwrap();
    other.publish_revocably(&alice, &replica.outputs[0], &target, 1).unwrap();
    field.shadow.withdraw(&alice, &sealed.outputs[0], &target, 0).unwrap();
    assert_eq!(fs::read_to_string(root.join("site/a")).unwrap(), "1");
    other.withdraw(&alice, &replica.outputs[0], &target, 1).unwrap();
    assert!(!root.join("site").exists());
}
