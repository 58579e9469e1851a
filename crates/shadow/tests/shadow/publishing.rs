//! Publishing is one step for readers, keeps what was there, and copies nothing.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::fs::{CWD, Mode, OFlags, openat};
use votum_shadow::{
    Declared, Depth, Existing, FileMode, PublishError, Target, TargetError, TargetPath, TreePath,
};

use crate::field::{
    Field, attempt, declared, file_at, name, picture, pledge, set_mode, tree_at, write,
};

#[test]
fn publishing_moves_inodes_and_copies_nothing() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1"), ("d/b", "2")]);
    let site = &sealed.outputs[0];
    let published = field.shadow.publish(&alice, site, &tree_at("www/site")).unwrap();
    assert_eq!(published.path, field.root().canonicalize().unwrap().join("www/site"));
    assert_eq!(fs::metadata(&published.generation).unwrap().ino(), site.inode);
    for (file, identity) in site.manifest.files().zip(&site.identities) {
        let there = fs::metadata(published.path.join(file.path.as_str())).unwrap();
        assert_eq!((there.ino(), there.size()), (identity.inode, identity.size));
    }
    assert_eq!(
        fs::read_link(&published.path).unwrap(),
        Path::new("../.votum/gen/sales/report.site")
    );
}

#[test]
fn everyone_may_read_and_nobody_write() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("site/d/x"), "x");
    set_mode(&staging.output_dir().join("site"), 0o700);
    set_mode(&staging.output_dir().join("site/d"), 0o700);
    let sealed = staging.seal(&[declared("site", "site/")]).unwrap();
    field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
    let seen = picture(&field.root());
    for (path, shown) in &seen {
        let expected = match path.as_str() {
            "site" => "120777 -> .votum/gen/sales/report.site",
            ".votum/gen/sales/report.site/d/x" => "100444 x",
            ".votum/gen/sales/report.site.earlier" => "120777 -> nothing",
            _ => "40755 directory",
        };
        assert_eq!(shown, expected, "{path}");
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn a_file_gets_the_mode_of_its_target() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("sub/summary.json"), "{}");
    let sealed = staging.seal(&[declared("summary", "sub/summary.json")]).unwrap();
    let target = Target::File {
        path: TargetPath::new("latest.json").unwrap(),
        mode: Some("0640".parse::<FileMode>().unwrap()),
        existing: Existing::Replace,
        kept: None,
    };
    for _ in 0..2 {
        let published = field.shadow.publish(&alice, &sealed.outputs[0], &target).unwrap();
        assert_eq!(fs::metadata(&published.path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_to_string(&published.path).unwrap(), "{}");
    }
}

#[test]
fn what_stood_at_the_target_is_kept() {
    for (ordinary, shown) in [("file", "100644 mine"), ("directory", "40755 directory")] {
        let field = Field::new();
        let alice = attempt("sales", 1);
        let target = field.root().join("site");
        match ordinary {
            "file" => write(&target, "mine"),
            _ => write(&target.join("mine"), "mine"),
        }
        let sealed = field.seal_site(&alice, &[("a", "1")]);
        let published = field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
        assert!(published.before.unwrap().ends_with(".votum/gen/sales/report.site.before"));
        let seen = picture(&field.root());
        assert_eq!(seen[".votum/gen/sales/report.site.before"], shown);
        assert!(!seen.keys().any(|path| path.contains("link.")), "{seen:?}");
    }
}

#[test]
fn a_link_of_others_is_kept_and_never_followed() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    symlink(field.outside(), field.root().join("site")).unwrap();
    let sealed = field.seal_site(&alice, &[("secret", "1")]);
    let published = field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
    assert_eq!(fs::read_link(published.before.unwrap()).unwrap(), field.outside());
    assert_eq!(fs::read_to_string(field.outside().join("secret")).unwrap(), "secret");
}

