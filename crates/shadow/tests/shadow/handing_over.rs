//! Programs of another user: what is theirs, and from when on it is not.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

use votum_ids::CheckpointId;
use votum_shadow::{Checkpoints, ProgramUser, Scope, Shadow};

use crate::field::{Field, attempt, declared, name, set_mode};

#[test]
fn a_program_of_another_user_writes_only_where_it_may() {
    let Some(field) = field_of_nobody() else { return };
    let staging = field.stage(&attempt("sales", 1));
    staging.make_parents(&[declared("rows", "a/b/rows")]).unwrap();

    for dir in [
        staging.work_dir(),
        staging.output_dir(),
        staging.output_dir().join("a/b"),
        staging.checkpoint_dir(),
        staging.asks_dir(),
    ] {
        assert!(as_nobody("touch made && ls", &dir), "{}", dir.display());
    }
    let attempt_dir = staging.work_dir().parent().unwrap().to_owned();
    assert!(as_nobody("ls", &staging.inputs_dir()));
    assert!(!as_nobody("touch made", &staging.inputs_dir()));
    for dir in [&attempt_dir, attempt_dir.parent().unwrap(), field.shadow.staging_dir()] {
        assert!(!as_nobody("touch made", dir), "{}", dir.display());
        assert!(!as_nobody("ls", dir), "{}", dir.display());
    }
    assert!(!as_nobody("mv work work2", &attempt_dir));
}

#[test]
fn a_restart_never_locks_a_running_program_out() {
    let Some(field) = field_of_nobody() else { return };
    let staging = field.stage(&attempt("sales", 1));

    // As at every start: first without a user, and then with the configured one, if any.
    Shadow::open(field.shadow.staging_dir(), &[field.root()]).unwrap();

    assert!(as_nobody("touch made", &staging.work_dir()));
    assert_eq!(owner_and_mode(field.shadow.staging_dir()), (0, 0o711));
}

#[test]
fn sealing_takes_everything_from_the_user() {
    let Some(field) = field_of_nobody() else { return };
    let staging = field.stage(&attempt("sales", 1));
    let all = [declared("rows", "a/rows"), declared("site", "site/")];
    staging.make_parents(&all).unwrap();
    let out = staging.output_dir();
    let leave = "umask 0; echo 1 > a/rows; mkdir -p site/b; echo 2 > site/b/page; ln -s b site/c";
    assert!(as_nobody(leave, &out));

    staging.seal(&all).unwrap();

    for (path, mode) in [("", 0o755), ("a", 0o755), ("site", 0o755), ("site/b", 0o755)] {
        assert_eq!(owner_and_mode(&out.join(path)), (0, mode), "{path}");
    }
    for path in ["a/rows", "site/b/page"] {
        assert_eq!(owner_and_mode(&out.join(path)), (0, 0o444), "{path}");
        assert!(as_nobody(&format!("cat {path}"), &out));
        assert!(!as_nobody(&format!("echo 3 >> {path}"), &out));
        assert!(!as_nobody(&format!("chmod u+w {path}"), &out));
        assert!(!as_nobody(&format!("rm -f {path}"), &out));
    }
    assert!(!as_nobody("mv a a2 || mv site site2 || rm site/c || touch new", &out));
}

#[test]
fn what_is_restored_belongs_to_the_user() {
    let Some(field) = field_of_nobody() else { return };
    let checkpoints = Checkpoints::open(&field.base.path().join("checkpoints")).unwrap();
    let first = field.stage(&attempt("sales", 1));
    let state = first.checkpoint_dir();
    assert!(as_nobody("umask 077; mkdir d; echo 7 > d/page; ln -s d e", &state));
    let id = CheckpointId { attempt: attempt("sales", 1), sequence: 1 };
    let sealed = checkpoints.seal(&id, &first, Scope::Everything, 1 << 20).unwrap();
    let copy = field.base.path().join("checkpoints/sales/report/1.1.1/state/checkpoint/d/page");
    assert_eq!(fs::symlink_metadata(&copy).unwrap().uid(), 0);
    assert!(!as_nobody(&format!("cat {}", copy.display()), Path::new("/")));

    let second = field.stage(&attempt("sales", 2));
    checkpoints.restore(&id, sealed.digest, &second).unwrap();

    let state = second.checkpoint_dir();
    assert!(as_nobody("cat e/page && echo 8 >> d/page && rm -r d e && touch new", &state));
    assert_eq!(owner_and_mode(&second.work_dir()).0, NOBODY);
}

