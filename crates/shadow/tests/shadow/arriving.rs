//! What arrives from another worker is read by nobody before it is verified.

use std::{fs, io::Read, os::unix::fs::MetadataExt};

use votum_ids::{AttemptId, Digest};
use votum_shadow::{IntakeError, Manifest, SealedOutput, Staging, TreePath};

use crate::field::{Field, attempt, declared, name, picture, write};

#[test]
fn a_tree_arrives_in_pieces_of_any_order() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let staging = field.stage(&attempt("sales", 2));
    let mut intake = staging.intake(&name("site"), &output.manifest, output.digest).unwrap();
    let big = path("d/big");
    assert_eq!(intake.received(&big).unwrap(), 0);
    let bytes = read(&field, &alice, &output, &big);
    for start in [2, 0, 1, 0] {
        let piece = &bytes[start * 1000..bytes.len().min(start * 1000 + 1000)];
        intake.write(&big, start as u64 * 1000, piece).unwrap();
    }
    assert_eq!(intake.received(&big).unwrap(), bytes.len() as u64);
    intake.write(&path("small"), 0, b"small").unwrap();
    let arrived = intake.finish().unwrap();
    assert_eq!(arrived, staging.inputs_dir().join("site"));
    assert_eq!(fs::read(arrived.join("d/big")).unwrap(), bytes);
    assert_eq!(fs::read_to_string(arrived.join("l")).unwrap(), "small");
    assert_eq!(fs::read(arrived.join("empty")).unwrap(), b"");
    assert_eq!(fs::metadata(arrived.join("d")).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(fs::metadata(arrived.join("small")).unwrap().mode() & 0o222, 0);
    field.shadow.discard_attempt(&attempt("sales", 2)).unwrap();
}

#[test]
fn a_damaged_file_is_named_and_can_come_again() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let staging = field.stage(&attempt("sales", 2));
    let begin = || staging.intake(&name("site"), &output.manifest, output.digest).unwrap();
    let mut intake = begin();
    let missing = begin().finish();
    assert!(matches!(missing, Err(IntakeError::Missing { .. })), "{missing:?}");
    let big = path("d/big");
    let bytes = read(&field, &alice, &output, &big);
    intake.write(&big, 0, &bytes).unwrap();
    intake.write(&path("small"), 0, b"smell").unwrap();
    let failed = intake.finish();
    assert!(matches!(&failed, Err(IntakeError::Damaged { path, .. }) if path.as_str() == "small"));
    // The rest need not come again.
    let mut intake = begin();
    assert_eq!(intake.received(&big).unwrap(), bytes.len() as u64);
    assert_eq!(intake.received(&path("small")).unwrap(), 0);
    intake.write(&path("small"), 0, b"small").unwrap();
    intake.finish().unwrap();
}

#[test]
fn a_peer_cannot_write_what_was_not_named() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let staging = field.stage(&attempt("sales", 2));
    let other = staging.intake(&name("site"), &output.manifest, Digest([7; 32]));
    assert!(matches!(other, Err(IntakeError::OtherManifest { .. })));
    let mut intake = staging.intake(&name("site"), &output.manifest, output.digest).unwrap();
    for stranger in ["other", "d", "l"] {
        let failed = intake.write(&path(stranger), 0, b"x");
        assert!(matches!(failed, Err(IntakeError::NoSuchFile { .. })), "{failed:?}");
    }
    for offset in [5, u64::MAX] {
        let failed = intake.write(&path("small"), offset, b"x");
        assert!(matches!(failed, Err(IntakeError::BeyondEnd { .. })), "{failed:?}");
    }
}

#[test]
fn leftovers_of_another_input_are_cleared_away() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let staging = field.stage(&attempt("sales", 2));
    write(&staging.inputs_dir().join("site/stray"), "x");
    arrive(&field, &alice, &staging, &output);
    let seen: Vec<_> = picture(&staging.inputs_dir().join("site")).into_keys().collect();
    assert_eq!(seen, ["d", "d/big", "empty", "l", "small"]);
}

#[test]
fn an_input_can_be_taken_in_twice() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let staging = field.stage(&attempt("sales", 2));
    arrive(&field, &alice, &staging, &output);
    let intake = staging.intake(&name("site"), &output.manifest, output.digest).unwrap();
    assert_eq!(intake.received(&path("small")).unwrap(), 5);
    intake.finish().unwrap();
}

#[test]
fn a_file_keeps_its_name_on_the_way() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("sub/orders.csv"), "1;2");
    let sealed = staging.seal(&[declared("orders", "sub/orders.csv")]).unwrap();
    let output = &sealed.outputs[0];
    let consumer = field.stage(&attempt("sales", 2));
    let mut intake = consumer.intake(&name("orders"), &output.manifest, output.digest).unwrap();
    intake.write(&path("orders.csv"), 0, b"1;2").unwrap();
    let arrived = intake.finish().unwrap();
    assert_eq!(arrived, consumer.inputs_dir().join("orders/orders.csv"));
    // On the same worker no byte moves.
    let other = field.stage(&attempt("sales", 3));
    for _ in 0..2 {
        let linked = other.link_input(&name("orders"), &alice, output).unwrap();
        assert_eq!(linked, other.inputs_dir().join("orders/orders.csv"));
        assert_eq!(fs::read_to_string(&linked).unwrap(), "1;2");
    }
}

#[test]
fn a_manifest_survives_the_way_to_another_worker() {
    let (field, alice) = (Field::new(), attempt("sales", 1));
    let output = leave(&field, &alice);
    let text = serde_json::to_string(&output.manifest).unwrap();
    let read: Manifest = serde_json::from_str(&text).unwrap();
    assert_eq!((read.digest(), &read), (output.digest, &output.manifest));
    assert!(serde_json::from_str::<Manifest>(&text.replace("\"d\"", "\"..\"")).is_err());
}

/// Seals a tree with a little of everything.
fn leave(field: &Field, by: &AttemptId) -> SealedOutput {
    let staging = field.stage(by);
    let site = staging.output_dir().join("site");
    write(&site.join("d/big"), &"0123456789".repeat(250));
    write(&site.join("small"), "small");
    write(&site.join("empty"), "");
    std::os::unix::fs::symlink("small", site.join("l")).unwrap();
    staging.seal(&[declared("site", "site/")]).unwrap().outputs.remove(0)
}

fn arrive(field: &Field, from: &AttemptId, at: &Staging, output: &SealedOutput) {
    let mut intake = at.intake(&name("site"), &output.manifest, output.digest).unwrap();
    for file in output.manifest.files() {
        let bytes = read(field, from, output, file.path);
        intake.write(file.path, 0, &bytes).unwrap();
    }
    intake.finish().unwrap();
}

fn read(field: &Field, from: &AttemptId, output: &SealedOutput, path: &TreePath) -> Vec<u8> {
    let mut bytes = Vec::new();
    field.shadow.open_sealed(from, output, path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}