#[test]
fn a_later_job_flips_and_the_older_generation_stays() {
    let field = Field::new();
    for (job, text) in [("first", "1"), ("second", "2")] {
        let by = attempt(job, 1);
        let sealed = field.seal_site(&by, &[("a", text)]);
        let published = field.shadow.publish(&by, &sealed.outputs[0], &tree_at("site")).unwrap();
        assert_eq!(published.before, None);
        assert_eq!(fs::read_to_string(published.path.join("a")).unwrap(), text);
    }
    let old = field.root().join(".votum/gen/first/report.site/a");
    assert_eq!(fs::read_to_string(old).unwrap(), "1");
}

#[test]
fn publishing_again_changes_nothing() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    write(&field.root().join("site"), "mine");
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let publish = || field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
    let first = publish();
    let seen = picture(&field.root());
    field.shadow.discard_job(&alice.job).unwrap();
    assert_eq!(publish(), first);
    assert_eq!(picture(&field.root()), seen);
}

#[test]
fn something_put_in_the_way_later_is_kept_too() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let target = field.root().join("site");
    for text in ["one", "two", "three"] {
        drop(fs::remove_file(&target));
        write(&target, text);
        field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site")).unwrap();
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
    }
    let kept = |ending: &str| field.root().join(".votum/gen/sales").join(ending);
    for (ending, text) in [("before", "one"), ("before.1", "two"), ("before.2", "three")] {
        let path = kept(&format!("report.site.{ending}"));
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}

#[test]
fn a_link_swapped_in_after_the_check_does_not_help() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let site = &sealed.outputs[0];
    let target = tree_at("www/site");
    let www = field.root().join("www");
    fs::create_dir(&www).unwrap();
    let pledges = [pledge(&alice, site, target.clone())];
    field.shadow.check(std::slice::from_ref(&sealed), &pledges, Depth::Quick).unwrap();
    fs::remove_dir(&www).unwrap();
    symlink(field.outside(), &www).unwrap();
    let before = picture(&field.outside());
    let failed = field.shadow.publish(&alice, site, &target);
    let escapes = matches!(failed, Err(PublishError::Target(TargetError::Escapes { .. })));
    assert!(escapes, "{failed:?}");
    assert_eq!(picture(&field.outside()), before);
    // What is decided can still be done once the way is clear.
    fs::remove_file(&www).unwrap();
    field.shadow.publish(&alice, site, &target).unwrap();
    assert_eq!(fs::read_to_string(www.join("site/a")).unwrap(), "1");
}

#[test]
fn a_link_inside_the_root_may_be_a_parent() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    fs::create_dir_all(field.root().join("real/deep")).unwrap();
    symlink("real/deep", field.root().join("short")).unwrap();
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    let published =
        field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("short/site")).unwrap();
    assert!(published.path.ends_with("root/real/deep/site"));
    assert_eq!(fs::read_to_string(field.root().join("short/site/a")).unwrap(), "1");
}

#[test]
fn lost_bytes_are_said_to_be_lost() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let sealed = field.seal_site(&alice, &[("a", "1")]);
    field.shadow.discard_attempt(&alice).unwrap();
    let failed = field.shadow.publish(&alice, &sealed.outputs[0], &tree_at("site"));
    assert!(matches!(failed, Err(PublishError::Lost { .. })), "{failed:?}");
    assert!(fs::symlink_metadata(field.root().join("site")).is_err());
}

#[test]
fn only_what_was_sealed_is_published() {
    let field = Field::new();
    let (alice, bob) = (attempt("sales", 1), attempt("sales", 2));
    let old = field.seal_site(&alice, &[("a", "1")]);
    let new = field.seal_site(&bob, &[("a", "2")]);
    // Another directory in the place of the sealed one.
    let site = |attempt: &str| field.shadow.staging_dir().join("sales").join(attempt).join("out");
    fs::rename(site("report.1.1").join("site"), field.base.path().join("aside")).unwrap();
    write(&site("report.1.1").join("site/a"), "x");
    let failed = field.shadow.publish(&alice, &old.outputs[0], &tree_at("site"));
    assert!(matches!(failed, Err(PublishError::Changed { .. })), "{failed:?}");
    // Another attempt's generation in the place of this one's.
    field.shadow.publish(&bob, &new.outputs[0], &tree_at("site")).unwrap();
    let failed = field.shadow.publish(&alice, &old.outputs[0], &tree_at("site"));
    assert!(matches!(failed, Err(PublishError::Changed { .. })), "{failed:?}");
    assert_eq!(fs::read_to_string(field.root().join("site/a")).unwrap(), "2");
}

