//! What stands in the way of a vote is found all at once, and long before it.

use std::{fs, os::unix::fs::symlink};

use votum_shadow::{CheckError, Depth, Part, Rehearsal, TargetError};

use crate::field::{Field, attempt, file_at, picture, pledge, tree_at, write};

#[test]
fn a_rehearsal_finds_every_obstacle_and_changes_nothing() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    write(&field.root().join("file"), "theirs");
    symlink(field.outside(), field.root().join("out")).unwrap();
    let held = pledge(&alice, &sealed.outputs[0], tree_at("site"));
    let (escapes, blocked) = (file_at("out/x"), file_at("file/x"));
    let good = file_at("not/there/yet");
    let parts = [
        Part::Planned(&escapes),
        Part::Sealed(&held),
        Part::Planned(&good),
        Part::Planned(&blocked),
    ];
    let before = picture(field.base.path());
    let Rehearsal { obstacles, bases } =
        field.shadow.rehearse(std::slice::from_ref(&sealed), &parts, Depth::Quick);
    assert!(
        matches!(
            obstacles.as_slice(),
            [
                (Some(0), CheckError::Target(TargetError::Escapes { .. })),
                (Some(3), CheckError::Target(TargetError::Blocked { .. })),
            ]
        ),
        "{obstacles:?}"
    );
    assert_eq!(bases, [(1, None), (2, None)]);
    assert_eq!(picture(field.base.path()), before);
}

#[test]
fn targets_that_are_in_each_others_way_are_nobodys_fault() {
    let field = Field::new();
    let (outer, inner) = (tree_at("a"), file_at("a/b"));
    let parts = [Part::Planned(&outer), Part::Planned(&inner)];
    let Rehearsal { obstacles, .. } = field.shadow.rehearse(&[], &parts, Depth::Quick);
    let overlap =
        matches!(obstacles.as_slice(), [(None, CheckError::Target(TargetError::Overlap { .. }))]);
    assert!(overlap, "{obstacles:?}");
}

#[test]
fn a_base_changes_with_what_stands_at_the_target() {
    let field = Field::new();
    let target = file_at("latest");
    let base = || {
        let parts = [Part::Planned(&target)];
        field.shadow.rehearse(&[], &parts, Depth::Quick).bases
    };
    let nothing = base();
    let path = field.root().join("latest");
    fs::write(&path, "1").unwrap();
    let first = base();
    assert_eq!(base(), first);
    fs::remove_file(&path).unwrap();
    symlink("elsewhere", &path).unwrap();
    let link = base();
    assert!(nothing != first && first != link && link != nothing, "{nothing:?} {first:?} {link:?}");
}
