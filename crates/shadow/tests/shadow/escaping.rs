//! Whatever a program leaves, nothing outside its folder is touched on its account.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, fsetxattr, mknodat};
use votum_shadow::{Refusal, SealError};

use crate::field::{Field, attempt, declared, picture, set_mode, tree_at, write};

#[test]
fn special_files_are_refused_by_name() {
    let pipe = |site: &Path| make_node(&site.join("odd"), FileType::Fifo);
    assert_refused(pipe, |refusal| matches!(refusal, Refusal::Fifo));
    let socket = |site: &Path| drop(UnixListener::bind(site.join("odd")).unwrap());
    assert_refused(socket, |refusal| matches!(refusal, Refusal::Socket));
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: only root can make a device");
        return;
    }
    let device = |site: &Path| make_node(&site.join("odd"), FileType::CharacterDevice);
    assert_refused(device, |refusal| matches!(refusal, Refusal::Device));
}

#[test]
fn privileged_files_and_hard_links_are_refused() {
    for mode in [0o4755, 0o2755, 0o1644] {
        let privileged = |site: &Path| {
            fs::write(site.join("odd"), "x").unwrap();
            set_mode(&site.join("odd"), mode);
        };
        assert_refused(privileged, |refusal| matches!(refusal, Refusal::Privileged));
    }
    let linked = |site: &Path| {
        let outside = site.ancestors().nth(5).unwrap().join("outside/secret");
        fs::hard_link(outside, site.join("odd")).unwrap();
    };
    assert_refused(linked, |refusal| matches!(refusal, Refusal::HardLinked { links: 2 }));
}

#[test]
fn capabilities_are_refused() {
    // Version 2, effective, with the right to bind low ports.
    let low_ports = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = |path: &Path| {
        let file = fs::File::create(path).unwrap();
        fsetxattr(&file, "security.capability", &low_ports, XattrFlags::empty())
    };
    let trial = tempfile::tempdir().unwrap();
    if let Err(error) = set(&trial.path().join("x")) {
        println!("NOT RUN: cannot give a file capabilities: {error}");
        return;
    }
    let capable = |site: &Path| set(&site.join("odd")).unwrap();
    assert_refused(capable, |refusal| matches!(refusal, Refusal::Privileged));
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    if rustix::process::geteuid().is_root() {
        println!("NOT RUN: root may read anything");
        return;
    }
    let unreadable_file = |site: &Path| {
        fs::write(site.join("odd"), "x").unwrap();
        set_mode(&site.join("odd"), 0o000);
    };
    assert_refused(unreadable_file, |refusal| matches!(refusal, Refusal::Unreadable));
    let unreadable_directory = |site: &Path| {
        fs::create_dir(site.join("odd")).unwrap();
        set_mode(&site.join("odd"), 0o000);
    };
    assert_refused(unreadable_directory, |refusal| matches!(refusal, Refusal::Unreadable));
}

#[test]
fn links_that_could_lead_out_are_refused() {
    let targets = ["/etc/passwd", "..", "../../../outside", "a/../../x", "/proc/self/root", "a\nb"];
    for target in targets {
        let link = |site: &Path| symlink(target, site.join("odd")).unwrap();
        assert_refused(link, |refusal| matches!(refusal, Refusal::EscapingLink { .. }));
    }
    let invalid = std::ffi::OsStr::from_bytes(b"a\xff");
    let link = |site: &Path| symlink(invalid, site.join("odd")).unwrap();
    assert_refused(link, |refusal| matches!(refusal, Refusal::EscapingLink { .. }));
}

#[test]
fn names_that_mislead_are_refused() {
    let names: [&[u8]; 6] = [b"-rf", b"a\nb", b"a\tb", b"\x1b[2J", b"a\xff", b"\x7f"];
    for bytes in names {
        let failed = Field::new().seal_what(|site| {
            fs::write(site.join(std::ffi::OsStr::from_bytes(bytes)), "x").unwrap();
        });
        let named = matches!(failed, Err(SealError::Refused { refusal: Refusal::Name { .. }, .. }));
        assert!(named, "{bytes:?}");
    }
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let failed = Field::new().seal_what(|site| {
        fs::create_dir_all(site.join("d/".repeat(65))).unwrap();
    });
    let deep = matches!(
        failed,
        Err(SealError::Refused { refusal: Refusal::Name { rule }, .. }) if rule.contains("deeper")
    );
    assert!(deep);
}

#[test]
fn an_output_behind_a_link_is_refused() {
    let field = Field::new();
    let outside = field.outside();
    let staging = field.stage(&attempt("sales", 1));
    symlink(&outside, staging.output_dir().join("site")).unwrap();
    let tree = staging.seal(&[declared("site", "site/")]);
    assert!(matches!(tree, Err(SealError::Refused { refusal: Refusal::Link, .. })), "{tree:?}");
    let staging = field.stage(&attempt("sales", 2));
    symlink(&outside, staging.output_dir().join("dir")).unwrap();
    let file = staging.seal(&[declared("secret", "dir/secret")]);
    assert!(matches!(file, Err(SealError::Refused { refusal: Refusal::Link, .. })), "{file:?}");
    let staging = field.stage(&attempt("sales", 3));
    symlink(outside.join("secret"), staging.output_dir().join("secret")).unwrap();
    let file = staging.seal(&[declared("secret", "secret")]);
    assert!(matches!(file, Err(SealError::Refused { refusal: Refusal::Link, .. })), "{file:?}");
}