#[test]
fn staged_and_published_files_can_be_read_alike() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("rows"), "rows");
    let publishes = Some(file_at("rows"));
    let rows = Declared { publishes, ..declared("rows", "rows") };
    let sealed = staging.seal(&[rows]).unwrap();
    let output = &sealed.outputs[0];
    let read = || {
        let path = TreePath::new("rows").unwrap();
        let file = field.shadow.open_sealed(&alice, output, &path).unwrap();
        std::io::read_to_string(file).unwrap()
    };
    assert_eq!(read(), "rows");
    field.shadow.publish(&alice, output, &file_at("rows")).unwrap();
    assert_eq!(read(), "rows");
    assert!(field.shadow.open_sealed(&alice, output, &TreePath::new("x").unwrap()).is_err());
}

#[test]
fn a_reader_never_sees_a_gap_or_a_mixture() {
    let field = Field::new();
    let target = field.root().join("site");
    // Before the first job an ordinary directory stands there.
    write(&target.join("a"), "0");
    write(&target.join("b"), "0");
    let done = AtomicBool::new(false);
    let (started, wait) = std::sync::mpsc::sync_channel(1);
    let seen = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.push(read_set(&target));
                let _ = started.try_send(());
            }
            seen
        });
        wait.recv().unwrap();
        for version in 1..=60 {
            let by = attempt(&format!("job-{version}"), 1);
            let text = version.to_string();
            let sealed = field.seal_site(&by, &[("a", &text), ("b", &text)]);
            field.shadow.publish(&by, &sealed.outputs[0], &tree_at("site")).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.iter().all(|(a, b)| a == b));
    let versions: Vec<u32> = seen.iter().map(|(a, _)| a.parse().unwrap()).collect();
    assert!(versions.is_sorted());
    println!("{} consistent reads during 60 publications", versions.len());
}

/// Opens the target once and reads two files of it.
fn read_set(target: &Path) -> (String, String) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let dir = openat(CWD, target, flags, Mode::empty()).expect("the target is always there");
    let read = |name: &str| {
        let file = openat(&dir, name, OFlags::RDONLY, Mode::empty()).expect("the set is complete");
        std::io::read_to_string(fs::File::from(file)).unwrap()
    };
    (read("a"), read("b"))
}

#[test]
fn a_published_output_is_known_after_its_staging_is_gone() {
    let field = Field::new();
    let alice = attempt("sales", 1);
    let staging = field.stage(&alice);
    write(&staging.output_dir().join("site/d/x"), "x");
    let target = tree_at("site");
    let publishing = Declared { publishes: Some(target.clone()), ..declared("site", "site/") };
    let sealed = staging.seal(&[publishing]).unwrap();
    let site = name("site");
    // Before it is published nothing is kept of it.
    field.shadow.keep_manifests(&alice.job).unwrap();
    assert_eq!(field.shadow.published(&alice, &site).unwrap(), None);

    field.shadow.publish(&alice, &sealed.outputs[0], &target).unwrap();
    for _ in 0..2 {
        field.shadow.keep_manifests(&alice.job).unwrap();
        field.shadow.discard_job(&alice.job).unwrap();
    }

    assert_eq!(field.shadow.sealed(&alice).unwrap(), None);
    assert_eq!(field.shadow.published(&attempt("sales", 2), &site).unwrap(), None);
    let known = field.shadow.published(&alice, &site).unwrap();
    assert_eq!(known.as_ref(), Some(&sealed));
    let path = TreePath::new("d/x").unwrap();
    field.shadow.open_sealed(&alice, &known.unwrap().outputs[0], &path).unwrap();
}
