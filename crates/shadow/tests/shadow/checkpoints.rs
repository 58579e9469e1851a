//! A checkpoint is whole or not there, and nothing is resumed that is not what was sealed.

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use votum_ids::{CheckpointId, Digest};
use votum_shadow::{CheckpointError, Checkpoints, RestoreError, Scope, Staging};

use crate::{
    crashing::example,
    field::{Field, attempt, picture, set_mode, write},
};

#[test]
fn a_later_attempt_finds_what_was_sealed() {
    let (field, checkpoints) = started();
    let first = field.stage(&attempt("sales", 1));
    leave_a_state(&first.checkpoint_dir());
    write(&first.output_dir().join("rows"), "1");
    write(&first.work_dir().join("scratch"), "2");
    let sealed = checkpoints.seal(&id(1), &first, Scope::Everything, LIMIT).unwrap();
    assert_eq!((sealed.files, sealed.bytes), (4, 10));

    let second = field.stage(&attempt("sales", 2));
    checkpoints.restore(&id(1), sealed.digest, &second).unwrap();
    for dir in [Staging::checkpoint_dir, Staging::output_dir, Staging::work_dir] {
        assert_eq!(picture(&dir(&second)), picture(&dir(&first)));
    }
}

#[test]
fn a_state_alone_leaves_scratch_and_outputs_out() {
    let (field, checkpoints) = started();
    let first = field.stage(&attempt("sales", 1));
    leave_a_state(&first.checkpoint_dir());
    write(&first.work_dir().join("scratch"), "2");
    let sealed = checkpoints.seal(&id(1), &first, Scope::State, LIMIT).unwrap();

    let second = field.stage(&attempt("sales", 2));
    checkpoints.restore(&id(1), sealed.digest, &second).unwrap();
    assert_eq!(picture(&second.checkpoint_dir()), picture(&first.checkpoint_dir()));
    assert!(picture(&second.work_dir()).is_empty());
}

#[test]
fn damage_is_found_and_leaves_the_attempt_empty() {
    let (field, checkpoints) = started();
    let first = field.stage(&attempt("sales", 1));
    leave_a_state(&first.checkpoint_dir());
    let sealed = checkpoints.seal(&id(1), &first, Scope::State, LIMIT).unwrap();
    let copy = field.base.path().join("checkpoints/sales/report/1.1.1/state/checkpoint/page");
    set_mode(&copy, 0o600);
    fs::write(&copy, "8").unwrap();

    let second = field.stage(&attempt("sales", 2));
    let restored = checkpoints.restore(&id(1), sealed.digest, &second);
    assert!(matches!(restored, Err(RestoreError::Damaged { .. })), "{restored:?}");
    assert!(picture(&second.checkpoint_dir()).is_empty());
}

#[test]
fn another_content_than_the_named_one_is_not_resumed() {
    let (field, checkpoints) = started();
    let first = field.stage(&attempt("sales", 1));
    checkpoints.seal(&id(1), &first, Scope::State, LIMIT).unwrap();
    let second = field.stage(&attempt("sales", 2));
    let other = checkpoints.restore(&id(1), Digest([7; 32]), &second);
    assert!(matches!(other, Err(RestoreError::Damaged { .. })));
    let absent = checkpoints.restore(&id(2), Digest([7; 32]), &second);
    assert!(matches!(absent, Err(RestoreError::Absent)));
}

#[test]
fn a_refused_state_leaves_nothing_behind() {
    let (field, checkpoints) = started();
    let staging = field.stage(&attempt("sales", 1));
    write(&staging.checkpoint_dir().join("large"), "12345");
    let large = checkpoints.seal(&id(1), &staging, Scope::State, 4);
    assert!(matches!(large, Err(CheckpointError::TooLarge { limit: 4, .. })));
    symlink("/etc/passwd", staging.checkpoint_dir().join("link")).unwrap();
    let refused = checkpoints.seal(&id(1), &staging, Scope::State, LIMIT);
    assert!(matches!(refused, Err(CheckpointError::Refused { .. })));
    assert!(picture(&field.base.path().join("checkpoints/sales/report")).is_empty());
}

#[test]
fn a_state_that_changes_meanwhile_is_not_sealed() {
    let (field, checkpoints) = started();
    let staging = field.stage(&attempt("sales", 1));
    let page = staging.checkpoint_dir().join("page");
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                fs::write(&page, "1").unwrap();
            }
        });
        // Each try lasts as long as several syncs, and a write a few microseconds.
        let changed = (1..1000).any(|sequence| {
            let sealed = checkpoints.seal(&id(sequence), &staging, Scope::State, LIMIT);
            matches!(sealed, Err(CheckpointError::Changed))
        });
        ended.store(true, Ordering::Relaxed);
        assert!(changed);
    });
}

#[test]
fn a_sweep_takes_drafts_and_what_nobody_knows() {
    let (field, checkpoints) = started();
    let staging = field.stage(&attempt("sales", 1));
    for sequence in [1, 2] {
        checkpoints.seal(&id(sequence), &staging, Scope::State, LIMIT).unwrap();
    }
    let folder = field.base.path().join("checkpoints");
    write(&folder.join("sales/report/1.1.3.seal.tmp/state/page"), "half");
    write(&folder.join("gone/report/1.1.1/manifest.json"), "{}");
    checkpoints.sweep(&|known| *known == id(2)).unwrap();
    let left: Vec<PathBuf> = entries(&folder.join("sales/report"));
    assert_eq!(left, [folder.join("sales/report/1.1.2")]);
    assert_eq!(entries(&folder), [folder.join("sales")]);
}

#[test]
fn a_crash_leaves_a_checkpoint_whole_or_absent() {
    for point in ["copied", "written", "named"] {
        for visit in 1..=2 {
            let base = tempfile::tempdir().unwrap();
            let run = |crash_at: Option<String>| {
                let mut command = Command::new(example("checkpointing"));
                command.arg(base.path()).env_remove("VOTUM_CRASH_AT");
                command.envs(crash_at.map(|crash_at| ("VOTUM_CRASH_AT", crash_at)));
                command.status().unwrap()
            };
            let crashed = run(Some(format!("shadow.checkpoint.{point}:{visit}")));
            assert_eq!(crashed.signal(), Some(9), "{point}:{visit}");
            let checkpoints = Checkpoints::open(&base.path().join("checkpoints")).unwrap();
            let whole = checkpoints.manifest(&id(visit)).unwrap().is_some();
            assert_eq!(whole, point == "named", "{point}:{visit}");

            assert!(run(None).success(), "{point}:{visit}");
            for sequence in [1, 2] {
                let page = format!("checkpoints/sales/report/1.1.{sequence}/state/checkpoint/page");
                let page = fs::read_to_string(base.path().join(page)).unwrap();
                assert_eq!(page, sequence.to_string(), "{point}:{visit}");
            }
        }
    }
}

fn started() -> (Field, Checkpoints) {
    let field = Field::new();
    let checkpoints = Checkpoints::open(&field.base.path().join("checkpoints")).unwrap();
    (field, checkpoints)
}

fn id(sequence: u64) -> CheckpointId {
    CheckpointId { attempt: attempt("sales", 1), sequence }
}

fn leave_a_state(dir: &Path) {
    write(&dir.join("page"), "7");
    write(&dir.join("inner/deep/program"), "#! here");
    set_mode(&dir.join("inner/deep/program"), 0o755);
    fs::create_dir(dir.join("empty")).unwrap();
    symlink("inner/deep", dir.join("link")).unwrap();
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

const LIMIT: u64 = 1 << 20;