#[test]
fn an_exchanged_output_directory_is_not_followed() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    fs::remove_dir(staging.output_dir()).unwrap();
    symlink(field.outside(), staging.output_dir()).unwrap();
    let failed = staging.seal(&[declared("secret", "secret")]);
    assert!(matches!(failed, Err(SealError::NoDirectory)), "{failed:?}");
    field.shadow.discard_attempt(&attempt("sales", 1)).unwrap();
    assert_eq!(fs::read_to_string(field.outside().join("secret")).unwrap(), "secret");
}

#[test]
fn a_refusal_leaves_the_folder_as_it_was() {
    let field = Field::new();
    let staging = field.stage(&attempt("sales", 1));
    let out = staging.output_dir();
    write(&out.join("rows"), "rows");
    write(&out.join("site/a"), "a");
    make_node(&out.join("site/odd"), FileType::Fifo);
    let before = picture(&out);
    let failed = staging.seal(&[declared("rows", "rows"), declared("site", "site/")]);
    let Err(SealError::Refused { output, path, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!((output.as_str(), path.to_str().unwrap()), ("site", "site/odd"));
    assert_eq!(picture(&out), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn no_tree_reaches_outside(steps in prop::collection::vec(any_step(), 1..12)) {
        let field = Field::new();
        let alice = attempt("hostile", 1);
        let staging = field.stage(&alice);
        let site = staging.output_dir().join("site");
        fs::create_dir(&site).unwrap();
        for step in &steps {
            step.take(&site, &field.outside());
        }
        let untouched = trace(&field.outside());
        if let Ok(sealed) = staging.seal(&[declared("site", "site/")]) {
            prop_assert!(leads_nowhere_else(&site));
            let target = tree_at("site");
            field.shadow.publish(&alice, &sealed.outputs[0], &target).unwrap();
            prop_assert!(leads_nowhere_else(&field.root().join("site").canonicalize().unwrap()));
        }
        prop_assert_eq!(trace(&field.outside()), untouched);
        field.shadow.discard_attempt(&alice).unwrap();
        prop_assert_eq!(fs::read_to_string(field.outside().join("secret")).unwrap(), "secret");
        prop_assert_eq!(picture(field.shadow.staging_dir()).len(), 0);
    }
}

/// One thing a hostile program does.
#[derive(Debug, Clone)]
enum Step {
    Directory(String),
    File(String, u32),
    Link(String, String),
    LinkOutside(String),
    HardLink(String),
    Pipe(String),
}

impl Step {
    /// Tries it; what the system does not allow, the program cannot do.
    ///
    /// What it would do outside through its own links is not done: only what
    /// it leaves inside is of interest.
    fn take(&self, site: &Path, outside: &Path) {
        let path = site.join(self.path());
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let inside = parent.is_some_and(|parent| parent.starts_with(site) && parent.is_dir());
        if !inside || fs::symlink_metadata(&path).is_ok() {
            return;
        }
        match self {
            Self::Directory(_) => fs::create_dir(path).unwrap(),
            Self::File(_, mode) => {
                fs::write(&path, "x").unwrap();
                set_mode(&path, *mode);
            }
            Self::Link(_, to) => drop(symlink(to, path)),
            Self::LinkOutside(_) => symlink(outside, path).unwrap(),
            Self::HardLink(_) => fs::hard_link(outside.join("secret"), path).unwrap(),
            Self::Pipe(_) => make_node(&path, FileType::Fifo),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Directory(path)
            | Self::File(path, _)
            | Self::Link(path, _)
            | Self::LinkOutside(path)
            | Self::HardLink(path)
            | Self::Pipe(path) => path,
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let path = || "[ab](/[abc]){0,2}";
    let link = "(\\.\\./){0,3}([abc.]/?){0,3}";
    let mode = prop::sample::select(vec![0o644, 0o600, 0o755, 0o4755, 0o000]);
    prop_oneof![
        6 => path().prop_map(Step::Directory),
        6 => (path(), mode).prop_map(|(path, mode)| Step::File(path, mode)),
        4 => (path(), link).prop_map(|(path, to)| Step::Link(path, to)),
        1 => path().prop_map(Step::LinkOutside),
        1 => path().prop_map(Step::HardLink),
        1 => path().prop_map(Step::Pipe),
    ]
}

/// Seals a tree with one odd thing in it: refused, named, and nothing outside touched.
fn assert_refused(leave: impl FnOnce(&Path), expected: impl FnOnce(&Refusal) -> bool) {
    let field = Field::new();
    let before = picture(&field.outside());
    let failed = field.seal_what(leave);
    let Err(SealError::Refused { path, refusal, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(path, Path::new("site/odd"));
    assert!(expected(&refusal), "{refusal:?}");
    assert_eq!(picture(&field.outside()), before);
    field.shadow.discard_attempt(&attempt("hostile", 1)).unwrap();
    assert_eq!(picture(&field.outside()), before);
}

fn make_node(path: &Path, kind: FileType) {
    // Major 1, minor 3 is the null device.
    let device = if kind == FileType::CharacterDevice { 0x103 } else { 0 };
    mknodat(CWD, path, kind, Mode::RWXU, device).unwrap();
}

/// Contents and change times: what shows any touch.
fn trace(top: &Path) -> Vec<(std::path::PathBuf, u32, i64, i64)> {
    let mut seen: Vec<_> = fs::read_dir(top)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([top.to_owned()])
        .map(|path| {
            let it = fs::symlink_metadata(&path).unwrap();
            (path, it.mode(), it.ctime(), it.ctime_nsec())
        })
        .collect();
    seen.sort();
    seen
}

/// Resolves every link of a tree as the system does.
fn leads_nowhere_else(top: &Path) -> bool {
    let mut left = vec![top.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                left.push(path);
            } else if metadata.is_symlink()
                && let Ok(real) = path.canonicalize()
                && !real.starts_with(top)
            {
                return false;
            }
        }
    }
    true
}