#[test]
fn a_spoilt_restore_leaves_folders_of_the_user() {
    let Some(field) = field_of_nobody() else { return };
    let checkpoints = Checkpoints::open(&field.base.path().join("checkpoints")).unwrap();
    let first = field.stage(&attempt("sales", 1));
    assert!(as_nobody("echo 7 > page", &first.checkpoint_dir()));
    let id = CheckpointId { attempt: attempt("sales", 1), sequence: 1 };
    let sealed = checkpoints.seal(&id, &first, Scope::State, 1 << 20).unwrap();
    let copy = field.base.path().join("checkpoints/sales/report/1.1.1/state/checkpoint/page");
    set_mode(&copy, 0o600);
    fs::write(&copy, "8").unwrap();

    let second = field.stage(&attempt("sales", 2));
    checkpoints.restore(&id, sealed.digest, &second).unwrap_err();

    assert!(as_nobody("touch new", &second.checkpoint_dir()));
    assert!(as_nobody("touch new", &second.work_dir()));
}

#[test]
fn an_input_is_readable_by_link_or_as_a_copy() {
    let Some(field) = field_of_nobody() else { return };
    let first = field.stage(&attempt("sales", 1));
    let all = [declared("open", "open"), declared("private", "private/")];
    let leave = "echo 1 > open; umask 077; mkdir private; echo 2 > private/page";
    assert!(as_nobody(leave, &first.output_dir()));
    let sealed = first.seal(&all).unwrap();
    let [open, private] = &sealed.outputs[..] else { panic!("{sealed:?}") };

    let second = field.stage(&attempt("sales", 2));
    assert!(second.can_link_input(open) && !second.can_link_input(private));
    let linked = second.link_input(&name("rows"), &sealed.attempt, open).unwrap();
    let manifest = &private.manifest;
    let mut intake = second.intake(&name("site"), manifest, manifest.digest()).unwrap();
    let page = manifest.files().next().unwrap().path.clone();
    intake.write(&page, 0, b"2\n").unwrap();
    let copied = intake.finish().unwrap();

    let work = second.work_dir();
    assert!(as_nobody(&format!("cat {}", linked.display()), &work));
    assert!(as_nobody(&format!("cat {}/page", copied.display()), &work));
    assert!(!as_nobody(&format!("rm -f {}/page", copied.display()), &work));
}

/// Returns a field whose programs run as nobody; none if they cannot.
#[expect(clippy::print_stdout, reason = "a test that did not run must say so")]
fn field_of_nobody() -> Option<Field> {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: only root can run a program as another user");
        return None;
    }
    let mut field = Field::new();
    set_mode(field.base.path(), 0o711);
    let user = ProgramUser { uid: NOBODY, gid: NOBODY };
    field.shadow = field.shadow.clone().for_programs_of(user).unwrap();
    Some(field)
}

/// Says whether nobody can do this in that directory.
fn as_nobody(script: &str, dir: &Path) -> bool {
    let mut shell = Command::new("/bin/sh");
    // The shell must be the one to fail, not whoever starts it there.
    let script = format!("cd '{}' && {script}", dir.display());
    let output = shell.args(["-ec", &script]).uid(NOBODY).gid(NOBODY).current_dir("/").output();
    output.unwrap().status.success()
}

fn owner_and_mode(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.uid(), metadata.mode() & 0o7777)
}

const NOBODY: u32 = 65534;
