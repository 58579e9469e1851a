//! A damaged list of what was sealed is refused, or read; never a panic, and nothing is touched.

use std::fs;

use votum_fuzz::{Door, feed};
use votum_shadow::Manifest;

use crate::field::{Field, attempt, picture};

#[test]
fn fuzz_what_was_sealed() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    field.seal_site(&alice, &[("a", "1"), ("d/b", "2"), ("d/e/f", "3")]);
    let folder = field.shadow.reopen(&alice).unwrap().output_dir().parent().unwrap().to_owned();
    let sealed = folder.join("sealed.json");
    let seed = fs::read(&sealed).unwrap();
    let outside = picture(&field.outside());
    let door = Door { name: "sealed", rounds: 3_000, corpus: None };
    feed(door, &[seed], |input| {
        fs::write(&sealed, input).unwrap();
        let _refused_or_read = field.shadow.sealed(&alice);
    });
    assert_eq!(picture(&field.outside()), outside);
}

#[test]
fn fuzz_a_manifest() {
    let field = Field::new();
    let sealed = field.seal_site(&attempt("sales", 1), &[("a", "1"), ("d/b", "2")]);
    let manifest = &sealed.outputs[0].manifest;
    let door = Door { name: "manifest", rounds: 10_000, corpus: None };
    feed(door, &[serde_json::to_vec(manifest).unwrap()], |input| {
        let Ok(read) = serde_json::from_slice::<Manifest>(input) else { return };
        // What was read can be named and written again.
        assert_eq!(read.digest(), read.digest());
        serde_json::to_vec(&read).unwrap();
    });
}
